"""Protocols owned by those who call them; adapters and doubles implement them."""
