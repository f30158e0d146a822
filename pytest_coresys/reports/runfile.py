"""The run file, and what is made of it: written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.reports.shape import problem_of
from pytest_coresys.wire import plain

# Names of what is open already, such as a redirected standard output: a new file could not take its place.
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")


class OutputError(CoreSysError):
    """An output cannot be written. ``path`` is where, ``cause`` the system's words."""

    def __init__(self, *, path: str, cause: str) -> None:
        self.path, self.cause = path, cause
        super().__init__(f"{path}: cannot be written: {cause}")


class RunFileError(CoreSysError):
    """What was to be read is no run file. ``path`` is where, ``problem`` what is wrong."""

    def __init__(self, *, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


def read_run(path: Path) -> dict[str, Any]:
    """The run that a file has. Raises RunFileError where there is none, or none that this version can read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RunFileError(path=str(path), problem=f"cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise RunFileError(path=str(path), problem="no run file: it is not UTF-8") from None
    try:
        run: dict[str, Any] = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RunFileError(path=str(path), problem=f"no run file: {_why_not_json(text, error)}") from None
    if problem := problem_of(run):
        raise RunFileError(path=str(path), problem=problem)
    return run


def _no_number(word: str) -> None:
    raise ValueError(f"it has {word}, which is no number of JSON")


def _why_not_json(text: str, error: Exception) -> str:
    if not text.strip():
        return "it is empty"
    if not isinstance(error, json.JSONDecodeError):
        return str(error) if str(error).startswith("it has ") else "it is not JSON"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "it ends too early, as if it was cut off"
    return f"it is not JSON (line {error.lineno}: {error.msg})"


def check_place(path: Path) -> Path:
    """Raise OutputError, before any test runs, if the file cannot be written there; makes missing folders.

    Returns the absolute path, to be given to ``write``: a test may change the working directory and not come back.
    """
    try:
        place = _place(path)
        if _is_stream(place):
            _check_stream(place)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = _temporary(place)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            os.unlink(temporary)
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused(path, error) from None
    return place


def first_clash(places: Sequence[tuple[str, Path]]) -> tuple[str, str] | None:
    """The names of two that are one file, however it is spelt; None if there are no such. Streams may be shared."""
    known: dict[object, str] = {}
    for name, path in places:
        for identity in _identities(path):
            if (other := known.setdefault(identity, name)) != name:
                return other, name
    return None


def _identities(path: Path) -> list[object]:
    try:
        place = _place(path)
        if _is_stream(place):
            return []
        found = os.stat(place)
    except FileNotFoundError:
        return [str(place)]
    except (OSError, ValueError, RuntimeError):
        return []  # told when it is written
    return [str(place), (found.st_dev, found.st_ino)]  # a hard link, or another case where that is the same


def write_text(path: Path, text: str) -> None:
    """Write any text as the run file is written: an old file stays whole if that fails. Raises OutputError."""
    write_data(path, text.encode("utf-8", "backslashreplace"))


def write(path: Path, run: Mapping[str, Any]) -> None:
    """Write the run file; an old one stays whole if that fails. Raises OutputError."""
    write_data(path, encoded(run))


def write_data(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OutputError.

    What is no file (a pipe, a terminal, ``/dev/stdout``) is written to, and never replaced.
    """
    try:
        place = _place(path)
        if _is_stream(place):
            with _stream(place) as stream:
                stream.write(data)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)  # a test may have cleared the folder away
            _replace(place, data)
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused(path, error) from None


def encoded(run: Mapping[str, Any]) -> bytes:
    """The run as UTF-8 JSON that strict readers take, even if another plugin put something else into it."""
    try:
        return _dumped(run)
    except (TypeError, ValueError, RecursionError):
        return _dumped(plain(run))


def _dumped(run: Mapping[str, Any]) -> bytes:
    """A line for each test, and for each other part: with ``indent``, json takes ten times as long (no C in it)."""
    parts = [f"{_json(_text(key))}: {_lines(value)}" for key, value in run.items()]
    # Strict encoding: a lone surrogate raises a ValueError too.
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is no name")
    return key


def _replace(place: Path, data: bytes) -> None:
    temporary = _temporary(place)
    try:
        # Not tempfile: its files are for their owner alone, and others collect what a CI job leaves.
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            os.chmod(temporary, stat.S_IMODE(os.stat(place).st_mode))
        os.replace(temporary, place)
    except BaseException:  # KeyboardInterrupt too
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(place: Path) -> Path:
    # A short name: with the file's own in it, one that just fits would be refused.
    return place.with_name(f".coresys-{uuid.uuid4().hex[:12]}.tmp")


def _place(path: Path) -> Path:
    """Where the file itself is: behind links, which would be replaced in its stead. Raises OSError if nowhere."""
    place = Path(os.path.abspath(path))
    if str(place).startswith(_STREAMS):
        return place
    place = place.resolve()
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    with contextlib.suppress(FileNotFoundError):
        os.lstat(place)  # a name that is too long is told here
    return place


def _is_stream(place: Path) -> bool:
    return str(place).startswith(_STREAMS) or (place.exists() and not place.is_file())


def _stream(place: Path) -> IO[bytes]:
    # Opened anew, a redirected output would have a position of its own, and what is printed next would go over it.
    own = {"/dev/stdout": 1, "/dev/stderr": 2}.get(str(place))
    return open(place, "ab") if own is None else os.fdopen(os.dup(own), "wb")


def _check_stream(place: Path) -> None:
    os.stat(place)
    if not os.access(place, os.W_OK):  # not opened: a pipe would wait for its reader
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _refused(path: Path, error: Exception) -> OutputError:
    cause = error.strerror if isinstance(error, OSError) else None
    return OutputError(path=str(path), cause=cause or str(error) or type(error).__name__)
