"""Answers that were given before, so that the store is asked once for a code."""

from __future__ import annotations

import uuid
from collections.abc import Callable

_responses: dict[tuple[str, str], dict[str, str]] = {}


def new_request_id() -> str:
    return uuid.uuid4().hex


def respond(code: str, request_id: str, load: Callable[[str], str]) -> dict[str, str]:
    """The headers of the redirect for *code*."""
    key = (code, request_id)
    if key not in _responses:
        _responses[key] = {"Location": load(code), "X-Request-Id": request_id, "Cache-Control": "private"}
    return _responses[key]
