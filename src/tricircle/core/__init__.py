"""Decisions: pure functions on frozen values. Nothing here waits, opens or reads a clock."""
