"""Tricircle: one OpenStack API in front of many OpenStack instances."""
