"""Adapters of others' libraries, to be judged as they are."""
