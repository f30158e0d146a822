"""Where limits come from, and how they are merged."""
