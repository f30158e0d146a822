"""What is agreed to is of that key, that owner, and those places alone."""

from __future__ import annotations

import pytest

from coresys.budgets.model import Verdict
from coresys.records import GROWS_ALONG, STANDS_HERE, Finding, Location
from pytest_coresys.config.resolve import Accept
from pytest_coresys.engine.accepted import agreed, with_agreed

KEY = "threads.leaked"


def finding(*places: str, owner: str | None = None, level: str = "error") -> Finding:
    locations = []
    for place in places:
        path, _, rest = place.partition(":")
        line, _, note = rest.partition(" ")
        locations.append(Location(path, int(line), "f", note))
    return Finding(KEY, level, f"{KEY}: 1 > 0", details=("seen",), locations=tuple(locations), owner=owner)


def accept(key: str = KEY, **given: object) -> Accept:
    return Accept(key=key, reason="#412", origin="coresys.toml:3", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "accepts", "is_agreed"),
    [
        (finding("a.py:1"), [], False),
        (finding("a.py:1"), [accept()], True),
        (finding("a.py:1"), [accept("memory.growth")], False),
        (finding("a.py:1"), [accept(locks=("a.py:1",))], False),
        (finding("a.py:1"), [accept(paths=("a.py:1",))], True),
        (finding("a.py:1"), [accept(paths=("a.py:11",))], False),
        (finding(), [accept(paths=("a.py:1",))], False),
        (finding("a.py:1", "b.py:2"), [accept(paths=("a.py:1",))], False),
        (finding("a.py:1", "b.py:2"), [accept(paths=("a.py:1",)), accept(paths=("b.py:2",))], True),
        (finding("a.py:1", "a.py:7"), [accept(paths=("a.py:1",))], True),
        (finding("a.py:7", "a.py:1"), [accept(paths=("a.py:1",))], False),
        (finding("a.py:1", f"threading.py:331 {STANDS_HERE}"), [accept(paths=("a.py:1",))], True),
        (finding(f"threading.py:331 {STANDS_HERE}"), [accept(paths=("threading.py:331",))], False),
        (finding(owner="fixture pool (t.py:9)"), [accept(owner="fixture pool (t.py:9)")], True),
        (finding(owner="fixture pool (t.py:9)"), [accept(owner="fixture pond (t.py:9)")], False),
        (finding("a.py:1"), [accept(owner="fixture pool (t.py:9)")], False),
        (finding("a.py:1", owner="x"), [accept(owner="x", paths=("b.py:2",))], False),
    ],
)
def test_a_finding_is_agreed_to(seen: Finding, accepts: list[Accept], is_agreed: bool) -> None:
    assert (agreed(seen, accepts) is not None) is is_agreed


@pytest.mark.parametrize(("level", "told"), [("error", "warn"), ("warn", "warn"), ("suspicion", "suspicion")])
def test_only_what_would_fail_is_softened(level: str, told: str) -> None:
    verdict = Verdict(KEY, "over", 1.0, 0.0, "count", "error", "default", "repeated", 0.0)
    (softened,), (after,) = with_agreed([verdict], [finding("a.py:1", level=level)], [accept()])
    assert after.level == told
    assert after.details == (("accepted: #412 (coresys.toml:3)", "seen") if level == "error" else ("seen",))
    assert (softened.level, softened.reason) == (("warn", "accepted, #412") if level == "error" else ("error", None))


@pytest.mark.parametrize(("along", "level"), [(KEY, "warn"), (f"{KEY}, descriptors.leaked", "error")])
def test_the_memory_that_leaks_along_with_what_is_agreed_to_is_so_too(along: str, level: str) -> None:
    note = f"{GROWS_ALONG}{along}, which may be all there is to it"
    memory = Finding("memory.growth", "error", "memory.growth: 5 KiB > 0 B", details=(note,))
    verdicts = [
        Verdict(key, "over", 1.0, 0.0, unit, "error", "default", "repeated", 0.0)
        for key, unit in ((KEY, "count"), ("memory.growth", "B"))
    ]
    softened, told = with_agreed(verdicts, [finding("a.py:1"), memory], [accept(paths=("a.py:1",))])
    assert [each.level for each in told] == ["warn", level]
    assert [each.level for each in softened] == ["warn", level]
    if level == "warn":
        assert told[1].details[0] == f"accepted along with {KEY}: #412"
