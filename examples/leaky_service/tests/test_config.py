from pathlib import Path

import pytest
from shortlinks import config


def test_settings_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shortlinks.env"
    path.write_text("# production\nSHORTLINKS_BASE_URL=https://s.example\nSHORTLINKS_WORKERS = 8\n")

    settings = config.load(path)
    assert settings.link("abc") == "https://s.example/abc"
    assert settings.workers == 8


@pytest.mark.parametrize(("text", "values"), [("", {}), ("# nothing\n", {}), ("a=1\nb = c=d", {"a": "1", "b": "c=d"})])
def test_lines(text: str, values: dict) -> None:
    assert config.parse(text) == values


def test_a_line_without_a_value() -> None:
    with pytest.raises(ValueError, match="line 2"):
        config.parse("a=1\nb")
