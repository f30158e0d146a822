"""Managers together: chains, transitions of several, recovery."""
