"""What the Nova gateway does beyond its table: true one-offs, one module each."""
