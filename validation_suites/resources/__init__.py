"""Buffers and whatever else has an owner: limits, isolation, reclamation."""
