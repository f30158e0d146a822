"""Environments of tests: isolated, verified, quick."""
