"""Growth: what is planted is found, what is clean is not, and the processes of a window are nobody's burden."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.samples import Samples
from validation_suites.memory import is_running
from validation_suites.soak import growth
from validation_suites.soak.growth import Growth, Load, Window

HUNDRED = 100 * 1024 * 1024  # bytes an hour: what shows in seconds
SECONDS = 8.0


def _verdict(identity: str, found: Growth) -> str:
    samples = Samples()
    samples.slope(found.rate, found.low, found.high)
    return judge(builtin().criteria[identity], samples).verdict


def leaky_lending() -> Any:
    """A resource manager that keeps a little of each lease."""
    from coresys import ResourceManager
    from validation_suites.faults.wrapping import Passing

    class Leaky(Passing):
        def __init__(self) -> None:
            super().__init__(ResourceManager())
            self.kept: list[bytes] = []

        def lease(self, size: int, **given: Any) -> Any:
            self.kept.append(bytes(bytearray(200)))
            return self.inner.lease(size, **given)

    return Leaky()


def leaky_monitoring(sampling: float | None = None, clock: Any = None) -> Any:
    """A sampler that keeps what it reads, as tuples."""
    from coresys import MonitoringManager
    from coresys.monitoring.manager import process_sources

    class Keeps:
        names, every = ("kept",), 0.0

        def __init__(self) -> None:
            self.kept: list[tuple[float, ...]] = []

        def read(self, readings: Any, now: float) -> None:
            self.kept += [(now, float(at)) for at in range(40)]

        def close(self) -> None:
            pass

    made = MonitoringManager(sources=[*process_sources(), Keeps()], rate=sampling or 10.0, clock=clock)
    made.start()
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Growth]:
    """Verdicts on all loads, with ours and with leaky subjects, of one short window."""
    windows = {
        "ours": Window(tmp_path_factory.mktemp("ours") / "growth", SECONDS),
        "leaky": Window(tmp_path_factory.mktemp("leaky") / "growth", SECONDS),
    }
    leaky = {"resources": f"{__name__}:leaky_lending", "monitoring": f"{__name__}:leaky_monitoring"}
    loads = ("steady", "lending", "sampling")
    windows["ours"].start(("lending",), {}, os.getpid())
    windows["leaky"].start(loads, leaky, os.getpid())
    verdicts = {f"leaky {load}": windows["leaky"].wait(load) for load in loads}
    return {**verdicts, "lending": windows["ours"].wait("lending")}


@pytest.mark.parametrize(
    ("load", "identity"),
    [
        ("steady", "resources.growth_rate"),
        ("lending", "resources.own_growth_rate"),
        ("sampling", "monitoring.growth_rate"),
    ],
)
def test_a_subject_that_leaks_is_over(found: dict[str, Growth], load: str, identity: str) -> None:
    verdict = found[f"leaky {load}"]
    assert verdict.problem == ""
    assert (verdict.verdict, _verdict(identity, verdict)) == ("growing", "over"), verdict.line()


def test_ours_is_not(found: dict[str, Growth]) -> None:
    assert found["lending"].verdict in ("steady", "unclear"), found["lending"].line()
    assert _verdict("resources.own_growth_rate", found["lending"]) != "over"


def test_what_is_planted_is_found_at_its_rate() -> None:
    load = growth.leaking({}, planted=HUNDRED)
    verdict = growth.watched(load, 6.0)
    assert verdict.verdict == "growing"
    assert 0.8 * HUNDRED < verdict.rate < 1.2 * HUNDRED


def test_a_load_that_cannot_go_on_is_a_problem_and_no_verdict() -> None:
    verdict = growth.measure("lending", 1.0, {"resources": "validation_suites.ours:nothing_of_the_kind"})
    assert verdict.verdict == "unclear"
    assert "nothing_of_the_kind" in verdict.problem


def test_only_the_first_of_a_run_starts_the_loads_and_has_no_child_of_it(tmp_path: Path) -> None:
    window = Window(tmp_path / "growth", 1.0)
    assert window.start(("clean",), {}, os.getpid())
    assert not window.start(("clean",), {}, os.getpid())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert window.wait("clean").readings >= 1
    assert sorted(path.name for path in window.folder.iterdir()) == ["clean.json", "started"]


def test_a_load_ends_when_its_run_is_gone() -> None:
    ticks: list[float] = []
    ended: list[bool] = []
    load = Load(lambda: ticks.append(time.monotonic()), lambda: ended.append(True), warm=0)
    verdict = growth.watched(load, 60.0, goes_on=lambda: len(ticks) < 5)
    assert verdict.readings <= 5
    assert ended == [True]


def test_a_process_that_is_gone_is_not_running() -> None:
    child = os.posix_spawn("/bin/true", ["/bin/true"], os.environ)
    os.waitpid(child, 0)
    assert is_running(os.getpid())
    assert not is_running(child)
