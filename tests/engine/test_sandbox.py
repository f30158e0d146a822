"""A forked child that cannot be noticed: what it shares with its parent, it gives up."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.engine import landlock, sandbox
from pytest_coresys.engine.forked import Send, run_in_child, why_no_fork

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")


def in_sandbox(work: Any, folder: Path) -> dict[str, Any]:
    """Run ``work(guard) -> dict`` in an isolated child."""

    def child(send: Send) -> None:
        sandbox.isolate_descriptors({send.writer})  # type: ignore[attr-defined]
        sandbox.isolate_mappings()
        guard = sandbox.Guard(folder)
        guard.install()
        send(work(guard))

    return run_in_child(child, timeout=20).merged()


def test_a_write_to_an_inherited_file_is_not_seen_outside(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w+b", buffering=0) as file:
        file.write(b"before")
        sent = in_sandbox(lambda _guard: {"written": os.write(file.fileno(), b" child")}, tmp_path / "own")
        file.write(b" after")
    assert sent["written"] == 6
    assert (tmp_path / "log").read_bytes() == b"before after"


def test_an_inherited_socket_leads_nowhere() -> None:
    one, other = socket.socketpair()
    with one, other:
        in_sandbox(lambda _guard: {"sent": os.write(one.fileno(), b"x")}, Path("/nonexistent"))
        other.setblocking(False)
        with pytest.raises(BlockingIOError, match="temporarily unavailable"):
            other.recv(1)


def test_writing_what_was_there_before_is_refused_and_what_is_new_is_reported(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    def work(guard: sandbox.Guard) -> dict[str, Any]:
        (tmp_path / "new").write_text("new")
        try:
            (tmp_path / "old").write_text("changed")
        except PermissionError:
            pass
        return {"refusal": guard.refusal, "left": guard.leftovers()}

    sent = in_sandbox(work, tmp_path / "own")
    assert "old" in sent["refusal"]
    assert sent["left"] == [str(tmp_path / "new")]
    assert (tmp_path / "old").read_text() == "old"


def shell(script: str) -> int:
    return subprocess.run(["sh", "-c", script], stderr=subprocess.DEVNULL, check=False).returncode


def write_in_a_fork(path: Path) -> None:
    pid = os.fork()
    if not pid:
        try:
            path.write_text("x")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


confined = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@confined
@pytest.mark.parametrize("start", [shell, os.system], ids=["subprocess", "os.system"])
def test_a_program_changes_no_file_but_below_the_childs_own_folder(tmp_path: Path, start: Any) -> None:
    folder, old = tmp_path / "own", tmp_path / "old"
    folder.mkdir()
    old.write_text("old\n")
    scripts = {
        "appends": f"echo x >> {old}",
        "replaces": f"echo x > {tmp_path}/other; mv {tmp_path}/other {old}",
        "truncates": f": > {old}",
        "removes": f"rm {old}",
        "links": f"ln -s /dev/null {tmp_path}/link",
        "makes": f"touch {tmp_path}/new",
        "makes a folder": f"mkdir {tmp_path}/folder",
        "own": f"cat {old} > {folder}/copy && test -s {folder}/copy && rm {folder}/copy",
        "discards": "echo > /dev/null",
    }
    sent = in_sandbox(lambda _guard: {name: start(script) for name, script in scripts.items()}, folder)
    assert [name for name in scripts if sent[name] == 0] == ["own", "discards"]
    assert old.read_text() == "old\n"
    assert sorted(os.listdir(tmp_path)) == ["old", "own"]


@confined
def test_a_fork_and_a_program_started_by_another_thread_change_no_file_either(tmp_path: Path) -> None:
    def work(guard: sandbox.Guard) -> dict[str, Any]:
        thread = threading.Thread(target=shell, args=(f"touch {tmp_path}/by_thread",))
        thread.start()
        thread.join()
        write_in_a_fork(tmp_path / "by_fork")
        return {"refusal": guard.refusal}

    assert in_sandbox(work, tmp_path / "own")["refusal"] is None
    assert os.listdir(tmp_path) == []


@confined
def test_a_program_reaches_no_process_and_no_server_of_others_but_its_childs(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    connect = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"

    def work(_guard: sandbox.Guard) -> dict[str, Any]:
        with socket.create_server(("127.0.0.1", 0)) as own:
            ports = {"server": port, "own": own.getsockname()[1]}
            sent = {
                name: subprocess.run([sys.executable, "-c", connect, str(at)], stderr=subprocess.DEVNULL).returncode
                for name, at in ports.items()
            }
        sent["kill"] = shell(f"kill {bystander.pid}")
        with subprocess.Popen(["sleep", "60"]) as mine:
            mine.terminate()
            sent["mine"] = mine.wait(10)
        return sent

    with bystander, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        try:
            sent = in_sandbox(work, tmp_path)
            assert bystander.poll() is None or landlock.version() < 6
        finally:
            bystander.kill()
    assert sent.get("mine") == -signal.SIGTERM, sent
    if landlock.version() >= 6:
        assert sent["kill"] != 0
    if landlock.version() >= 4:
        assert (sent["server"], sent["own"]) == (1, 0)


def test_a_server_of_its_own_may_be_talked_to_and_none_that_was_there(tmp_path: Path) -> None:
    def work(guard: sandbox.Guard) -> dict[str, Any]:
        own = socket.socket()
        own.listen()  # at a port that the system chose, and no event told of
        with own, socket.create_server(("127.0.0.1", 0)) as second:
            for mine in (own, second):
                socket.create_connection(("127.0.0.1", mine.getsockname()[1]), 5).close()
            own_refused = guard.refusal
            with pytest.raises(PermissionError, match="was there before"):
                socket.create_connection(("127.0.0.1", port), 5)
        return {"own": own_refused, "other": guard.refusal}

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sent = in_sandbox(work, tmp_path)
    assert (sent["own"], sent["other"]) == (None, f"talks to 127.0.0.1:{port}, which was there before")


def test_a_program_is_refused_where_the_kernel_cannot_confine_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)

    def work(guard: sandbox.Guard) -> dict[str, Any]:
        write_in_a_fork(tmp_path / "by_fork")  # stays under the audit hook
        with pytest.raises(PermissionError, match="starts a program"):
            shell(f"touch {tmp_path}/new")
        return {"refusal": guard.refusal}

    sent = in_sandbox(work, tmp_path / "own")
    assert sent["refusal"] == "starts a program, and this system can't keep it from changing files"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("os.remove", ("/dev/null", -1)),
        ("os.chmod", ("/dev/null", 0o600, -1)),
        ("os.rename", ("{own}", "/dev/null", -1, -1)),
        ("shutil.move", ("{own}", "/dev/full")),
        ("os.symlink", ("elsewhere", "/dev/null", -1)),
        ("os.link", ("{own}", "/dev/zero", -1, -1)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_device_may_be_written_to_and_no_more(tmp_path: Path, event: str, args: tuple[Any, ...]) -> None:
    """By the guard's word alone: whoever may do it would have done it."""
    guard = sandbox.Guard(tmp_path)
    (tmp_path / "own").touch()
    guard("open", ("/dev/null", "w", os.O_WRONLY))
    assert guard.refusal is None
    with pytest.raises(sandbox.RefusedError):
        guard(event, tuple(str(tmp_path / "own") if each == "{own}" else each for each in args))


def test_the_guard_remembers_no_path_that_is_gone_and_few_that_stay(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()

    def work(guard: sandbox.Guard) -> dict[str, Any]:
        remembered = []
        for number in range(3):
            (tmp_path / f"new{number}").write_text("x")
            (tmp_path / f"new{number}").unlink()
            (own / f"folder{number}").mkdir()
            shutil.rmtree(own / f"folder{number}")  # by names relative to a descriptor
            guard.forget_removed()
            remembered.append(len(guard._made))
        (tmp_path / "tree").mkdir()
        for number in range(100):
            (tmp_path / "tree" / f"file{number}").write_text("x")
        remembered.append(len(guard._made))
        numbers = iter(range(100))
        with pytest.raises(PermissionError, match="makes ever new files"):
            any((tmp_path / f"kept{number}").write_text("") for number in numbers)
        return {"remembered": remembered, "left": len(guard.leftovers())}

    assert in_sandbox(work, own) == {"remembered": [0, 0, 0, 1], "left": 16, "done": True}


def test_removing_by_a_name_relative_to_a_descriptor_is_removing_there(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    def work(guard: sandbox.Guard) -> dict[str, Any]:
        at = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(PermissionError, match="changes"):
            os.unlink("old", dir_fd=at)
        return {"refusal": guard.refusal}

    assert in_sandbox(work, tmp_path / "own")["refusal"] == f"changes {tmp_path}/old"
    assert (tmp_path / "old").exists()


def test_a_kept_event_loop_works_in_the_child_and_afterwards_in_the_parent() -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.sleep(0))

        def work(_guard: sandbox.Guard) -> dict[str, Any]:
            return {"value": loop.run_until_complete(loop.run_in_executor(None, lambda: 7))}

        assert in_sandbox(work, Path("/nonexistent"))["value"] == 7
        assert loop.run_until_complete(asyncio.sleep(0, 8)) == 8
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def test_a_child_that_hangs_is_ended_and_what_it_had_sent_is_kept() -> None:
    def child(send: Send) -> None:
        send({"seen": 1})
        while True:
            os.read(os.pipe()[0], 1)

    result = run_in_child(child, timeout=0.3)
    assert result.merged()["seen"] == 1
    assert "did not end" in (result.problem or "")


def test_a_child_that_crashes_is_told_apart() -> None:
    result = run_in_child(lambda _send: os._exit(3), timeout=20)
    assert result.problem == "ended before it was done"


def test_forking_is_safe_here() -> None:
    assert why_no_fork() is None
