"""HTTP to vendors: one session that throttles, authenticates, retries within bounds, or says why.

A connector declares limits, authentication and the vendor's own error signs; it then only asks.
"""

import os
import random
import re
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from json import loads as lenient_loads
from typing import Any, Literal, Protocol
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from requests.hooks import dispatch_hook
from urllib3.exceptions import NewConnectionError

from ingestion.errors import SourceError
from ingestion.sources.secrets import TokenStore, keep_secret, redact, secret_variable

EXCERPT = 300  # characters of a vendor's reply that an error quotes
REDIRECTS = 5


class Clock(Protocol):
    """Time as the connectors see it; tests give a clock that does not wait."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class RateLimit:
    """At most `calls` in any `per_seconds`, for the URL paths in which `path` (regex) is found."""

    calls: int
    per_seconds: float
    path: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a reply means: take it, ask again (now, later, with a new token), or give up."""

    kind: Literal["ok", "wait", "retry", "reauth", "fail"]
    seconds: float | None = None
    message: str = ""

    @classmethod
    def ok(cls) -> "Verdict":
        return cls("ok")

    @classmethod
    def wait(cls, seconds: float | None = None, message: str = "rate limit") -> "Verdict":
        """Ask again after that many seconds; None: the session chooses (exponential)."""
        return cls("wait", seconds, message)

    @classmethod
    def retry(cls, message: str) -> "Verdict":
        """A passing fault: ask again after a short, growing wait."""
        return cls("retry", None, message)

    @classmethod
    def reauth(cls, message: str = "the access token was refused") -> "Verdict":
        return cls("reauth", None, message)

    @classmethod
    def fail(cls, message: str) -> "Verdict":
        return cls("fail", None, message)


Judge = Callable[[requests.Response], Verdict | None]


class ApiError(SourceError):
    """A request that failed for good. `status` is None where no reply came."""

    def __init__(self, message: str, *, status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass
class Meter:
    """Requests sent and seconds waited, over all sessions of a connector."""

    requests: int = 0
    waited_seconds: float = 0.0


# --- authentication ---------------------------------------------------------------------------


class Auth(ABC):
    """Puts credentials on requests. `secret_names`: what people must check when it is refused."""

    secret_names: tuple[str, ...] = ()

    @abstractmethod
    def headers(self, session: "ApiSession") -> Mapping[str, str]:
        """Headers with valid credentials; fetches a token where that is due."""

    def renew(self, session: "ApiSession") -> bool:
        """Get new credentials after a refusal; False where there is no way to."""
        return False


class StaticHeader(Auth):
    """A key or token that does not expire: `name: <prefix><value>`."""

    def __init__(
        self,
        name: str,
        value: str,
        prefix: str = "",
        *,
        secret_names: tuple[str, ...] = ("api_token",),
    ) -> None:
        keep_secret(value)
        self._headers = {name: f"{prefix}{value}"}
        self.secret_names = secret_names

    def headers(self, session: "ApiSession") -> Mapping[str, str]:
        return self._headers


class Basic(Auth):
    """User and password, as HTTP Basic."""

    def __init__(
        self, user: str, password: str, *, secret_names: tuple[str, ...] = ("api_key",)
    ) -> None:
        pair = b64encode(f"{user}:{password}".encode()).decode()
        keep_secret(password, pair)
        self._headers = {"Authorization": f"Basic {pair}"}
        self.secret_names = secret_names

    def headers(self, session: "ApiSession") -> Mapping[str, str]:
        return self._headers


class TokenAuth(Auth):
    """Access tokens from a token endpoint: renewed shortly before they end, and when refused.

    Args:
        early: seconds before its end at which a token is replaced (at most half its life).
        life: seconds a token lives where the reply has no `expires_in`; None: until refused.
    """

    def __init__(
        self,
        token_url: str,
        *,
        style: Literal["form", "json"],
        extra: Mapping[str, str] | None,
        early: float,
        life: float | None,
        header: str,
        prefix: str,
        secret_names: tuple[str, ...],
    ) -> None:
        self.token_url = token_url
        self.style = style
        self.extra = dict(extra or {})
        self.early = early
        self.life = life
        self.header = header
        self.prefix = prefix
        self.secret_names = secret_names
        self._token: str | None = None
        self._reply: dict[str, Any] = {}
        self._due: datetime | None = None

    def headers(self, session: "ApiSession") -> Mapping[str, str]:
        if self._token is None or (self._due and session.clock.now() >= self._due):
            self.renew(session)
        return {self.header: f"{self.prefix}{self._token}"}

    def reply(self, session: "ApiSession") -> Mapping[str, Any]:
        """What came with the token beside it (Salesforce: `instance_url`), without tokens."""
        self.headers(session)
        return {k: v for k, v in self._reply.items() if not k.endswith("token")}

    def renew(self, session: "ApiSession") -> bool:
        reply = self._exchange(session)
        token = reply.get("access_token")
        if not isinstance(token, str) or not token:
            raise session.error(
                f"POST {self.token_url}: the reply holds no access_token; {_CHANGED}"
            )
        keep_secret(token)
        self._token, self._reply = token, reply
        try:
            life = float(reply["expires_in"])
        except (KeyError, TypeError, ValueError):
            life = self.life or 0
        self._due = (
            session.clock.now() + timedelta(seconds=life - min(self.early, life / 2))
            if life > 0
            else None
        )
        return True

    @abstractmethod
    def _exchange(self, session: "ApiSession") -> dict[str, Any]: ...


class ClientCredentials(TokenAuth):
    """OAuth 2 client credentials; `basic`: id and secret travel as HTTP Basic, not in the body."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        style: Literal["form", "json"] = "form",
        basic: bool = False,
        extra: Mapping[str, str] | None = None,
        early: float = 60,
        life: float | None = None,
        header: str = "Authorization",
        prefix: str = "Bearer ",
        secret_names: tuple[str, ...] = ("client_id", "client_secret"),
    ) -> None:
        super().__init__(
            token_url,
            style=style,
            extra=extra,
            early=early,
            life=life,
            header=header,
            prefix=prefix,
            secret_names=secret_names,
        )
        keep_secret(client_secret)
        self._pair = (client_id, client_secret)
        self._basic = basic

    def _exchange(self, session: "ApiSession") -> dict[str, Any]:
        client_id, client_secret = self._pair
        body = {"grant_type": "client_credentials", **self.extra}
        if not self._basic:
            body |= {"client_id": client_id, "client_secret": client_secret}
        return session.exchange(
            self.token_url,
            body,
            style=self.style,
            basic=self._pair if self._basic else None,
            secret_names=self.secret_names,
        )


class RefreshToken(TokenAuth):
    """OAuth 2 refresh token. Where the vendor replaces it at each use, `store` keeps the newest."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        store: TokenStore,
        style: Literal["form", "json"] = "form",
        extra: Mapping[str, str] | None = None,
        early: float = 60,
        life: float | None = None,
        header: str = "Authorization",
        prefix: str = "Bearer ",
        secret_names: tuple[str, ...] = ("client_id", "client_secret", "refresh_token"),
    ) -> None:
        super().__init__(
            token_url,
            style=style,
            extra=extra,
            early=early,
            life=life,
            header=header,
            prefix=prefix,
            secret_names=secret_names,
        )
        keep_secret(client_secret, refresh_token)
        self._pair = (client_id, client_secret)
        self._configured = refresh_token
        self._store = store

    def _exchange(self, session: "ApiSession") -> dict[str, Any]:
        client_id, client_secret = self._pair
        with self._store.locked():
            token = self._store.current(self._configured)
            reply = session.exchange(
                self.token_url,
                {
                    "grant_type": "refresh_token",
                    "client_id": client_id,
                    "client_secret": client_secret,
                    "refresh_token": token,
                    **self.extra,
                },
                style=self.style,
                secret_names=self.secret_names,
            )
            rotated = reply.get("refresh_token")
            # before anybody uses what came with it: the old one may be dead already
            if isinstance(rotated, str) and rotated and rotated != token:
                self._store.put(rotated, self._configured)
        return reply


# --- the session ------------------------------------------------------------------------------


class ApiSession(requests.Session):
    """A `requests.Session` for one vendor account; also fits dlt's RESTClient(session=...).

    Args:
        base_url: relative paths of `call` are joined to it; credentials go to its host only.
        source: name of the source, for errors and names of environment variables.
        judge: reads the vendor's own signs (errors in HTTP 200, limits in HTTP 403); None from
            it: the usual meaning of the status. It sees whole replies only.
        expect_json: a 2xx reply that is not JSON counts as a fault of the wire.
        retry_post: POSTs (searches, mostly) may be repeated after a fault.
        attempts, max_wait, max_total_wait: bounds of one request, the latter two in seconds.
        timeout: seconds to connect, seconds between two reads.
    """

    def __init__(
        self,
        base_url: str,
        *,
        source: str,
        clock: Clock | None = None,
        auth: Auth | None = None,
        limits: Collection[RateLimit] = (),
        judge: Judge | None = None,
        headers: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
        expect_json: bool = True,
        retry_post: bool = True,
        attempts: int = 8,
        max_wait: float = 120,
        max_total_wait: float = 600,
        timeout: tuple[float, float] = (10, 60),
        meter: Meter | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.base_url = base_url.rstrip("/")
        self.source = source
        self.clock: Clock = clock or SystemClock()
        self.credentials = auth
        self.judge = judge
        self.headers.update(headers or {})
        self.expect_json = expect_json
        self.retry_post = retry_post
        self.attempts = attempts
        self.max_wait = max_wait
        self.max_total_wait = max_total_wait
        self.timeout = timeout
        self.meter = meter or Meter()
        self.server_time: datetime | None = None
        self.auth = _keep  # else requests would take credentials from a .netrc
        # requests itself knows only the first of the two variables
        self._verify: str | bool = (
            ca_bundle
            or os.environ.get("REQUESTS_CA_BUNDLE")
            or os.environ.get("SSL_CERT_FILE")
            or True
        )
        self._origins = {_origin(base_url)}
        self._windows = [(limit, deque[datetime]()) for limit in limits]
        self._random = random.Random(seed)

    # -- what connectors call

    def call(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        expect_json: bool | None = None,
        credentials: bool = True,
        stream: bool = False,
        accept: Collection[int] = (),
    ) -> requests.Response:
        """The reply to one request, asked as often as it takes.

        Args:
            url: a path below the base URL, or an absolute URL as it came from the vendor.
            idempotent: may be repeated after a fault; None: all but POST with `retry_post=False`.
            credentials: False for links that carry their own permission (export files).
            accept: error statuses that are given back rather than raised (404, 410).

        Raises:
            ApiError: it failed for good; the message says what to do.
        """
        request = requests.Request(
            method, self.url(url), params=params, json=json, data=data, headers=headers
        )
        return self.send(
            self.prepare_request(request),
            stream=stream,
            idempotent=idempotent,
            expect_json=expect_json,
            credentials=credentials,
            accept=accept,
        )

    def get_json(self, url: str, params: Any = None, **options: Any) -> Any:
        """The parsed reply to a GET; `options` as for `call`."""
        return self.call("GET", url, params=params, **options).json()

    def post_json(self, url: str, body: Any, **options: Any) -> Any:
        """The parsed reply to a POST of JSON; `options` as for `call`."""
        return self.call("POST", url, json=body, **options).json()

    def url(self, path: str) -> str:
        if path.startswith(("http://", "https://")):
            return path
        return f"{self.base_url}/{path.lstrip('/')}" if path else self.base_url

    def trust(self, url: str) -> None:
        """Send credentials to this host too (one the vendor named in its token reply)."""
        self._origins.add(_origin(url))

    def now(self) -> datetime:
        """The vendor's clock as of the last reply (whole seconds), else ours."""
        return self.server_time or self.clock.now()

    def error(self, message: str, *, status: int | None = None, body: str = "") -> ApiError:
        """An error that names the source and holds no secret."""
        return ApiError(
            redact(f"source {self.source!r}: {message}"), status=status, body=redact(body)
        )

    def exchange(
        self,
        url: str,
        body: Mapping[str, str],
        *,
        style: Literal["form", "json"] = "form",
        basic: tuple[str, str] | None = None,
        secret_names: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """The reply of a token endpoint. A refusal names the secrets to check."""
        headers = {"Accept": "application/json"}
        if basic:
            headers |= Basic(*basic).headers(self)
        reply = self.call(
            "POST",
            url,
            headers=headers,
            credentials=False,
            expect_json=True,
            accept=(400, 401, 403),
            **{"data" if style == "form" else "json": dict(body)},  # type: ignore[arg-type]
        )
        if not reply.ok:
            raise self.error(
                f"the token endpoint {_place(url)} refused (HTTP {reply.status_code}: "
                f"{_excerpt(reply)}); {self._secrets_to_check(secret_names)}",
                status=reply.status_code,
            )
        answer = reply.json()
        for name in ("access_token", "refresh_token"):
            if isinstance(answer, dict) and isinstance(answer.get(name), str):
                keep_secret(answer[name])
        return answer if isinstance(answer, dict) else {}

    # -- the loop

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send until the vendor's answer stands, or a bound is met. See `call` for the options."""
        credentials: bool = kwargs.pop("credentials", True)
        accept: Collection[int] = kwargs.pop("accept", ())
        idempotent: bool | None = kwargs.pop("idempotent", None)
        expect_json: bool | None = kwargs.pop("expect_json", None)
        if expect_json is None:
            expect_json = self.expect_json
        if not expect_json:  # a file compressed on the way could be cut there unnoticed
            request.headers["Accept-Encoding"] = "identity"
        if idempotent is None:
            idempotent = request.method != "POST" or self.retry_post
        kwargs["timeout"] = kwargs.get("timeout") or self.timeout
        kwargs["verify"] = self._verify
        kwargs["allow_redirects"] = False
        what = f"{request.method} {_place(request.url)}"
        waited, renewed = 0.0, False
        for attempt in range(1, self.attempts + 1):
            self._throttle(request.url or "", what)
            response, verdict = self._attempt(
                request, kwargs, credentials, expect_json, idempotent, accept
            )
            status = response.status_code if response is not None else None
            body = _excerpt(response) if response is not None and verdict.kind != "ok" else ""
            if verdict.kind == "ok" and response is not None:
                return dispatch_hook("response", request.hooks, response, **kwargs)
            if verdict.kind == "fail":
                raise self.error(f"{what}: {verdict.message}", status=status, body=body)
            if verdict.kind == "reauth":
                if renewed or not (self.credentials and self.credentials.renew(self)):
                    names = self.credentials.secret_names if self.credentials else ()
                    raise self.error(
                        f"{what}: the credentials were refused ({verdict.message}); "
                        + self._secrets_to_check(names),
                        status=status,
                        body=body,
                    )
                renewed = True
                continue
            if attempt == self.attempts:
                break
            seconds = verdict.seconds
            if seconds is None:  # exponential with full jitter: clients spread over the time
                seconds = self._random.uniform(0, min(self.max_wait, 2.0**attempt))
            if seconds > self.max_wait or waited + seconds > self.max_total_wait:
                again = (self.clock.now() + timedelta(seconds=seconds)).astimezone(UTC)
                raise self.error(
                    f"{what}: {verdict.message}; the next try would be after "
                    f"{again:%Y-%m-%d %H:%M:%S} UTC, which is more than we wait: run it again then",
                    status=status,
                    body=body,
                )
            self._wait(seconds)
            waited += seconds
        raise self.error(
            f"{what}: {verdict.message}; given up after {self.attempts} tries and "
            f"{waited:.0f} s of waiting. Nothing was loaded: run it again later",
            status=status,
            body=body,
        )

    def _attempt(
        self,
        request: requests.PreparedRequest,
        kwargs: dict[str, Any],
        credentials: bool,
        expect_json: bool,
        idempotent: bool,
        accept: Collection[int],
    ) -> tuple[requests.Response | None, Verdict]:
        """One request, along its redirects; credentials only where they belong."""
        hop = request.copy()
        hop.hooks = {"response": []}  # the caller's see the final reply only
        for _ in range(REDIRECTS + 1):
            sent = hop.copy()
            if credentials and self.credentials and _origin(hop.url) in self._origins:
                sent.headers.update(self.credentials.headers(self))
            self.meter.requests += 1
            try:
                response = super().send(sent, **kwargs)
            except requests.RequestException as caught:
                return None, _fault(caught, idempotent)
            self._note_time(response)
            target = self.get_redirect_target(response)
            if target is None:
                return response, self._verdict(
                    response, credentials, expect_json, idempotent, accept, kwargs.get("stream")
                )
            response.close()
            target = urljoin(hop.url or "", target)
            if hop.method not in ("GET", "HEAD"):
                return response, Verdict.fail(
                    f"redirected to {_place(target)}; correct the address in the settings"
                )
            if _origin(target) != _origin(hop.url):
                hop.headers = requests.structures.CaseInsensitiveDict(
                    {k: v for k, v in hop.headers.items() if k.lower() in _ANYBODYS_HEADERS}
                )
            hop.url = target
        return response, Verdict.fail(f"more than {REDIRECTS} redirects; check the address")

    def _verdict(
        self,
        response: requests.Response,
        credentials: bool,
        expect_json: bool,
        idempotent: bool,
        accept: Collection[int],
        stream: bool | None,
    ) -> Verdict:
        status = response.status_code
        if response.ok and not stream and status not in (202, 204, 304):
            said_json = "json" in response.headers.get("Content-Type", "")
            if (said_json or expect_json) and not _parse(response):
                fault = "the reply is not whole JSON"
                return Verdict.retry(fault) if idempotent else Verdict.fail(fault)
        if self.judge and credentials:
            try:
                verdict = self.judge(response)
            except ValueError:  # it expected JSON in a reply that is none
                verdict = None
            if verdict is not None:
                return verdict
        if response.ok or status in accept:
            return Verdict.ok()
        message = f"HTTP {status}: {_excerpt(response)}"
        if status == 429:
            return Verdict.wait(self.retry_after(response), message)
        if status == 401 and credentials:
            if _origin(response.url) not in self._origins:
                return Verdict.fail(
                    f"{message} (not the host of the settings: no credentials were sent)"
                )
            return Verdict.reauth(message)
        if status in (408, 425) or (status >= 500 and status != 501):
            if not idempotent:
                return Verdict.fail(message + _NOT_REPEATED)
            return Verdict.wait(self.retry_after(response), message)
        return Verdict.fail(f"{message}; {_ADVICE.get(status, _CHANGED)}")

    def retry_after(self, response: requests.Response) -> float | None:
        """Seconds the reply asks us to wait: `2`, `2.0`, or a date (against its own Date)."""
        text = response.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"\d+(\.\d*)?", text):
            return float(text)
        until = _http_date(text)
        if until is None:
            return None
        sent = _http_date(response.headers.get("Date", "")) or self.clock.now()
        return max(0.0, (until - sent).total_seconds())

    def _throttle(self, url: str, what: str) -> None:
        path = urlsplit(url).path
        windows = [(limit, calls) for limit, calls in self._windows if re.search(limit.path, path)]
        while True:
            now = self.clock.now()
            wait = 0.0
            for limit, calls in windows:
                span = timedelta(seconds=limit.per_seconds)
                while calls and calls[0] + span <= now:
                    calls.popleft()
                if len(calls) >= limit.calls:
                    wait = max(wait, (calls[-limit.calls] + span - now).total_seconds())
            if wait <= 0:
                break
            if wait > self.max_total_wait:
                again = (now + timedelta(seconds=wait)).astimezone(UTC)
                raise self.error(
                    f"{what}: the declared rate limit allows the next request at "
                    f"{again:%Y-%m-%d %H:%M:%S} UTC; run it again then"
                )
            self._wait(wait)
        for _, calls in windows:
            calls.append(now)

    def _wait(self, seconds: float) -> None:
        self.meter.waited_seconds += seconds
        self.clock.sleep(seconds)

    def _note_time(self, response: requests.Response) -> None:
        self.server_time = _http_date(response.headers.get("Date", "")) or self.server_time

    def _secrets_to_check(self, names: tuple[str, ...]) -> str:
        variables = ", ".join(secret_variable(self.source, name) for name in names)
        return f"check {variables}" if variables else "this source has no credentials set"


_NOT_REPEATED = " (not repeated at once: it may have taken effect); run it again"
_CHANGED = "run it again; if it stays so, has the vendor's API changed?"
_MOVED = "check address and version in the settings; are they right, has the vendor's API changed?"
_ADVICE = {403: "grant the account this permission", 404: _MOVED, 410: _MOVED, 421: _MOVED}

_ANYBODYS_HEADERS = {"accept", "accept-encoding", "user-agent", "range"}


def _keep(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _origin(url: str | None) -> tuple[str, str]:
    parts = urlsplit(url or "")
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()


def _place(url: str | None) -> str:
    """Host and path of a URL: what follows them may hold signatures."""
    parts = urlsplit(url or "")
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _http_date(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text; NaN and lone surrogates are no JSON, yet they are sent.

    Raises:
        ValueError: it is no JSON all the same.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return lenient_loads(text, parse_constant=str)


def _parse(response: requests.Response) -> bool:
    """Whether the body is JSON; the response then gives the parsed value without parsing again."""
    try:
        value = parse_json(response.content)
    except ValueError:
        return False
    response.json = lambda **_: value  # type: ignore[method-assign]
    return True


def _excerpt(response: requests.Response) -> str:
    try:
        text = response.content[: 20 * EXCERPT].decode("utf-8", "replace")
    except (RuntimeError, requests.RequestException):  # streamed, or cut
        return response.reason or ""
    text = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    return redact(text)[:EXCERPT] or response.reason or "empty reply"


def _fault(error: requests.RequestException, idempotent: bool) -> Verdict:
    """What to do about a request that brought no reply."""
    message = f"{type(error).__name__}: {redact(error)[:EXCERPT]}"
    if isinstance(error, requests.exceptions.SSLError):
        return Verdict.fail(
            f"{message}; if the certificate is issued by your own authority, "
            "set ca_bundle, REQUESTS_CA_BUNDLE or SSL_CERT_FILE to its file"
        )
    passing = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    if not isinstance(error, passing):
        return Verdict.fail(message)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    never_arrived = isinstance(error, requests.ConnectTimeout) or isinstance(
        reason, NewConnectionError
    )
    if idempotent or never_arrived:
        return Verdict.retry(message)
    return Verdict.fail(message + _NOT_REPEATED)
