"""When a soak is looked at, and at which level: the whole is never more than was to be spent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_coresys.engine.looks import LEVEL, SHARES, Look, Looks, spent


def test_what_is_spent_is_as_lan_and_demets_have_it() -> None:
    """For a level of 5 % (two-sided) and looks at quarters: 2 - 2 * Phi(1.96 / sqrt(t))."""
    assert [spent(share) for share in SHARES] == pytest.approx([0.0000886, 0.0055746, 0.0236251, 0.05], abs=1e-7)
    assert spent(0.0) == 0.0
    assert spent(1.0, 0.01) == pytest.approx(0.01)


def test_each_look_is_due_once_at_its_quarter_and_all_together_spend_the_level() -> None:
    looks = Looks(100.0)
    found = [(second, look) for second in range(121) if (look := looks.due(float(second))) is not None]
    assert [(second, look.share) for second, look in found] == [(25, 0.25), (50, 0.5), (75, 0.75), (100, 1.0)]
    assert sum(look.level for _, look in found) == pytest.approx(LEVEL)
    assert found[0][1].level == spent(0.25)


@pytest.mark.parametrize("seed", range(20))
def test_looks_that_a_long_round_skipped_spend_no_more(seed: int) -> None:
    drawn = random.Random(seed)
    looks, now, levels = Looks(100.0, 0.02), 0.0, []
    while now < 130:
        now += drawn.uniform(1, 60)
        look = looks.due(now)
        if look is not None:
            levels.append(look.level)
    assert sum(levels) == pytest.approx(0.02)


def test_a_soak_that_was_taken_up_again_does_not_look_twice() -> None:
    looks = Looks(100.0, done=0.5)
    assert looks.due(60.0) is None
    assert looks.due(80.0) == Look(0.75, spent(0.75) - spent(0.5))


def test_the_page_has_the_levels_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "soak.md").read_text("utf-8")
    by_then = [f"{spent(share):.1%}" for share in SHARES]
    row = next(line for line in page.splitlines() if line.startswith("| spent by then"))
    told = [float(cell.strip(" %")) for cell in row.strip("|").split("|")[1:]]
    assert told == pytest.approx([100 * spent(share) for share in SHARES], rel=0.03), by_then
    looks = Looks(4.0)
    levels = [look.level for second in (1, 2, 3, 4) if (look := looks.due(float(second))) is not None]
    row = next(line for line in page.splitlines() if line.startswith("| interval of this look"))
    told = [float(cell.strip(" %")) for cell in row.strip("|").split("|")[1:]]
    assert told == pytest.approx([100 * (1 - level) for level in levels], abs=0.05)
