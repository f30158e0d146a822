"""Build hook: the methods of watched locks in C (coresys/threads/watching/_fast.c), where they can be built.

Without a compiler, or without the headers of Python, the wheel is pure and says so; nothing fails. With
``CORESYS_PURE_LOCKS=1`` nothing is tried, which makes the wheel that every platform can use.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "coresys/threads/watching"


class Accelerator(BuildHookInterface[Any]):
    """Adds the extension to a wheel, or to the checkout that an editable install uses."""

    place: Path | None = None  # where it is compiled

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is put together."""
        if self.target_name != "wheel" or os.environ.get("CORESYS_PURE_LOCKS", "0") not in ("", "0"):
            return
        self.place = Path(tempfile.mkdtemp(prefix="coresys-"))
        try:
            built = _compiled(Path(self.root), self.place)
        except (Exception, SystemExit) as error:  # whatever a compiler, or its absence, makes of it
            self.app.display_warning(f"watched locks are pure Python, and slower: no extension was built ({error})")
            return
        build_data["infer_tag"] = True
        build_data["pure_python"] = False
        if version == "editable":
            # Another process may run the one that is there: it is replaced, never written over.
            aside = Path(self.root, FOLDER, f".{built.name}.{os.getpid()}")
            aside.write_bytes(built.read_bytes())
            aside.chmod(0o755)
            aside.replace(Path(self.root, FOLDER, built.name))
        else:
            build_data["force_include"][str(built)] = f"{FOLDER}/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is there."""
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)


def _compiled(root: Path, place: Path) -> Path:
    if sys.implementation.name != "cpython":
        raise RuntimeError(f"{sys.implementation.name} is not CPython")
    from setuptools import Distribution, Extension  # not there: no extension
    from setuptools.command.build_ext import build_ext

    extension = Extension("_fast", [f"{FOLDER}/_fast.c"])
    command = build_ext(Distribution({"name": "coresys", "ext_modules": [extension]}))
    command.build_lib, command.build_temp = str(place), str(place / "objects")
    before = Path.cwd()
    os.chdir(root)  # the compiler's objects are put beside each other by paths that are relative
    try:
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    (built,) = [path for path in place.iterdir() if path.is_file()]
    return built
