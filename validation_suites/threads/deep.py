"""A process whose worker recurses as deep as it can: ``python -m validation_suites.threads.deep MODULE:FACTORY``.

It prints a word for each kind that it came through, and ``whole`` in the end. Too small a stack ends it by a signal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from pytest_coresys.subjects import load_factory

# From 3.13 on C code may recurse 10,000 levels before it raises, which takes 2 MiB of a stack: data that is nested
# deeper than this is a risk there, and said to be, in the page about threads.
CALLS = 900
DEPTH = 50_000 if sys.version_info < (3, 13) else 4_000


class Link:
    """Wraps another one, and does with it whatever is done with itself."""

    def __init__(self, inner: Link | None) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"<{self.inner!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Link) and self.inner == other.inner

    __hash__ = None  # type: ignore[assignment]  # it is compared by what is in it


def chain(depth: int) -> Link | None:
    """So many in one another."""
    made: Link | None = None
    for _ in range(depth):
        made = Link(made)
    return made


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def down(left: int) -> int:
    """Calls of Python, one in another."""
    return 0 if left == 0 else 1 + down(left - 1)


KINDS: dict[str, Callable[[], object]] = {
    "json": lambda: json.loads("[" * DEPTH + "]" * DEPTH),
    "json-back": lambda: json.dumps(nested(DEPTH)),
    "repr": lambda: repr(nested(DEPTH)),
    "comparison": lambda: nested(DEPTH) == nested(DEPTH),
    "regex": lambda: re.match("(?:" * 200 + "a" + ")*" * 200, "a" * 500),
    "calls": lambda: down(CALLS),
    "objects": lambda: repr(chain(min(DEPTH, 5_000))),
    "objects-compared": lambda: chain(min(DEPTH, 5_000)) == chain(min(DEPTH, 5_000)),
    "import": lambda: __import__("xml.dom.minidom"),
}


def refused(run: Callable[[], object]) -> bool:
    """Whether it was too deep for the interpreter, which says so. Both are well."""
    try:
        run()
    except (RecursionError, MemoryError, re.error, ValueError):
        return True
    return False


def main(name: str) -> int:
    """Have a worker do all of it."""
    manager = load_factory("threads", name)()
    for kind, run in KINDS.items():
        if manager.submit(refused, run).result(60) and kind == "calls":
            print(f"a worker has no room for {CALLS} calls of Python", file=sys.stderr)
            return 1
        print(kind, flush=True)
    manager.shutdown()
    print("whole", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
