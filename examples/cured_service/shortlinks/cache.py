"""Answers that were given before, so that the store is asked once for a code."""

from __future__ import annotations

import uuid
from collections.abc import Callable

CAPACITY = 1000

_locations: dict[str, str] = {}


def new_request_id() -> str:
    return uuid.uuid4().hex


def respond(code: str, request_id: str, load: Callable[[str], str]) -> dict[str, str]:
    """The headers of the redirect for *code*."""
    if code not in _locations:
        if len(_locations) >= CAPACITY:
            del _locations[next(iter(_locations))]  # the oldest
        _locations[code] = load(code)
    return {"Location": _locations[code], "X-Request-Id": request_id, "Cache-Control": "private"}
