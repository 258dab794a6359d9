"""Work that a vendor does in the background, finished by virtual time."""

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any


class Jobs:
    """Jobs of one vendor: `queued` for a tenth of their time, then `running`, then `done`."""

    def __init__(self, vendor: str, now: Callable[[], datetime], seconds: float) -> None:
        self._vendor, self._now, self._seconds = vendor, now, seconds
        self._lock = threading.Lock()
        self.clear()

    def create(self, kind: str, **data: Any) -> str:
        """A new job's id (32 hex digits). `seconds=` and `failed=True` change its course."""
        with self._lock:
            number = next(self._numbers)
            job_id = hashlib.md5(f"{self._vendor}/{kind}/{number}".encode()).hexdigest()
            self._jobs[job_id] = {"id": job_id, "kind": kind, "created_at": self._now(), **data}
        return job_id

    def get(self, job_id: str) -> dict[str, Any] | None:
        """What was given at its creation, `created_at`, `done_at`, `progress` (0 to 1) and `state`:
        queued, running, done, failed, or what `update` said. None: there is no such job.
        """
        job = self._jobs.get(job_id)
        if job is None:
            return None
        seconds = float(job.get("seconds", self._seconds))
        passed = (self._now() - job["created_at"]).total_seconds()
        progress = min(1.0, passed / seconds) if seconds else 1.0
        ended = "failed" if job.get("failed") else "done"
        state = ended if progress == 1 else "running" if progress >= 0.1 else "queued"
        done_at = job["created_at"] + timedelta(seconds=seconds)
        return {"state": state, "progress": progress, "done_at": done_at, **job}

    def update(self, job_id: str, **data: Any) -> None:
        """Change what is said of a job, for example `state="aborted"`."""
        self._jobs[job_id].update(data)

    def delete(self, job_id: str) -> None:
        """The vendor knows it no longer."""
        self._jobs.pop(job_id, None)

    def list(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All jobs, or those of a kind, in the order of their creation."""
        jobs = [self.get(job_id) for job_id in self._jobs]
        return [job for job in jobs if job and kind in (None, job["kind"])]

    def clear(self) -> None:
        """Forget all jobs."""
        with self._lock:
            self._jobs: dict[str, dict[str, Any]] = {}
            self._numbers = count(1)
