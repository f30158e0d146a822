"""Running one test, repeating it, and deciding from the samples."""
