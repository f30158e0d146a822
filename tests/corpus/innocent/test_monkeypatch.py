"""monkeypatch of environment, attributes, working directory and path."""
import os
import sys


def test_patched(monkeypatch, tmp_path):
    monkeypatch.setenv("APP_MODE", "test")
    monkeypatch.setattr(sys, "platform", "plan9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    assert os.environ["APP_MODE"] == "test" and sys.platform == "plan9"
