"""The recipes of docs/ci.md, as far as they can be run here."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sshd

from pytest_coresys.options import OPTIONS
from pytest_coresys.reports.ci import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text("utf-8")
WAIT = 60.0


def test_every_option_and_format_of_the_page_exists() -> None:
    flags = {option.flag for option in OPTIONS}
    used = set(re.findall(r"--coresys-[a-z-]+", PAGE))
    assert used <= flags
    assert set(re.findall(r"--coresys-ci ([a-z-]+)=", PAGE)) <= set(FORMATS)
    assert len(used) > 4


@contextmanager
def machine() -> Iterator[int]:
    """What xdist needs on another machine, on loopback: the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "execnet.script.socketserver", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _until_it_listens(port)
        yield port
    finally:
        server.kill()
        server.wait()


def _until_it_listens(port: int) -> None:
    """Looked up in the kernel's table: a connection would be taken for the one that it is for."""
    until = time.monotonic() + WAIT
    while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text("utf-8"):
        assert time.monotonic() < until, "the server does not listen"
        time.sleep(0.05)


SUITE = """
import pytest
KEPT = []
@pytest.mark.parametrize("number", range(6))
def test_records(number, coresys_criteria):
    coresys_criteria.record("shop.lost", 0)
def test_leaks():
    KEPT.append(bytearray(100_000))
@pytest.mark.coresys_alone
def test_alone(coresys_criteria):
    coresys_criteria.record("shop.lost", 0)
"""
JUDGED = ["--coresys-budget", "--coresys-profile=strict"]  # how far ``default`` comes depends on the machine
OWN = '[[criterion]]\nid = "shop.lost"\nstatistic = "total"\nlimit = 0\nunit = "count"\nmin_samples = 7\n'


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system does not tell who listens")
def test_two_machines_make_one_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=SUITE)
    (pytester.path / "own.toml").write_text(OWN, encoding="utf-8")
    target = pytester.path / "run.json"
    with machine() as one, machine() as other:
        places = [word for port in (one, other) for word in ("--tx", f"socket=127.0.0.1:{port}//chdir={pytester.path}")]
        # With "=": what is a file by itself, xdist takes for a part of the suite, to be sent along.
        options = [*JUDGED, "--coresys-criteria=own.toml", f"--coresys-json={target}", "--dist=load"]
        result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider", *places)
    assert result.ret == 1
    _is_one_run_of_two(json.loads(target.read_text("utf-8")))


@pytest.mark.slow
@pytest.mark.other_plugins  # which the machines load: what the environment says is not sent along
def test_two_machines_over_ssh_make_one_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    if problem := sshd.why_not():
        assert os.environ.get("CI") != "true", problem
        pytest.skip(f"{problem}: apt-get install openssh-server")
    shop = pytester.mkdir("shop")
    (shop / "test_shop.py").write_text(SUITE, encoding="utf-8")
    (shop / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (shop / "own.toml").write_text(OWN, encoding="utf-8")
    target = pytester.path / "run.json"
    hosts = ["builder1", "builder2"]
    with sshd.server(pytester.path / "ssh", hosts) as config:
        where = f"ssh_config={config}//python={sys.executable}"
        places = [word for host in hosts for word in ("--tx", f"ssh={host}//{where}//chdir={pytester.mkdir(host)}")]
        options = [*JUDGED, "--coresys-criteria=own.toml", f"--coresys-json={target}", "--dist=load"]
        # A worker that dies is replaced, without end where its machine is no good.
        options += ["--max-worker-restart=0", "--rsyncdir=.", "-p", "no:cacheprovider", str(shop)]
        monkeypatch.chdir(shop)
        result = pytester.runpytest_subprocess(*options, *places, timeout=WAIT)
    assert result.ret == 1, result.stdout.str()
    _is_one_run_of_two(json.loads(target.read_text("utf-8")))


def _is_one_run_of_two(facts: dict[str, Any]) -> None:
    assert {test["worker"] for test in facts["tests"]} == {"gw0", "gw1"}
    assert [test["nodeid"] for test in facts["tests"] if test["verdict"] == "over"] == ["test_shop.py::test_leaks"]
    (lost,) = facts["criteria"]
    assert (lost["verdict"], lost["samples"]) == ("within", 7)
