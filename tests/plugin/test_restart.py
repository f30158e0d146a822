"""The run file of the last run is no path of tests, and moves neither the root nor the configuration."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_coresys.options import joined


@pytest.mark.parametrize(
    ("given", "better"),
    [
        (["a", "--coresys-budget", "b"], ["a", "--coresys-budget", "b"]),
        (["--coresys-json", "run.json", "a"], ["--coresys-json=run.json", "a"]),
        (["--coresys-json=run.json"], ["--coresys-json=run.json"]),
        (["--coresys-set", "cpu.share=2", "--coresys-json"], ["--coresys-set=cpu.share=2", "--coresys-json"]),
        (["--junitxml", "x"], ["--junitxml", "x"]),
    ],
)
def test_values_are_joined_to_options_of_ours(given: list[str], better: list[str]) -> None:
    assert joined(given) == better


def project(pytester: pytest.Pytester) -> None:
    """One within another, each with a configuration of its own."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--strict-markers'\n")
    pytester.makepyfile(
        **{
            "sub/pyproject": "",
            "sub/tests/test_it": """
                import os, sys
                import shop
                def test_it(pytestconfig): print("the root is", pytestconfig.rootpath.name, "of", os.getpid())
            """,
            "sub/shop": "",
        }
    )
    (pytester.path / "sub" / "pyproject.py").unlink()
    own = "[tool.pytest.ini_options]\npythonpath = ['.']\n[tool.coresys.budgets]\n'cpu.share' = '300 %'\n"
    (pytester.path / "sub" / "pyproject.toml").write_text(own)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_the_second_run_is_as_the_first(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    project(pytester)
    for _ in range(2):
        run = pytester.runpytest_subprocess("sub", "--coresys-budget", "--coresys-json", "run.json", *workers)
        run.assert_outcomes(passed=1)
        (test,) = json.loads((pytester.path / "run.json").read_text())["tests"]
        assert test["nodeid"] == "tests/test_it.py::test_it"
        assert test["measures"]["cpu.share"]["limit"] == 3
    assert run.ret == 0


def test_what_moves_nothing_starts_nothing(pytester: pytest.Pytester) -> None:
    project(pytester)
    (pytester.path / "sub" / "run.json").touch()
    plugin = "import os\ndef execv(*args): raise AssertionError('started again')\nos.execv = execv\n"
    pytester.makepyfile(no_exec=plugin)
    options = ("-p", "no_exec", "--coresys-budget", "--coresys-profile", "strict", "--coresys-json", "run.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pytester.path / "sub")
        patch.setenv("PYTHONPATH", str(pytester.path))
        run = pytester.run(sys.executable, "-m", "pytest", "tests", *options)
    run.assert_outcomes(passed=1)


def test_who_calls_pytest_gets_what_pytest_makes_of_it(pytester: pytest.Pytester) -> None:
    project(pytester)
    (pytester.path / "run.json").touch()
    arguments = ["sub", "--coresys-budget", "--coresys-json", "run.json"]
    pytester.makepyfile(call=f"import pytest\nprint('ended with', int(pytest.main({arguments})))\n")
    out = pytester.runpython(pytester.path / "call.py").stdout.str()
    assert "ended with" in out
