"""Temporary files and directories, cleaned."""
import os
import tempfile


def test_temp():
    with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as f:
        f.write(b"x" * 5000)
        f.flush()
        assert os.listdir(d)
    with tempfile.SpooledTemporaryFile(max_size=10) as s:
        s.write(b"y" * 100)
