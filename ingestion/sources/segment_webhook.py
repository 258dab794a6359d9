"""The receiving end of Segment's webhook: signed messages in, small files out.

A request is answered only once its messages are on disk, so that what Segment was told is safe is
safe; messages of requests that arrive together share one file. The `segment` connector reads the
files like any other. Segment repeats what was not answered with success: at least once, never lost.
"""

import asyncio
import gzip
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MAX_BODY = 5 << 20  # bytes; Segment batches stay below 500 KB


@dataclass
class _Waiting:
    lines: list[bytes]
    stored: asyncio.Future[None]


class MicroBatches:
    """Lines on their way to disk: whoever waits longest opens a batch, the others join it."""

    def __init__(self, folder: Path, *, wait_seconds: float) -> None:
        self.folder = folder
        self.wait_seconds = wait_seconds
        self.waiting: list[_Waiting] = []
        self.arrived = asyncio.Event()
        self.number = 0

    async def store(self, lines: list[bytes]) -> None:
        """Return once the lines are in a file that outlives a crash."""
        ticket = _Waiting(lines, asyncio.get_running_loop().create_future())
        self.waiting.append(ticket)
        self.arrived.set()
        await ticket.stored

    async def run(self) -> None:
        while True:
            await self.arrived.wait()
            await asyncio.sleep(self.wait_seconds)
            self.arrived.clear()
            await self.flush()

    async def flush(self) -> None:
        batch, self.waiting = self.waiting, []
        if not batch:
            return
        try:
            await asyncio.to_thread(self._write, [line for w in batch for line in w.lines])
        except Exception as error:
            for waiting in batch:
                waiting.stored.set_exception(error)
        else:
            for waiting in batch:
                waiting.stored.set_result(None)

    def _write(self, lines: list[bytes]) -> None:
        now = datetime.now(UTC)
        self.number += 1
        target = (
            self.folder
            / "webhook"
            / f"{now:%Y-%m-%d}"
            / f"{now:%H%M%S%f}-{os.getpid()}-{self.number}.gz"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".tmp")
        with draft.open("wb") as handle:
            handle.write(gzip.compress(b"\n".join(lines) + b"\n", 5))
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(target)


def receiver(folder: Path, secret: str, *, wait_seconds: float = 1.0) -> Starlette:
    """An ASGI app with `POST /segment`.

    Args:
        folder: where the files go, below `webhook/<day>/`.
        secret: shared with the webhook destination.
        wait_seconds: how long a message waits for others to share its file.

    Answers 200 when stored, 401 for a wrong signature, 400 for what is no message, 413 for more
    than `MAX_BODY` bytes, 503 when the disk refuses (Segment then sends it again).
    """
    batches = MicroBatches(folder, wait_seconds=wait_seconds)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        writer = asyncio.create_task(batches.run())
        yield
        writer.cancel()
        await batches.flush()

    async def receive(request: Request) -> Response:
        if int(request.headers.get("content-length") or 0) > MAX_BODY:
            return JSONResponse({"error": "the body is too long"}, 413)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return JSONResponse({"error": "the body is too long"}, 413)
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            content = None
        messages = content if isinstance(content, list) else [content]
        if not is_signed(body, messages, request.headers.get("x-signature", ""), secret):
            return JSONResponse({"error": "the signature does not fit"}, 401)
        if not messages or not all(isinstance(m, dict) and m.get("messageId") for m in messages):
            return JSONResponse({"error": "not a message or a list of messages"}, 400)
        try:
            await batches.store([orjson.dumps(message) for message in messages])
        except OSError:
            return JSONResponse({"error": "cannot be stored now"}, 503)
        return JSONResponse({"success": True})

    return Starlette(routes=[Route("/segment", receive, methods=["POST"])], lifespan=lifespan)


def is_signed(body: bytes, messages: list[object], signature: str, secret: str) -> bool:
    """Whether the body carries our secret; of a batch, Segment signs the first message alone."""
    signed = [body]
    if body.lstrip().startswith(b"[") and messages:
        signed.append(orjson.dumps(messages[0]))
    return any(
        hmac.compare_digest(
            hmac.new(secret.encode(), text, hashlib.sha1).hexdigest().encode(), signature.encode()
        )
        for text in signed
    )
