"""Findings that are known and agreed (``[[tool.coresys.accept]]``): told as warnings, which fail nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from coresys.budgets.model import Verdict
from coresys.records import GROWS_ALONG, STANDS_HERE, Finding
from pytest_coresys.config.resolve import Accept


def agreed(finding: Finding, accepts: Sequence[Accept]) -> Accept | None:
    """What accepts this finding, if anything does: it is of that key, of that owner, and of those places.

    The place at fault, which a finding names first, has to be named. Others may be in the same file: one leak grows at
    several lines. Where a thing stands now is no place that it is from.
    """
    fitting = [
        each
        for each in accepts
        if each.key == finding.key and each.owner in (None, finding.owner) and _same_locks(each, finding)
    ]
    anywhere = [each for each in fitting if not each.paths]
    if anywhere:
        return anywhere[0]
    seen = [place for place in finding.locations if not place.note.startswith(STANDS_HERE)]
    at_fault = f"{seen[0].path}:{seen[0].line}" if seen else ""
    accept = next((each for each in fitting if at_fault in each.paths), None)
    files = {path.rpartition(":")[0] for each in fitting for path in each.paths}
    return accept if files.issuperset(place.path for place in seen) else None


def _same_locks(accept: Accept, finding: Finding) -> bool:
    """Whether all locks of a finding are among those that are named, if any are."""
    return not accept.locks or (bool(finding.locks) and set(finding.locks) <= set(accept.locks))


def with_agreed(
    verdicts: Sequence[Verdict], findings: Sequence[Finding], accepts: Sequence[Accept]
) -> tuple[tuple[Verdict, ...], list[Finding]]:
    """The verdicts and findings of a test, or of the run, with what is agreed to at the level of a warning.

    The memory that leaks along with a thread or a socket is agreed to with it.
    """
    told: list[Finding] = []
    reasons: dict[str, str] = {}
    for finding in findings:  # causes come before what follows from them
        accept = agreed(finding, accepts) if finding.level == "error" else None
        along = [] if accept or finding.level != "error" else _goes_along(finding)
        if accept is not None:
            reason, note = accept.reason, f"accepted: {accept.reason} ({accept.origin})"
        elif along and all(key in reasons for key in along):
            reason, note = reasons[along[0]], f"accepted along with {', '.join(along)}: {reasons[along[0]]}"
        else:
            told.append(finding)
            continue
        reasons[finding.key] = reason
        told.append(replace(finding, level="warn", details=(note, *finding.details)))
    still = {finding.key for finding in told if finding.level == "error"}  # of several one may be agreed to
    softened = (
        replace(each, level="warn", reason=f"accepted, {reasons[each.key]}")
        if each.key in reasons and each.key not in still
        else each
        for each in verdicts
    )
    return tuple(softened), told


def _goes_along(finding: Finding) -> list[str]:
    """The keys of which a finding says that it grows along with them."""
    found = [detail for detail in finding.details if detail.startswith(GROWS_ALONG)]
    return found[0].removeprefix(GROWS_ALONG).partition(", which ")[0].split(", ") if found else []
