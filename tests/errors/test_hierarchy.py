"""Every error class goes through pickle whole: xdist and multiprocessing send errors that way."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import coresys
import pytest_coresys
from coresys.errors.hierarchy import (
    CleanupIncompleteError,
    CoreSysError,
    ObserverFailedError,
    StartFailedError,
    StopFailedError,
)

# What does not travel, and what is there instead: what was raised may not be one that can be pickled.
LEFT_BEHIND: dict[type[CoreSysError], dict[str, object]] = {CleanupIncompleteError: {"errors": ()}}

PLUGIN_ENTRIES = {"pytest_coresys.plugin"}  # pytest has loaded it already


def all_error_classes() -> Iterator[type[CoreSysError]]:
    """The base and all that derive from it, in every module of both packages."""
    for package in (coresys, pytest_coresys):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in PLUGIN_ENTRIES and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    yield from sorted(subclasses(CoreSysError), key=lambda cls: (cls.__module__, cls.__qualname__))


def subclasses(cls: type[CoreSysError]) -> set[type[CoreSysError]]:
    return {cls}.union(
        *(subclasses(sub) for sub in cls.__subclasses__() if sub.__module__.startswith(("coresys", "pytest_coresys")))
    )


def texts(values: Iterable[object]) -> Iterator[str]:
    """The texts among some values, and in tuples of them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from texts(value)


def example_value(name: str, annotation: str) -> object:
    if "tuple[tuple[str, str, str]" in annotation:
        return ((f"{name} 1", "a", "b"), (f"{name} 2", "c", "d"))
    if "tuple[tuple[str, int]" in annotation:
        return ((f"{name} 1", 7), (f"{name} 2", 8))
    if "tuple[tuple[str, str]" in annotation:
        return ((f"{name} 1", "a"), (f"{name} 2", "b"))
    if "tuple" in annotation:
        return (f"{name} 1", f"{name} 2")
    if annotation.startswith(("int", "float")):
        return 7
    return f"the {name}"


def example(cls: type[CoreSysError]) -> CoreSysError:
    """An instance with a recognisable value for each parameter."""
    if cls.__init__ is Exception.__init__ or cls is CoreSysError:
        return cls("message")
    args: list[object] = []
    kwargs: dict[str, object] = {}
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        value = example_value(name, str(parameter.annotation))
        if parameter.kind is parameter.KEYWORD_ONLY:
            kwargs[name] = value
        else:
            args.append(value)
    return cls(*args, **kwargs)


@pytest.mark.parametrize("cls", list(all_error_classes()), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_comes_out_of_pickle_as_it_went_in(cls: type[CoreSysError], protocol: int) -> None:
    error = example(cls)
    error.extra = "set later"  # type: ignore[attr-defined]  # such as notes, or what a caller adds
    again = pickle.loads(pickle.dumps(error, protocol))
    expected = {**error.__dict__, **LEFT_BEHIND.get(cls, {})}
    assert expected.keys() == error.__dict__.keys()
    assert type(again) is cls
    assert (str(again), again.args, again.__dict__) == (str(error), error.args, expected)
    assert copy.copy(error).__dict__ == expected


def test_a_cleanup_error_travels_although_what_was_raised_cannot() -> None:
    error = CleanupIncompleteError(failed=(("db", "no answer"),), errors=(ValueError(lambda: None),))
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(error.errors)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.failed, again.errors) == (str(error), error.failed, ())


@pytest.mark.parametrize(
    "cls", [cls for cls in all_error_classes() if cls.__init__ is not Exception.__init__], ids=lambda cls: cls.__name__
)
def test_the_message_of_an_error_holds_what_its_attributes_say(cls: type[CoreSysError]) -> None:
    error = example(cls)
    values = [value for value in texts(vars(error).values()) if value]
    assert any(value in str(error) for value in values)


def test_the_table_is_not_empty() -> None:
    names = {cls.__name__ for cls in all_error_classes()}
    assert names >= {
        *("BudgetExceededError", "BudgetNotMeasuredError", "CoreSysError", "UnitError", "UnknownMeasureError"),
        *("ConfigError", "MarkerError", "ValueProblem"),
    }


def nested(depth: int) -> BaseException:
    error: BaseException = ValueError(lambda: None)
    for _ in range(depth):
        error = ObserverFailedError(machine="m", event="e", source="a", target="b", sequence=1, causes=(error,))
    return error


def test_errors_within_one_another_are_walked_once_each() -> None:
    again = pickle.loads(pickle.dumps(nested(30)))  # twice each would be a thousand million times
    for _ in range(29):
        (again,) = again.causes
    assert "itself it cannot be pickled" in str(again.causes[0])


@pytest.mark.parametrize("cls", [StartFailedError, StopFailedError])
def test_what_components_raised_is_told_where_it_cannot_travel(cls: Any) -> None:
    cause = ValueError(lambda: None)
    error = cls(component="db", action="start", problems=(("db", "no"),), causes=(cause, OSError("gone")))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problems) == (str(error), error.problems)
    assert "itself it cannot be pickled" in str(again.causes[0])
    assert type(again.causes[1]) is OSError
    assert copy.copy(error).causes[0] is cause
