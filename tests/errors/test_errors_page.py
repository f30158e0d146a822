"""The page about errors runs as it stands."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from coresys.errors import breaker, budget, capture, manager, paths, policies, restart, retry, secrets, values
from coresys.testing import fakes

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_examples_of_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert (result.failed, result.attempted >= 20) == (0, True)


@pytest.mark.parametrize(
    "module", [breaker, budget, capture, manager, paths, policies, restart, retry, secrets, values, fakes]
)
def test_the_examples_in_the_code_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module
    assert (result.failed, result.attempted > 0) == (0, True)
