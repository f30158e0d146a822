"""Subjects with one planted fault each, which the suites must catch."""
