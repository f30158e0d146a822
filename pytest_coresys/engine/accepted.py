"""Findings that are known and agreed (``[[tool.coresys.accept]]``): told as warnings, which fail nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from coresys.budgets.model import Verdict
from coresys.records import Finding
from pytest_coresys.config.resolve import Accept


def agreed(finding: Finding, accepts: Sequence[Accept]) -> Accept | None:
    """What accepts this finding, if anything does: it is of that key, of that owner, and of those places alone.

    Of the places none may be unknown: what grows at another line too is no longer what was agreed to.
    """
    fitting = [
        each for each in accepts if each.key == finding.key and not each.locks and each.owner in (None, finding.owner)
    ]
    anywhere = [each for each in fitting if not each.paths]
    if anywhere:
        return anywhere[0]
    seen = {f"{place.path}:{place.line}" for place in finding.locations}
    by_place = [each for each in fitting if seen.intersection(each.paths)]
    return by_place[0] if by_place and seen <= {path for each in by_place for path in each.paths} else None


def with_agreed(
    verdicts: Sequence[Verdict], findings: Sequence[Finding], accepts: Sequence[Accept]
) -> tuple[tuple[Verdict, ...], list[Finding]]:
    """The verdicts and findings of a test, or of the run, with what is agreed to at the level of a warning."""
    told: list[Finding] = []
    reasons: dict[str, str] = {}
    for finding in findings:
        accept = agreed(finding, accepts) if finding.level == "error" else None
        if accept is None:
            told.append(finding)
            continue
        reasons[finding.key] = accept.reason
        note = f"accepted: {accept.reason} ({accept.origin})"
        told.append(replace(finding, level="warn", details=(note, *finding.details)))
    softened = (
        replace(each, level="warn", reason=reasons[each.key]) if each.key in reasons else each for each in verdicts
    )
    return tuple(softened), told
