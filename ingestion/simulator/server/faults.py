"""What goes wrong on purpose: when a fault is due, and the forms it takes on the wire."""

import gzip
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ingestion.errors import SettingError

FaultForm = Callable[[Request, dict[str, Any]], Response]


class Fault(BaseModel):
    """One fault of a run. Without a schedule it befalls the next request that it fits.

    `vendor`, `method` and `route` (a regular expression found in the path) choose the requests;
    `nth`, `every`, `probability` and `between` the calls among them; `times` bounds how often.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    vendor: str | None = None
    method: str | None = None
    route: str | None = None
    nth: int | None = Field(None, ge=1)  # of the requests that fit, from 1
    every: int | None = Field(None, ge=1)
    probability: float | None = Field(None, ge=0, le=1)
    between: tuple[AwareDatetime, AwareDatetime] | None = None  # virtual times
    times: int | None = Field(None, ge=1)
    options: dict[str, Any] = {}  # of the kind: retry_after, seconds, status, field, ...

    @model_validator(mode="after")
    def _once_where_no_schedule_is_given(self) -> "Fault":
        schedule = (self.nth, self.every, self.probability, self.between)
        if self.times is None and all(part is None for part in schedule):
            self.times = 1
        return self


@dataclass
class _Planned:
    fault: Fault
    random: np.random.Generator
    seen: int = 0
    fired: int = 0


@dataclass
class Due:
    """Faults that befall one request, by kind, and those of them that took effect."""

    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def use(self, kind: str) -> dict[str, Any] | None:
        """The options of a fault of this kind if it befalls the request, else None."""
        if kind in self.options:
            self.used.add(kind)
        return self.options.get(kind)


class Faults:
    """The faults of a run; seeded, so that a run can be repeated."""

    def __init__(self, seed: int) -> None:
        self._seed, self._lock = seed, threading.Lock()
        self._planned: list[_Planned] = []
        self._number = 0

    def add(self, *faults: Fault) -> None:
        """Plan further faults."""
        with self._lock:
            for fault in faults:
                random = np.random.default_rng([self._seed, self._number])
                self._planned.append(_Planned(fault, random))
                self._number += 1

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._planned.clear()
            self._number = 0

    def certain(self) -> set[str]:
        """Kinds that are planned and not left to chance."""
        return {p.fault.kind for p in self._planned if p.fault.probability is None}

    def due(self, vendor: str, method: str, path: str, now: datetime) -> Due:
        """The faults that befall a request."""
        found = Due()
        with self._lock:
            for planned in self._planned:
                fault = planned.fault
                if not (
                    fault.vendor in (None, vendor)
                    and (fault.method or method).upper() == method
                    and (fault.route is None or re.search(fault.route, path))
                    and (fault.between is None or fault.between[0] <= now < fault.between[1])
                ):
                    continue
                planned.seen += 1
                fires = (
                    (fault.times is None or planned.fired < fault.times)
                    and fault.nth in (None, planned.seen)
                    and (fault.every is None or planned.seen % fault.every == 0)
                    and (fault.probability is None or planned.random.random() < fault.probability)
                )
                if fires:
                    planned.fired += 1
                    # never empty: `if api.fault(kind)` shall do
                    found.options[fault.kind] = {"kind": fault.kind, **fault.options}
        return found


def read_faults(given: Any) -> list[Fault]:
    """Faults from a list of objects, or one object.

    Raises:
        SettingError: an object is not a fault; the message names its field.
    """
    several = given if isinstance(given, list) else [given]
    try:
        return [Fault.model_validate(one) for one in several]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingError(f"fault: {place}: {first['msg']}") from None


def load_faults(path: Path) -> list[Fault]:
    """Faults from a YAML file with a list of them."""
    return read_faults(yaml.safe_load(path.read_text()))


# ---- replies instead of the vendor's own --------------------------------------------------------


def _throttle(request: Request, options: dict[str, Any]) -> Response:
    """429; `retry_after` as it is given (7, "2.0"), or None to leave it out."""
    given = options.get("retry_after", 1)
    headers = {} if given is None else {"Retry-After": str(given)}
    return JSONResponse({"message": "Too many requests"}, 429, headers | _extra(options))


def _throttle_date(request: Request, options: dict[str, Any]) -> Response:
    until = request.scope["sim.now"] + timedelta(seconds=options.get("retry_after", 2))
    headers = {"Retry-After": format_datetime(until.astimezone(UTC), usegmt=True)}
    return JSONResponse({"message": "Too many requests"}, 429, headers)


def _throttle_text(request: Request, options: dict[str, Any]) -> Response:
    headers = {"Retry-After": str(options.get("retry_after", 1))}
    return PlainTextResponse("Rate limit exceeded, please slow down.", 429, headers)


def _throttle_200(request: Request, options: dict[str, Any]) -> Response:
    """As Shopify's GraphQL tells of an empty cost bucket: in an HTTP 200."""
    cost = {
        "requestedQueryCost": options.get("requested", 502),
        "actualQueryCost": None,
        "throttleStatus": {
            "maximumAvailable": options.get("maximum", 1000.0),
            "currentlyAvailable": options.get("available", 402),
            "restoreRate": options.get("restore_rate", 50.0),
        },
    }
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    return JSONResponse({"errors": [error], "extensions": {"cost": cost}})


def _limit_exceeded(request: Request, options: dict[str, Any]) -> Response:
    message = "TotalRequests Limit exceeded."
    return JSONResponse([{"message": message, "errorCode": "REQUEST_LIMIT_EXCEEDED"}], 403)


def _server(request: Request, options: dict[str, Any]) -> Response:
    """5xx and its like as a proxy says it, in HTML; `status` says which, 502 if it does not."""
    status = options.get("status", 502)
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Response(page, status, _extra(options), "text/html")


def _status(status: int, message: str) -> FaultForm:
    def form(request: Request, options: dict[str, Any]) -> Response:
        return JSONResponse({"message": message}, status, _extra(options))

    return form


def _extra(options: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in options.get("headers", {}).items()}


REPLIES: dict[str, FaultForm] = {
    "throttle": _throttle,
    "throttle_date": _throttle_date,
    "throttle_text": _throttle_text,
    "throttle_200": _throttle_200,
    "limit_exceeded": _limit_exceeded,
    "forbidden": lambda request, options: Response(status_code=403),  # bare, as Mailchimp's
    "server": _server,
    "unauthorized": _status(401, "The access token is invalid or has expired"),
    "missing_scope": _status(403, "The token lacks a scope that this needs"),
    "wrong_region": _status(421, "The account lives in another region"),
    "cursor_expired": _status(410, "The cursor has expired"),
    "gone": _status(410, "This version of the API is retired"),
}

# ---- the vendor's own reply, but not as it left -------------------------------------------------

# reset: before anything is sent; reset_after_headers, short_body: announced, then cut off
# cut_json, cut_gzip: of the right length, but not whole; timeout: nothing for `seconds`
TRANSPORT = ("reset", "reset_after_headers", "short_body", "cut_json", "cut_gzip", "timeout")


def cut_body(kind: str, body: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A cut_json or cut_gzip body, and headers it needs; `share` of it is left."""
    headers = {}
    if kind == "cut_gzip":
        body, headers = gzip.compress(body, mtime=0), {"Content-Encoding": "gzip"}
    return body[: int(len(body) * options.get("share", 0.6))], headers


# ---- what is said in it -------------------------------------------------------------------------

Documents = Sequence[str]


def _each(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[..., list[str]]:
    """A change of every document; the option `field` names the (dotted) field that it is about."""

    def changed(documents: Documents, options: dict[str, Any]) -> list[str]:
        result = []
        for text in documents:
            document = orjson.loads(text)
            place = document
            *parents, name = str(options.get("field", "field")).split(".")
            for parent in parents:
                place = place.get(parent) if isinstance(place, dict) else None
            if isinstance(place, dict):
                change(place, {"name": name, **options})
            result.append(orjson.dumps(document).decode())
        return result

    return changed


def _put(place: dict[str, Any], options: dict[str, Any]) -> None:
    place[options["name"]] = options.get("value", "x")


def _as_text(place: dict[str, Any], options: dict[str, Any]) -> None:
    if options["name"] in place:
        value = place[options["name"]]
        place[options["name"]] = value if isinstance(value, str) else orjson.dumps(value).decode()


ODD_TEXT = "\x00 \u2028 \u202eשלום\u202c 👩🏽‍🚀 NaN"

DOCUMENTS: dict[str, Callable[[Documents, dict[str, Any]], Iterable[str]]] = {
    "duplicate_rows": lambda rows, options: [*rows, *rows[-options.get("rows", 1) :]],
    "out_of_order": lambda rows, options: rows[::-1],
    "empty_page": lambda rows, options: [],
    "new_field": _each(_put),
    "changed_value": _each(_put),  # value: null, "", another type, an unknown state ...
    "dropped_field": _each(lambda place, options: place.pop(options["name"], None) and None),
    "number_as_text": _each(_as_text),
    "odd_text": _each(lambda place, options: _put(place, {**options, "value": ODD_TEXT})),
    "long_text": _each(lambda place, options: _put(place, {**options, "value": "x" * 1_000_000})),
}
