"""The line that allocates what stays is named, on a leak whose line is known."""

from __future__ import annotations

from coresys.measure.attribution import growing_lines

KEPT: list[bytearray] = []


def leak() -> None:
    KEPT.append(bytearray(5_000))


def clean() -> None:
    bytearray(5_000)


def test_the_leaking_line_is_named_first() -> None:
    found = growing_lines(leak, is_user=lambda path: path == __file__)
    KEPT.clear()
    assert (found[0].path, found[0].line) == (__file__, leak.__code__.co_firstlineno + 1)
    assert "+4.9 KiB" in found[0].note


def test_clean_code_has_no_growing_line() -> None:
    assert growing_lines(clean, is_user=lambda path: path == __file__) == []
