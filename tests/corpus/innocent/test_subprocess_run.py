"""A command run to its end."""
import subprocess


def test_echo():
    out = subprocess.run(["echo", "hi"], capture_output=True, check=True, text=True)
    assert out.stdout == "hi\n"
