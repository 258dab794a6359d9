"""Telling a waiting person which step is running; silent where nobody asked."""

import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

_console = Console(stderr=True, highlight=False)
_DBT_NODE = re.compile(r"(\d+) of (\d+) (?:OK|PASS)")
_begun = time.monotonic()


def say(text: str) -> None:
    """One line with the time since the start, when `CXM_PROGRESS` is set."""
    if os.environ.get("CXM_PROGRESS"):
        _console.print(f"[dim]{time.monotonic() - _begun:6.1f} s[/dim]  {text}")


class DbtOutput(io.TextIOBase):
    """Takes what dbt prints: all of it into a log, and a line now and then for who waits."""

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("w", encoding="utf-8")
        self._said = time.monotonic()

    def write(self, text: str) -> int:
        done = _DBT_NODE.search(text)
        if done and time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            say(f"  dbt: {done[1]} of {done[2]} models and tests")
        return self._log.write(text)

    def close(self) -> None:
        self._log.close()
        super().close()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step and how long it took."""
    start = time.monotonic()
    say(f"{name} ...")
    yield
    say(f"{name}: done in {time.monotonic() - start:.1f} s")
