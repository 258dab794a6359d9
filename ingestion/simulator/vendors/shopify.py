"""Shopify's Admin API as the simulated shop answers it: GraphQL, tokens and bulk operations.

Customers carry the numbers of their records; every other number is one of the world plus a
constant (`shopify_records.NUMBERS`). Merged and erased customers are simply gone; test orders are
deleted 30 days after they were placed, which only an event tells. A merge moves the loser's
orders to the winner and counts as a change of them [C].
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ingestion.simulator.server.engine import VendorApi
from ingestion.simulator.vendors.shopify_graphql import (
    Projector,
    QueryError,
    Selection,
    bulk_complaint,
    bulk_lines,
    check_pages,
    decode_cursor,
    encode_cursor,
    plan,
    requested_cost,
    search,
    type_of,
)
from ingestion.simulator.vendors.shopify_records import PROJECTIONS

__all__ = ["FAULT_FORMS", "PROJECTIONS", "SETTINGS", "VENDOR", "routes"]

VENDOR = "shopify"

SETTINGS: dict[str, Any] = {
    "versions": ["2025-10", "2026-01", "2026-04", "2026-07", "2026-10"],  # supported ones [A/B]
    "page_cap": 250,  # records a page [B]
    "paged_objects": 25_000,  # records that one connection pages through [C]
    "max_query_cost": 1000,  # points one query may ask for [C]
    "bucket": 2000,  # points [B]
    "restore_per_second": 100,  # points, standard plan [A]
    "heavy_cost": None,  # above it a query fails as an internal error; None: never [B: it happens]
    "token_seconds": 86_399,  # of client_credentials [A/B]
    "offline_token_seconds": 3600,  # of an expiring offline token [A]
    "scopes": [
        "read_customers",
        "read_orders",
        "read_all_orders",
        "read_products",
        "read_inventory",
    ],
    "order_window_days": 60,  # of orders without read_all_orders [B]
    "checkout_days": None,  # abandoned checkouts are kept so long; about 90 in life [C]
    "job_seconds": 5,  # a bulk operation takes so long [C]
    "lasting_token": True,  # secret access_token: that of a custom app of before 2026 [B]
}

MUTATION_COST = 10  # [A]
_FOR_EVER = 1e10  # seconds


@dataclass(frozen=True)
class _Root:
    """A root connection: which projection it lists, and the scope it needs."""

    table: str
    type_name: str
    scope: str | None


ROOTS = {
    "customers": _Root("customers", "Customer", "read_customers"),
    "orders": _Root("orders", "Order", "read_orders"),
    "products": _Root("products", "Product", "read_products"),
    "abandonedCheckouts": _Root("abandoned_checkouts", "AbandonedCheckout", "read_orders"),
    "events": _Root("events", "BasicEvent", None),
}
_BY_TYPE = {root.type_name: root for root in ROOTS.values()} | {
    "Refund": _Root("refunds", "Refund", "read_orders")
}
_BULK_STATES = {
    "queued": "CREATED",
    "running": "RUNNING",
    "done": "COMPLETED",
    "failed": "FAILED",
}
_SORTED_BY = {"ID": "number", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at"}


def routes(api: VendorApi) -> list[Route]:
    """Tokens, GraphQL, and the files of bulk operations."""
    shop = _Shop(api)

    async def token(request: Request) -> Response:
        if "json" in request.headers.get("content-type", ""):
            return shop.token(await request.json())
        return shop.token({name: str(value) for name, value in (await request.form()).items()})

    async def graphql(request: Request) -> Response:
        return await run_in_threadpool(shop.graphql, request, await request.body())

    return [
        Route("/admin/oauth/access_token", token, methods=["POST"]),
        Route("/admin/api/{version}/graphql.json", graphql, methods=["POST"]),
        Route("/bulk/{number:int}.jsonl", shop.bulk_file, methods=["GET"]),
    ]


def _internal_error(request: Request, options: dict[str, Any]) -> Response:
    """An internal error, told in an HTTP 200."""
    return _json({"errors": [_error(QueryError(_INTERNAL, "INTERNAL_SERVER_ERROR"))]})


FAULT_FORMS = {"internal_error": _internal_error}
_INTERNAL = "Internal error. Looks like something went wrong on our end."


class _Bucket:
    """Query points that refill with virtual time; one bucket for the app in the shop."""

    def __init__(self, api: VendorApi) -> None:
        self._api, self._lock = api, threading.Lock()
        self._level, self._at = self.size, api.now()

    @property
    def size(self) -> float:
        return float(self._api.settings["bucket"])

    @property
    def restore(self) -> float:
        return float(self._api.settings["restore_per_second"])

    def take(self, points: float) -> bool:
        with self._lock:
            now = self._api.now()
            passed = max((now - self._at).total_seconds(), 0)
            self._level, self._at = min(self.size, self._level + passed * self.restore), now
            if points > self._level:
                return False
            self._level -= points
            return True

    def give_back(self, points: float) -> None:
        with self._lock:
            self._level = min(self.size, self._level + points)

    def status(self) -> dict[str, float]:
        return {
            "maximumAvailable": self.size,
            "currentlyAvailable": int(self._level),
            "restoreRate": self.restore,
        }


class _Shop:
    def __init__(self, api: VendorApi) -> None:
        self.api, self.bucket = api, _Bucket(api)
        # made known, so that the journal hides them
        self.lasting = api.secret("access_token")
        self.first_refresh_token = api.secret("refresh_token")

    # ---- tokens --------------------------------------------------------------------------------

    def token(self, asked: dict[str, str]) -> Response:
        """`client_credentials`: 24 hours; `refresh_token`: an hour, and the old one is dead."""
        known = (self.api.secret("client_id"), self.api.secret("client_secret"))
        if (asked.get("client_id"), asked.get("client_secret")) != known:
            return _json({"error": "invalid_client", "error_description": "unknown client"}, 401)
        grant, settings = asked.get("grant_type"), self.api.settings
        scope = {"scope": ",".join(settings["scopes"])}
        if grant == "client_credentials":
            life = settings["token_seconds"]
            token = self.api.tokens.issue("shpat", life)
            return _json({"access_token": token, **scope, "expires_in": life})
        if grant != "refresh_token":
            return _json({"error": "unsupported_grant_type"}, 400)
        given = asked.get("refresh_token", "")
        if given == self.first_refresh_token:
            is_good = self.api.limit("first refresh token", 1, _FOR_EVER) is None
        else:
            is_good = self.api.tokens.valid(given, "shprt")
            self.api.tokens.revoke(given)
        if not is_good:
            return _json({"error": "invalid_grant", "error_description": "token is not valid"}, 400)
        life = settings["offline_token_seconds"]
        token = self.api.tokens.issue("shpat", life)
        renewed = self.api.tokens.issue("shprt", None)
        return _json({"access_token": token, **scope, "expires_in": life, "refresh_token": renewed})

    def _is_known(self, token: str) -> bool:
        lasting = token == self.lasting and self.api.settings["lasting_token"]
        return lasting or self.api.tokens.valid(token, "shpat")

    # ---- GraphQL -------------------------------------------------------------------------------

    def graphql(self, request: Request, body: bytes) -> Response:
        """One query or mutation."""
        if not self._is_known(request.headers.get("x-shopify-access-token", "")):
            refused = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return _json({"errors": refused}, 401)
        version = self._served(request.path_params["version"])
        if version is None:
            return _json({"errors": "Not Found"}, 404)
        headers = {"X-Shopify-API-Version": version}
        try:
            asked = orjson.loads(body)
            query = plan(asked["query"], asked.get("variables") or {})
            check_pages(query.roots, self.api.settings["page_cap"])
            cost = requested_cost(query.roots)
        except (QueryError, GraphQLError) as error:
            self._note(request, error)
            return _json({"errors": [_error(error)]}, headers=headers)
        if query.operation == "mutation":
            cost = MUTATION_COST
        refusal = self._refusal(cost)
        if refusal:
            return _json({"errors": [_error(refusal)], **self._cost(cost, None)}, headers=headers)
        projector = Projector(self._load)
        data: dict[str, Any] = {}
        errors = []
        for selection in query.roots:
            try:
                data[selection.key] = self._resolve(selection, projector, request)
            except QueryError as error:
                self._note(request, error)
                data[selection.key] = None
                errors.append(_error(error) | {"path": [selection.key]})
        actual = MUTATION_COST if query.operation == "mutation" else min(projector.objects, cost)
        self.bucket.give_back(cost - actual)
        reply = {"data": data} | ({"errors": errors} if errors else {})
        return _json(reply | self._cost(cost, actual), headers=headers)

    def _note(self, request: Request, error: QueryError | GraphQLError) -> None:
        """An error without a code is not the API's, but a gap in what is simulated."""
        if isinstance(error, GraphQLError) or error.code is None:
            self.api.unsupported(request, str(error))

    def _served(self, asked: str) -> str | None:
        """The version that answers: a retired one falls forward to the oldest supported [C]."""
        versions = self.api.settings["versions"]
        if asked in (*versions, "unstable"):
            return asked
        is_version = re.fullmatch(r"\d{4}-(01|04|07|10)", asked)
        return versions[0] if is_version and asked < versions[0] else None

    def _refusal(self, cost: int) -> QueryError | None:
        limit, heavy = self.api.settings["max_query_cost"], self.api.settings["heavy_cost"]
        if cost > limit:
            text = f"Query cost is {cost}, which exceeds the single query max cost limit ({limit})."
            return QueryError(text, "MAX_COST_EXCEEDED", cost=cost, maxCost=limit)
        if not self.bucket.take(cost):
            return QueryError("Throttled", "THROTTLED")
        if heavy is not None and cost > heavy:
            return QueryError(_INTERNAL, "INTERNAL_SERVER_ERROR")
        return None

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        cost = {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": self.bucket.status(),
        }
        return {"extensions": {"cost": cost}}

    def _resolve(self, s: Selection, projector: Projector, request: Request) -> Any:
        if s.name in ROOTS:
            return self._page(s, projector)
        if s.name in ("customer", "order", "product", "node"):
            return self._record(s, s.arguments["id"], projector, request)
        if s.name == "nodes":
            return self._records(s, s.arguments["ids"], projector)
        if s.name == "shop":
            [(shop,)] = self.api.query(f"select document from {self.api.table('shop')}")
            return projector.cut(orjson.loads(shop), s.children)
        if s.name == "currentAppInstallation":
            scopes = [{"handle": h, "description": h} for h in self.api.settings["scopes"]]
            return projector.cut({"accessScopes": scopes}, s.children)
        if s.name == "currentBulkOperation":
            number = len(self.api.jobs.list("bulk"))
            return projector.cut(self._bulk(number, request), s.children)
        return projector.cut(self._run_bulk(s.arguments["query"], request), s.children)

    def _load(self, type_name: str, gid: str) -> dict[str, Any] | None:
        return self._loaded(type_name, [gid]).get(gid)

    def _loaded(self, type_name: str, gids: list[str]) -> dict[str, dict[str, Any]]:
        """Those documents of a type that are there and may be seen, by id."""
        if type_name not in _BY_TYPE:
            raise QueryError(f"node of {type_name} is not part of the simulated schema")
        root = _BY_TYPE[type_name]
        self._check_scope(root.scope, root.table)
        where, values = self._visible(root)
        rows = self.api.query(
            f"select id, document from {self.api.table(root.table)}"
            f" where id in (select unnest(?)) and {where}",
            (gids, *values),
        )
        return {gid: orjson.loads(document) for gid, document in rows}

    def _record(
        self, s: Selection, gid: str, projector: Projector, request: Request
    ) -> dict[str, Any] | None:
        type_name = type_of(gid)
        if type_name == "BulkOperation":
            value = self._bulk(int(gid.rsplit("/", 1)[1]), request)
        else:
            value = self._load(type_name, gid)
        selections = s.plan_for(type_name) if s.plan_for else s.children
        cut: dict[str, Any] | None = projector.cut(value, selections)
        return cut

    def _records(
        self, s: Selection, gids: list[str], projector: Projector
    ) -> list[dict[str, Any] | None]:
        """Records of any types, in the order of their ids; one that is not there is None."""
        assert s.plan_for
        found: dict[str, Any] = {}
        for type_name in {type_of(gid) for gid in gids}:
            plan_of_type = s.plan_for(type_name)
            own = [gid for gid in gids if type_of(gid) == type_name]
            for gid, document in self._loaded(type_name, own).items():
                found[gid] = projector.cut(document, plan_of_type)
        return [found.get(gid) for gid in gids]

    def _check_scope(self, scope: str | None, name: str) -> None:
        if scope and scope not in self.api.settings["scopes"]:
            needs = f"`{scope}` access scope."
            raise QueryError(
                f"Access denied for {name} field. Required access: {needs}",
                "ACCESS_DENIED",
                requiredAccess=needs,
            )

    def _visible(self, root: _Root) -> tuple[str, list[Any]]:
        """What the app may see of a table: the 60 days of orders, and what is still kept."""
        settings, now = self.api.settings, self.api.now()
        if root.table == "orders" and "read_all_orders" not in settings["scopes"]:
            return "created_at >= ?", [now - timedelta(days=settings["order_window_days"])]
        if root.table == "abandoned_checkouts" and settings["checkout_days"] is not None:
            return "created_at >= ?", [now - timedelta(days=settings["checkout_days"])]
        return "true", []

    def _found(self, s: Selection) -> tuple[str, list[Any]]:
        """The SQL condition of what a root connection lists."""
        root = ROOTS[s.name]
        self._check_scope(root.scope, s.name)
        seen, seen_values = self._visible(root)
        asked, asked_values = search(s.arguments.get("query"))
        return f"{seen} and {asked}", [*seen_values, *asked_values]

    def _page(self, s: Selection, projector: Projector) -> dict[str, Any]:
        where, values = self._found(s)
        column = _SORTED_BY[s.arguments["sortKey"]]
        backwards = s.arguments["reverse"]
        bound_to = orjson.dumps([s.name, column, backwards, s.arguments.get("query")]).decode()
        seen = 0
        if after := s.arguments.get("after"):
            value, number, seen = decode_cursor(after, bound_to)
            where += f" and ({column}, number) {'<' if backwards else '>'} (?, ?)"
            values += [number if column == "number" else datetime.fromisoformat(value), number]
        if seen >= self.api.settings["paged_objects"]:
            raise QueryError("Pagination is limited; narrow the query.", "BAD_REQUEST")
        first, order = s.arguments["first"], "desc" if backwards else "asc"
        rows = self.api.query(
            f"select document, {column}, number from {self.api.table(ROOTS[s.name].table)}"
            f" where {where} order by {column} {order}, number {order} limit {first + 1}",
            tuple(values),
        )
        page = rows[:first]
        cursors = [
            encode_cursor([value, number, seen + i], bound_to)
            for i, (_, value, number) in enumerate(page, start=1)
        ]
        documents = self.api.documents([document for document, _, _ in page])
        return projector.connection(
            s,
            [orjson.loads(document) for document in documents],
            cursors,
            more=len(rows) > first,
        )

    # ---- bulk operations -----------------------------------------------------------------------

    def _run_bulk(self, text: str, request: Request) -> dict[str, Any]:
        try:
            query = plan(text, {})
            complaint = bulk_complaint(query)
        except (QueryError, GraphQLError) as error:
            complaint = f"Invalid bulk query: {error}"
        else:
            if complaint is None:
                self._found(query.roots[0])
        if complaint is None and any(
            j["state"] in ("queued", "running") for j in self.api.jobs.list("bulk")
        ):
            complaint = "A bulk query operation for this app and shop is already in progress."
        if complaint:
            refusal = {"field": ["query"], "message": complaint}
            return {"bulkOperation": None, "userErrors": [refusal]}
        self.api.jobs.create("bulk", query=text)
        number = len(self.api.jobs.list("bulk"))
        return {"bulkOperation": self._bulk(number, request), "userErrors": []}

    def _job(self, number: int) -> dict[str, Any] | None:
        """Bulk operations are numbered in the order in which they were begun, from 1."""
        jobs = self.api.jobs.list("bulk")
        return jobs[number - 1] if 0 < number <= len(jobs) else None

    def _bulk(self, number: int, request: Request) -> dict[str, Any] | None:
        job = self._job(number)
        if job is None:
            return None
        done = job["state"] == "done"
        roots = objects = 0
        if done:
            selection = plan(job["query"], {}).roots[0]
            where, values = self._found(selection)
            nested = [s.name for s in selection.node if s.kind == "connection"]
            sizes = "".join(f" + json_array_length(document, '$.{n}.nodes')" for n in nested)
            [(roots, objects)] = self.api.query(
                f"select count(*), coalesce(sum(1{sizes}), 0) from"
                f" {self.api.table(ROOTS[selection.name].table)} where {where}",
                tuple(values),
            )
        return {
            "id": f"gid://shopify/BulkOperation/{number}",
            "status": _BULK_STATES[job["state"]],
            "errorCode": "INTERNAL_SERVER_ERROR" if job["state"] == "failed" else None,
            "objectCount": str(objects),
            "rootObjectCount": str(roots),
            "url": self.api.url(request, f"/bulk/{number}.jsonl") if done and roots else None,
            "partialDataUrl": None,
            "createdAt": _time(job["created_at"]),
            "completedAt": _time(job["done_at"]) if done else None,
            "query": job["query"],
        }

    def bulk_file(self, request: Request) -> Response:
        """The result as JSON lines; the URL is signed in life, so no token is asked for."""
        job = self._job(request.path_params["number"])
        if job is None or job["state"] != "done":
            return Response("no such file", 404)
        selection = plan(job["query"], {}).roots[0]
        where, values = self._found(selection)
        table = self.api.table(ROOTS[selection.name].table)

        def lines() -> Iterator[bytes]:
            projector = Projector(self._load)
            sql = f"select document from {table} where {where} order by number"
            for rows in self.api.company.pages(sql, values, 1000):
                page = [orjson.loads(document) for (document,) in rows]
                yield b"".join(bulk_lines(page, selection, projector))

        return StreamingResponse(lines(), media_type="application/jsonl")


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(error: QueryError | GraphQLError) -> dict[str, Any]:
    if isinstance(error, GraphQLError):
        return {"message": error.message, "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}
    if error.code is None:
        return {"message": str(error)}
    return {"message": str(error), "extensions": {"code": error.code, **error.extensions}}


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
