"""Every request that was made and what became of it, without any secret."""

import re
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from ingestion.simulator.server.tokens import TOKEN

LONGEST = 4_000  # characters of a value that is kept
_SECRET_NAME = re.compile(
    r"token|secret|passw|api_?key|assertion|signature|^code$|authorization", re.I
)
# names like a secret's that are a place in a list, without which no paging could be judged
_HARMLESS_NAME = re.compile(r"page_?token|skip_?token|continuation_?token|locator", re.I)
HIDDEN = "(hidden)"


class Journal:
    """The newest requests, in memory; `write` keeps them in a file."""

    def __init__(self, bound: int = 100_000) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=bound)
        self._lock = threading.Lock()
        self.total = 0  # requests since the beginning, also those no longer kept

    def add(self, entry: dict[str, Any]) -> None:
        """Keep an entry; it gets its number `n`, from 1 on."""
        with self._lock:
            self.total += 1
            entry["n"] = self.total
            self._entries.append(entry)

    def entries(self, vendor: str | None = None) -> list[dict[str, Any]]:
        """Entries in the order of their requests' ends, of one vendor or of all."""
        with self._lock:
            return [e for e in self._entries if vendor in (None, e["vendor"])]

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._entries.clear()
            self.total = 0

    def write(self, path: Path) -> None:
        """One JSON object a line."""
        path.write_bytes(b"".join(orjson.dumps(e) + b"\n" for e in self.entries()))


def query_intent(query: bytes, secrets: Iterable[str]) -> dict[str, Any]:
    """A query string's parameters, secrets hidden; a parameter given twice is a list."""
    return _form(query.decode("latin-1"), tuple(secrets))


def body_intent(body: bytes, content_type: str, secrets: Iterable[str]) -> Any:
    """What a request's body asks for, secrets hidden: JSON or form as objects, else its size."""
    if not body:
        return None
    if "json" in content_type:
        try:
            return _without_secrets(orjson.loads(body), tuple(secrets))
        except orjson.JSONDecodeError:
            return f"({len(body)} bytes that are not JSON)"
    if "form-urlencoded" in content_type:
        return _form(body.decode("latin-1"), tuple(secrets))
    return f"({len(body)} bytes)"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """A text in which no token and none of these secrets is left."""
    text = TOKEN.sub(HIDDEN, text)
    for known in secrets:
        text = text.replace(known, HIDDEN)
    return text


def _form(text: str, secrets: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in found:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = value
    return _without_secrets(found, secrets)


def _without_secrets(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN
            if _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name)
            else _without_secrets(inner, secrets)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner, secrets) for inner in value[:1000]]
    if isinstance(value, str):
        return without_secrets(value, secrets)[:LONGEST]
    return value
