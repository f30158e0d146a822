"""The examples of the documentation are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_coresys.config.sources import load_settings
from pytest_coresys.criteria.loading import read
from pytest_coresys.measures import MEASURES

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs" / "configuration.md")
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL))
    if "[[criterion]]" not in text
]


CRITERIA = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs" / "validation.md")
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL))
    if "[[criterion]]" in text
]


@pytest.mark.parametrize("text", CRITERIA)
def test_an_example_of_criteria_is_right(tmp_path: Path, text: str) -> None:
    (tmp_path / "criteria.toml").write_text(text, encoding="utf-8")
    file = read(tmp_path / "criteria.toml", MEASURES, name="criteria.toml")
    assert file.criteria["shop.order_time"].limit == pytest.approx(0.05)


def test_there_are_examples() -> None:
    assert len(CRITERIA) == 2
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_right(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    settings = load_settings(
        tmp_path,
        inipath=None,
        ini_lines=(),
        cli_sets=(),
        profile=None,
        repeat=None,
        require_measured=(),
        measures=MEASURES,
    )
    if "accept" in text:
        (accept,) = settings.accepts
        assert accept.origin == "pyproject.toml:1"
        return
    assert settings.profile in ("ci", "nightly")
    assert any("pyproject.toml" in limit.origin for limit in settings.limits("tests/test_a.py", ()).values())
