"""The run file: written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coresys.errors.hierarchy import CoreSysError


class OutputError(CoreSysError):
    """An output cannot be written. ``path`` is where, ``cause`` the system's words."""

    def __init__(self, *, path: str, cause: str) -> None:
        self.path, self.cause = path, cause
        super().__init__(f"{path}: cannot be written: {cause}")


def check_place(path: Path) -> None:
    """Raise OutputError, before any test runs, if the file cannot be written there; makes missing folders."""
    if path.is_dir():
        raise OutputError(path=str(path), cause="is a directory")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(path=str(path), cause=error.strerror or str(error)) from None


def write(path: Path, run: Mapping[str, Any]) -> None:
    """Write the run file; an old one stays whole if that fails. Raises OutputError."""
    text = json.dumps(run, indent=1, allow_nan=False, ensure_ascii=False)
    data = text.encode("utf-8", "backslashreplace")
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise OutputError(path=str(path), cause=error.strerror or str(error)) from None
