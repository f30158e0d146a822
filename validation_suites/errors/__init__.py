"""Errors: none lost, each counted once, recovery as declared."""
