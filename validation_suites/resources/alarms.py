"""What is measured of thresholds over memory: each is told once when it is crossed, and only then."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from coresys.monitoring import Threshold
from coresys.monitoring.growth import LIMIT, judge_growth
from validation_suites.resources.measures import COUNTS, KIB, LARGE, SMALL, give_back, taken_until_refused

if TYPE_CHECKING:
    from coresys.coordinators.assembly import System
    from coresys.interfaces import Lease
    from coresys.system_records import AlarmRecord

_FIGURES = {"memory.growth_rate": LIMIT, "memory.fragmentation": 0.05, "resources.leased": 500 * KIB}


class Watched(Protocol):
    """What raises alarms: a manager of monitoring, as ours is one."""

    def gauge(self, name: str, value: float, *, component: str = "") -> None: ...

    def alarm(self, threshold: Threshold, receive: Callable[[AlarmRecord], object]) -> None: ...

    def check(self) -> None: ...


def alarms_missed_or_false(monitoring: Watched, steps: int = 1000) -> list[str]:
    """Figures that wander about their limits, beside a model: alarms that were missed, told twice, or told for nothing.

    A threshold is armed again when its figure was below half of it.
    """
    told: dict[str, int] = dict.fromkeys(_FIGURES, 0)

    def hear(alarm: AlarmRecord) -> None:
        told[alarm.name] += 1

    for name, above in _FIGURES.items():
        monitoring.alarm(Threshold(name, above=above, rearm=above / 2, component="part"), hear)
    expected, armed = dict.fromkeys(_FIGURES, 0), dict.fromkeys(_FIGURES, True)
    dice, faults = random.Random(7), []
    for step in range(steps):
        name = dice.choice(list(_FIGURES))
        above = _FIGURES[name]
        value = dice.choice((0.2, 0.5, 0.9, 1.0, 1.1, 3.0)) * above
        if armed[name] and value > above:
            expected[name], armed[name] = expected[name] + 1, False
        elif value < above / 2:
            armed[name] = True
        monitoring.gauge(name, value, component="part")
        monitoring.gauge(name, 9 * above, component="another")  # whom nobody watches
        monitoring.check()
        if told != expected:
            more = told[name] > expected[name]
            faults.append(f"step {step}, {name} at {value:g} of {above:g}: {'a false' if more else 'a missed'} alarm")
            told[name] = expected[name]
    return faults


def crossed_on_purpose(system: System) -> list[str]:
    """Limits of a component's buffers, of fragmentation and of growth, approached and crossed in fact: what the alarms
    of a whole system tell, and should not, or do not tell."""
    heard: list[str] = []

    def hear(alarm: AlarmRecord) -> None:
        heard.append(alarm.name)

    monitoring, observe = system.monitoring, system.coordinators.monitoring.observe
    monitoring.alarm(Threshold("resources.leased", above=8 * SMALL, component="web"), hear)
    monitoring.alarm(Threshold("pools.external", above=0.05, component="large"), hear)
    monitoring.alarm(Threshold("memory.growth_rate", above=LIMIT), hear)
    faults = []

    def expect(what: str, *names: str) -> None:
        observe()
        monitoring.check()
        if heard != list(names):
            faults.append(f"{what}: told {heard}, and should {list(names)}")
        heard.clear()

    leases: list[Lease] = [system.resources.lease(SMALL, owner="web") for _ in range(8)]
    expect("at the limit of a component")
    leases.append(system.resources.lease(SMALL, owner="web"))
    expect("beyond the limit of a component", "resources.leased")
    expect("beyond it still")
    give_back(leases)
    expect("with nothing held")
    leases = [system.resources.lease(SMALL, owner="web") for _ in range(9)]
    expect("beyond it again", "resources.leased")
    give_back(leases)
    leases = taken_until_refused(system.resources, LARGE, "batch", most=COUNTS[LARGE] - 1)
    expect("with one large buffer free")
    leases += taken_until_refused(system.resources, LARGE, "batch")
    expect("with large ones refused while others are free", "pools.external")
    give_back(leases)
    for rate, names in (
        (0.5, ()),
        (2.0, ("memory.growth_rate",)),
        (2.0, ()),
        (0.0, ()),
        (3.0, ("memory.growth_rate",)),
    ):
        monitoring.gauge("memory.growth_rate", _judged(rate))
        expect(f"growing by {rate} MB/h", *names)
    return faults


def _judged(megabytes: float) -> float:
    """The rate that is found of a minute's readings that grow so much an hour."""
    times = [at / 4 for at in range(240)]
    return judge_growth(times, [1e8 + megabytes * LIMIT / 3600 * at for at in times]).rate
