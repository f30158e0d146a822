"""The checkpoint of a soak: taken up again by the very same soak alone, and never by halves."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_coresys.checkpoint import Checkpoint, Identity, identity_of
from pytest_coresys.reports.runfile import OutputError

SAVED = {"elapsed": 45.0, "rounds": 12, "times": [1.0], "values": {"k": [2.0]}}


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Path]:
    """The file of a module that is loaded from the root of the run."""
    path = tmp_path / "app.py"
    path.write_text("A = 1\n")
    module = types.ModuleType("coresys_checkpoint_app")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    yield path
    del sys.modules[module.__name__]


def identity(root: Path, *, nodeids: tuple[str, ...] = ("a", "b"), seconds: float = 90.0, worker: str | None = None,
             facts: object = (1,)) -> Identity:  # fmt: skip
    return identity_of(root, nodeids, seconds, worker, facts)


def test_what_was_saved_is_there_for_the_same_soak_until_it_is_over(tmp_path: Path, loaded: Path) -> None:
    checkpoint = Checkpoint(tmp_path, identity(tmp_path))
    assert checkpoint.load() == (None, None)
    checkpoint.save(SAVED)
    assert Checkpoint(tmp_path, identity(tmp_path)).load() == (SAVED, None)
    assert (tmp_path / ".coresys" / ".gitignore").read_text() == "*\n"
    assert checkpoint.path == tmp_path / checkpoint.shown
    checkpoint.remove()
    assert Checkpoint(tmp_path, identity(tmp_path)).load() == (None, None)
    checkpoint.remove()


def test_other_code_begins_anew_and_is_told_why(tmp_path: Path, loaded: Path) -> None:
    Checkpoint(tmp_path, identity(tmp_path)).save(SAVED)
    loaded.write_text("A = 2\n")
    saved, why = Checkpoint(tmp_path, identity(tmp_path)).load()
    assert saved is None
    assert why == "it is of other code, or of another configuration"


def test_another_configuration_begins_anew(tmp_path: Path) -> None:
    Checkpoint(tmp_path, identity(tmp_path)).save(SAVED)
    assert Checkpoint(tmp_path, identity(tmp_path, facts=(2,))).load()[1] is not None


def test_other_tests_another_time_or_worker_have_a_checkpoint_of_their_own(tmp_path: Path) -> None:
    Checkpoint(tmp_path, identity(tmp_path)).save(SAVED)
    for other in (
        identity(tmp_path, nodeids=("b", "a")),
        identity(tmp_path, seconds=91.0),
        identity(tmp_path, worker="gw0"),
    ):
        assert Checkpoint(tmp_path, other).load() == (None, None)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"state": 1', '{"state": "x", "soak": 3}', "\x00"])
def test_a_damaged_checkpoint_is_no_error(tmp_path: Path, text: str) -> None:
    checkpoint = Checkpoint(tmp_path, identity(tmp_path))
    checkpoint.save(SAVED)
    checkpoint.path.write_text(text)
    saved, why = checkpoint.load()
    assert saved is None
    assert why is not None


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / ".coresys").write_text("a file")
    with pytest.raises(OutputError, match=r"\.coresys"):
        Checkpoint(tmp_path, identity(tmp_path)).save(SAVED)


def test_a_module_that_is_gone_is_none_of_the_code(tmp_path: Path, loaded: Path) -> None:
    os.unlink(loaded)
    assert identity(tmp_path).state == identity(tmp_path).state
