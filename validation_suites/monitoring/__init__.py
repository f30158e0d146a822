"""The monitoring coordinator, and what watching costs."""
