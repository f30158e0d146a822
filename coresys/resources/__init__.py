"""Buffers and other resources that have an owner."""
