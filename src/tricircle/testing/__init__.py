"""Doubles that ship: they keep the promises of what they stand for."""
