"""What the server gives a vendor's module: state at the clock, tokens, limits, jobs, faults."""

import threading
import time
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ingestion.errors import CxmError
from ingestion.simulator.company import Company
from ingestion.simulator.server import faults
from ingestion.simulator.server.faults import Due
from ingestion.simulator.server.jobs import Jobs
from ingestion.simulator.server.limits import Limits
from ingestion.simulator.server.tokens import Tokens, secret

due_faults: ContextVar[Due] = ContextVar("due_faults")

_PLACE = "(the documents)"


class VirtualTime:
    """The company's clock for its data, and how far the server's time is ahead of it.

    Data stand still while they are loaded: what a client waits, and the wall clock when it ticks,
    moves only token lives, limits and jobs, until the clock itself is moved.
    """

    def __init__(self, company: Company, *, ticking: bool = False, speed: float = 1.0) -> None:
        self._company, self._lock = company, threading.Lock()
        self._speed = speed if ticking else 0.0
        self._base, self._started, self._waited = company.clock, time.monotonic(), 0.0

    def now(self) -> datetime:
        """Virtual time of tokens, limits and jobs, aware UTC."""
        with self._lock:
            if self._base != self._company.clock:  # moved, by whomever
                self._restart()
            ahead = self._waited + (time.monotonic() - self._started) * self._speed
            return self._base + timedelta(seconds=ahead)

    def wait(self, seconds: float) -> None:
        """Let virtual time pass over standing data, as a client that waits does."""
        with self._lock:
            self._waited += seconds

    def move(self, to: datetime) -> None:
        """Move the data's clock, and with it everything."""
        self._company.move_clock(to)
        with self._lock:
            self._restart()

    def _restart(self) -> None:
        self._base, self._started, self._waited = self._company.clock, time.monotonic(), 0.0


class VendorApi:
    """One vendor's side of the server.

    Attributes:
        company: whose records these are.
        settings: the vendor module's SETTINGS, changed by those of the company.
        tokens, jobs: of this vendor, in virtual time.
    """

    def __init__(
        self, vendor: str, module: ModuleType, company: Company, time: VirtualTime
    ) -> None:
        self.vendor, self.module, self.company = vendor, module, company
        self.settings: dict[str, Any] = {**module.SETTINGS, **company.settings.get(vendor, {})}
        self.now = time.now
        self.tokens = Tokens(secret(company.seed, vendor, "signing"), self.now)
        self.limits = Limits(self.now)
        self.jobs = Jobs(vendor, self.now, self.settings.get("job_seconds", 5))
        self._secrets: dict[str, str] = {}

    def table(self, name: str) -> str:
        """DuckDB table of the vendor's projection at the clock.

        Raises:
            CxmError: the vendor has no projection of that name.
        """
        try:
            return self.company.table(self.module.PROJECTIONS[name])
        except KeyError:
            raise CxmError(f"{self.vendor} has no projection {name!r}") from None

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query over the tables that `table` names."""
        return self.company.query(sql, params)

    def secret(self, name: str) -> str:
        """A credential of the simulated account, the same that its client was given."""
        return self._secrets.setdefault(name, secret(self.company.seed, self.vendor, name))

    def limit(self, key: str, calls: int, per_seconds: float) -> float | None:
        """Count a call: None if it is allowed, else the seconds until one is."""
        return self.limits.take(key, calls, per_seconds)

    def fault(self, kind: str) -> dict[str, Any] | None:
        """Options of a fault of this kind if it befalls the present request, else None."""
        due = due_faults.get(None)
        return None if due is None else due.use(kind)

    def documents(self, documents: Sequence[str]) -> Sequence[str]:
        """JSON texts as they are sent, with the data faults that befall the present request."""
        for kind, change in faults.DOCUMENTS.items():
            if (options := self.fault(kind)) is not None:
                documents = list(change(documents, options))
        return documents

    def document(self, text: str) -> str:
        """One JSON text as it is sent; where a page would be empty, an empty object."""
        return next(iter(self.documents([text])), "{}")

    def json(
        self,
        documents: Sequence[str],
        key: str | None = "results",
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **envelope: Any,
    ) -> Response:
        """A page: JSON texts as a list at `key` (dotted: inside of the envelope) of an object.

        The texts are joined, not parsed. Without a key the page is the list itself.
        """
        listed = f"[{','.join(self.documents(documents))}]"
        if key is not None:
            *parents, name = key.split(".")
            place = envelope
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = _PLACE
            before, _, after = orjson.dumps(envelope).decode().partition(f'"{_PLACE}"')
            listed = f"{before}{listed}{after}"
        return Response(listed, status, headers, "application/json")

    def url(self, request: Request, path: str) -> str:
        """An absolute link to another path of this vendor, by the way the request came."""
        host = request.headers["host"]
        if elsewhere := self.fault("foreign_link"):
            host = elsewhere.get("host", "elsewhere.sim.localhost")
        return f"{request.url.scheme}://{host}{request.scope['sim.prefix']}{path}"

    def unsupported(self, request: Request, what: str) -> None:
        """Note that something was asked for that the simulator cannot do, so that a test fails."""
        request.scope["sim.unsupported"].append(what)

    def known_secrets(self) -> list[str]:
        """What the journal must not hold."""
        return list(self._secrets.values())

    def clear(self) -> None:
        """Forget limits, jobs and revoked tokens."""
        for part in (self.tokens, self.limits, self.jobs):
            part.clear()
