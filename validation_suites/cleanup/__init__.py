"""Cleanup: in order, within its deadlines, all of it."""
