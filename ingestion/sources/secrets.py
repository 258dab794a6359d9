"""Secrets: where they are read from, and how they are kept out of every text that leaves us."""

import fcntl
import hashlib
import json
import logging
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORTEST = 4  # hiding shorter ones would shred texts, and they protect nothing

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def keep_secret(*values: str | None) -> None:
    """From now on `redact` hides these values, also as they look in URLs, JSON and base64."""
    global _pattern
    for value in values:
        if value and len(value) >= _SHORTEST:
            _known.update(
                (
                    value,
                    quote(value, safe=""),
                    quote_plus(value),
                    json.dumps(value)[1:-1],
                    b64encode(value.encode()).decode(),
                )
            )
    if _known:
        longest_first = sorted(_known, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def redact(text: object) -> str:
    """A text without any secret that this process has seen."""
    return _pattern.sub(HIDDEN, str(text)) if _pattern else str(text)


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


# These libraries write addresses and headers into their debug logs.
for _name in ("urllib3.connectionpool", "urllib3.util.retry", "requests", "dlt"):
    logging.getLogger(_name).addFilter(_RedactingFilter())


def secret_variable(source: str, name: str) -> str:
    """The environment variable that holds a secret of a source."""
    return f"SOURCES__{source}__{name}".upper()


def read_secrets(source: str, names: tuple[str, ...]) -> dict[str, str]:
    """Those of the named secrets that are set, from the environment or dlt's secrets.toml."""
    import dlt

    found: dict[str, str] = {}
    for name in names:
        value = dlt.secrets.get(f"sources.{source}.{name}", str)
        if value:
            found[name] = value
    keep_secret(*found.values())
    return found


class TokenStore:
    """A file for the refresh token of one source, for vendors that replace it at every use.

    The file also says (by a hash) which configured token its token descends from: whoever
    authorises anew and configures a new one is not served the old line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store over read, refresh and write: two refreshes at once lose a token."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def current(self, configured: str) -> str:
        """The token to use: the stored one where it descends from the configured one."""
        try:
            stored: Mapping[str, str] = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return configured
        token = stored.get("refresh_token")
        if not token or stored.get("descends_from") != _fingerprint(configured):
            return configured
        keep_secret(token)
        return token

    def put(self, token: str, configured: str) -> None:
        """Store a token so that it is on the disk, whole, before anybody uses it."""
        keep_secret(token)
        draft = self.path.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            json.dump({"refresh_token": token, "descends_from": _fingerprint(configured)}, handle)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(self.path)


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
