"""A system that serves until a signal, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

IMPATIENT = """
import os, signal, time
from coresys import build_system
from coresys.system_records import ComponentSpec

def stop():
    os.kill(os.getpid(), signal.SIGTERM)  # whoever asked for it asks again, while it goes down
    os.write(1, b"stopped\\n")

def ask():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # it does not serve yet
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)

with build_system("impatient", workers=1, sampling=None) as system:
    system.components.register(ComponentSpec("part"), start=lambda: None, stop=stop)
    system.start()
    system.threads.submit(ask)
    try:
        system.serve()
    finally:
        os.write(1, b"going down\\n")
"""


def test_a_second_signal_does_not_cut_the_shutdown_short_that_the_first_began() -> None:
    done = subprocess.run([sys.executable, "-c", IMPATIENT], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "going down\nstopped\n")


def test_when_it_is_down_the_handlers_are_those_that_were_there_before() -> None:
    inner = "".join(f"    {line}\n" for line in IMPATIENT.splitlines())
    script = f"try:\n{inner}except SystemExit:\n    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "going down\nstopped\nTrue\n")
