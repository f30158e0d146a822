"""What a test that failed, or is over a budget, has written, and its traceback, for its page in the report. Pure.

Of each text the end is kept, and of all texts of a run so much together: whoever wants a whole log keeps it elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_coresys.wire import plain_text

FAILURE = "Failure"
_MOST = {FAILURE: 8_000}
_MOST_OF_A_SECTION = 4_000
_MOST_OF_A_RUN = 4_000_000  # characters
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Captured:
    """The texts of one run. ``show`` is what the user wants to see, as in ``--show-capture``."""

    def __init__(self, show: str = "all", most: int = _MOST_OF_A_RUN) -> None:
        self._show, self._left = show, most

    def of(self, record: Mapping[str, Any], failure: str, sections: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
        """Texts with their names, for the run file; none of a test that is well. ``sections`` are a report's, all of
        them by its teardown; ``failure`` is the test's own traceback, empty if it has none."""
        if not (failure or any(finding["level"] == "error" for finding in record["findings"])):
            return []
        shown = ((name, text) for name, text in sections if self._show in ("all", *name.split()))
        named = [(FAILURE, failure), *shown]
        return [{"name": plain_text(name), "text": self._end_of(name, text)} for name, text in named if text.strip()]

    def _end_of(self, name: str, text: str) -> str:
        text = _COLOUR.sub("", text)
        most = min(_MOST.get(name, _MOST_OF_A_SECTION), self._left)
        kept = text[-most:] if most else ""
        self._left -= len(kept)
        left_out = len(text) - len(kept)
        return plain_text(f"[{left_out:,} characters before this are left out]\n{kept}" if left_out else kept)
