"""Subjects that are not ours: what the suites say of what people use without a core system.

Each adapter gives what a foreign thing has the names of our protocols, and no more: it takes no lock that the foreign
thing does not take, keeps no history that it does not keep, and undoes nothing. What the thing does not have at all
raises NotImplementedError. So the rows that are red are those of the thing. Errors are translated, for that is what
the protocols speak.

``pytest --pyargs validation_suites --coresys-budget
--coresys-subject state=validation_suites.foreign.transitions_state:make``
"""
