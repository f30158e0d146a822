"""State machines: every transition allowed, numbered, recorded, kept."""
