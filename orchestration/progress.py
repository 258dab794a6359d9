"""Telling a waiting person which step is running; silent where nobody asked."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

_console = Console(stderr=True, highlight=False)
_begun = time.monotonic()


def say(text: str) -> None:
    """One line with the time since the start, when `CXM_PROGRESS` is set."""
    if os.environ.get("CXM_PROGRESS"):
        _console.print(f"[dim]{time.monotonic() - _begun:6.1f} s[/dim]  {text}")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step and how long it took."""
    start = time.monotonic()
    say(f"{name} ...")
    yield
    say(f"{name}: done in {time.monotonic() - start:.1f} s")
