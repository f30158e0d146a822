"""What runs in the forked child: give up what is shared, repeat the test, send what was seen."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from coresys.measure.attribution import growing_lines
from pytest_coresys.engine import sandbox
from pytest_coresys.engine.confirm import confirm
from pytest_coresys.engine.forked import ChildResult, Send, run_in_child
from pytest_coresys.engine.runner import prepare_child, repeat_once, wider_fixtures


def repeat_in_child(item: pytest.Item, *, most: int, seconds: float) -> ChildResult:
    """Repeat a test in a forked child. Raises OSError when there can be none."""
    folder = sandbox.private_folder()
    try:
        result = run_in_child(lambda send: _work(item, folder, most, seconds, send), timeout=seconds + 5)
    finally:
        _remove(folder)
    for path in result.merged().get("leftovers", []):
        _remove(Path(path))
    return result


def _work(item: pytest.Item, folder: Path, most: int, seconds: float, send: Send) -> None:
    keep = {send.writer}  # type: ignore[attr-defined]  # set by run_in_child
    sandbox.isolate_descriptors(keep)
    sandbox.isolate_mappings()
    sandbox.adopt_orphans()
    sandbox.redirect_temporary_files(folder)
    prepare_child(item, folder)
    guard = sandbox.Guard(folder, allow_subprocess=not wider_fixtures(item))
    guard.install()
    logging.raiseExceptions = False  # handlers write into descriptors that lead nowhere now

    def run_once() -> str | None:
        problem = repeat_once(item)
        for path in (folder / "pytest").glob("*"):
            shutil.rmtree(path, ignore_errors=True)  # numbered folders would make each repetition different
        return guard.refusal or problem

    confirmed = confirm(run_once, most=most, seconds=seconds)
    send({**asdict(confirmed), "leftovers": guard.leftovers()})
    if confirmed.keys.get("memory.growth", {}).get("conclusion") == "leak":
        send({"locations": _locations(item, run_once), "leftovers": guard.leftovers()})


def _locations(item: pytest.Item, run_once: Callable[[], str | None]) -> list[dict[str, Any]]:
    """The lines that keep growing, as plain values; paths relative to the root where they are below it."""
    root = str(item.config.rootpath) + os.sep
    found = growing_lines(run_once, is_user=lambda path: path.startswith(root) and "-packages" not in path)
    return [{**asdict(place), "path": place.path.removeprefix(root)} for place in found]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
