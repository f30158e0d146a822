"""Renderings of one report model."""
