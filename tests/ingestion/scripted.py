"""A local vendor that answers from a script, and a clock that does not wait."""

import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class FakeClock:
    """Stands still but for its own sleeps, which it keeps."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class Reply:
    """One answer. `how`: whole, or what happens on the wire instead."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Literal["whole", "short", "reset", "hang", "gzip_cut"] = "whole"

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    at: datetime


class Vendor:
    """Answers each path from its list of replies; the last one stays."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.script: dict[str, list[Reply]] = {}
        self.asked: list[Asked] = []
        self.url = ""

    def answer(self, path: str, *replies: Reply) -> None:
        self.script[path] = list(replies)

    def reply_to(self, path: str) -> Reply:
        replies = self.script.get(path) or [Reply({"error": "no such path"}, 404)]
        return replies.pop(0) if len(replies) > 1 else replies[0]


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            vendor.asked.append(Asked(self.command, self.path, headers, sent, vendor.clock.now()))
            reply = vendor.reply_to(self.path)
            if reply.how == "reset":
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.close_connection = True
                return
            if reply.how == "hang":
                time.sleep(0.4)
                self.close_connection = True
                return
            body = reply.encoded()
            headers = {
                "Content-Type": "application/json",
                "Date": format_datetime(vendor.clock.now(), usegmt=True),
                **reply.headers,
            }
            length = len(body)
            if reply.how == "short":
                body, self.close_connection = body[: length // 2], True
            if reply.how == "gzip_cut":
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body)[:-12]
                length = len(body)
            self.send_response_only(reply.status)
            for name, value in {**headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    return Handler


@contextmanager
def serving(clock: FakeClock) -> Iterator[Vendor]:
    vendor = Vendor(clock)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(vendor))
    server.daemon_threads = True
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
