"""JUnit XML: each measure of a test as a property. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coresys.budgets.wording import printable
from pytest_coresys.memo import IdentityMemo

PREFIX = "coresys."

_shared: IdentityMemo[list[tuple[str, str]]] = IdentityMemo(most=200)


def properties(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """``<property name="coresys.KEY" value="...">`` for each measure of a test's record, for ``user_properties``.

    The value is in the measure's base unit (bytes, seconds, ratio, count), or ``not measured: WHY``. pytest escapes
    the values but not the names, and XML has no way at all to write a control character or a lone surrogate: both
    are written as backslash escapes.
    """
    measures = record["measures"]  # the same for many tests
    return list(_shared.of((measures,), lambda: _properties(measures)))


def _properties(measures: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (_legal(f"{PREFIX}{key}"), _legal(_value(measure)))
        for key, measure in measures.items()
        if measure["level"] != "off" or measure["value"] is not None
    ]


def _value(measure: Mapping[str, Any]) -> str:
    value = measure["value"]
    if value is not None:
        return repr(value)
    said = "over" if measure["verdict"] == "over" else "not measured"  # an infinite reading has no figure
    return f"{said}: {measure['why']}"


def _legal(text: str) -> str:
    return printable(text, ascii_only=False)
