"""The report in a real browser: it answers to mouse, keys and links, says nothing there, and asks for nothing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bigruns
import browsers
import pytest

from pytest_coresys.reports import htmlpage
from pytest_coresys.reports.words import figure_of, quantity

if browsers.chromium() is None and os.environ.get("CI") != "true":  # there it is an error: nobody would see a skip
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

pytestmark = [pytest.mark.slow, pytest.mark.inner]

FIRST = "t.py::test_moves[both-ways]"
LONGEST = 30.0  # seconds that anything in the page may take
Opener = Callable[..., Page]


def sample_run() -> dict[str, Any]:
    """Something of everything: criteria, leaks, a circle of locks, what was not measured, what only warns."""
    run = bigruns.run_of(150, failing=0.1, criteria=True)
    test = run["tests"][0]
    test.update(nodeid=FIRST, outcome="failed", verdict="over", repetitions=12)
    test["measures"]["locks.potential_deadlocks"].update(value=1, verdict="over")
    sites = [f"app/bank.py:{line}" for line in (21, 24)]
    test["findings"] = [
        {
            "key": "locks.potential_deadlocks",
            "level": "error",
            "summary": "locks.potential_deadlocks: 1 > 0 (default)",
            "details": ["clerk held A and took B", "clerk held B and took A"],
            "locations": [
                {"path": "app/bank.py", "line": line, "function": "move", "note": "taken"} for line in (21, 24)
            ],
            "holders": [],
            "locks": ["app/bank.py:3", "app/bank.py:4"],
        }
    ]
    test["captured"] = [
        {"name": "Failure", "text": "def test_moves():\n>\tassert <b>1</b> == 2\nE   assert 1 == 2"},
        {"name": "Captured stdout call", "text": "moved\n</script><script>alert(1)</script>\n"},
    ]
    run["tests"][1]["measures"]["memory.growth"].update(verdict="not_measured", value=None, why="suspected: 9 KiB")
    run["tests"][1].update(outcome="passed", verdict="not_measured", why="suspected: 9 KiB", findings=[])
    run["tests"][3].update(outcome="passed", verdict="not_measured", why="no counter", findings=[])
    run["tests"][3]["measures"]["memory.growth"].update(verdict="not_measured", value=None, why="no counter")
    run["tests"][2]["measures"]["globals.changed"].update(verdict="over", value=1, level="warn")
    run["tests"][2].update(verdict="over")
    names = ("A", "B", "C")
    run["locks"] = {
        "nodes": [
            {"id": at, "name": name, "site": f"app/bank.py:{at + 2}", "kind": "lock", "scope": "module"}
            for at, name in enumerate(names, 1)
        ],
        "edges": [
            {"from": a, "to": b, "thread": "clerk", "sites": sites, "gates": [], "tests": [FIRST]}
            for a, b in ((1, 2), (2, 1), (2, 3))
        ],
        "cycles": [{"edges": [0, 1], "tests": [FIRST]}],
    }
    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def sample() -> bytes:
    return htmlpage.data(sample_run())


@pytest.fixture
def opened(browser: Browser, sample: bytes, tmp_path: Path) -> Iterator[Opener]:
    """Opens the report of a run; in the end no page may have said, or asked for, anything."""
    contexts = []

    def open_page(run: dict[str, Any] | None = None, fragment: str = "", **options: Any) -> Page:
        path = tmp_path / "report.html"
        path.write_bytes(sample if run is None else htmlpage.data(run))
        context = browsers.page_of(browser, **options)
        page, heard = context.__enter__()
        contexts.append((context, heard, path.as_uri()))
        page.goto(f"{path.as_uri()}{fragment}")
        if options.get("java_script_enabled", True):
            until(page, WHOLE)
        return page

    yield open_page
    for context, heard, url in contexts:
        context.__exit__(None, None, None)
        assert heard.said == []
        assert {each.partition("#")[0] for each in heard.asked} == {url}  # once, or once more where it is loaded anew


WHOLE = "!document.body.classList.contains('first')"  # nothing is left out of what is drawn, as at first
SHOWN = "found => found.filter(e => e.getClientRects().length).map(e => e.innerText ?? e.textContent)"


def until(page: Page, condition: str, arg: object = None) -> None:
    """Wait until it holds in the page, whose policy forbids what Playwright itself does to look more than once."""
    end = time.monotonic() + LONGEST
    while True:
        try:
            if page.evaluate(condition, arg):
                return
        except PlaywrightError:  # between two pages
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def shown(page: Page, selector: str) -> list[str]:
    """The text of what is to be seen of it."""
    found: list[str] = page.eval_on_selector_all(selector, SHOWN)
    return found


def test_filters_leave_exactly_the_criteria_that_they_name(opened: Opener) -> None:
    page = opened()
    everything = len(shown(page, "#ct tr.r"))
    page.click("#cc [data-f=over]")
    over = shown(page, "#ct tr.r")
    assert 0 < len(over) < everything
    assert all("over" in row.splitlines()[0] for row in over)
    assert str(len(over)) in page.inner_text("#cc [data-f=over]")
    page.click("#cc [data-f='']")
    page.fill("#cq", "transition_time")
    found = shown(page, "#ct tr.r")
    assert found
    assert all(".transition_time" in row for row in found)
    page.fill("#cq", "nothing is called so")
    assert shown(page, "#ct tr.r") == []
    assert page.is_visible("#cempty")


def test_the_page_of_a_test_has_what_it_wrote_as_text(opened: Opener) -> None:
    page = opened(fragment=f"#{quote(FIRST)}")
    assert page.inner_text("#page .out[open] pre").splitlines()[1] == ">       assert <b>1</b> == 2"
    assert shown(page, "#page .out summary") == ["Failure", "Captured stdout call"]
    page.click("#page .out:not([open]) summary")
    assert "</script><script>alert(1)" in shown(page, "#page .out pre")[1]


def test_tests_are_searched_filtered_sorted_and_more_of_them_shown(opened: Opener) -> None:
    page = opened()
    assert len(shown(page, "#tt tbody tr")) == 40
    assert "t.py" in shown(page, "#tt tbody tr")[0]  # over a limit of zero, and of the worst kind
    page.click("#tm")
    assert len(shown(page, "#tt tbody tr")) == 140
    page.fill("#tq", "moves[BOTH t.py")
    assert len(shown(page, "#tt tbody tr")) == 1
    page.fill("#tq", "")
    for kind, sign in (("warn", "over (warns)"), ("none", "not measured"), ("failed", "failed")):
        page.click(f"#tc [data-f={kind}]")
        found = shown(page, "#tt tbody tr")
        assert found
        assert all(sign in row for row in found)
    page.click("#tc [data-f='']")
    page.click("#tt th button >> text=Test")
    names = shown(page, "#tt td.id small")
    assert names == sorted(names)
    assert page.get_attribute("#tt th >> nth=2", "aria-sort") == "ascending"


def test_the_evidence_of_a_budget_leads_to_its_tests_the_worst_first(opened: Opener) -> None:
    page = opened()
    page.click("[id='memory.growth'] a")
    until(page, "document.querySelector('#tq').value === 'memory.growth'")
    rows = shown(page, "#tt tbody tr")
    assert all("memory.growth" in row for row in rows)
    assert "over" in rows[0]
    page.fill("#tq", "")
    assert len(shown(page, "#tt tbody tr")) == 40


@pytest.mark.parametrize("key", ["state.transition_time", "memory.growth"])
def test_a_link_to_a_criterion_opens_its_row_in_view(opened: Opener, key: str) -> None:
    page = opened(fragment=f"#{key}")
    row = page.query_selector(f"[id='{key}']")
    assert row is not None
    box = row.bounding_box()
    assert box is not None
    assert 0 < box["y"] < 800
    assert page.get_attribute(f"[id='{key}'] button", "aria-expanded") == "true"
    opened_row = page.inner_text(f"[id='{key}'] + tr.x")
    assert ("Measured by" in opened_row) if key.startswith("state") else ("[tool.coresys.budgets]" in opened_row)


def test_a_link_to_a_test_opens_its_page_with_findings_measures_locks_and_command(opened: Opener) -> None:
    page = opened(fragment=f"#{quote(FIRST)}")
    assert page.is_hidden("#report")
    assert page.inner_text("#page h1") == "test_moves[both-ways]"
    text = page.inner_text("#page")
    for part in ("clerk held A and took B", "app/bank.py:21", "memory.growth", "potential_deadlocks", f'"{FIRST}"'):
        assert part in text
    assert len(shown(page, "#page .tw >> nth=1 >> tbody tr")) == 3  # orders of locks
    assert page.title().startswith(FIRST)
    # A browser tells of a new fragment when it comes to it, not at once.
    page.keyboard.press("j")
    until(page, "document.querySelector('#page h1').textContent !== 'test_moves[both-ways]'")
    page.keyboard.press("Escape")
    page.wait_for_selector("#report", state="visible")
    assert page.is_hidden("#page")


def test_every_test_and_every_key_has_a_link_that_leads_somewhere(opened: Opener) -> None:
    run = bigruns.hostile_run()
    page = opened(run)
    for number, test in enumerate(run["tests"][:8]):
        # As the page writes it: no reader is to obey what a name says.
        name = page.query_selector_all("#tt tbody tr td.id a")[number].get_attribute("href")
        page.evaluate("to => { location.hash = to; }", name)
        page.wait_for_selector("#page:not([hidden])")
        assert page.inner_text("#page h1").strip(), test["nodeid"]
        page.evaluate("location.hash = '#tests'")
        page.wait_for_selector("#report:not([hidden])")
    assert "owned" not in page.title()


def test_memory_over_the_repetitions_is_drawn_on_the_page_of_a_test(opened: Opener) -> None:
    run = sample_run()
    leaky = next(test for test in run["tests"] if test["measures"]["memory.growth"]["series"])
    page = opened(run, fragment=f"#{quote(leaky['nodeid'])}")
    label = page.get_attribute("#page figure svg", "aria-label")
    kept = sum(leaky["measures"]["memory.growth"]["series"]) * leaky["repetitions"] / 12
    assert label is not None
    assert label.startswith(f"memory.growth added up over {leaky['repetitions']} repetitions: ")
    assert label.endswith(f"{quantity(kept, 'B')} in the end")


FIGURES = {
    "B": (0, 1, 1023, 1024, 1012.7, 1048575, 1536, 1073741824 * 3, 0.25, 0.35),
    "s": (0, 1e-7, 0.0006, 0.0614, 0.9999, 59.96, 61, 7200),
    "ratio": (0, 0.05, 0.0734, 0.00012, 12.5),
    "count": (0, 1, 0.1, 2.333, 12345),
    "acme": (3, 0.07, 0.0996, 0.00000012),
}


def test_the_script_writes_figures_as_python_does(opened: Opener) -> None:
    run = bigruns.run_of(1, failing=0)
    plain = run["tests"][0]["measures"]["memory.growth"]
    told = {
        f"x.{unit.lower()}{at}": {**plain, "unit": unit, "value": value, "limit": 1e9, "evidence": "repeated"}
        for unit, values in FIGURES.items()
        for at, value in enumerate(values)
    }
    run["tests"][0].update(measures=told, nodeid="t.py::figures")
    page = opened(run, fragment="#t.py::figures")
    assert shown(page, "#mt td.m") == [quantity(each["value"], each["unit"]) for each in told.values()]
    one = {**plain, "evidence": "screened", "resolution": 16384, "limit": 1e9}
    told = {f"x.y{value}": {**one, "value": value} for value in (0, 16383, 16384)}
    run["tests"][0].update(measures=told)
    page = opened(run, fragment="#t.py::figures")
    assert shown(page, "#mt td.m") == [figure_of(each) for each in told.values()] == ["< 16 KiB", "< 16 KiB", "16 KiB"]


def test_a_command_is_copied_whole(opened: Opener) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    command = page.query_selector(".card .cmd")
    assert command is not None
    page.click(".card [data-copy]")
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == command.query_selector("code").text_content()  # type: ignore[union-attr]
    assert re.fullmatch(r'python -m pytest ".+" --coresys-budget --coresys-profile ci', copied)


def test_keys_reach_filters_cards_theme_and_the_list_of_keys(opened: Opener) -> None:
    page = opened()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "cq"
    page.keyboard.type("t")  # a letter there is a letter
    assert page.input_value("#cq") == "t"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("[...document.querySelectorAll('.card')].indexOf(document.activeElement)") == 1
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys", state="hidden")


def test_the_graph_of_locks_is_filtered_with_its_table(opened: Opener) -> None:
    page = opened()
    assert (len(shown(page, "svg.g .nd")), len(shown(page, "#lt tbody tr"))) == (3, 3)
    page.check("#lb")
    assert (len(shown(page, "svg.g .nd")), len(shown(page, "#lt tbody tr"))) == (2, 2)
    page.uncheck("#lb")
    page.fill("#lq", "app/bank.py:5")  # where C is made
    assert (len(shown(page, "svg.g .nd")), len(shown(page, "#lt tbody tr"))) == (2, 1)


# For each text that is to be seen: the colour, and what is behind it. Hidden texts for screen readers are left out.
CONTRASTS = """() => {
  const light = c => { const v = c.match(/[\\d.]+/g).map(Number); if (v.length > 3 && v[3] < 1) return null;
    const f = v.slice(0, 3).map(x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || /^(SCRIPT|STYLE|NOSCRIPT|TITLE|title)$/.test(e.tagName)) continue;
    if (e.closest('.vh, .skip, [hidden]') || !e.getClientRects().length) continue;
    let behind = e, back = null;
    for (; behind && back === null; behind = behind.parentElement)
      back = light(getComputedStyle(behind).backgroundColor);
    const style = getComputedStyle(e), front = light(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [front, back].sort((x, y) => x - y);
    if ((b + 0.05) / (a + 0.05) < 4.5) low.push([walker.currentNode.data.trim().slice(0, 40), String(e.outerHTML)]);
  }
  return low;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", f"#{quote(FIRST)}"], ids=["report", "test"])
def test_all_that_is_written_can_be_read_and_axe_finds_nothing_serious(
    opened: Opener, theme: str, fragment: str
) -> None:
    page = opened(fragment=fragment, color_scheme=theme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if theme == "light" else "rgb(15, 18, 22)"
    )
    assert page.evaluate(CONTRASTS) == []
    found = Axe().run(page).response["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert serious == []


@pytest.mark.parametrize("fragment", ["", f"#{quote(FIRST)}"], ids=["report", "test"])
def test_a_narrow_window_scrolls_tables_and_never_the_page(opened: Opener, fragment: str) -> None:
    page = opened(fragment=fragment, viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_the_verdict_stands_in_the_first_window(opened: Opener) -> None:
    page = opened(viewport={"width": 1280, "height": 720})
    box = page.query_selector("h1").bounding_box()  # type: ignore[union-attr]
    assert box is not None
    assert box["y"] + box["height"] < 300
    assert page.inner_text("h1") in page.title()


def test_it_prints_to_pdf_in_black_on_white_from_the_dark_theme_too(opened: Opener) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown(page, ".ctl, .cp, .more, .lp, button:not(th button)") == []
    assert len(shown(page, ".card")) == page.locator(".card").count() > 5
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1


def test_without_scripts_the_failures_and_the_first_tests_are_there(opened: Opener) -> None:
    page = opened(java_script_enabled=False)
    assert len(page.query_selector_all(".card svg")) > 5
    assert len(page.query_selector_all("#ct tr.r")) > 100
    assert len(page.query_selector_all("#tt tbody tr")) == 40
    assert "Scripts are off" in page.inner_text("noscript")
    assert shown(page, ".js") == []


def test_ten_thousand_tests_are_drawn_with_at_most_5000_nodes_and_3_mb(opened: Opener) -> None:
    run = bigruns.run_of(10_000, criteria=True)
    assert len(htmlpage.data(run)) <= 3 * 1024 * 1024
    page = opened(run)
    assert page.evaluate("document.querySelectorAll('*').length") <= 5_000
    assert "40 of 10,000" in page.inner_text("#tn")


def test_what_is_far_below_is_left_out_of_the_first_draw_alone(opened: Opener, tmp_path: Path) -> None:
    """Laying all of it out takes a third of the time until something is seen."""
    page = opened()
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    left_out = "!document.querySelector('#versions p').checkVisibility({contentVisibilityAuto: true})"
    assert not page.evaluate(left_out)
    assert '<body class="first">' in text
    page.evaluate("document.body.classList.add('first')")
    page.evaluate("scrollTo(0, 0)")
    until(page, left_out)
    page.evaluate("location.hash = '#versions'")
    until(page, "document.querySelector('#versions').getBoundingClientRect().top < innerHeight")
    assert page.evaluate(WHOLE)


def test_what_is_suspected_has_a_filter_and_a_mark_of_its_own(opened: Opener) -> None:
    page = opened()
    page.click("#tc [data-f=suspect]")
    rows = shown(page, "#tt tbody tr")
    assert len(rows) == 1
    assert rows[0].startswith("suspected")
    assert "within" not in rows[0].lower().split()
    page.click("#tt tbody tr td.id a")
    page.wait_for_selector("#page:not([hidden])")
    assert "--coresys-profile strict" in page.inner_text("#page .cmd >> nth=1")


def _go_to_a_test(page: Page) -> float:
    """From a filtered list of tests, scrolled to, to the page of the first; where the list was."""
    page.fill("#tq", "tests")
    page.click("#tc [data-f=failed]")
    page.evaluate("document.querySelector('#tt tbody tr:nth-child(9) a').scrollIntoView({block: 'center'})")
    place: float = page.evaluate("scrollY")
    page.click("#tt tbody tr:nth-child(9) a")
    page.wait_for_selector("#page:not([hidden])")
    assert page.evaluate("scrollY") == 0 < place
    return place


def test_back_from_the_page_of_a_test_is_where_one_was_with_filter_and_focus(opened: Opener) -> None:
    page = opened()
    page.set_viewport_size({"width": 1280, "height": 500})
    ways: dict[str, Callable[[], Any]] = {
        "of the browser": page.go_back,
        "of the page": lambda: page.click("#page a.back"),
        "by a key": lambda: page.keyboard.press("Escape"),
    }
    for name, back in ways.items():
        place = _go_to_a_test(page)
        listed = page.evaluate("location.hash")
        if name != "of the browser":  # whose Back leads to the page before, as it should
            page.click("#page a[rel=next]")
            until(page, "listed => location.hash !== listed", listed)
        back()
        page.wait_for_selector("#report:not([hidden])")
        until(page, "place => Math.abs(scrollY - place) < 2", place)
        assert page.input_value("#tq") == "tests", name
        assert page.get_attribute("#tc [data-f=failed]", "aria-pressed") == "true", name
        if name == "of the browser":
            assert page.evaluate("document.activeElement.getAttribute('href')") == listed


def test_a_reload_keeps_place_and_filters(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    page.set_viewport_size({"width": 1280, "height": 500})
    page.fill("#tq", "tests")
    page.evaluate("document.querySelector('#tests').scrollIntoView()")
    place = page.evaluate("scrollY")
    until(page, "place => history.state && history.state.y === place", place)
    page.reload()
    until(page, "place => Math.abs(scrollY - place) < 2", place)
    assert page.input_value("#tq") == "tests"
    run = sample_run()
    run["locks"]["cycles"] = []  # mended meanwhile
    (tmp_path / "report.html").write_bytes(htmlpage.data(run))
    page.evaluate("history.replaceState({...history.state, picked: ['c', 0], y: 7}, ''); location.reload()")
    until(page, "Math.abs(scrollY - 7) < 2 && document.querySelector('#lt tbody tr')")
    assert page.input_value("#tq") == "tests"


def test_a_card_has_a_link_of_its_own_that_leads_to_it(opened: Opener) -> None:
    page = opened(fragment="#fix~5")
    box = page.query_selector("[id='fix~5']").bounding_box()  # type: ignore[union-attr]
    assert box is not None
    assert 0 <= box["y"] < 800
    assert page.evaluate("document.activeElement.id") == "fix~5"
    page.click("[id='fix~2'] a.no")
    until(page, "document.activeElement.id === 'fix~2'")
    assert page.evaluate("location.hash") == "#fix~2"


def test_a_circle_of_a_card_is_picked_in_the_graph_and_a_lock_by_keys_and_filters_keep_it(opened: Opener) -> None:
    page = opened()
    page.click(".card a[href='#cycle~1']")
    page.wait_for_selector("#lx")
    assert len(shown(page, "#lt tbody tr")) == 2
    assert page.locator("svg.g .nd.dim").count() == 1
    page.click("#lx")
    assert (page.locator("svg.g .dim").count(), len(shown(page, "#lt tbody tr"))) == (0, 3)
    page.focus("svg.g .nd >> nth=0")
    page.keyboard.press("Enter")  # A, which no order with C is of
    assert page.get_attribute("svg.g .nd >> nth=0", "aria-pressed") == "true"
    assert len(shown(page, "#lt tbody tr")) == 2
    page.fill("#lq", "app/bank.py:5")  # where C is made: its one order, beside those of A
    assert len(shown(page, "#lt tbody tr")) == 3
    assert len(shown(page, "svg.g .nd")) == 3
    page.keyboard.press("Tab")
    page.focus("svg.g .nd >> nth=0")
    page.keyboard.press(" ")
    assert len(shown(page, "#lt tbody tr")) == 1


LONG = f"tests/{'deep/' * 30}test_x.py::test_{'y' * 200}[{'z' * 300}]"


def long_run() -> dict[str, Any]:
    """Everything that a run brings with it without a place to break a line at."""
    run = sample_run()
    for test in run["tests"]:
        if test["findings"]:
            test["nodeid"] += LONG
            for found in test["findings"]:
                found["details"].append("d" * 300)
                found["holders"] = [["h" * 300, "i" * 300]]
                for at in found["locations"]:
                    at.update(path="p" * 200, function="f" * 200, note="n" * 200)
            for each in test["measures"].values():
                each.update(origin="o" * 200, reason="r" * 200)
        if test["why"]:
            test["why"] += "q" * 200
            test["measures"]["memory.growth"]["why"] += "q" * 200
    for criterion in run["criteria"]:
        criterion.update(title="T" * 200, why="W" * 200)
    run["run"]["options"] = ["--coresys-set", "a" * 200]
    run["run"]["machine"]["cpu"] = "C" * 200
    leaves = {"key": "threads.leaked", "level": "error", "summary": "s" * 300, "details": [], "locations": []}
    run["findings"] = [
        {**leaves, "owner": "o" * 300, "tests": [LONG]},
        {**leaves, "level": "suspicion", "owner": "o" * 300, "tests": []},
    ]
    return run


def test_nothing_long_widens_a_narrow_page(opened: Opener) -> None:
    run = long_run()
    page = opened(run, viewport={"width": 400, "height": 800})
    page.click("#ct tr.r th button >> nth=2")
    page.click("#ct tr.r[data-s=over] th button >> nth=-1")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.evaluate("to => { location.hash = to; }", quote(run["tests"][0]["nodeid"], safe=""))
    page.wait_for_selector("#page:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def narrow(opened: Opener, fragment: str = "") -> Page:
    return opened(fragment=fragment, viewport={"width": 400, "height": 800})


def test_a_narrow_page_shows_all_of_a_measure_and_says_where_there_is_more_to_the_right(opened: Opener) -> None:
    page = narrow(opened, f"#{quote(FIRST)}")
    beyond = """() => [...document.querySelectorAll("#mt td, #mt th")].filter(
        e => e.offsetParent && e.getBoundingClientRect().right > 400).map(e => e.textContent)"""
    assert page.evaluate(beyond) == []
    label = "getComputedStyle(document.querySelector('#mt td[data-l=evidence]'), '::before').content"
    assert "evidence" in page.evaluate(label)
    page = narrow(opened)
    page.wait_for_selector(".lg.cut")
    assert "more to the right" in page.evaluate("getComputedStyle(document.querySelector('.lg'), '::before').content")
    assert page.evaluate("getComputedStyle(document.querySelector('.ctl')).position") == "static"
    page.set_viewport_size({"width": 1180, "height": 800})
    page.wait_for_selector(".lg:not(.cut)")
    assert page.evaluate("getComputedStyle(document.querySelector('.ctl')).position") == "sticky"


@pytest.mark.parametrize("width", [400, 1180])
def test_a_circle_that_a_link_leads_to_is_not_behind_the_filter(opened: Opener, width: int) -> None:
    page = opened(fragment="#cycle~1", viewport={"width": width, "height": 800})
    page.wait_for_selector("#lc a[aria-current=true]")
    page.wait_for_timeout(500)
    box = "document.querySelector('{}').getBoundingClientRect()"
    assert page.evaluate(f"{box.format('#lc')}.top - {box.format('#locks .ctl')}.bottom") >= 8


def test_nothing_beside_is_printed_larger_than_what_it_stands_beside(opened: Opener) -> None:
    page = opened()
    page.emulate_media(media="print")
    size = "s => parseFloat(getComputedStyle(document.querySelector(s)).fontSize)"
    for small, beside in (("#tt td.id small", "#tt td.id"), ("#ct .m small", "#ct .m"), ("#ct .sc", "#ct th button")):
        assert page.evaluate(size, small) <= page.evaluate(size, beside), small


ON_THE_WAY = """to => {
  const link = document.querySelector(".toc a");
  link.addEventListener("click", event => event.preventDefault());
  location.hash = to;
  link.click();
}"""


def test_a_note_of_where_one_is_never_stands_where_one_goes(opened: Opener) -> None:
    page = opened()
    page.evaluate(ON_THE_WAY, quote(FIRST, safe=""))  # a note is due before the page has heard of its new address
    page.wait_for_selector("#page:not([hidden])", timeout=5_000)
    assert page.evaluate("history.state") is None
