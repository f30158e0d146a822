"""The HTML report: one inert file with all of a run in it, the same for the same run."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import bigruns
import pytest

from coresys.budgets.units import parse_quantity
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.model import Criterion
from pytest_coresys.criteria.recorder import CriteriaRecorder
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.engine.evidence import SPENT, TOO_LITTLE, TOO_LONG
from pytest_coresys.reports import htmlpage, pictures, runfile
from pytest_coresys.reports.model import NOT_RUN
from pytest_coresys.reports.page import cards, facts, listing, ordering, remedies, rows, suspicions
from pytest_coresys.reports.page import verdict as verdicts
from pytest_coresys.reports.words import ALL_STATES, WORST_FIRST, duration, quantity, share_text

VOID = {"meta", "input", "br", "wbr"}
SECTIONS = ["fix", "suspicions", "criteria", "tests", "locks", "budgets", "gaps", "versions"]


class Parsed(HTMLParser):
    """A page as a browser sees it: elements with their attributes, text, and what stands in script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]].append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw["script"][0])
        return found


def measure(value: float | None, limit: float | None, unit: str, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "value": value,
        "limit": limit,
        "unit": unit,
        "level": "error",
        "origin": "default",
        "evidence": "repeated",
        "resolution": 16,
        "verdict": "over" if value and value > (limit or 0) else "within",
        "why": None,
        "series": [],
    }
    return {**plain, **more}


def finding(key: str, *details: str, **more: Any) -> dict[str, Any]:
    plain = {"key": key, "level": "error", "summary": f"{key}: 1 > 0", "details": list(details)}
    return {**plain, "locations": [], "holders": [], **more}


def run_with(*findings: dict[str, Any], **measures: dict[str, Any]) -> dict[str, Any]:
    """A run of one test that has these findings; its measures by key, with underscores for dots."""
    run = bigruns.run_of(1, failing=0)
    test = run["tests"][0]
    test.update(nodeid="t.py::one", outcome="failed", verdict="over", findings=list(findings), repetitions=12)
    test["measures"] = {key.replace("__", "."): each for key, each in measures.items()}
    run["summary"].update(over=1, within=0, compliant=False)
    return run


def place(path: str, line: int) -> dict[str, Any]:
    return {"path": path, "line": line, "function": "f", "note": "here"}


# -- one file, inert, the same again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [bigruns.run_of(60, failing=0.2, criteria=True), bigruns.hostile_run()])
def test_the_same_run_makes_the_same_bytes_also_when_it_was_written_and_read(run: dict[str, Any]) -> None:
    first = htmlpage.data(copy.deepcopy(run))
    assert htmlpage.data(run) == first
    assert htmlpage.data(json.loads(runfile.encoded(run))) == first


def test_every_element_is_closed_where_it_was_opened_and_no_id_stands_twice() -> None:
    page = Parsed(htmlpage.page(bigruns.run_of(80, failing=0.3, criteria=True)))
    assert page.problems == []
    assert sorted(page.ids) == sorted(set(page.ids))


def test_the_policy_allows_the_one_script_and_the_one_stylesheet_by_hash_and_nothing_else() -> None:
    page = Parsed(htmlpage.page(bigruns.run_of(3)))
    (policy,) = [each["content"] for each in page.of("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    (style,), (_, script) = page.raw["style"], page.raw["script"]
    assert rules["default-src"] == "'none'"
    for rule, text in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


@pytest.mark.parametrize("run", [bigruns.run_of(50, failing=0.5, criteria=True), bigruns.hostile_run()])
def test_nothing_in_the_page_asks_for_anything_or_runs_but_its_own_script(run: dict[str, Any]) -> None:
    page = Parsed(htmlpage.page(run))
    for tag, attributes in page.elements:
        assert tag not in ("img", "link", "iframe", "object", "embed", "form", "base", "video", "audio", "use"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "style", "action", "xlink:href"), (tag, name)
            if name == "href":
                assert str(value).startswith("#"), value
    assert [each.get("type") for each in page.of("script")] == ["application/json", None]
    assert re.findall(r"url\(([^)]*)\)|@import", page.raw["style"][0]) == ["#hatch"]


def test_hostile_names_are_text_and_say_what_they_are() -> None:
    text = htmlpage.data(bigruns.hostile_run(raw=True)).decode("utf-8")
    assert not [hex(ord(each)) for each in set(text) if not each.isprintable() and each != "\n"]
    page = Parsed(text)
    assert "test_<img src=x onerror=document.title=1>" in page.text
    assert "\\u202egnirts\\u202c" in page.text
    assert "\\udcff\\ud800" in page.text
    assert "\u05d0\u05d1\u05d2" in page.text  # letters of whatever script are no attack
    assert "<" not in page.raw["script"][0]
    names = {f"{page.data['paths'][row[0]]}::{row[1]}" for row in page.data["rows"]}
    assert "t.py::test_</script><script>document.title='owned'</script>" in names


def test_a_link_leads_to_a_name_as_the_script_has_it() -> None:
    page = Parsed(htmlpage.page(bigruns.hostile_run()))
    from urllib.parse import unquote

    names = {"::".join(filter(None, (page.data["paths"][row[0]], row[1]))) for row in page.data["rows"]}
    there = {*page.ids, *names}
    links = {unquote(str(each["href"])[1:]) for each in page.of("a")}
    assert {link for link in links if not link.startswith("tests~")} <= there
    assert len(links & names) > 5


def test_a_run_without_what_the_schema_asks_for_is_refused_by_name() -> None:
    run = bigruns.run_of(2)
    del run["tests"][0]["measures"]
    with pytest.raises(htmlpage.PageError, match="'measures' is missing"):
        htmlpage.page(run)


def test_a_run_of_nothing_is_a_page_too() -> None:
    run = bigruns.run_of(0)
    page = Parsed(htmlpage.page(run))
    assert "No test was run" in page.text
    assert [each for each in page.ids if each in SECTIONS] == SECTIONS


# -- what stands where ------------------------------------------------------------------------------------------------


def test_the_sections_come_in_the_order_of_what_a_reader_asks() -> None:
    page = htmlpage.page(bigruns.run_of(20, failing=0.3, criteria=True))
    at = [
        page.index(mark)
        for mark in ("<h1", 'class="strip"', 'class="facts"', *(f'<section id="{s}"' for s in SECTIONS))
    ]
    assert at == sorted(at)


def test_every_key_and_every_criterion_is_an_anchor() -> None:
    run = bigruns.run_of(20, criteria=True)
    ids = set(Parsed(htmlpage.page(run)).ids)
    assert {each["id"] for each in run["criteria"]} <= ids
    assert set(run["tests"][0]["measures"]) <= ids


def test_criteria_that_nobody_asked_for_are_told_once_and_a_teams_own_everywhere() -> None:
    run = bigruns.run_of(5, criteria=True)
    for each in run["criteria"]:
        each.update(verdict="not_measured", value=None, why="no test is evidence for it", evidence=[], samples=0)
    number = len(run["criteria"])
    run["run"]["criteria"].update(told=False, origin="built in")
    page = Parsed(htmlpage.page(run))
    assert page.text.count(f"{number} success criteria") == 1
    assert f"{number} success criteria of coresys itself, of which this run says nothing" in page.text
    assert ("criteria read from", "built in") in facts.versions(run)
    run["run"]["criteria"].update(file="ours.toml", origin="pyproject.toml:7")
    page = Parsed(htmlpage.page(run))
    assert page.text.count(f"{number} success criteria") == 3
    assert ("criteria read from", "ours.toml") in facts.versions(run)
    assert [gap for gap in facts.gaps(run) if gap.why == "no test is evidence for it"]


def test_criteria_of_which_no_test_said_anything_are_folded_and_not_in_the_strip() -> None:
    run = bigruns.run_of(5, criteria=True)
    run["run"]["criteria"]["told"] = False
    told, folded = htmlpage.page(run).split('<details class="fold"')
    assert "state.transition_time" not in told
    assert 'id="state.transition_time"' in folded


def _made(test: dict[str, Any], state: str) -> None:
    """Make of a test that is within one that is near, over, suspected, and so on."""
    growth = test["measures"]["memory.growth"]
    verdict = {"near": "near", "warn": "over", "seen once": "over"}.get(state, "not_measured")
    test["verdict"] = verdict
    growth.update(verdict=verdict)
    if verdict == "not_measured":
        growth.update(value=None, why="suspected: 9 KiB left after one run" if state == "suspect" else "no counter")
    if state == "warn":
        growth["level"] = "warn"
    if state in ("suspect", "seen once"):
        test["findings"] = [finding("memory.growth", level="suspicion")]
    if state == "failed":
        test["outcome"] = "failed"
    if state == "unrun":
        test.update(outcome="skipped", why=NOT_RUN, measures={})


def _changed(**changes: Any) -> dict[str, Any]:
    run = bigruns.run_of(10, failing=0)
    for test in run["tests"]:  # no near miss by chance
        test.update(verdict="within")
    run["summary"].update(near=0, within=10)
    for name, value in changes.items():
        if name in ("findings", "tests", "criteria"):
            run[name] = value
        elif name == "mode":
            run["run"]["mode"] = value
        elif name == "states":
            for test, state in zip(run["tests"], value, strict=False):
                _made(test, state)
        else:
            run["summary"][name] = value
    return run


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (_changed(), "Compliant"),
        (_changed(states=["near", "near"]), "Compliant, with 2 tests near a limit"),
        (_changed(states=["warn"]), "Compliant, with 1 test over budgets that only warn"),
        (
            _changed(
                findings=[finding("memory.growth", level="warn", owner="fixture f (c.py:1)", tests=[])],
                criteria=[result_to_dict(judge(Criterion("shop.lost", "check", level="warn"), Samples(wrong=1)))],
            ),
            "Compliant, with 1 criterion over that only warn and 1 finding of the run that only warn",
        ),
        (_changed(states=["suspect"]), "Compliant, with 1 suspicion"),
        (_changed(states=["seen once"]), "Compliant, with 1 suspicion"),
        (_changed(states=["none", "near"]), "Compliant, with 1 of 10 tests not measured and 1 test near a limit"),
        (_changed(states=["failed"]), "Compliant, with 1 test that failed by itself and 1 of 10 tests not measured"),
        (
            _changed(states=["unrun", "unrun"]),
            "Compliant, with 2 of 10 tests not run to the end, as the session was stopped",
        ),
        (_changed(states=["unrun"] * 10), "No test was run, of 10 tests that there are"),
        (_changed(mode="observe"), "Compliant (only observed, nothing was failed)"),
        (
            _changed(findings=[finding("memory.growth", level="suspicion", owner="fixture f (c.py:1)", tests=[])]),
            "Compliant, with 1 suspicion",
        ),
        (
            _changed(compliant=False, required_unmeasured=["a: b"]),
            "Not compliant: 1 figure required and not measured",
        ),
        (
            _changed(compliant=False, findings=[finding("threads.leaked", owner="fixture f (c.py:1)", tests=[])]),
            "Not compliant: 1 finding of the run",
        ),
        (run_with(finding("memory.growth")), "Not compliant: 1 of 1 test over budget"),
    ],
)
def test_the_verdict_line_says_why_and_is_the_title(run: dict[str, Any], line: str) -> None:
    said = verdict_of(run)
    assert said.start + said.stress == line
    assert line in Parsed(htmlpage.page(run)).text
    assert f"<title>{said.title}</title>" in htmlpage.page(run)
    plain = not said.stress or said.stress == ", with 2 tests near a limit"
    assert (said.tone == "good") == (said.start.startswith("Compliant") and (plain or "only warn" in said.stress))
    assert ("\u2713" in said.title) == (said.tone == "good")


def verdict_of(run: dict[str, Any]) -> verdicts.Verdict:
    return verdicts.verdict(run, rows.groups(run))


def test_a_run_that_was_stopped_says_so_beside_what_failed() -> None:
    run = _changed(states=["unrun"] * 3, compliant=False, required_unmeasured=["a: b"])
    assert verdict_of(run).stress.endswith("; 3 of 10 tests not run to the end, as the session was stopped")


@pytest.mark.parametrize("name", ["merged", "shards"])
def test_a_merged_run_says_of_how_many(name: str) -> None:
    run = _changed()
    ids = ["a" * 32, "b" * 32]
    run["run"][name] = ids if name == "merged" else [{"id": each, "started": "2026-11-29T08:30:00Z"} for each in ids]
    page = Parsed(htmlpage.page(run))
    assert "compliance report of 2 runs, merged" in page.text
    assert ", ".join(ids) in page.text


def test_a_suspicion_is_told_in_a_section_of_its_own_and_never_with_the_mark_of_a_pass() -> None:
    run = _changed(states=["suspect", "seen once"])
    run["tests"][0]["findings"][0]["locations"] = [place("a.py", 3)]
    page = Parsed(htmlpage.page(run))
    assert "2 suspicions: nothing failed by them, and not measured" in page.text
    told = suspicions.suspicions(run)
    assert [(each.key, each.place, each.number) for each in told] == [
        ("memory.growth", "", 1),
        ("memory.growth", "a.py:3", 1),
    ]
    assert "--coresys-profile strict" in told[0].command[1]  # type: ignore[index]
    assert {each.state.name for each in listing.listed(run)[:2]} == {"suspect"}
    assert rows_of(run)["memory.growth"].state.name == "suspect"
    assert rows_of(run)["threads.leaked"].state.name == "within"


def test_alike_suspicions_are_one_and_those_that_repeating_cannot_settle_have_no_command() -> None:
    run = _changed(states=["suspect"] * 6)
    for number, test in enumerate(run["tests"][:4]):
        test["measures"]["memory.growth"]["why"] = f"suspected: {number}.5 KiB left after one run"
    for test in run["tests"][4:6]:
        test["measures"]["memory.growth"]["why"] = "suspected: 9 KiB left; coresys_no_repeat: pays"
    told = suspicions.suspicions(run)
    assert [(each.number, each.command is None) for each in told] == [(4, False), (2, True)]
    assert told[0].why == "0.5 KiB to 3.5 KiB left after one run"
    run["run"]["effort"]["share"] = None  # all was repeated for as long as it took
    assert all(each.command is None for each in suspicions.suspicions(run))


@pytest.mark.parametrize(
    ("whys", "told"),
    [
        (["1 KiB, 7 times", "900 B, 7 times"], "900 B to 1 KiB, 7 times"),
        (["of 3.11.7, 20 ms", "of 3.9.1, 1 s"], "of 3.11.7 to 3.9.1, 20 ms to 1 s"),
        (["none", "none"], "none"),
        (["at 5.", "at 1,000."], "at 5 to 1,000."),
    ],
)
def test_reasons_of_several_tests_have_the_range_of_their_figures(whys: list[str], told: str) -> None:
    assert suspicions.range_of(whys) == told


def test_a_suspicion_about_a_fixture_has_its_owner() -> None:
    found = finding("memory.growth", level="suspicion", owner="fixture f (c.py:1)", tests=["t.py::a"])
    (told,) = suspicions.suspicions(_changed(findings=[found]))
    assert (told.owner, told.tests, told.command) == ("fixture f (c.py:1)", ("t.py::a",), None)


def test_a_budget_that_is_within_where_it_was_measured_is_no_plain_pass() -> None:
    run = _changed(states=["none"])
    row = rows_of(run)["memory.growth"]
    assert (row.state.name, row.evidence) == ("part", "9 of 10 tests")
    for why, outcome in (("the test skipped", "skipped"), ("skipped by marker: slow", "passed")):
        run["tests"][0].update(outcome=outcome)
        run["tests"][0]["measures"]["memory.growth"]["why"] = why  # left out on purpose: told, and no less a pass
        assert rows_of(run)["memory.growth"].state.name == "within"


def test_a_run_that_only_observed_says_that_nothing_was_failed() -> None:
    assert "Observed only" in Parsed(htmlpage.page(_changed(mode="observe"))).text


def test_what_is_within_on_the_evidence_of_one_run_is_no_plain_pass() -> None:
    run = _changed()
    for test in run["tests"][:7]:
        test["measures"]["memory.growth"]["evidence"] = "repeated"
    for test in run["tests"]:
        for key in ("threads.leaked", "descriptors.leaked", "processes.leaked", "tasks.leaked"):
            test["measures"][key]["evidence"] = "repeated"
    assert "3 within by one run only" in verdicts.verdict(run, []).rest


def test_tests_that_failed_by_themselves_are_told_apart() -> None:
    run = _changed()
    own, both, budget = run["tests"][3], run["tests"][2], run["tests"][1]
    own["captured"] = [{"name": "Failure", "text": ">  assert a\nE    assert 1 == 2\nE  more"}]
    both["captured"] = [{"name": "Failure", "text": "Traceback"}]
    for test in (own, both, budget):
        test["outcome"] = "failed"
    for test in (both, budget):
        test.update(verdict="over", findings=[finding("threads.leaked")])
        test["measures"]["threads.leaked"].update(verdict="over", value=1)
    assert "2 tests failed by themselves" in verdicts.verdict(run, []).rest
    tests = listing.listed(run)
    assert {each.test["nodeid"] for each in tests[:3]} == {test["nodeid"] for test in (own, both, budget)}
    page = Parsed(htmlpage.page(run))
    assert sorted(page.data["failed"].values()) == ["by itself", "by itself, and over budget", "over budget"]
    assert list(page.data["said"].values()) == ["assert 1 == 2"]
    assert "Failed by themselves: 2 tests" in page.text


# -- cards ------------------------------------------------------------------------------------------------------------


def card_of(run: dict[str, Any]) -> cards.Card:
    (card,) = cards.cards(run)
    return card


GROWS = measure(1024.5, 0, "B", series=[1024, 1025, 1024, 1024])


@pytest.mark.parametrize(
    ("found", "measures", "parts", "said"),
    [
        (
            "memory.growth",
            {"memory__growth": GROWS},
            ['class="lf"', 'class="lim"', "12 repetitions"],
            "grows with each",
        ),
        (
            "threads.leaked",
            {"threads__leaked": measure(1, 0, "count")},
            [">the test<", ">poller<", "still there"],
            "still there after the test",
        ),
        (
            "globals.changed",
            {"globals__changed": measure(1, 0, "count")},
            ["still changed"],
            "still changed after the test",
        ),
        (
            "memory.fragmentation",
            {"memory__fragmentation": measure(0.12, 0.05, "ratio")},
            ["12 % stranded", "budget 5 %"],
            "12 %, budget 5 %",
        ),
        ("time.call", {"time__call": measure(2.5, 1, "s")}, ["2.5 s", "budget 1 s"], "2.5 s, budget 1 s"),
        (
            "locks.contention",
            {"locks__contention": measure(0.55, 0.05, "ratio")},
            ["55 % lost", "82.5 %, not judged", "budget 5 %"],
            "Time lost at each lock",
        ),
        ("locks.deadlocks", {}, [">a<", ">b<", "waits for"], "a waits for L1, which b holds"),
    ],
)
def test_each_kind_of_finding_has_its_picture_with_words_for_who_cannot_see_it(
    found: str, measures: dict[str, Any], parts: list[str], said: str
) -> None:
    details = {
        "threads.leaked": ("thread 'poller' target f(), 1 per run",),
        "globals.changed": ("os.environ['X'] set to '1' (was unset)",),
        "locks.contention": ("Pool._lock: 5 threads lost 1 s", "8 waits of 497.2 ms in all (82.5 %), the longest 9 ms"),
        "locks.deadlocks": ("a waits for L1, held by b; it holds L2", "b waits for L2, held by a"),
    }
    picture = card_of(run_with(finding(found, *details.get(found, ())), **measures)).picture
    assert picture is not None
    for part in parts:
        assert part in picture
    assert re.search(r'aria-label="([^"]*)"', picture)[1].count(said) == 1  # type: ignore[index]


def test_the_line_of_growth_ends_where_the_repetitions_ended() -> None:
    picture = card_of(run_with(finding("memory.growth"), memory__growth=GROWS)).picture
    assert picture is not None
    assert "to 12.0 KiB after 12" in picture  # 12 repetitions of some 1024.5 bytes


def _locks() -> dict[str, Any]:
    nodes = [
        {"id": at, "name": name, "site": f"a.py:{at}", "kind": "lock", "scope": "module"}
        for at, name in enumerate("ABCD", 1)
    ]
    ways = [(1, 2), (2, 1), (3, 4), (4, 3)]
    edges = [
        {
            "from": a,
            "to": b,
            "thread": f"T{a}",
            "sites": [f"m.py:{a}0", f"m.py:{b}1"],
            "gates": [],
            "tests": ["t.py::one"],
        }
        for a, b in ways
    ]
    return {
        "nodes": nodes,
        "edges": edges,
        "cycles": [{"edges": [0, 1], "tests": ["t.py::one"]}, {"edges": [2, 3], "tests": ["t.py::one"]}],
    }


def test_a_circle_is_drawn_with_its_own_locks_and_threads_and_not_with_anothers() -> None:
    own = finding(
        "locks.potential_deadlocks", locks=["a.py:3", "a.py:4"], locations=[place("m.py", n) for n in (30, 41, 40, 31)]
    )
    run = run_with(own)
    run["locks"] = _locks()
    picture = card_of(run).picture
    assert picture is not None
    assert "T3 holds C and takes D; T4 holds D and takes C" in picture
    own["locks"] = ["a.py:3", "a.py:9"]  # none of the circles: no picture rather than a wrong one
    assert card_of(run).picture is None


def test_what_follows_from_a_leak_is_told_on_its_card() -> None:
    leads = finding("threads.leaked", "thread 'x', 1 per run")
    follows = finding("memory.growth", "grows along with threads.leaked, which may be all there is to it")
    card = card_of(run_with(follows, leads))
    assert card.key == "threads.leaked"
    assert card.along == ("memory.growth: 1 > 0",)


def test_without_the_leak_that_it_follows_from_a_finding_has_a_card_of_its_own() -> None:
    follows = finding("memory.growth", "grows along with threads.leaked, which may be all there is to it")
    assert card_of(run_with(follows)).key == "memory.growth"


def test_findings_at_one_line_are_one_card_with_the_tests_of_all() -> None:
    run = run_with(finding("memory.growth", locations=[place("a.py", 3)]), memory__growth=GROWS)
    for number in range(5):
        other = copy.deepcopy(run["tests"][0])
        other["nodeid"] = f"t.py::other{number}"
        other["measures"]["memory.growth"]["value"] = 5000 + number
        run["tests"].append(other)
    card = card_of(run)
    assert card.number == 6
    assert card.value == "4.9 KiB per run"
    assert card.tests[0] == "t.py::other4"
    run["tests"][3]["findings"][0]["locations"][0]["line"] = 4
    assert [each.number for each in cards.cards(run)] == [5, 1]


def test_what_hangs_comes_first_and_what_only_warns_last() -> None:
    found = [
        finding("globals.changed", level="warn"),
        finding("memory.growth", locations=[place("a.py", 3)]),
        finding("locks.deadlocks"),
        finding("threads.leaked"),
    ]
    keys = [card.key for card in cards.cards(run_with(*found))]
    assert keys == ["locks.deadlocks", "threads.leaked", "memory.growth", "globals.changed"]


def test_time_lost_at_a_lock_comes_before_a_leak_of_a_few_bytes_and_after_a_larger_one() -> None:
    def kept(number: float) -> list[str]:
        found = [finding(key, locations=[place("a.py", 3)]) for key in ("memory.growth", "locks.contention")]
        leak, lost = measure(number, 0, "B"), measure(0.762, 0.05, "ratio")
        return [card.key for card in cards.cards(run_with(*found, memory__growth=leak, locks__contention=lost))]

    assert kept(432) == ["locks.contention", "memory.growth"]
    assert kept(100_000) == ["memory.growth", "locks.contention"]


def test_a_suspicion_is_no_card() -> None:
    assert cards.cards(run_with(finding("memory.growth", level="suspicion"))) == []


def test_a_command_is_whole_and_says_the_profile_of_the_run() -> None:
    run = run_with(finding("memory.growth"), memory__growth=GROWS)
    text = Parsed(htmlpage.page(run)).text
    assert 'python -m pytest "t.py::one" --coresys-budget --coresys-profile ci' in text


# -- rows -------------------------------------------------------------------------------------------------------------


def rows_of(run: dict[str, Any]) -> dict[str, rows.Row]:
    return {row.id: row for group in rows.groups(run) for row in group.rows}


def test_a_budget_is_as_bad_as_its_worst_test() -> None:
    run = bigruns.run_of(3, failing=0)
    states = {}
    for verdict, level in (("within", "error"), ("near", "error"), ("over", "warn"), ("over", "error")):
        run["tests"][1]["measures"]["memory.fragmentation"].update(verdict=verdict, level=level, value=0.049)
        states[verdict, level] = rows_of(run)["memory.fragmentation"].state.name
    assert list(states.values()) == ["within", "near", "warn", "over"]


def test_a_budget_that_no_test_measured_is_not_measured_and_says_why() -> None:
    run = bigruns.run_of(3, failing=0)
    for test in run["tests"]:
        test["measures"]["locks.contention"].update(verdict="not_measured", value=None, why="no watch")
    row = rows_of(run)["locks.contention"]
    assert (row.state.name, row.why, row.chart) == ("none", "no watch", "")


def test_every_row_that_was_measured_has_a_chart_or_a_sentence_never_nothing() -> None:
    for row in rows_of(bigruns.run_of(30, failing=0.1, criteria=True)).values():
        assert bool(row.chart) != bool(row.why), row.id


@pytest.mark.parametrize(("share", "x"), [(0.5, "50"), (1.0, "100"), (1.23, "123")])
def test_the_triangle_stands_where_the_value_is_on_the_scale_of_all_rows(share: float, x: str) -> None:
    run = bigruns.run_of(3, criteria=True)
    each = next(each for each in run["criteria"] if each["id"] == "state.transition_time")
    each.update(value=each["limit"] * share, verdict="over" if share >= 1 else "within")
    assert f'class="mk" d="M{x} 25l' in str(rows_of(run)["state.transition_time"].chart)


def test_the_last_runs_are_drawn_from_figures_or_entries_and_the_first_of_many_left_out() -> None:
    run = bigruns.run_of(3, criteria=True)
    each = next(each for each in run["criteria"] if each["id"] == "state.transition_time")
    each["trend"] = [9.0, *[0.01] * 10, *[{"value": 0.02}] * 10]
    assert "the last 20 runs: 10 ms to 20 ms" in str(rows_of(run)["state.transition_time"].trend)


def test_what_one_run_cannot_show_is_no_zero() -> None:
    run = bigruns.run_of(3, failing=0)
    held = [test["measures"]["memory.growth"] for test in run["tests"]]
    for each in held:
        each.update(value=0, evidence="repeated", resolution=16)
    assert rows_of(run)["memory.growth"].measured == "0 B"
    held[1].update(evidence="screened", resolution=16384)
    assert rows_of(run)["memory.growth"].measured == "< 16 KiB"
    held[2].update(value=40_960, limit=81_920)
    assert rows_of(run)["memory.growth"].measured == "40 KiB"
    held[1].update(value=40, verdict="over")
    assert rows_of(run)["memory.growth"].measured == "40 B"


def test_what_was_skipped_has_no_budget_of_its_own() -> None:
    run = bigruns.run_of(3, failing=0)
    run["tests"][1]["measures"]["locks.deadlocks"].update(level="warn", reason="told as a warning: the test skipped")
    told = [(each.level, each.reason, each.tests) for each in rows.limits(run) if each.key == "locks.deadlocks"]
    assert told == [("error", "", 3)]
    assert len(rows_of(run)["locks.deadlocks"].more["limits"]) == 1


def test_budgets_in_force_tell_each_limit_with_its_origin() -> None:
    run = bigruns.run_of(3, failing=0)
    run["tests"][2]["measures"]["memory.growth"].update(limit=2048, origin="pyproject.toml:12", reason="#412")
    told = [
        (each.limit, each.origin, each.reason, each.tests) for each in rows.limits(run) if each.key == "memory.growth"
    ]
    assert told == [("0 B", "default", "", 2), ("2 KiB", "pyproject.toml:12", "#412", 1)]


def _with_two_circles(level: str = "error") -> dict[str, Any]:
    """A run whose tests are all within, and two circles of locks that no test owns."""
    run = bigruns.run_of(3, failing=0)
    run["findings"] = [
        finding(
            "locks.potential_deadlocks",
            level=level,
            summary=f"locks.potential_deadlocks: 1 > 0 (pyproject.toml:{line}): A and B, in different tests",
            locks=["a.py:1", "a.py:2"],
            locations=[place("a.py", line)],
            owner=None,
            tests=["t.py::one", "t.py::two"],
        )
        for line in (3, 9)
    ]
    return run


@pytest.mark.parametrize(("level", "state"), [("error", "over"), ("warn", "warn"), ("suspicion", "suspect")])
def test_a_budget_is_as_bad_as_what_no_test_owns_and_leads_to_the_cards(level: str, state: str) -> None:
    run = _with_two_circles(level)
    row = rows_of(run)["locks.potential_deadlocks"]
    assert (row.state.name, row.measured, row.of_run) == (state, "2 findings", "2 findings of the run")
    assert row.chart == "none in 3 tests"
    page = Parsed(htmlpage.page(run))
    links = [link.get("class") for link in page.of("a") if link["href"] == "#locks.potential_deadlocks"]
    assert f"q {state}" in links  # in the strip
    assert f"ch {state}" in [button.get("class") for button in page.of("button")]
    to = "#suspicions" if level == "suspicion" else "#fix~1"
    assert to in [link["href"] for link in page.of("a")]
    assert page.data["more"]["locks.potential_deadlocks"]["cards"] == ([] if level == "suspicion" else [1, 2])


def test_a_finding_of_the_run_has_a_row_also_where_no_test_has_such_a_budget() -> None:
    run = _with_two_circles()
    for test in run["tests"]:
        del test["measures"]["locks.potential_deadlocks"]
    row = rows_of(run)["locks.potential_deadlocks"]
    assert (row.state.name, row.chart, row.evidence, row.link) == ("over", "in no single test", "the run", "")


def test_what_a_soak_found_has_the_row_of_the_soak_alone() -> None:
    run = bigruns.run_of(3, failing=0)
    run["findings"] = [finding("memory.growth_rate", owner=None, tests=[])]
    run["soak"] = {
        "memory.growth_rate": {
            "times": [0, 1],
            "values": [0, 9],
            "interval": [8, 9],
            "value": 9,
            "limit": 1,
            "unit": "B/h",
            "verdict": "over",
            "level": "error",
            "origin": "default",
        }
    }
    row = rows_of(run)["memory.growth_rate"]
    assert (row.evidence, row.of_run) == ("the soak", "")


def test_a_card_of_the_run_says_its_budget_and_what_set_it() -> None:
    (card, _) = cards.cards(_with_two_circles())
    assert (card.told, card.limit) == ("it did not hang, budget 0", "0, set by pyproject.toml:3")


@pytest.mark.parametrize(
    ("value", "unit", "budget"),
    [
        (25_293, "B", '"50 KB"'),
        (500, "B", '"1 KB"'),
        (0.762, "ratio", '"100 %"'),
        (2, "count", "2"),
        (0, "B", '"8 KB"'),
    ],
)
def test_the_budget_that_is_suggested_fits_what_was_measured(value: float, unit: str, budget: str) -> None:
    run = run_with(memory__growth=measure(value, 0, unit))
    assert rows_of(run)["memory.growth"].more["set"] == f"memory.growth = {budget}"
    assert parse_quantity(budget.strip('"'), unit) >= value


# -- tests, packed ----------------------------------------------------------------------------------------------------


def test_what_is_packed_is_what_was_measured() -> None:
    run = bigruns.run_of(60, failing=0.2)
    data = Parsed(htmlpage.page(run)).data
    tests = {test["nodeid"]: test for test in run["tests"]}
    assert len(data["rows"]) == len(tests)
    for row in data["rows"]:
        test = tests[f"{data['paths'][row[0]]}::{row[1]}"]
        assert data["outcomes"][row[2]] == test["outcome"]
        assert row[4] == test["repetitions"]
        found, told = {}, {}
        for number in data["sets"][row[7]]:
            template, value, *_ = data["measures"][number]
            (
                key,
                _,
                limit,
                unit,
                level,
                *_,
            ) = data["templates"][template]
            found[data["keys"][key]] = (value, limit, unit, level)
        for key, each in test["measures"].items():
            told[key] = (each["value"], each["limit"], each["unit"], each["level"])
        assert found == told
        assert len(row[10] if len(row) > 10 else []) == len(test["findings"])


def test_failures_come_first_then_whoever_is_closest_to_a_budget() -> None:
    run = bigruns.run_of(6, failing=0)
    for test, stranded in zip(run["tests"], (0.01, 0.02, 0.03, 0.04, 0.02, 0.0), strict=True):
        test["verdict"] = "within"
        test["measures"]["memory.fragmentation"].update(value=stranded, verdict="within")
    failed, by_itself = run["tests"][4], run["tests"][0]
    failed.update(outcome="failed", verdict="over")
    failed["measures"]["threads.leaked"].update(value=1, verdict="over")
    by_itself["outcome"] = "failed"
    order = [run["tests"].index(each.test) for each in listing.listed(run)]
    assert order == [4, 0, 3, 2, 1, 5]


def test_a_test_that_two_workers_ran_is_listed_with_each() -> None:
    run = bigruns.run_of(2, failing=0)
    run["tests"][1] = {**run["tests"][0], "worker": "gw1"}
    assert [each.name[-5:] for each in listing.listed(run)] == ["[gw0]", "[gw1]"]


def test_a_page_grows_by_less_than_200_bytes_with_each_test_and_by_no_element() -> None:
    few, many = (htmlpage.page(bigruns.run_of(number, criteria=True)) for number in (1_000, 3_000))
    assert (len(many) - len(few)) / 2_000 < 200
    assert len(Parsed(many).elements) < 5_000


# -- what was not measured --------------------------------------------------------------------------------------------


def gaps_of(why: str, outcome: str = "passed") -> facts.Gap:
    run = bigruns.run_of(1, failing=0)
    test = run["tests"][0]
    test.update(outcome=outcome, verdict="not_measured", why=why, nodeid="t.py::one")
    for each in test["measures"].values():
        each.update(verdict="not_measured", value=None, why=why)
    return facts.gaps(run)[0]


@pytest.mark.parametrize(
    ("why", "outcome", "remedy"),
    [
        *(
            (why, "passed", '"t.py::one" --coresys-budget --coresys-profile strict')
            for why in (SPENT, TOO_LITTLE, TOO_LONG)
        ),
        ("its worker died while it ran", "failed", "-n 0"),
        ("skipped by marker: slow", "passed", "coresys_skip"),
        ("no budget was in force", "passed", "[tool.coresys.budgets]"),
        ("the test failed", "failed", "Mend the test"),
        ("the test xfailed", "xfailed", "expected to fail"),
        ("no such counter", "passed", "coresys doctor"),
    ],
)
def test_what_was_not_measured_says_how_to_measure_it(why: str, outcome: str, remedy: str) -> None:
    gap = gaps_of(why, outcome)
    assert gap.why == why
    assert gap.what == "all measures"
    assert remedy in gap.remedy


def test_suspicions_are_told_elsewhere_and_what_is_off_stands_last() -> None:
    run = bigruns.run_of(3, failing=0)
    run["tests"][0]["measures"]["locks.contention"].update(verdict="not_measured", value=None, why="no watch")
    run["tests"][1]["measures"]["memory.growth"].update(verdict="not_measured", value=None, why="suspected: 9 KiB")
    told = facts.gaps(run)
    assert [gap.what for gap in told if "memory.growth" in gap.what.split(", ")] == []
    assert told[0].what == "locks.contention"
    assert "memory.peak" in told[-1].what


def test_reasons_that_differ_in_figures_alone_are_one_line() -> None:
    run = bigruns.run_of(200, failing=0)
    for number, test in enumerate(run["tests"]):
        test["measures"]["locks.contention"].update(verdict="not_measured", why=f"only {number} ms of 20 ms")
    (gap,) = [each for each in facts.gaps(run) if each.what == "locks.contention"]
    assert (gap.number, gap.why, len(gap.tests)) == (200, "only 0 ms to 199 ms of 20 ms", 3)


# -- the graph --------------------------------------------------------------------------------------------------------


def columns_of(pairs: list[tuple[int, int]]) -> dict[int, int]:
    shown = sorted({number for pair in pairs for number in pair})
    return ordering._columns(shown, pairs)


def test_whatever_is_taken_later_stands_further_to_the_right() -> None:
    chance = __import__("random").Random(3)
    for _ in range(50):
        order = list(range(12))
        chance.shuffle(order)
        pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if chance.random() < 0.2]
        columns = columns_of(pairs)
        assert all(columns[a] < columns[b] for a, b in pairs)


def test_the_locks_of_a_circle_stand_side_by_side_and_do_not_push_each_other_on() -> None:
    columns = columns_of([(1, 2), (2, 1), (2, 3)])
    assert (columns[1], columns[2]) == (0, 1)
    assert columns[3] > 1


@pytest.mark.parametrize("number", [3, 5, 12])
def test_a_way_past_other_boxes_leads_around_them_in_both_directions(number: int) -> None:
    boxes = [pictures.Box(at, f"L{at}", "lock", "", True, at, 0) for at in range(number)]
    last = number - 1
    drawn = str(pictures.graph(boxes, [(0, last, True), (last, 0, True)], "all"))
    assert drawn == str(pictures.graph(boxes, [(0, last, True), (last, 0, True)], "all"))
    tops = [float(y) for y in re.findall(r'class="nd bad"[^>]+translate\(\S+ (\S+)\)', drawn)]
    lanes = [float(y) for y in re.findall(r'<path class="lf" d="[^"]+ (\S+)H', drawn)]
    assert len(lanes) == 2
    assert min(lanes) < tops[0]
    assert max(lanes) > tops[0] + 42
    assert min(lanes) > 0


def test_a_great_graph_is_drawn_in_part_and_says_so() -> None:
    run = bigruns.run_of(2)
    run["locks"] = _locks()
    for number in range(5, 205):
        run["locks"]["nodes"].append({**run["locks"]["nodes"][0], "id": number})
        run["locks"]["edges"].append({**run["locks"]["edges"][0], "from": 1, "to": number})
    page = htmlpage.page(run)
    assert page.count('class="nd') == ordering.MOST
    assert "156 more are in the table" in page
    assert page.count('class="nd bad"') == 4


# -- words and colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "B", "infinite"),
        (True, "bool", "yes"),
        (0, "bool", "no"),
        (1, "count", "1"),
        (1024.04999, "B", "1.0 KiB"),
    ],
)
def test_figures_are_written_as_everywhere(value: object, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


def test_shares_and_durations_are_short() -> None:
    assert [share_text(each) for each in (None, 0.5, 12.34, 1234.5)] == ["\u2013", "50 %", "1234 %", "1,234 times"]
    assert [duration(each) for each in (0.44, 59, 227, 7322)] == ["440 ms", "59 s", "3 min 47 s", "2 h 2 min"]


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme, as the stylesheet has them."""
    css = htmlpage._asset("page.css")
    blocks = {
        "light": r"^:root\{([^}]*)\}",
        "dark by the system": r"prefers-color-scheme:dark\)\{:root[^{]*\{([^}]*)\}",
        "dark by the switch": r"^:root\[data-theme=dark\]\{([^}]*)\}",
        "print": r"@media print\{[^{]*\{([^}]*)\}",
    }
    found = {}
    for name, pattern in blocks.items():
        block = re.search(pattern, css, re.MULTILINE)
        assert block, name
        found[name] = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", block[1]))
    return found


def contrast(one: str, other: str) -> float:
    lights = sorted(map(_luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark by the system", "dark by the switch", "print"])
def test_all_text_stands_out_from_what_is_behind_it(theme: str) -> None:
    colours = themes()[theme]
    for text in ("ink", "mu", "fail", "near", "pass", "none", "ac"):
        for behind in ("bg", "sf"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    assert contrast(colours["near"], colours["nearbg"]) >= 4.5
    assert contrast(colours["pass"], colours["passbg"]) >= 4.5
    assert contrast(colours["bg"], colours["fail"]) >= 4.5  # the sign on a badge
    assert contrast(colours["edge"], colours["bg"]) >= 3  # outlines of what can be pressed


def test_both_ways_to_the_dark_theme_have_the_same_colours() -> None:
    found = themes()
    assert found["dark by the system"] == found["dark by the switch"]


def test_the_script_knows_every_state_by_a_sign_and_a_word() -> None:
    script = htmlpage._asset("page.js")
    (words,) = re.findall(r"const WORDS = \{(.*?)\};", script)
    assert re.findall(r'(\w+): "([^"]+)"', words) == [(state.name, state.word) for state in ALL_STATES]
    signs = re.findall(r'\.bd\.(\w+)::before\{content:"([^"]+)"', htmlpage._asset("page.css"))
    assert {name for name, _ in signs} == set(WORST_FIRST) - {"none"}  # which has the one of all others
    assert len({sign for _, sign in signs}) == len(signs)


# -- links to cards and circles, and what a reader is told of rows ----------------------------------------------------


def test_every_card_and_every_line_after_them_has_a_link_of_its_own_that_stays() -> None:
    found = [finding("memory.growth", locations=[place("a.py", line)]) for line in range(23)]
    page = Parsed(htmlpage.page(run_with(*found)))
    anchors = [each for each in page.ids if each.startswith("fix~")]
    assert anchors == [f"fix~{number}" for number in range(1, 24)]
    cards_of = [each for each in page.of("article") if "card" in str(each.get("class"))]
    assert [each["id"] for each in cards_of] == anchors[:20]
    assert {each["aria-labelledby"] for each in cards_of} <= set(page.ids)
    assert {f"#{each}" for each in anchors[:20]} <= {each["href"] for each in page.of("a")}


def test_a_circle_of_locks_has_a_link_and_its_card_leads_to_it() -> None:
    places = [place("m.py", n) for n in (30, 41, 40, 31)]
    run = run_with(finding("locks.potential_deadlocks", locks=["a.py:3", "a.py:4"], locations=places))
    run["locks"] = _locks()
    page = Parsed(htmlpage.page(run))
    assert {"cycle~1", "cycle~2"} <= set(page.ids)
    assert card_of(run).cycle == 1
    assert [each["href"] for each in page.of("a")].count("#cycle~2") == 2
    assert ordering.circles(run["locks"]) == ["A \u2192 B \u2192 A", "C \u2192 D \u2192 C"]


def test_a_row_says_what_its_statistic_is_and_what_is_near() -> None:
    page = Parsed(htmlpage.page(bigruns.run_of(3, criteria=True)))
    titles = {each.get("title") for each in page.of("small")}
    assert "99 of 100 samples are below" in titles
    assert ": 99 of 100 samples are below" in page.text  # for who cannot point at it
    assert "from 90 % of a limit on" in page.text
    assert "0 to 150 % of the budget" in page.text


def test_a_row_that_was_not_measured_says_how_to_measure_it() -> None:
    run = bigruns.run_of(3, criteria=True)
    missing = [row for row in rows_of(run).values() if row.state.name == "none"]
    assert missing
    assert all(row.why and row.remedy for row in missing)
    assert missing[0].remedy.replace('"', "&#34;") in htmlpage.page(run)


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("20 samples, of 1000 that it needs", "Record at least 980 more samples"),
        ("what is evidence for it recorded nothing: t.py::a", 'record it: coresys_criteria.record("own.time"'),
        ("too short to tell: the slope is between 1 B/h and 9 B/h, and the limit is 2 B/h", "a longer time"),
        ("a test that is evidence for it did not pass: t.py::a", "pass first"),
        ("a test that is evidence for it did not pass: t.py::a; 2 samples, of 9 that it needs", "pass first"),
        ("no test is evidence for it", 'coresys_criteria.record("own.time", \u2026) in a test'),
        ("not measured: needs two cores", "only where there is: two cores"),
        ("no test measured memory.peak", "a budget for memory.peak"),
        ("no battery here", "say why"),
    ],
)
def test_how_to_measure_a_criterion_follows_from_why_it_was_not_in_its_row_and_below(why: str, remedy: str) -> None:
    run = bigruns.run_of(3, criteria=True)
    run["criteria"] = [
        {
            **next(each for each in run["criteria"] if each["id"] == "state.transition_time"),
            "id": "own.time",
            "verdict": "not_measured",
            "value": None,
            "why": why,
            "samples": 20,
            "min_samples": 1000,
            "evidence": [] if why == "no test is evidence for it" else ["t.py::a"],
        }
    ]
    (gap,) = [gap for gap in facts.gaps(run) if gap.what == "own.time"]
    assert remedy in rows_of(run)["own.time"].remedy
    assert gap.remedy == rows_of(run)["own.time"].remedy


def test_the_calls_that_are_advised_are_those_that_the_statistic_takes() -> None:
    each = {"id": "own", "why": "no test is evidence for it", "evidence": [], "samples": 0}
    for statistic in ("check", "slope", "p99", "total", "value"):
        call = "record" if statistic not in ("check", "slope") else statistic
        assert f"coresys_criteria.{call}(" in remedies.of_criterion({**each, "statistic": statistic})
        assert hasattr(CriteriaRecorder, call)


def test_a_run_says_what_was_granted_for_repeating_and_what_was_spent() -> None:
    run = bigruns.run_of(3)
    run["run"]["effort"].update(spent=4.66, explaining=3.0, share=0.2, floor=3, repeated=2)
    told = dict(facts.facts(run))["Repetitions"]
    granted = "about 20 % of the tests' own time each, or 3 s if that is more"
    assert told == f"2 of 3 tests, 4.7 s, and 3 s to find the places ({granted})"
    run["run"]["effort"].update(share=None, explaining=0)
    assert dict(facts.facts(run))["Repetitions"] == "2 of 3 tests, 4.7 s (no limit)"


def test_the_duration_of_a_merged_run_is_that_of_its_runs() -> None:
    run = bigruns.run_of(3)
    run["run"].update(merged=["a", "b", "c"], duration=24.3, workers=0)
    assert dict(facts.facts(run))["Duration"] == "24.3 s from the start of 3 runs to their end"


def test_an_id_breaks_between_its_parts_and_never_in_a_word() -> None:
    run = bigruns.run_of(1, failing=0)
    name = "tests/t.py::test_a_request_is_<b>_from_the_cache"
    run["tests"][0].update(nodeid=name, verdict="not_measured", why="no counter")
    for each in run["tests"][0]["measures"].values():
        each.update(verdict="not_measured", value=None, why="no counter")
    page = htmlpage.page(run)
    assert "<bdi>tests/t.py::<wbr>test_a_request_<wbr>is_&lt;b&gt;_from_the_<wbr>cache</bdi>" in page
    assert f"{name}" in Parsed(page).text


def test_only_suspicions_that_repeating_can_settle_have_a_command_that_does() -> None:
    run = _changed(states=["suspect", "suspect"])
    run["tests"][1]["measures"]["memory.growth"]["why"] = "suspected: 9 KiB left; coresys_no_repeat: pays"
    data = Parsed(htmlpage.page(run)).data
    assert [data["rows"][at][1] for at in data["settled"]] == [run["tests"][0]["nodeid"].partition("::")[2]]


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (
            ("T waits for L1, held by Main", "Main waits for the end of thread T; it holds L1"),
            "T waits for L1, which Main holds; Main waits for the end of thread T",
        ),
        (
            ("a waits for the future of f, which c works on", "b waits for L, held by a", "c waits for M, held by b"),
            "a waits for the future of f; c waits for M, which b holds; b waits for L, which a holds",
        ),
        (
            ("a waits for an item, which is to come from b; it holds L", "b waits for L, held by a"),
            "a waits for an item; b waits for L, which a holds",
        ),
        (("a waits for L1, held by b", "b waits for something"), None),  # no picture rather than a wrong one
    ],
)
def test_a_deadlock_is_drawn_by_what_each_waits_for_whatever_that_is(
    details: tuple[str, ...], said: str | None
) -> None:
    picture = card_of(run_with(finding("locks.deadlocks", "broken by a DeadlockError in a", *details))).picture
    assert (picture is None) == (said is None)
    assert said is None or f'aria-label="{said}"' in str(picture)
