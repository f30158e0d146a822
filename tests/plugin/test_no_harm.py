"""What repetitions could do to others: to fixtures that are up, to the machine, to a user's own watchdog.

Each case failed once: it was found by breaking the plugin on purpose, and stands for its kind.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import uuid
from pathlib import Path

import pytest
from innersuite import InnerSuite, changed

from pytest_coresys.engine import runner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.inner,
    pytest.mark.skipif(sys.platform != "linux", reason="tests are repeated on Linux only"),
]

# Each test that must see its effect once stands after the one that has it, which repetitions would multiply.
SUITE = """
import os, socket, time, uuid, pytest
import _posixshmem

KEPT = []
NAME = "/coresys-test-" + uuid.uuid4().hex

@pytest.fixture(scope="module")
def segment():
    fd = _posixshmem.shm_open(NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    os.write(fd, b"0")
    yield fd
    os.close(fd)
    _posixshmem.shm_unlink(NAME)

@pytest.fixture(scope="module")
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared")
    (path / "log").write_text("")
    return path

def test_nothing(segment): pass  # the first child measures the control, with that fixture up

def test_counts_in_shared_memory(segment):
    fd = _posixshmem.shm_open(NAME, os.O_RDWR, mode=0)
    number = int(os.pread(fd, 10, 0))
    os.pwrite(fd, str(number + 1).encode(), 0)
    os.close(fd)
def test_counted_once(segment):
    assert os.pread(segment, 10, 0) == b"1"

def test_sends_a_message(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"hello"], [], 0, server.getsockname())
def test_one_came(server):
    assert server.recv(10) == b"hello"
    with pytest.raises(BlockingIOError): server.recv(10)

def test_appends_below_a_descriptor(folder):
    above = os.open(folder, os.O_RDONLY)
    fd = os.open("log", os.O_WRONLY | os.O_APPEND, dir_fd=above)
    os.write(fd, b"x")
    os.close(fd)
    os.close(above)
def test_one_line_came(folder):
    assert (folder / "log").read_text() == "x"

def test_counts_in_an_attribute(folder):
    try:
        os.setxattr(folder / "log", "user.n", b"%d" % (len(os.listxattr(folder / "log")) + 1))
    except OSError:
        pytest.skip("no such attributes in this file system")
    names = os.listxattr(folder / "log")
    os.setxattr(folder / "log", f"user.n{len(names)}", b"1")
def test_two_attributes_came(folder):
    if os.listxattr(folder / "log"):
        assert len(os.listxattr(folder / "log")) == 2

class TestOfAFakeClock:
    @pytest.fixture(scope="class", autouse=True)
    def stopped(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: 1.3e9)
            patch.setattr(time, "sleep", lambda seconds: None)
            yield
    def test_now(self): assert time.monotonic() == 1.3e9
    def test_leaks_by_a_fake_clock(self): KEPT.append(bytearray(3000))

def test_leaks_after_it(segment): KEPT.append(bytearray(3000))
"""


def test_what_other_tests_and_fixtures_share_is_left_alone(inner: InnerSuite) -> None:
    Path(inner.path, "test_it.py").write_text(SUITE)
    bare, measured = inner.both()
    assert bare.status == 0, bare.text
    leaks = {"test_leaks_by_a_fake_clock", "test_leaks_after_it"}
    assert changed(bare, measured).keys() == leaks, measured.text
    assert measured.found() == {name: {"memory.growth"} for name in leaks}
    for name in ("test_nothing", "test_now"):  # not for fear of what it might do
        assert measured.test(name)["repetitions"] > 0, measured.test(name)


def test_files_in_the_memory_of_the_machine_are_files(inner: InnerSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder may be in /dev/shm, which is not one of the devices."""
    place = Path("/dev/shm", f"coresys-{uuid.uuid4().hex}")
    if not os.access(place.parent, os.W_OK):
        pytest.skip("there is no /dev/shm to write to")
    place.write_text("")
    text = f"""
PLACE = {str(place)!r}
def test_appends():
    with open(PLACE, "a") as file: file.write("x")
def test_once():
    with open(PLACE) as file: assert file.read() == "x"
"""
    Path(inner.path, "test_it.py").write_text(text)
    try:
        measured = inner.run("--coresys-budget")
    finally:
        place.unlink()
    assert measured.status == 0, measured.text


def test_what_a_wider_fixture_makes_anew_in_the_child_it_also_takes_away(inner: InnerSuite) -> None:
    """After the last test of a module its fixtures are down: a repetition sets them up, and nobody else ends them."""
    name = f"/coresys-test-{uuid.uuid4().hex}"
    text = f"""
import os, pytest
import _posixshmem
KEPT = []

@pytest.fixture(scope="module")
def segment():
    fd = _posixshmem.shm_open({name!r}, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    yield KEPT
    os.close(fd)
    _posixshmem.shm_unlink({name!r})

@pytest.fixture(scope="session")
def up():
    yield KEPT
    KEPT.append("down")

def test_leaks(segment, up):
    assert "down" not in KEPT
    KEPT.append(bytearray(3000))
"""
    Path(inner.path, "test_a.py").write_text(text)
    Path(inner.path, "test_b.py").write_text("def test_after(): pass\n")
    measured = inner.run("--coresys-budget")
    assert measured.found() == {"test_leaks": {"memory.growth"}}
    assert not Path("/dev/shm" + name).exists()


def test_a_segment_that_a_test_leaves_each_time_is_a_leak_and_is_gone_with_the_child(inner: InnerSuite) -> None:
    prefix = f"coresys-{uuid.uuid4().hex[:8]}"
    text = f"""
import os, uuid
import _posixshmem
MADE = []
def test_leaves_one():
    name = "/{prefix}-" + uuid.uuid4().hex
    fd = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    os.close(fd)
    MADE.append(name)
"""
    Path(inner.path, "test_it.py").write_text(text)
    measured = inner.run("--coresys-budget")
    left = list(Path("/dev/shm").glob(f"{prefix}-*"))
    for path in left:
        path.unlink()
    assert measured.found() == {"test_leaves_one": {"memory.growth"}}
    assert len(left) == 1  # of the first run


def test_a_name_of_shared_memory_that_leads_elsewhere_removes_nothing_there(inner: InnerSuite) -> None:
    """The system refuses it; who removes what the child made must not take it for a path."""
    victim = Path(inner.path, "victim")
    victim.write_text("")
    text = f"""
import os, pytest
import _posixshmem
def test_is_refused():
    with pytest.raises(OSError):
        _posixshmem.shm_open("/../..{victim}", os.O_RDWR | os.O_CREAT, mode=0o600)
"""
    Path(inner.path, "test_it.py").write_text(text)
    measured = inner.run("--coresys-budget")
    assert measured.status == 0, measured.text
    assert measured.test("test_is_refused")["repetitions"] > 0
    assert victim.exists()


def test_the_empty_test_has_no_marks_of_the_users(inner: InnerSuite) -> None:
    """A hook of theirs may want a fixture of each test that has one."""
    Path(inner.path, "conftest.py").write_text(
        "def pytest_runtest_setup(item):\n"
        "    if item.get_closest_marker('db'): assert 'db' in item.fixturenames, item\n"
    )
    Path(inner.path, "pytest.ini").write_text("[pytest]\nmarkers = db\n")
    text = """
import pytest
pytestmark = pytest.mark.db
KEPT = []
@pytest.fixture
def db(): return 1
def test_leaks(db): KEPT.append(bytearray(3000))
"""
    Path(inner.path, "test_it.py").write_text(text)
    measured = inner.run("--coresys-budget")
    assert measured.found() == {"test_leaks": {"memory.growth"}}
    assert measured.facts["run"]["noise_floor"], "the control was measured"


def test_where_no_empty_test_passes_there_is_a_floor_and_no_control(inner: InnerSuite) -> None:
    hook = "def pytest_runtest_setup(item): assert item.name != 'coresys_control'\n"
    Path(inner.path, "conftest.py").write_text(hook)
    Path(inner.path, "test_it.py").write_text("KEPT = []\ndef test_leaks(): KEPT.append(bytearray(3000))\n")
    measured = inner.run("--coresys-budget")
    assert measured.found() == {"test_leaks": {"memory.growth"}}
    assert measured.facts["run"]["noise_floor"] == {}


def test_a_terminal_that_capture_keeps_for_itself_sees_no_repetition(inner: InnerSuite) -> None:
    from test_protocol import on_terminal

    text = """
import logging
def test_prints(capsys):
    with capsys.disabled(): print("HELLO")
def test_logs(): logging.getLogger("x").warning("WARNED")
"""
    Path(inner.path, "test_it.py").write_text(text)
    words = (sys.executable, "-m", "pytest", "-o", "log_cli=true", "--coresys-budget", "--coresys-profile", "strict")
    printed = on_terminal(inner.path, *words)
    assert (printed.count("HELLO"), printed.count("WARNED")) == (1, 1)


@pytest.mark.parametrize(("timeout", "cancelled"), [("0", 0), ("60", 1)])
def test_a_watchdog_of_the_users_own_stays(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, timeout: str, cancelled: int
) -> None:
    """There is one such timer in a process; pytest sets it only where its option says so."""
    calls: list[int] = []
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append(1))
    pytester.makeini(f"[pytest]\nfaulthandler_timeout = {timeout}\n")
    item = pytester.getitem("def test_it(): pass", "test_it")
    runner.quiet_timers(item)
    assert len(calls) == cancelled
