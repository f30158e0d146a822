"""Quantities as people write them, and what is said of those that nobody can read."""

from __future__ import annotations

import decimal
import pickle
from typing import Any

import pytest

from coresys.budgets.units import format_quantity, parse_quantity
from coresys.errors.hierarchy import UnitError

KIB, MIB, GIB = 1024, 1024**2, 1024**3
BYTES = "(B, KB, MB, GB)"
TIMES = "(us, ms, s, min, h)"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0 B", "B", 0),
        ("1 B", "B", 1),
        ("2 KB", "B", 2 * KIB),
        ("2 KiB", "B", 2 * KIB),
        ("2 kb", "B", 2 * KIB),
        ("2KB", "B", 2 * KIB),
        ("  2\tKB ", "B", 2 * KIB),
        ("+2 KB", "B", 2 * KIB),
        ("3 MB", "B", 3 * MIB),
        ("1.5 MiB", "B", 1.5 * MIB),
        (".5 GB", "B", 0.5 * GIB),
        ("1. GiB", "B", GIB),
        ("1 B/h", "B/h", 1),
        ("1 KB/h", "B/h", KIB),
        ("1 MB / h", "B/h", MIB),
        ("1 GiB/h", "B/h", GIB),
        ("5 us", "s", 5e-6),
        ("5 \u00b5s", "s", 5e-6),
        ("5 \u03bcs", "s", 5e-6),
        ("5 MS", "s", 0.005),
        ("5 s", "s", 5),
        ("2 min", "s", 120),
        ("1.5 h", "s", 5400),
        ("5 %", "ratio", 0.05),
        ("7%", "ratio", 0.07),
        ("150 %", "ratio", 1.5),
        (3, "count", 3),
        ("3", "count", 3),
        (" 0 ", "count", 0),
        (10**300, "count", 1e300),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(text: Any, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "problem"),
    [
        (2, "B", f'a bare number: write text with a unit, such as "2 KB" {BYTES}'),
        (0, "B", f'a bare number: write text with a unit, such as "0 B" {BYTES}'),
        ("2", "B", f'a bare number: write a unit, such as "2 KB" {BYTES}'),
        ("0", "s", f'a bare number: write a unit, such as "0 s" {TIMES}'),
        ("0.05", "ratio", 'a bare number: write a unit, such as "5 %" (%)'),
        (0.05, "ratio", 'a bare number: write text with a unit, such as "5 %" (%)'),
        (True, "B", f'a boolean: write text with a unit, such as "2 KB" {BYTES}'),
        (None, "B", f'nothing: write text with a unit, such as "2 KB" {BYTES}'),
        ([1], "B", f'an array: write text with a unit, such as "2 KB" {BYTES}'),
        ({}, "B", f'a table: write text with a unit, such as "2 KB" {BYTES}'),
        ("2 XB", "B", f'unknown unit "XB": write another, such as "2 KB" {BYTES}'),
        ("2 TB", "B", f'unknown unit "TB": write another, such as "2 KB" {BYTES}'),
        ("2 KB KB", "B", f'unknown unit "KB KB": write another, such as "2 KB" {BYTES}'),
        ("1,5 KB", "B", f'unknown unit ",5 KB": write another, such as "2 KB" {BYTES}'),
        ("1e3 B", "B", f'unknown unit "e3 B": write another, such as "2 KB" {BYTES}'),
        ("0x10 B", "B", f'unknown unit "x10 B": write another, such as "2 KB" {BYTES}'),
        ("5 m", "s", f'unknown unit "m": write another, such as "50 ms" {TIMES}'),
        ("5 ms", "ratio", 'unknown unit "ms": write another, such as "5 %" (%)'),
        ("1 MB", "B/h", 'unknown unit "MB": write another, such as "1 MB/h" (B/h, KB/h, MB/h, GB/h)'),
        ("", "B", f'not a quantity: write a number and a unit, such as "2 KB" {BYTES}'),
        ("KB", "B", f'not a quantity: write a number and a unit, such as "2 KB" {BYTES}'),
        ("\u0663 KB", "B", f'not a quantity: write a number and a unit, such as "2 KB" {BYTES}'),
        ("-1 B", "B", f'a negative quantity: write zero or more, such as "2 KB" {BYTES}'),
        ("inf B", "B", f'not a finite number: write a number and a unit, such as "2 KB" {BYTES}'),
        ("-Infinity", "s", f'not a finite number: write a number and a unit, such as "50 ms" {TIMES}'),
        ("NaN %", "ratio", 'not a finite number: write a number and a unit, such as "5 %" (%)'),
        ("9" * 400 + " GB", "B", f'not a finite number: write a number and a unit, such as "2 KB" {BYTES}'),
        ("1.0", "count", "not a count: write a whole number, such as 2"),
        ("-1", "count", "not a count: write a whole number, such as 2"),
        ("inf", "count", "not a count: write a whole number, such as 2"),
        ("\u0661", "count", "not a count: write a whole number, such as 2"),
        ("\u00b2", "count", "not a count: write a whole number, such as 2"),
        ("3 B", "count", "not a count: write a whole number, such as 2"),
        ("9" * 5000, "count", "not a count: write a whole number, such as 2"),
        (-1, "count", "a negative count: write a whole number, such as 2"),
        (1.0, "count", "not a whole number: write a whole number, such as 2"),
        (float("nan"), "count", "not a whole number: write a whole number, such as 2"),
        (True, "count", "a boolean: write a whole number, such as 2"),
        (10**400, "count", "not a count: write a whole number, such as 2"),
        ("2 KB", "bytes", 'unknown base unit "bytes" (B, s, ratio, count, B/h)'),
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(text: Any, unit: str, problem: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert caught.value.problem == problem
    assert caught.value.unit == unit
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "B", "0 B"),
        (1023, "B", "1023 B"),
        (1024, "B", "1 KiB"),
        (1025, "B", "1.0 KiB"),
        (512_000, "B", "500 KiB"),
        (512_001, "B", "500.0 KiB"),
        (MIB - 1, "B", "1.0 MiB"),
        (1.5 * GIB, "B", "1.5 GiB"),
        (1024 * GIB, "B", "1024 GiB"),
        (-56, "B", "-56 B"),
        (0, "B/h", "0 B/h"),
        (MIB, "B/h", "1 MiB/h"),
        (0.05, "ratio", "5 %"),
        (0.9999, "ratio", "100.0 %"),
        (1e-7, "ratio", "0.000010 %"),
        (0.0614, "s", "61.4 ms"),
        (59.99, "s", "1.0 min"),
        (3600, "s", "1 h"),
        (3, "count", "3"),
        (2.5, "count", "2.5"),
        (7, "widgets", "7 widgets"),
        (float("inf"), "B", "inf"),
        (float("nan"), "s", "nan"),
        (1e300, "B", "9.31e+290 GiB"),
        (1e308, "count", "1.00e+308"),
        (-1e300, "ratio", "-1.00e+302 %"),
    ],
)
def test_a_figure_is_shown_as_a_person_reads_it(value: float, unit: str, text: str) -> None:
    assert format_quantity(value, unit) == text


@pytest.mark.parametrize("text", ["2 KB", "500 KB", "1.5 MB", "3 GB"])
def test_what_is_shown_without_a_fraction_is_read_back_as_it_was(text: str) -> None:
    value = parse_quantity(text, "B")
    assert parse_quantity(format_quantity(value, "B"), "B") == value


def test_the_decimal_context_of_the_code_under_test_changes_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        context.traps[decimal.Inexact] = True
        assert parse_quantity("1.23456 MB", "B") == 1.23456 * MIB
        assert format_quantity(512_001, "B") == "500.0 KiB"
