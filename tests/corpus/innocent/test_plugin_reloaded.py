"""A module in a folder of the test's own, imported, reloaded and forgotten."""

import importlib
import sys


def test_reload(tmp_path, monkeypatch):
    (tmp_path / "plug.py").write_text("VALUE = [1] * 100\n\n\nclass Plugin:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import plug

    importlib.reload(plug)
    assert plug.VALUE
    del sys.modules["plug"]
