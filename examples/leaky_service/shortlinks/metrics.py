"""Numbers about the service: counters, gauges, and the statements that took too long."""

from __future__ import annotations

_slow: list[tuple[str, float]] = []


class Counter:
    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def add(self, name: str, amount: int = 1) -> None:
        self.values[name] = self.values.get(name, 0) + amount


class Gauge:
    """The last sixty readings of one quantity."""

    instances: list[Gauge] = []

    def __init__(self, name: str) -> None:
        self.name = name
        self.window = [0.0] * 60
        self.instances.append(self)

    def set(self, value: float) -> None:
        self.window.pop(0)
        self.window.append(value)

    @classmethod
    def snapshot(cls) -> dict[str, float]:
        return {gauge.name: gauge.window[-1] for gauge in cls.instances}


def note_slow(statement: str, seconds: float) -> None:
    _slow.append((statement, seconds))


def flush_slow() -> str:
    """The statements that took too long since the last flush, the slowest first."""
    worst = sorted(_slow, key=lambda entry: -entry[1])
    return "\n".join(f"{seconds:.1f} s  {statement}" for statement, seconds in worst)
