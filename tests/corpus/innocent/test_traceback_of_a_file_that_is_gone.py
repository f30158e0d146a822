"""A module of a temporary folder fails, and its traceback is looked at: the lines of it are kept by linecache."""

import importlib.util
import tempfile
import traceback
from pathlib import Path


def test_a_plugin_that_fails_is_told():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "broken.py"
        path.write_text("raise ValueError('no')\n")
        spec = importlib.util.spec_from_file_location("broken", path)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ValueError:
            assert "raise ValueError('no')" in traceback.format_exc()
