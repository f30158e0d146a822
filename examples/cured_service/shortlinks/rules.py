"""Which targets a link may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit
from weakref import WeakSet

Rule = Callable[[str], bool]

_active: WeakSet[Rule] = WeakSet()  # the admin page shows how many there are


def block_domains(domains: Iterable[str]) -> Rule:
    """A rule that refuses every address on one of *domains*."""
    blocked = frozenset(domain.lower() for domain in domains)

    def allows(url: str) -> bool:
        return urlsplit(url).hostname not in blocked

    _active.add(allows)
    return allows


def active_rules() -> int:
    return len(_active)


def is_web_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
