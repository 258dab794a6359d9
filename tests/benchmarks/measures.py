"""What a benchmark says: a value, and its ratio to a baseline of the same run."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


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


# a child inherits the largest size that its parent ever had: one small process stands between
_APART = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def timed_process(command: Sequence[str], **options: Any) -> tuple[float, float]:
    """Seconds of a process, and the most memory that it or one of its own held, in MiB.

    Raises:
        subprocess.CalledProcessError: it did not end well.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _APART, *command],
        stdout=subprocess.PIPE, text=True, check=True, **options,
    )  # fmt: skip
    return time.perf_counter() - start, int(done.stdout) / 1024
