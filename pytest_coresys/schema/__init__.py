"""JSON Schema (draft 2020-12) of what coresys writes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def run_schema() -> dict[str, Any]:
    """The schema of the run file, as a dict for any validator of draft 2020-12; a fresh one each time."""
    text = resources.files(__name__).joinpath("run.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
