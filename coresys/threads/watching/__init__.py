"""Locks of any program, watched: their order, what is waited for, and who holds it."""
