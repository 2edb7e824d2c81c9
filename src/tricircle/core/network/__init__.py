"""What the twins of a server's networks must look like: decisions only, no calls."""
