"""Proof of every success criterion, for our managers or yours: ``pytest --pyargs validation_suites --coresys-budget``.

A folder for each area. ``measures.py`` of an area has the measuring, as functions that take a manager (or what makes
one) and know only the protocols of ``coresys.interfaces``; ``test_*.py`` call them on the subject of the run and record
what they return. ``faults/`` has subjects with a planted fault each: what a validation criterion says is that these are
caught, and that a clean control is not.
"""
