"""Settings: a file of NAME=VALUE lines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    base_url: str = "http://localhost:8000"
    workers: int = 2

    def link(self, code: str) -> str:
        return f"{self.base_url}/{code}"


def parse(text: str) -> dict[str, str]:
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, found, value = line.partition("=")
            if not found:
                raise ValueError(f"line {number}: NAME=VALUE is expected")
            values[name.strip()] = value.strip()
    return values


def load(path: Path) -> Settings:
    values = {**os.environ, **parse(path.read_text(encoding="utf-8"))}
    return Settings(
        base_url=values.get("SHORTLINKS_BASE_URL", Settings.base_url),
        workers=int(values.get("SHORTLINKS_WORKERS", Settings.workers)),
    )
