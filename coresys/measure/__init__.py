"""Readings of this process, and what can be concluded from a series of them."""
