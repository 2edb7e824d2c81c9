"""The Nova API gateway."""
