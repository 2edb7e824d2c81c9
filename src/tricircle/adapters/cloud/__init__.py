"""HTTP to the pods and to Keystone."""
