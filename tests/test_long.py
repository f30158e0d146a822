"""What the check leaves out is still there to be run."""

from __future__ import annotations

import ast
from pathlib import Path

import longtests
import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMED = longtests.read()


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_whatever_is_named_as_long_is_a_test_of_its_file(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert {test for named, test in NAMED if named == file} <= there


def test_some_are_named_by_case_and_some_as_a_whole() -> None:
    cases = [case for each in NAMED.values() for case in each]
    assert "" in cases
    assert any(cases)
