"""Success criteria: read from a file, fed with samples by tests, judged at the end of the run."""
