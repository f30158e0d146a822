"""Our modules are imported as they were installed; what is the user's is rewritten as ever."""

from __future__ import annotations

import pytest

TESTS = """
import importlib.machinery
import sys

from coresys.measure import attribution
import helper


def test_ours_are_as_they_were_installed():
    assert type(attribution.__loader__) is importlib.machinery.SourceFileLoader


def test_nobody_else_finds_a_finder_of_ours():
    assert not [each for each in sys.meta_path if type(each).__module__.startswith("pytest_coresys")]


def test_the_users_are_rewritten():
    helper.check(5)
"""


def test_our_modules_are_not_rewritten_and_the_users_are(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_it=TESTS, helper="def check(value):\n    assert value + 1 == 7\n")
    pytester.makeconftest("import pytest\n\npytest.register_assert_rewrite('helper')\n")
    monkeypatch.delenv("PYTEST_PLUGINS")
    # By name: what is named is rewritten, with all that is in the package, as all of an installed plugin is.
    result = pytester.runpytest_subprocess("-p", "coresys", "--coresys-budget", "--coresys-repeat", "0")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines("*assert (5 + 1) == 7*")


def test_a_second_session_in_the_same_process_is_warned_of_nothing(pytester: pytest.Pytester) -> None:
    """pytest warns where it finds imported what it meant to rewrite."""
    pytester.makepyfile(
        twice="""
        import sys
        import pytest

        arguments = ["-q", "--coresys-budget", "--coresys-repeat", "0", "-W", "error", "test_it.py"]
        arguments += ["-p", "no:asyncio", "-p", "no:anyio", "-p", "no:randomly", "-p", "no:cacheprovider"]
        sys.exit(pytest.main(arguments) or pytest.main(arguments))
        """,
        test_it="def test_x(): pass\n",
    )
    result = pytester.runpython(pytester.path / "twice.py")
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert "rewrit" not in result.stdout.str() + result.stderr.str()
