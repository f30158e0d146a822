"""Resource budgets for tests: the pytest plugin of coresys."""
