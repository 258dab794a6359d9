"""How many calls fit into a span of virtual time."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime


class Limits:
    """Sliding windows by key; a refused call does not count."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._lock = now, threading.Lock()
        self._calls: dict[str, deque[float]] = {}

    def take(self, key: str, calls: int, per_seconds: float) -> float | None:
        """None: the call is allowed and counted; else how many seconds until one is."""
        now = self._now().timestamp()
        with self._lock:
            window = self._calls.setdefault(key, deque())
            while window and window[0] <= now - per_seconds:
                window.popleft()
            if len(window) < calls:
                window.append(now)
                return None
            return window[-calls] + per_seconds - now if calls else per_seconds

    def used(self, key: str, per_seconds: float) -> int:
        """Calls of the last `per_seconds`, for headers that tell what is left."""
        now = self._now().timestamp()
        with self._lock:
            return sum(at > now - per_seconds for at in self._calls.get(key, ()))

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()
