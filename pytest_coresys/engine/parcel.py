"""Reports as JSON and back, exactly: what is a tuple stays one, and what is no plain value becomes its text. Pure.

pytest's own readers ask for tuples (the reason of a skip), which JSON has not.
"""

from __future__ import annotations

from typing import Any

_MOST_DEPTH = 200  # far deeper than any report; a list may be in itself
_TUPLE, _DICT, _BYTES = "t", "d", "b"
_MOST_BITS = 10_000  # Python refuses to print whole numbers of over 4300 digits


def pack(value: object, _depth: int = _MOST_DEPTH) -> Any:
    """The value as JSON can carry it: dicts and tuples are tagged, other objects are texts."""
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int) and value.bit_length() < _MOST_BITS:
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return {_BYTES: value.hex()}
    if _depth <= 0:
        return "..."
    if isinstance(value, dict):
        return {_DICT: [[pack(key, _depth - 1), pack(each, _depth - 1)] for key, each in value.items()]}
    if isinstance(value, list):
        return [pack(each, _depth - 1) for each in value]
    if isinstance(value, tuple):
        return {_TUPLE: [pack(each, _depth - 1) for each in value]}
    return _text(value)


def unpack(value: Any) -> Any:
    """The value that was packed."""
    if isinstance(value, list):
        return [unpack(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _DICT in value:
        return {unpack(key): unpack(each) for key, each in value[_DICT]}
    if _TUPLE in value:
        return tuple(unpack(each) for each in value[_TUPLE])
    return bytes.fromhex(value[_BYTES])


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a stranger's __str__
        return f"<{type(value).__name__}>"
