"""Threads: order, safety, timeouts, bounded workers."""
