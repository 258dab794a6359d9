"""Zendesk as the company uses it: support of consumers, with its own metrics and SLA clocks.

Ids: a ticket is 5000 + its number, a customer the record's external id, an agent 700000 + the
employee, group and organization 360000 and 36000000 + a number. Custom field 360001 holds the
shop's order id (4500000000 + the order's number), 360002 the topic.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.from_thread
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingestion.simulator.server.engine import VendorApi
from ingestion.simulator.vendors.zendesk_records import (
    LAKE_TABLES,
    PROJECTIONS,
    second_of,
    time_text,
)

__all__ = ["FAULT_FORMS", "LAKE_TABLES", "PROJECTIONS", "SETTINGS", "VENDOR", "routes"]

VENDOR = "zendesk"

SETTINGS: dict[str, Any] = {
    "export_page": 1000,  # of a cursor or time-based export [A]
    "list_page": 100,  # of a list [A]
    "offset_rows": 10_000,  # beyond, offset pages are refused [C]
    "requests_per_minute": 700,  # Enterprise [A]
    "exports_per_minute": 10,  # incremental exports [A]
    "withheld_seconds": 60,  # the last minute is not exported yet [A]
    "ties_in_full": True,  # a time-based page holds all rows of its first second [C]
    "token_seconds": 172_800,  # [B]
    "api_tokens": True,  # until 2027-04-30 [A]
    "gated": [],  # streams that the account's plan lacks [B]
    "ratings_since": "updated_at",  # what start_time of the ratings is about [C]
    "merged_keeps_email": True,  # of the user who lost a merge [C]
}


# ---- replies that say no ------------------------------------------------------------------------


def _too_many(request: Request, options: dict[str, Any]) -> Response:
    """Its body is no JSON [A]."""
    given = options.get("retry_after", 20)
    headers = {} if given is None else {"Retry-After": str(given)}
    return PlainTextResponse(
        "Number of allowed API requests per minute exceeded", 429, headers=headers
    )


def _invalid_token(request: Request, options: dict[str, Any]) -> Response:
    described = (
        "The access token provided is expired, revoked, malformed or invalid for other reasons."
    )
    return JSONResponse({"error": "invalid_token", "error_description": described}, 401)


def _forbidden(request: Request, options: dict[str, Any]) -> Response:
    message = "You do not have access to this page. Please contact the account owner for help."
    return JSONResponse({"error": {"title": "Forbidden", "message": message}}, 403)


def _problem(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "description": description}, status)


FAULT_FORMS = {
    "throttle": _too_many,
    "throttle_text": _too_many,
    "unauthorized": _invalid_token,
    "missing_scope": _forbidden,
}


# ---- paths --------------------------------------------------------------------------------------

Handler = Callable[[Request], Response]


def routes(api: VendorApi) -> list[Route]:
    """The reading half of the Ticketing API, v2."""
    desk = _Desk(api)
    exports: dict[str, Handler] = {
        "tickets/cursor": lambda r: desk.cursor_export(r, "tickets", "metric_set"),
        "users/cursor": lambda r: desk.cursor_export(r, "users", "identities"),
        "ticket_events": lambda r: desk.time_export(r, "ticket_events"),
        "ticket_metric_events": lambda r: desk.time_export(r, "ticket_metric_events"),
        "organizations": lambda r: desk.time_export(r, "organizations"),
    }
    lists: dict[str, Handler] = {
        "groups": lambda r: desk.listing(r, "groups"),
        "ticket_fields": lambda r: desk.listing(r, "ticket_fields"),
        "slas/policies": lambda r: desk.listing(r, "sla_policies"),
        "deleted_tickets": lambda r: desk.listing(r, "deleted_tickets"),
        "satisfaction_ratings": desk.ratings,
        "users": desk.users,
        "users/me": desk.me,
        "oauth/tokens/current": desk.current_token,
        "business_hours/schedules": desk.schedules,
        "business_hours/schedules/{id:int}/holidays": desk.holidays,
        "tickets/{id:int}/comments": desk.comments,
    }
    paths = {f"incremental/{path}": desk.signed_in(h, export=True) for path, h in exports.items()}
    paths |= {path: desk.signed_in(h) for path, h in lists.items()}
    return [
        Route("/oauth/tokens", desk.token, methods=["POST"]),
        *(
            Route(f"/api/v2/{path}{suffix}", handler)
            for path, handler in paths.items()
            for suffix in (".json", "")
        ),
    ]


class _Desk:
    """What the account answers."""

    def __init__(self, api: VendorApi) -> None:
        self.api = api
        # made known, so that the journal hides them
        self.first_refresh_token = api.secret("refresh_token")
        self.client = (api.secret("client_id"), api.secret("client_secret"))
        self.basic = f"{api.secret('email')}/token:{api.secret('api_token')}"

    # ---- who may ask, and how often ------------------------------------------------------------

    def token(self, request: Request) -> Response:
        """Refreshing gives a new pair; the old one, access token included, is dead at once [A]."""
        body = anyio.from_thread.run(request.body)
        is_json = "json" in request.headers.get("content-type", "")
        asked = orjson.loads(body) if is_json else dict(parse_qsl(body.decode()))
        if (asked.get("client_id"), asked.get("client_secret")) != self.client:
            return _oauth_error("invalid_client", "Client authentication failed", 401)
        issue, life = self.api.tokens.issue, self.api.settings["token_seconds"]
        reply: dict[str, Any] = {"token_type": "bearer", "scope": "read", "expires_in": life}
        if asked.get("grant_type") == "client_credentials":
            return JSONResponse(reply | {"access_token": issue("zdaccess", life)})
        if asked.get("grant_type") != "refresh_token":
            return _oauth_error("unsupported_grant_type", "The grant type is not supported", 400)
        given = asked.get("refresh_token", "")
        if given == self.first_refresh_token:
            is_good = self.api.limit("first refresh token", 1, 1e10) is None
        else:
            is_good = self.api.tokens.valid(given, "zdrefresh")
            self.api.tokens.revoke(given)
            self.api.tokens.revoke((self.api.tokens.claims(given) or {}).get("access", ""))
        if not is_good:
            return _oauth_error("invalid_grant", "The provided grant is invalid or expired", 400)
        access = issue("zdaccess", life)
        # the claim says which access token dies with it
        renewed = issue("zdrefresh", 90 * 86_400, access=access)
        return JSONResponse(
            reply
            | {"access_token": access, "refresh_token": renewed}
            | {"refresh_token_expires_in": 90 * 86_400}
        )

    def signed_in(self, handler: Handler, *, export: bool = False) -> Handler:
        """A handler behind credentials and limits."""

        def handle(request: Request) -> Response:
            settings = self.api.settings
            if refused := self._refused(request):
                return refused
            per_minute = settings["requests_per_minute"]
            limits = [("account", per_minute)]
            if export:
                limits.append(("exports", settings["exports_per_minute"]))
            for key, calls in limits:
                if (wait := self.api.limit(key, calls, 60)) is not None:
                    return _too_many(request, {"retry_after": int(wait) + 1})
            response = handler(request)
            left = per_minute - self.api.limits.used("account", 60)
            response.headers["X-Rate-Limit"] = str(per_minute)
            response.headers["X-Rate-Limit-Remaining"] = str(left)
            return response

        return handle

    def _refused(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            is_good = self.api.tokens.valid(given, "zdaccess")
            return None if is_good else _invalid_token(request, {})
        try:
            pair = base64.b64decode(given).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        if pair == self.basic and self.api.settings["api_tokens"]:
            return None
        return JSONResponse({"error": "Couldn't authenticate you"}, 401)

    def current_token(self, request: Request) -> Response:
        """Until when the shown token lives."""
        given = request.headers.get("authorization", "").partition(" ")[2]
        ends = (self.api.tokens.claims(given) or {}).get("ends")
        expires = self.api.query(f"select {time_text('to_timestamp(?)')}", [ends])[0][0]
        return JSONResponse({"token": {"id": 1, "scopes": ["read"], "expires_at": expires}})

    def me(self, request: Request) -> Response:
        user = {"id": 700001, "name": "Warehouse", "role": "admin", "active": True}
        return JSONResponse({"user": user})

    # ---- exports -------------------------------------------------------------------------------

    def cursor_export(self, request: Request, name: str, sideload: str) -> Response:
        """Rows by when they last changed, then id; the cursor is the last row's place."""
        params, until = request.query_params, self._until()
        self._check(request, {"start_time", "cursor", "per_page", "include", "exclude_deleted"})
        if given := params.get("cursor"):
            place = _place(given)
            if place is None:
                return _problem(400, "InvalidCursor", "cursor is not valid")
        else:
            start = _start(params.get("start_time"), until)
            if isinstance(start, Response):
                return start
            place = (start, -1, 0)
        stamp, number, turn = place
        size = min(int(params.get("per_page", 1000)), self.api.settings["export_page"])
        where = "and archived_at is null" if params.get("exclude_deleted") == "true" else ""
        document = "document"
        if name == "users" and not self.api.settings["merged_keeps_email"]:
            document = (
                "case when is_merged then json_merge_patch(document, '{\"email\": null}')"
                " else document end"
            )
        rows = self.api.query(
            f"""
            select {document}, {sideload}, {second_of("updated_at")} as stamp, id::bigint as number
            from {self.api.table(name)}
            where stamp < ? and (stamp, number) > (?, ?) {where}
            order by stamp, number
            limit ?
            """,
            [until, stamp, number, size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        if self.api.fault("repeated_cursor"):
            has_more = True
        elif self.api.fault("empty_page"):  # nothing yet, and more to come
            has_more, rows, turn = True, [], turn + 1
        elif rows:
            stamp, number, turn = rows[-1][2], rows[-1][3], 0
        cursor = _cursor(stamp, number, turn)
        envelope: dict[str, Any] = {
            "after_url": self.api.url(request, f"{_own_path(request)}?cursor={cursor}"),
            "after_cursor": cursor, "before_url": None, "before_cursor": None,
            "end_of_stream": not has_more,
        }  # fmt: skip
        wanted = {"metric_set": "metric_sets"}.get(sideload, sideload)
        if wanted in params.get("include", "").split(","):
            texts = (row[1] if row[1].startswith("{") else row[1][1:-1] for row in rows)
            envelope[wanted] = orjson.Fragment(f"[{','.join(filter(None, texts))}]")
        return self.api.json([row[0] for row in rows], key=name, **envelope)

    def time_export(self, request: Request, name: str) -> Response:
        """Rows from a second on. What shares the last second of a page comes again on the next."""
        if refused := self._gated(request, name):
            return refused
        self._check(request, {"start_time", "include", "per_page"})
        until = self._until()
        start = _start(request.query_params.get("start_time"), until)
        if isinstance(start, Response):
            return start
        table, size = self.api.table(name), self.api.settings["export_page"]
        if self.api.settings["ties_in_full"]:
            # else a second with more rows than a page holds could never be left
            same = f"select count(*) from {table} where {second_of('updated_at')} = ?"
            size += self.api.query(same, [start])[0][0]
        rows = self.api.query(
            f"""
            select document, {second_of("updated_at")} as stamp
            from {table}
            where stamp >= ? and stamp < ?
            order by stamp, id::bigint
            limit ?
            """,
            [start, until, size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        end = rows[-1][1] if rows else start
        if self.api.fault("repeated_cursor"):
            has_more, end = True, start
        elif self.api.fault("empty_page"):
            has_more, rows, end = True, [], start
        include = request.query_params.get("include")
        documents = [row[0] for row in rows]
        if name == "ticket_events" and include != "comment_events":
            documents = [_without_comments(text) for text in documents]
        query = urlencode({"start_time": end} | ({"include": include} if include else {}))
        return self.api.json(
            documents, key=name, count=len(rows), end_time=end, end_of_stream=not has_more,
            next_page=self.api.url(request, f"{_own_path(request)}?{query}"),
        )  # fmt: skip

    def _until(self) -> int:
        """The second from which on rows are withheld."""
        clock = int(self.api.company.clock.timestamp())
        return clock - int(self.api.settings["withheld_seconds"])

    # ---- lists ---------------------------------------------------------------------------------

    def ratings(self, request: Request) -> Response:
        where, values = "true", []
        if since := request.query_params.get("start_time"):
            where, values = f"{second_of(self.api.settings['ratings_since'])} >= ?", [int(since)]
        return self.listing(request, "satisfaction_ratings", where, values, {"start_time"})

    def users(self, request: Request) -> Response:
        """Deleted users are not listed."""
        params = request.query_params
        roles = [*params.getlist("role[]"), *params.getlist("role")]
        where = "archived_at is null"
        if roles:
            where += f" and role in ({', '.join('?' * len(roles))})"
        return self.listing(request, "users", where, roles, {"role[]", "role"})

    def listing(
        self, request: Request, name: str, where: str = "true", values: list[Any] | None = None,
        known: set[str] | None = None,
    ) -> Response:  # fmt: skip
        """A list by id: cursor pages where `page[size]` is asked for, else by offset."""
        if refused := self._gated(request, name):
            return refused
        paging = {"page[size]", "page[after]", "page", "per_page"}
        self._check(request, paging | (known or set()))
        params, most = request.query_params, self.api.settings["list_page"]
        table, values = self.api.table(name), values or []
        kept = [(k, v) for k, v in params.multi_items() if k not in paging]
        if "page[size]" not in params:
            return self._offset_page(request, name, where, values, kept)
        size = int(params["page[size]"])
        after = (0, 0, 0)
        if given := params.get("page[after]"):
            after = _place(given) or (-1, 0, 0)
        if not 1 <= size <= 100 or after[0] < 0:
            return _problem(400, "InvalidPaginationParameter", "page[size] is between 1 and 100")
        size = min(size, most)
        rows = self.api.query(
            f"select document, id::bigint as number from {table}"
            f" where ({where}) and number > ? order by number limit ?",
            [*values, after[1], size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        cursor = given
        if self.api.fault("repeated_cursor"):
            has_more, cursor = True, _cursor(0, after[1])
        elif self.api.fault("empty_page"):
            has_more, rows, cursor = True, [], _cursor(0, after[1], after[2] + 1)
        elif rows:
            cursor = _cursor(0, rows[-1][1])
        query = urlencode([*kept, ("page[size]", str(size)), ("page[after]", cursor or "")])
        return self.api.json(
            [row[0] for row in rows], key=name,
            meta={"has_more": has_more, "after_cursor": cursor, "before_cursor": None},
            # a link even where nothing follows [B]
            links={"next": self.api.url(request, f"{_own_path(request)}?{query}"), "prev": None},
        )  # fmt: skip

    def _offset_page(
        self, request: Request, name: str, where: str, values: list[Any], kept: list[Any]
    ) -> Response:
        params, table = request.query_params, self.api.table(name)
        page = int(params.get("page", 1))
        size = min(int(params.get("per_page", 100)), self.api.settings["list_page"])
        if page * size > self.api.settings["offset_rows"]:
            return _problem(400, "InvalidPaginationDepth", "Use cursor pagination")
        (count,) = self.api.query(f"select count(*) from {table} where {where}", values)[0]
        rows = self.api.query(
            f"select document from {table} where {where} order by id::bigint limit ? offset ?",
            [*values, size, (page - 1) * size],
        )

        def link(number: int) -> str:
            query = urlencode([*kept, ("page", number), ("per_page", size)])
            return self.api.url(request, f"{_own_path(request)}?{query}")

        return self.api.json(
            [row[0] for row in rows], key=name, count=count,
            next_page=link(page + 1) if page * size < count else None,
            previous_page=link(page - 1) if page > 1 else None,
        )  # fmt: skip

    def schedules(self, request: Request) -> Response:
        """All of them at once."""
        if refused := self._gated(request, "schedules"):
            return refused
        rows = self.api.query(f"select document from {self.api.table('schedules')} order by id")
        return self.api.json([row[0] for row in rows], key="schedules")

    def holidays(self, request: Request) -> Response:
        rows = self.api.query(
            f"select holidays from {self.api.table('schedules')} where id::bigint = ?",
            [request.path_params["id"]],
        )
        if not rows:
            return _problem(404, "RecordNotFound", "Not found")
        return JSONResponse({"holidays": orjson.loads(rows[0][0])})

    def comments(self, request: Request) -> Response:
        """Of a ticket that is there; those of a deleted one are not."""
        number = request.path_params["id"]
        live = f"select 1 from {self.api.table('tickets')} where id = ? and archived_at is null"
        if not self.api.query(live, [str(number)]):
            return _problem(404, "RecordNotFound", "Not found")
        rows = self.api.query(
            f"select document from {self.api.table('ticket_events')} where ticket = ?"
            " order by created_at",
            [number],
        )
        comments = [
            child | {"audit_id": event["id"]}
            for event in (orjson.loads(row[0]) for row in rows)
            for child in event["child_events"]
            if child["event_type"] == "Comment"
        ]
        return JSONResponse({"comments": comments, "count": len(comments), "next_page": None})

    def _gated(self, request: Request, name: str) -> Response | None:
        return _forbidden(request, {}) if name in self.api.settings["gated"] else None

    def _check(self, request: Request, known: set[str]) -> None:
        if unknown := request.query_params.keys() - known:
            self.api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")


def _start(text: str | None, until: int) -> int | Response:
    """The `start_time` that was asked for; it must lie more than a minute back [A]."""
    try:
        start = int(text or "")
    except ValueError:
        return _problem(400, "InvalidValue", "start_time is not an integer")
    if start >= until:
        return _problem(400, "StartTimeTooRecent", "Use a start_time older than 60 seconds")
    return start


def _cursor(stamp: int, number: int, turn: int = 0) -> str:
    """A place between rows; `turn` tells replies apart that lead to one place."""
    text = f"{stamp}.0||{number}" + (f"||{turn}" if turn else "")
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, int, int] | None:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        stamp, number, *turn = text.split("||")
        return int(float(stamp)), int(number), int(turn[0]) if turn else 0
    except (ValueError, binascii.Error):
        return None


def _own_path(request: Request) -> str:
    """The path that was asked for, without the vendor's prefix."""
    return request.url.path.removeprefix(request.scope["sim.prefix"])


def _without_comments(text: str) -> str:
    event = orjson.loads(text)
    for child in event["child_events"]:
        for name in ("body", "html_body", "plain_body"):
            child.pop(name, None)
    return orjson.dumps(event).decode()


def _oauth_error(error: str, description: str, status: int) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
