"""Flavors, key pairs and volume types of one pod, handled with the service's token."""
