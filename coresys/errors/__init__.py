"""Errors that coresys raises; each keeps the values that it talks about as attributes."""
