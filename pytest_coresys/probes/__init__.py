"""Small objects that take one reading each around a test."""
