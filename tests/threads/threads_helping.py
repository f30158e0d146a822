"""What the tests of threads share: threads joined with a deadline, children that run code, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storms import no_threads_left as no_threads_left  # handed on
from storms import stormy as stormy

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 20.0  # seconds: only a deadlock lasts as long


class Runner(threading.Thread):
    """A daemon thread that keeps what its function returned or raised."""

    def __init__(self, function: Callable[[], Any], name: str | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self.function = function
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.function()
        except BaseException as error:
            self.error = error

    def finish(self) -> Any:
        """What it returned; raises what it raised, or AssertionError where it hangs."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.name} hangs"
        if self.error is not None:
            raise self.error
        return self.value


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Run functions in threads that begin at one time, and return what each returned."""
    barrier = threading.Barrier(len(functions))

    def begin(function: Callable[[], Any]) -> Any:
        barrier.wait(PATIENCE)
        return function()

    runners = [Runner(lambda function=function: begin(function)) for function in functions]  # type: ignore[misc]
    return [runner.finish() for runner in runners]


def child(code: str, *, timeout: float = 60.0, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def interpreters() -> dict[str, str]:
    """Pythons that run, by version: this one, those on the path, and those that are installed beside this one."""
    here = f"3.{sys.version_info[1]}"
    found = {here: sys.executable}
    beside = Path(sys.base_prefix).resolve().parent
    for minor in range(10, 15):
        version = f"3.{minor}"
        candidates = [shutil.which(f"python{version}"), *sorted(map(str, beside.glob(f"*{version}.*/bin/python")))]
        for path in candidates:
            if version not in found and path is not None and _runs(path):
                found[version] = path
    return found


def _runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
