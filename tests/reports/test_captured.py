"""What tests have written, in the run file and on their pages."""

from __future__ import annotations

import json

import pytest

from pytest_coresys.reports.captured import Captured

WELL: dict[str, list[dict[str, str]]] = {"findings": [{"level": "warn"}]}
OVER: dict[str, list[dict[str, str]]] = {"findings": [{"level": "error"}]}


def test_a_test_that_is_well_has_none() -> None:
    assert Captured().of(WELL, "", [("Captured stdout call", "hello")]) == []


def test_the_end_of_each_text_is_kept_without_colours_and_blank_ones_are_not() -> None:
    found = Captured().of(
        OVER, "", [("Captured stdout call", "\x1b[31mred\x1b[0m" + "x" * 5000), ("Captured log", " \n")]
    )
    assert [each["name"] for each in found] == ["Captured stdout call"]
    assert found[0]["text"].startswith("[1,003 characters before this are left out]\n" + "x" * 100)
    assert len(found[0]["text"].splitlines()[1]) == 4000
    assert Captured().of(WELL, "Trace\udc80back", [])[0] == {"name": "Failure", "text": "Trace\\udc80back"}


def test_a_run_that_writes_without_end_keeps_so_much_and_says_so() -> None:
    captured = Captured("all", 5000)
    sections = [("Captured stdout call", "y" * 4000)]
    assert "left out" not in captured.of(OVER, "", sections)[0]["text"]
    assert captured.of(OVER, "", sections)[0]["text"].startswith("[3,000 characters before this are left out]\ny")
    assert captured.of(OVER, "", sections)[0]["text"] == "[4,000 characters before this are left out]\n"


@pytest.mark.parametrize(("show", "kept"), [("all", 3), ("no", 1), ("stdout", 2), ("log", 2), ("stderr", 1)])
def test_what_the_user_does_not_want_to_see_is_not_kept(show: str, kept: int) -> None:
    sections = [("Captured stdout call", "x"), ("Captured log call", "y")]
    assert len(Captured(show).of(OVER, "Traceback", sections)) == kept


@pytest.mark.inner
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_of_a_real_run(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        """
        import logging, os, sys
        import pytest
        KEPT = []
        @pytest.fixture
        def told():
            print("set up")
            yield
            print("torn down")
        def test_fails(told):
            print("of the call")
            logging.warning("of the log")
            assert 1 == 2
        @pytest.fixture
        def breaking():
            yield
            raise RuntimeError("in its teardown")
        def test_fails_twice(breaking):
            assert "the call" == "well"
        def test_leaks():
            print("leaking", file=sys.stderr)
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
        def test_is_well(): print("hello")
        """
    )
    pytester.runpytest_subprocess("--coresys-budget", "--coresys-json", "run.json", *workers)
    run = json.loads((pytester.path / "run.json").read_text("utf-8"))
    found = {test["nodeid"].partition("::")[2]: test.get("captured") for test in run["tests"]}
    assert found["test_is_well"] is None
    texts = {each["name"]: each["text"] for each in found["test_fails"]}
    assert "assert 1 == 2" in texts["Failure"]
    assert texts["Captured stdout setup"] == "set up\n"
    assert texts["Captured stdout call"] == "of the call\n"
    assert texts["Captured stdout teardown"] == "torn down\n"
    assert "of the log" in texts["Captured log call"]
    (twice,) = found["test_fails_twice"]
    assert "assert 'the call' == 'well'" in twice["text"]
    assert "RuntimeError: in its teardown" in twice["text"]
    assert found["test_leaks"] == [{"name": "Captured stderr call", "text": "leaking\n"}]
