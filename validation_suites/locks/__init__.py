"""The lock hierarchy across coordinators."""
