"""Modules made up and left in sys.modules."""
import itertools
import sys
import types

LEAKS = "memory.growth"
_n = itertools.count()


def load_source(source):
    name = f"_plugin_{next(_n)}"
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def test_load_source():
    assert load_source("def f(): return 42\n").f() == 42
