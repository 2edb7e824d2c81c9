"""The outside world: configuration, databases, pods, Keystone, logs."""
