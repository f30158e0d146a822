"""A helper, terminated and waited for by its fixture."""
import subprocess

import pytest


@pytest.fixture
def helper():
    p = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
    yield p
    p.terminate()
    p.wait()


def test_helper(helper):
    assert helper.poll() is None
