"""What a benchmark says: a value, and its ratio to a baseline of the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """`ratio` is value / baseline_value."""

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float
    ratio: float


def measure(name: str, value: float, unit: str, baseline: str, baseline_value: float) -> Measure:
    return Measure(
        name, round(value, 3), unit, baseline, round(baseline_value, 3),
        round(value / baseline_value, 3),
    )  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    """Seconds of the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
