"""The server: vendors by host or path prefix, faults, the journal, and its own controls."""

import asyncio
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from ingestion.errors import CxmError, SettingError
from ingestion.simulator.company import Company
from ingestion.simulator.server import faults
from ingestion.simulator.server.engine import VendorApi, VirtualTime, due_faults
from ingestion.simulator.server.faults import Due, Faults, read_faults
from ingestion.simulator.server.journal import (
    Journal,
    body_intent,
    query_intent,
    without_secrets,
)
from ingestion.simulator.server.tls import certificates

VENDORS = ("hubspot", "salesforce", "shopify", "zendesk", "surveymonkey", "qualtrics", "mailchimp",
           "segment")  # fmt: skip

log = logging.getLogger(__name__)


class Simulator:
    """The ASGI application over one company."""

    def __init__(self, company: Company, *, ticking: bool = False, speed: float = 1.0) -> None:
        self.company = company
        self.time = VirtualTime(company, ticking=ticking, speed=speed)
        self.faults = Faults(company.seed)
        self.journal = Journal()
        self._vendors: dict[str, tuple[VendorApi, Router]] = {}
        self._lock = threading.Lock()
        self._open: dict[str, int] = dict.fromkeys(VENDORS, 0)
        self._controls = Starlette(
            routes=[
                Route("/__sim__/clock", self._clock, methods=["GET", "POST"]),
                Route("/__sim__/faults", self._faults, methods=["POST", "DELETE"]),
                Route("/__sim__/journal", self._journal, methods=["GET", "DELETE"]),
            ],
            exception_handlers=dict.fromkeys((CxmError, KeyError, TypeError, ValueError), _refused),
        )

    def vendor(self, name: str) -> VendorApi:
        """What one vendor's module works with; made when it is first asked for.

        Raises:
            SettingError: there is no such vendor.
        """
        return self._mounted(name)[0]

    def clear(self) -> None:
        """Forget faults, journal, limits, jobs and revoked tokens."""
        self.faults.clear()
        self.journal.clear()
        for api, _ in self._vendors.values():
            api.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/__sim__/"):
            await self._controls(scope, receive, send)
            return
        self.company.refresh()
        vendor, prefix = _addressed(scope)
        if vendor is None:
            known = ", ".join(VENDORS)
            reply = JSONResponse({"message": f"no vendor at this address; there are {known}"}, 404)
            await reply(scope, receive, send)
            return
        api, router = await run_in_threadpool(self._mounted, vendor)
        path = scope["path"].removeprefix(prefix) or "/"
        now = self.time.now()
        scope["path"], scope["raw_path"], scope["root_path"] = path, path.encode(), ""
        scope["sim.prefix"], scope["sim.now"], scope["sim.unsupported"] = prefix, now, []
        due = self.faults.due(vendor, scope["method"], path, now)
        body, receive_again = await _whole_body(receive)
        self._open[vendor] += 1
        concurrent, status, failure = self._open[vendor], 0, None

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # never a time that the data have not reached
                skew = (due.use("clock_skew") or {}).get("seconds", 0)
                told = self.company.clock + timedelta(seconds=skew)
                date = format_datetime(told, usegmt=True)
                message = {**message, "headers": [*message["headers"], (b"date", date.encode())]}
            await send(message)

        started = time.perf_counter()
        token = due_faults.set(due)
        try:
            form = next((kind for kind in due.options if kind in self._forms(api)), None)
            if form is not None:
                options = due.use(form) or {}
                request = Request(scope, receive_again)
                await self._forms(api)[form](request, options)(scope, receive_again, note_status)
            else:
                if due.use("token_expired") is not None:
                    _revoke(api, scope)
                await _transported(due, router, scope, receive_again, note_status, send)
        except Exception as error:  # our defect; no client may take it for a fault
            failure = repr(error)
            log.exception("%s %s %s", vendor, scope["method"], path)
            if not status:
                await PlainTextResponse(failure, 500)(scope, receive_again, note_status)
        finally:
            due_faults.reset(token)
            self._open[vendor] -= 1
            self.journal.add({
                "vendor": vendor, "at": now.isoformat(), "method": scope["method"],
                "path": without_secrets(path, api.known_secrets()), "host": _header(scope, "host"),
                **_intent(scope, body, api), "status": status, "faults": sorted(due.used),
                "unsupported": scope["sim.unsupported"], "failure": failure,
                "concurrent": concurrent,
                "milliseconds": round((time.perf_counter() - started) * 1000, 1),
            })  # fmt: skip

    def _mounted(self, name: str) -> tuple[VendorApi, Router]:
        with self._lock:
            if name not in self._vendors:
                if name not in VENDORS:
                    raise SettingError(f"no vendor {name!r}; there are {', '.join(VENDORS)}")
                module = import_module(f"ingestion.simulator.vendors.{name}")
                api = VendorApi(name, module, self.company, self.time)
                self._vendors[name] = api, Router(routes=module.routes(api), redirect_slashes=False)
            return self._vendors[name]

    @staticmethod
    def _forms(api: VendorApi) -> dict[str, faults.FaultForm]:
        return faults.REPLIES | getattr(api.module, "FAULT_FORMS", {})

    async def _clock(self, request: Request) -> Response:
        if request.method == "POST":
            given = await request.json()
            if "wait" in given:
                self.time.wait(float(given["wait"]))
            else:
                to = _aware(given["to"]) if "to" in given else None
                to = to or self.time.now() + timedelta(seconds=float(given["seconds"]))
                await run_in_threadpool(self.time.move, to)
        said = {"data": self.company.clock.isoformat(), "now": self.time.now().isoformat()}
        return JSONResponse(said)

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
            return JSONResponse({"planned": 0})
        planned = read_faults(await request.json())
        self.faults.add(*planned)
        return JSONResponse({"planned": len(planned)})

    async def _journal(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.journal.clear()
        entries = self.journal.entries(request.query_params.get("vendor"))
        return JSONResponse({"total": self.journal.total, "entries": entries})


@dataclass(frozen=True)
class RunningServer:
    """A simulator that listens.

    Attributes:
        url: its root; a vendor's is `<url>/<vendor>`.
        authority: PEM file of the authority that a client has to trust; None without TLS.
    """

    simulator: Simulator
    url: str
    authority: Path | None


@contextmanager
def serving(
    company: Company,
    *,
    port: int = 0,
    tls: bool = True,
    ticking: bool = False,
    speed: float = 1.0,
    planned: Iterable[faults.Fault] = (),
) -> Iterator[RunningServer]:
    """Answer on 127.0.0.1 as long as the context lasts.

    Args:
        port: 0 takes a free one.
        ticking: limits, jobs and token lives go with the wall clock, `speed` times as fast.
        planned: faults from the beginning on.

    Raises:
        SettingError: the port is taken.
    """
    simulator = Simulator(company, ticking=ticking, speed=speed)
    simulator.faults.add(*planned)
    found = certificates(company.folder / "tls", VENDORS) if tls else None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise SettingError(f"port {port} cannot be used: {error.strerror}") from None
    server = uvicorn.Server(
        uvicorn.Config(
            simulator,
            ssl_certfile=str(found.server) if found else None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise CxmError("the simulator's server could not be started")
        time.sleep(0.01)
    scheme = "https" if found else "http"
    try:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        yield RunningServer(simulator, url, found.authority if found else None)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _addressed(scope: Scope) -> tuple[str | None, str]:
    """The vendor that a request is for, by host or by the first part of its path; the prefix."""
    host = _header(scope, "host").rsplit(":", 1)[0]
    for vendor in VENDORS:
        if fnmatch(host, f"{vendor}.sim.localhost") or fnmatch(host, f"*.{vendor}.sim.localhost"):
            return vendor, ""
    first = scope["path"].split("/", 2)[1]
    return (first, f"/{first}") if first in VENDORS else (None, "")


def _header(scope: Scope, name: str) -> str:
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), "")


def _revoke(api: VendorApi, scope: Scope) -> None:
    """End the token that a request shows, so that the vendor answers in its own words."""
    for _, value in scope["headers"]:
        for part in value.decode("latin-1").split():
            if api.tokens.claims(part) is not None:
                api.tokens.revoke(part)


def _intent(scope: Scope, body: bytes, api: VendorApi) -> dict[str, Any]:
    secrets = api.known_secrets()
    return {
        "query": query_intent(scope["query_string"], secrets),
        "body": body_intent(body, _header(scope, "content-type"), secrets),
    }


async def _whole_body(receive: Receive) -> tuple[bytes, Receive]:
    """A request's body, and a `receive` that gives it again."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body, given = b"".join(parts), False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _transported(
    due: Due, router: Router, scope: Scope, receive: Receive, send: Send, wire: Send
) -> None:
    """The vendor's reply, as the transport faults that are due let it through.

    Args:
        send: notes the status on its way.
        wire: uvicorn's own `send`, behind which the connection is.
    """
    kind = next((kind for kind in due.options if kind in faults.TRANSPORT), None)
    if kind is None:
        await router(scope, receive, send)
        return
    options = due.use(kind) or {}
    if kind == "timeout":  # the client hangs up, or we do
        with_end = asyncio.wait_for(_hung_up(receive), options.get("seconds", 5))
        await asyncio.gather(with_end, return_exceptions=True)
    if kind in ("timeout", "reset"):
        _close(wire, reset=True)
        return
    status, headers, body = await _reply(router, scope, receive)
    if kind in ("cut_json", "cut_gzip"):
        body, further = faults.cut_body(kind, body, options)
        headers = [(k, v) for k, v in headers if k != b"content-length"]
        headers += [(k.lower().encode(), v.encode()) for k, v in further.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    share = 0.0 if kind == "reset_after_headers" else options.get("share", 0.6)
    part = body[: int(len(body) * share)]
    await send({"type": "http.response.body", "body": part, "more_body": True})
    _close(wire, reset=kind == "reset_after_headers")


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reply(
    router: Router, scope: Scope, receive: Receive
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """A reply as a whole, not yet sent."""
    start: Message = {}
    parts: list[bytes] = []

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await router(scope, receive, keep)
    return start["status"], list(start["headers"]), b"".join(parts)


def _close(wire: Send, *, reset: bool) -> None:
    """End the connection under a reply: with a TCP reset, or after what was sent."""
    transport = wire.__self__.transport  # type: ignore[attr-defined]  # uvicorn's cycle
    open_socket = transport.get_extra_info("socket")  # None: the client was faster
    if reset and open_socket is not None:
        linger = struct.pack("ii", 1, 0)
        open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 400)
