"""Locks in classes of a module that was imported before the plugin."""
from early_locks import Registry

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def register(names):
    with Registry.guard:  # SITE
        with Registry.names:  # SITE
            names.append("a")


def names_of(names):
    with Registry.names:  # SITE
        with Registry.guard:  # SITE
            return list(names)


def test_register():
    names = []
    register(names)
    assert names_of(names) == ["a"]
