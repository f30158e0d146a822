"""Repeat a test in the process of the tests, for where no child can be forked.

A repetition may change what later tests see, and nothing can take that back. So it is done only for the last test
of a process, which no other test follows: running a test alone is how it is judged on systems without fork.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coresys.clock import monotonic
from pytest_coresys.engine.forked import ChildResult
from pytest_coresys.engine.repetition import Order, Work
from pytest_coresys.engine.runner import unreported


class _InPlace(Work):
    _ends_with_it = False

    def _isolate(self) -> None:
        """Nothing is shared with another process; what later phases of the session need is put back afterwards."""


def repeat_in_place(item: pytest.Item, order: Order) -> ChildResult:
    """Repeat a test here and now."""
    result = ChildResult()
    started = monotonic()
    with tempfile.TemporaryDirectory(prefix="coresys-repeat-") as folder, _put_back(item), unreported(item.config):
        try:
            _InPlace(item, Path(folder), order, result.messages.append).run()
        except pytest.exit.Exception:  # of a handler for signals
            raise
        except Exception as error:  # of ours: the test's own are reports
            result.problem = f"{type(error).__name__}: {error}"
    result.seconds = monotonic() - started
    return result


@contextmanager
def _put_back(item: pytest.Item) -> Iterator[None]:
    """Captured output, log records, environment, folder, random state and the collector stay as they were."""
    sections = list(item._report_sections)
    environment, folder, state = dict(os.environ), os.getcwd(), random.getstate()
    collects, raises = gc.isenabled(), logging.raiseExceptions
    handlers = [(handler, handler.level) for handler in _session_handlers(item.config)]
    for handler, _ in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)
        item._report_sections[:] = sections
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        random.setstate(state)
        logging.raiseExceptions = raises
        gc.unfreeze()
        if collects:
            gc.enable()


def _session_handlers(config: pytest.Config) -> list[logging.Handler]:
    """The handlers of pytest's own that write for the whole session: the log file, and the live log."""
    plugin: Any = config.pluginmanager.get_plugin("logging-plugin")
    found = (getattr(plugin, name, None) for name in ("log_file_handler", "log_cli_handler"))
    return [handler for handler in found if isinstance(handler, logging.Handler)]
