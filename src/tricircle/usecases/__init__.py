"""The order of steps: each use case calls interfaces and leaves decisions to core."""
