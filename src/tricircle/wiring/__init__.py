"""Joins everything: one module for each program."""
