"""The page about resources, and the examples in the modules, do what they say."""

from __future__ import annotations

import doctest
import gc
from pathlib import Path

import pytest

from coresys.resources import manager, pools

PAGE = Path(__file__).resolve().parents[2] / "docs" / "resources.md"


def test_the_page_about_resources_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.bin").write_bytes(b"tea, cake")
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(PAGE), module_relative=False)
    gc.collect()
    assert result.attempted >= 25
    assert result.failed == 0


@pytest.mark.parametrize(("module", "attempted"), [(manager, 10), (pools, 3)], ids=["manager", "pools"])
def test_the_examples_of_the_modules_run(module: object, attempted: int) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted >= attempted
    assert result.failed == 0
