"""Small faults in our managers, each of which the suites must catch: ``python -m validation_suites.mutants``."""
