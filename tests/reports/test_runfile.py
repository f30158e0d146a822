"""The run file is written whole or not at all, and never in the place of what it must not replace."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.reports import runfile

OLD = '{"schema": 1, "old": true}'
posix = pytest.mark.skipif(os.name != "posix", reason="devices and pipes are files only on POSIX")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_utf8_json_and_nothing_else_is_left(tmp_path: Path) -> None:
    runfile.write(tmp_path / "run.json", {"name": "Zoë", "value": 0.05})
    data = (tmp_path / "run.json").read_bytes()
    assert json.loads(data.decode("utf-8", "strict")) == {"name": "Zoë", "value": 0.05}
    assert "Zoë".encode() in data
    assert names_in(tmp_path) == ["run.json"]


def test_what_another_plugin_put_in_is_made_plain_rather_than_losing_the_run(tmp_path: Path) -> None:
    run: dict[str, Any] = {"x_nan": math.nan, "x_path": Path("a"), "x_text": "\udcff", "x_huge": 10**5000}
    run["x_self"] = run
    runfile.write(tmp_path / "run.json", run)
    read = json.loads((tmp_path / "run.json").read_bytes())
    assert (read["x_nan"], read["x_path"], read["x_text"], read["x_huge"]) == (None, "a", "\\udcff", None)


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_disk_that_is_full_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(OLD)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(runfile, "open", _open_of(full), raising=False)
        else:
            patch.setattr(os, step, full)
        with pytest.raises(runfile.OutputError, match="cannot be written: No space left on device") as caught:
            runfile.write(path, {"schema": 1})
    assert (caught.value.path, caught.value.cause) == (str(path), "No space left on device")
    assert path.read_text() == OLD
    assert names_in(tmp_path) == ["run.json"]


def _open_of(write: Any) -> Any:
    def opened(path: Any, mode: str) -> Any:
        file = open(path, mode)  # noqa: SIM115  # the caller's `with` closes it
        return _Full(file, write)

    return opened


class _Full:
    """A file whose write fails after a part of it was written, as on a disk that fills up."""

    def __init__(self, file: Any, write: Any) -> None:
        self._file, self._write = file, write

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data[:3])
        self._write()


LIMITED = """
import resource, sys
from pathlib import Path
from pytest_coresys.reports import runfile
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    runfile.write(Path(sys.argv[1]), {"text": "x" * 100_000})
except runfile.OutputError as error:
    print(error)
"""


@posix
@pytest.mark.slow
def test_a_file_that_may_not_grow_leaves_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(OLD)
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == f"{path}: cannot be written: File too large\n"
    assert path.read_text() == OLD
    assert names_in(tmp_path) == ["run.json"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_real_device_without_room_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(runfile.OutputError, match="No space left on device"):
        runfile.write(runfile.check_place(Path("/dev/full")), {})


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runfile.write(tmp_path / "run.json", {})
    assert names_in(tmp_path) == []


@posix
def test_others_may_read_the_file_as_they_may_any_other_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    runfile.write(tmp_path / "run.json", {})
    mode = stat.S_IMODE((tmp_path / "run.json").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@posix
def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    (tmp_path / "run.json").chmod(0o640)
    runfile.write(tmp_path / "run.json", {})
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o640


@posix
def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "run.json"
    link.symlink_to(tmp_path / "real" / "there.json")
    place = runfile.check_place(link)
    runfile.write(place, {"a": 1})
    assert link.is_symlink()
    assert json.loads((tmp_path / "real" / "there.json").read_text()) == {"a": 1}


@posix
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    runfile.check_place(pipe)  # does not wait for a reader
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    runfile.write(pipe, {"a": 1})
    reader.join(10)
    assert json.loads(read[0]) == {"a": 1}
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix
def test_the_null_device_stays_a_device() -> None:
    runfile.write(runfile.check_place(Path("/dev/null")), {})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
def test_redirected_standard_output_gets_the_file_after_what_was_printed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from pytest_coresys.reports import runfile; print('first', flush=True);"
        "runfile.write(runfile.check_place(Path('/dev/stdout')), {'a': 1}); print('last')"
    )
    with open(tmp_path / "out", "w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True, timeout=60)
    lines = (tmp_path / "out").read_text().splitlines()
    assert (lines[0], json.loads("".join(lines[1:-1])), lines[-1]) == ("first", {"a": 1}, "last")


@pytest.mark.parametrize("name", ["deep/er/run.json", "run.json", f"{'n' * 250}.json"[-255:]])
def test_a_possible_place_is_left_as_it_was_with_its_folder_made(tmp_path: Path, name: str) -> None:
    place = runfile.check_place(tmp_path / name)
    assert place == tmp_path.resolve() / name
    assert names_in(place.parent) == []
    runfile.write(place, {})
    assert names_in(place.parent) == [place.name]


def test_checking_keeps_an_old_file(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(OLD)
    runfile.check_place(tmp_path / "run.json")
    assert (tmp_path / "run.json").read_text() == OLD


def test_a_relative_path_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = runfile.check_place(Path("run.json"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    runfile.write(place, {})
    assert names_in(tmp_path) == ["elsewhere", "run.json"]


def test_a_folder_that_a_test_cleared_away_is_made_again(tmp_path: Path) -> None:
    place = runfile.check_place(tmp_path / "build" / "run.json")
    (tmp_path / "build").rmdir()
    runfile.write(place, {})
    assert names_in(tmp_path / "build") == ["run.json"]


IMPOSSIBLE = {
    ".": "is a directory",
    "file/run.json": "File exists|Not a directory",
    "file/deeper/run.json": "Not a directory",
    f"{'n' * 300}.json": "File name too long",
    "a\0b.json": "null",
    "loop/run.json": "Too many levels|loop|exists",
}


@posix
@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("act", [runfile.check_place, lambda path: runfile.write(path, {})], ids=["check", "write"])
def test_an_impossible_place_is_refused_by_path_and_cause(
    tmp_path: Path, name: str, act: Callable[[Path], object]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    with pytest.raises(runfile.OutputError, match=IMPOSSIBLE[name]) as caught:
        act(path)
    assert caught.value.path == str(path)
    assert names_in(tmp_path) == ["file", "loop"]


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that the user of this process may enter and not write to; root becomes somebody else for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@posix
def test_a_folder_that_may_not_be_written_is_refused(forbidden: Path) -> None:
    with pytest.raises(runfile.OutputError, match=r"run\.json: cannot be written: Permission denied"):
        runfile.check_place(forbidden / "run.json")
    with pytest.raises(runfile.OutputError, match="Permission denied"):
        runfile.check_place(forbidden / "deeper" / "run.json")


@posix
def test_a_read_only_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(runfile.OutputError, match="Read-only file system"):
            runfile.check_place(tmp_path / "run.json")
    assert names_in(tmp_path) == []


# -- as a user meets it ---------------------------------------------------------------------------------------------

ARGS = ("-p", "no:randomly", "-W", "ignore", "--coresys-budget", "--coresys-repeat", "0")


@posix
@pytest.mark.slow
@pytest.mark.parametrize("place", ["file/run.json", "folder", "/proc/no/run.json"])
def test_an_impossible_path_is_a_usage_error_at_the_start(pytester: pytest.Pytester, place: str) -> None:
    pytester.makepyfile("def test_x(): print('RAN')")
    pytester.path.joinpath("file").touch()
    pytester.path.joinpath("folder").mkdir()
    result = pytester.runpytest_subprocess(*ARGS, "-s", "--coresys-json", place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{place}*cannot be written*"])
    result.stdout.no_fnmatch_line("*RAN*")


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("body", "status"), [("pass", 0), ("assert 0", 1)])
def test_a_path_that_becomes_impossible_warns_and_leaves_the_status(
    pytester: pytest.Pytester, body: str, status: int
) -> None:
    pytester.makepyfile(
        f"""
        from pathlib import Path
        def test_x():
            Path("out").rmdir()
            Path("out").touch()
            {body}
        """
    )
    result = pytester.runpytest_subprocess(*ARGS, "--coresys-json", "out/run.json")
    assert result.ret == status
    result.stdout.fnmatch_lines(["*out/run.json: cannot be written: *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_warns_and_leaves_the_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(): pass")
    result = pytester.runpytest_subprocess(*ARGS, "--coresys-json", "/dev/full")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*/dev/full: cannot be written: No space left on device*"])


def test_two_names_of_one_file_are_told_however_they_are_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("x.json")
    (tmp_path / "there").write_text("")
    (tmp_path / "hard").hardlink_to("there")

    def clash(*names: str) -> tuple[str, str] | None:
        return runfile.first_clash([(str(at), Path(name)) for at, name in enumerate(names)])

    assert clash("x.json", "y.json", "sub/x.json") is None
    for same in (str(tmp_path / "x.json"), "sub/../x.json", "link", "./x.json"):
        assert clash("y.json", "x.json", same) == ("1", "2")
    assert clash("there", "hard") == ("0", "1")
    assert clash("/dev/stdout", "/dev/stdout", "/dev/null", "/dev/null") is None, "streams may be shared"
    assert clash("x.json", "a" * 5000, "a" * 5000, "sub") is None, "told when it is written"
