"""What capturing an error costs, and what a guarded call costs when nothing goes wrong, beside what people use today.

    python benchmarks/core_errors.py                     # 15 interleaved rounds, about half a minute
    python benchmarks/core_errors.py --rounds 31 --json core_errors.json

Every round runs every contender once, in an order that is turned by one each time; what is printed are the medians over
the rounds, and the ratio to the reference of the same run. tenacity, stamina and pybreaker are measured where they are
installed (pip install tenacity stamina pybreaker); none is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from coresys.errors import Capture, CircuitBreaker, ErrorManager, Retrying, Values
from coresys.errors.retry import retry

GOALS = {"capture": 20e-6, "capture with values": 100e-6, "guarded": 0.2e-6}  # seconds, at 33 frames; over bare

_CHUNK = 500  # calls that are timed together

Work = Callable[[BaseException], object]


def deep(depth: int, order: int = 7, name: str = "article", lines: tuple[int, ...] = (1, 2, 3)) -> None:
    """Raise so many frames down, with a few variables in each."""
    if depth > 1:
        deep(depth - 1, order, name, lines)
    raise ValueError("deep down")


def times(work: Work, depth: int, calls: int) -> list[float]:
    """Seconds that ``work`` takes with an exception of that many frames, in the frame that caught it."""
    taken = []
    for _ in range(calls):
        try:
            deep(depth - 1)  # the frame that catches it is one of them
        except ValueError as error:
            began = time.perf_counter()
            work(error)
            taken.append(time.perf_counter() - began)
    return taken


def raise_and_catch(depth: int, calls: int) -> list[float]:
    """The reference: what raising and catching alone take."""
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        try:
            deep(depth - 1)
        except ValueError:
            pass
        taken.append(time.perf_counter() - began)
    return taken


def capturing(depth: int, rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """Median and p99 in seconds, by contender."""
    plain, values, manager = Capture(), Capture(values=Values()), ErrorManager()
    contenders: dict[str, Callable[[int], list[float]]] = {
        "raise and catch": lambda calls: raise_and_catch(depth, calls),
        "capture": lambda calls: times(plain, depth, calls),
        "capture with values": lambda calls: times(values, depth, calls),
        "report": lambda calls: times(lambda error: manager.report(error, component="orders"), depth, calls),
        "TracebackException": lambda calls: times(traceback.TracebackException.from_exception, depth, calls),
        "TracebackException, lazy": lambda calls: times(
            lambda error: traceback.TracebackException.from_exception(error, lookup_lines=False), depth, calls
        ),
        "TracebackException with locals": lambda calls: times(
            lambda error: traceback.TracebackException.from_exception(error, capture_locals=True), depth, calls // 4
        ),
        "format_exception": lambda calls: times(
            lambda error: traceback.format_exception(type(error), error, error.__traceback__), depth, calls // 8
        ),
    }
    medians: dict[str, list[float]] = {name: [] for name in contenders}
    everything: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in turned(list(contenders), number):
            taken = contenders[name](calls)
            medians[name].append(median(taken))
            everything[name] += taken
    return {
        name: {"median": median(seen), "p99": sorted(everything[name])[int(len(everything[name]) * 0.99)]}
        for name, seen in medians.items()
    }


def turned(names: list[str], by: int) -> list[str]:
    at = by % len(names)
    return names[at:] + names[:at]


# -- guarded calls ----------------------------------------------------------------------------------------------------


def bare(number: int) -> int:
    """What is called."""
    return number


def optional(name: str) -> Any:
    """A rival, or None with a line that says so."""
    try:
        module = import_module(name)
    except ImportError:
        print(f"{name}: not installed, left out")
        return None
    print(f"{name} {metadata.version(name)}")
    return module


def guarded_calls() -> dict[str, Callable[[int], int]]:
    """The same function in every guise."""
    errors, with_circuit = ErrorManager(), ErrorManager()
    with_circuit.policies("orders", {OSError: [CircuitBreaker("db"), Retrying(retry_on=OSError)]})
    calls: dict[str, Callable[[int], int]] = {
        "bare": bare,
        "guard": errors.guard("orders")(bare),
        "retry": retry(retry_on=OSError)(bare),
        "retry with a deadline": retry(retry_on=OSError, deadline=30)(bare),
        "circuit breaker": CircuitBreaker("db")(bare),
        "circuit breaker by rate": CircuitBreaker("db", rate=0.5)(bare),
        "recovering": errors.recovering("orders")(bare),
        "recovering, circuit and retry": with_circuit.recovering("orders")(bare),
    }
    tenacity, stamina, pybreaker = map(optional, ("tenacity", "stamina", "pybreaker"))
    if tenacity is not None:
        calls["tenacity"] = tenacity.retry(
            stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_random_exponential(0.1, 10), reraise=True
        )(bare)
    if stamina is not None:
        calls["stamina"] = stamina.retry(on=OSError, attempts=5)(bare)
    if pybreaker is not None:
        calls["pybreaker"] = pybreaker.CircuitBreaker(fail_max=5)(bare)
    return calls


def guarding(rounds: int, chunks: int) -> dict[str, float]:
    """Median seconds of a call that succeeds, by guise; in chunks that are short beside a turn of the scheduler."""
    contenders = guarded_calls()
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in turned(list(contenders), number):
            function = contenders[name]
            size = _CHUNK if name not in ("tenacity", "stamina", "pybreaker") else _CHUNK // 10
            for _ in range(chunks):
                began = time.perf_counter()
                for each in range(size):
                    function(each)
                seen[name].append((time.perf_counter() - began) / size)
    return {name: median(taken) for name, taken in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"CPython {sys.version.split()[0]}, {options.rounds} rounds")
    results: dict[str, Any] = {"python": sys.version.split()[0], "rounds": options.rounds, "capture": {}}
    for depth, calls in ((8, 200), (33, 100), (500, 12)):
        seen = results["capture"][depth] = capturing(depth, options.rounds, calls)
        reference = seen["raise and catch"]["median"]
        print(f"\ncapture of {depth} frames       median      p99   to raise and catch")
        for name, figures in seen.items():
            print(
                f"  {name:30} {figures['median'] * 1e6:8.1f} {figures['p99'] * 1e6:8.1f} us"
                f"  {figures['median'] / reference:6.2f}"
            )
    print()
    calls_seen = results["guarded"] = guarding(options.rounds, 20)
    print("\na call that succeeds         per call   over bare")
    for name, seconds in calls_seen.items():
        print(f"  {name:30} {seconds * 1e9:8.0f} ns {(seconds - calls_seen['bare']) * 1e9:8.0f} ns")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
