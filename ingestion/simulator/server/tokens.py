"""Credentials and tokens of the simulated accounts. They open nothing but the simulator."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import orjson

# <kind>.sim.<what it says>.<signature>: the journal knows a token by its form
TOKEN = re.compile(r"[\w-]+\.sim\.[\w-]+\.[0-9a-f]{24}")


def secret(seed: int, vendor: str, name: str) -> str:
    """A credential of the account at a vendor: the same for the server and for its client."""
    said = f"{vendor}/{name}".encode()
    return hmac.new(str(seed).encode(), said, hashlib.sha256).hexdigest()[:40]


class Tokens:
    """Tokens of one vendor; they say themselves how long they live, so a restart loses none."""

    def __init__(self, key: str, now: Callable[[], datetime]) -> None:
        self._key, self._now = key.encode(), now
        self.clear()

    def issue(self, kind: str, life_seconds: float | None, **claims: Any) -> str:
        """A new token; None: it lives for ever. Equal histories give equal tokens."""
        ends = None if life_seconds is None else self._now().timestamp() + life_seconds
        while True:  # a server started again at the same moment counts from the beginning
            said = orjson.dumps({"n": next(self._numbers), "kind": kind, "ends": ends, **claims})
            text = base64.urlsafe_b64encode(said).decode().rstrip("=")
            token = f"{kind}.sim.{text}.{self._sign(text)}"
            if token not in self._revoked:
                return token

    def valid(self, token: str, kind: str | None = None) -> bool:
        """It was issued here, for this purpose, has not been revoked and not ended."""
        claims = self.claims(token)
        if claims is None or token in self._revoked or kind not in (None, claims["kind"]):
            return False
        return claims["ends"] is None or self._now().timestamp() < claims["ends"]

    def claims(self, token: str) -> dict[str, Any] | None:
        """What a token says, be it still valid or not; None: it is none of ours."""
        if not TOKEN.fullmatch(token):
            return None
        _, text, signature = token.rsplit(".", 2)
        if not hmac.compare_digest(signature, self._sign(text)):
            return None
        return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    def revoke(self, token: str) -> None:
        """From now on the token is not valid."""
        self._revoked.add(token)

    def clear(self) -> None:
        """Forget what was revoked, and count from the beginning."""
        self._revoked: set[str] = set()
        self._numbers = count(1)

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:24]
