"""Short links: a small service with a store, an HTTP front, background jobs, exports and notifications."""
