"""Shopify: customers, orders with all that belongs to them, products, abandoned checkouts.

GraphQL Admin API. A first load, or one of a long time, goes through bulk operations; what changed
since comes page by page, as large as the cost rules allow. The key of a record is its id as
Shopify writes it (gid://shopify/Order/4501), which is also what events of deletion name.
"""

import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import requests
from pydantic import Field

from ingestion.errors import SourceError
from ingestion.sources import shopify_queries as queries
from ingestion.sources.api import (
    ApiSession,
    Auth,
    ClientCredentials,
    RefreshToken,
    StaticHeader,
    Verdict,
    parse_json,
)
from ingestion.sources.connector import (
    Connector,
    ConnectorSettings,
    Finding,
    Page,
    PagingGuard,
    SourceObject,
    Window,
    advance,
    parse_time,
    since,
)
from ingestion.sources.shopify_queries import DELETIONS, LISTINGS, NESTED, Listing

log = logging.getLogger(__name__)

_HEADER = "X-Shopify-Access-Token"
_LOOKBACK = timedelta(minutes=10)  # the search index lags, and refunds show after their order
_RESTART = 20_000  # records after which a listing is begun anew: Shopify pages through 25,000
_BULK_PAGE = 250  # records of a bulk result that are handed on together
_DOWNLOADS = 3
_SMALL_COST = 10  # points of a query that lists nothing, at most
_GONE = "an event of deletion (destroy)"
SCOPES = ("read_customers", "read_orders", "read_products", "read_inventory")


class ShopifySettings(ConnectorSettings):
    """What may differ from shop to shop. `base_url` is https://<shop>.myshopify.com."""

    base_url: str = Field(description="https://<shop>.myshopify.com")
    version: str = Field(
        "2026-10", pattern=r"\d{4}-(01|04|07|10)|unstable", description="Of the Admin API."
    )
    page_size: int = Field(250, ge=1, le=250, description="Records of a page, at most.")
    nested_page_size: int = Field(
        3, ge=1, le=250, description="Lines fetched with each order; the rest after."
    )
    max_query_cost: int = Field(
        1000, ge=50, description="Points that Shopify lets one query ask for."
    )
    bulk: bool = Field(True, description="Whether long spans are loaded by bulk operations.")
    bulk_after_days: float = Field(7, ge=0, description="What is a long span.")
    bulk_poll_seconds: float = Field(5, gt=0, description="Between looks at a bulk operation.")
    bulk_wait_hours: float = Field(12, gt=0, description="How long one may take.")


class TooLarge(SourceError):
    """A page that the server could not answer; a smaller one may pass."""


class Shopify(Connector):
    """One shop, by an app of its own (24-hour tokens), a public app (rotating refresh token) or
    the lasting token of an old custom app."""

    vendor = "shopify"
    objects = (
        SourceObject("shop", key=("id",), cursor="updatedAt"),
        SourceObject(
            "customers", key=("id",), cursor="updatedAt", lookback=_LOOKBACK, reconcile=True,
            deletes="no reliable sign: ids are compared",
            merges="the loser is gone: ids are compared; its orders change to the winner",
            scope="read_customers",
        ),
        SourceObject(
            "orders", key=("id",), cursor="updatedAt", lookback=_LOOKBACK, deletes=_GONE,
            scope="read_orders, read_all_orders",
        ),
        SourceObject(
            "products", key=("id",), cursor="updatedAt", lookback=_LOOKBACK, deletes=_GONE,
            scope="read_products, read_inventory",
        ),
        SourceObject(
            "abandoned_checkouts", key=("id",), cursor="updatedAt", lookback=_LOOKBACK,
            deletes="none: Shopify forgets them after some months, the lake does not",
            scope="read_orders",
        ),
    )  # fmt: skip
    Settings = ShopifySettings
    secret_choices = (
        ("client_id", "client_secret"),
        ("client_id", "client_secret", "refresh_token"),
        ("access_token",),
    )

    settings: ShopifySettings
    _version_noted = False
    _can_shrink = False  # whether a smaller page may pass where the last one fails

    def connect(self) -> ApiSession:
        self._pace = Pace(self.settings.max_query_cost)
        self._sizes: dict[str, int] = {}  # records a page, by query
        self._ceilings: dict[str, int] = {}  # sizes that failed are not tried again
        return self.session(self.settings.base_url, auth=self._auth(), judge=self._judge)

    def _auth(self) -> Auth:
        secret, url = self.secret, f"{self.settings.base_url}/admin/oauth/access_token"
        if "client_id" not in secret:
            return StaticHeader(_HEADER, secret["access_token"], secret_names=("access_token",))
        pair = (secret["client_id"], secret["client_secret"])
        if "refresh_token" in secret:
            return RefreshToken(
                url, *pair, secret["refresh_token"],
                store=self.token_store, style="json", header=_HEADER, prefix="",
            )  # fmt: skip
        return ClientCredentials(url, *pair, style="json", header=_HEADER, prefix="")

    def check(self) -> list[Finding]:
        """One query: are the credentials good, and which access scopes does the app lack?"""
        data = self._ask(queries.SCOPES, {})
        name = data["shop"]["name"]
        granted = {s["handle"] for s in data["currentAppInstallation"]["accessScopes"]}
        findings = [Finding(True, f"the shop {name!r} answers")]
        for scope in SCOPES:
            if scope not in granted and scope.replace("read_", "write_") not in granted:
                findings.append(
                    Finding(False, f"the app lacks {scope}", f"grant the app the scope {scope}")
                )
        if "read_all_orders" not in granted:
            findings.append(
                Finding(
                    False,
                    "the app sees the orders of the last 60 days only, and older ones are missing"
                    " without any sign",
                    "ask Shopify for the scope read_all_orders, then load the history again",
                )
            )
        served = self._served
        if served != self.settings.version:
            findings.append(
                Finding(
                    False,
                    f"version {self.settings.version} is answered by {served}",
                    f"set version: {served} and see what changed in it",
                )
            )
        return findings

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """What changed since the last load; then what was deleted."""
        if obj.name == "shop":
            yield from self._shop(state)
            return
        listing = LISTINGS[obj.name]
        # before anything is listed: what changes meanwhile is left to the next load
        self._ask(queries.PROBE, {})
        until = min(window.until or self.api.now(), self.api.now())
        begin = since(state, obj, window)
        search = f"updated_at:<='{_iso(until)}'"
        if begin:
            search = f"updated_at:>='{_iso(begin)}' AND {search}"
        for page in self._records(listing, search, begin, until):
            advance(state, (r["updatedAt"] for r in page.records), until=until)
            yield page
        if window.is_backfill:
            return
        if listing.subject:
            yield from self._deletions(listing.subject, obj, state, until)
        if window.reconcile:
            yield from self._vanished(obj, listing, until)

    def _records(
        self, listing: Listing, search: str, begin: datetime | None, until: datetime
    ) -> Iterator[Page]:
        limit = timedelta(days=self.settings.bulk_after_days)
        if self.settings.bulk and (begin is None or until - begin > limit):
            yield from self._in_bulk(listing, search)
            return
        query = queries.page_query(listing, self.settings.nested_page_size)
        for records in self._listed(listing, query, search):
            for record in records:
                self._complete(listing.type, record)
            yield Page(records, self._origin(listing.root))

    def _shop(self, state: dict[str, Any]) -> Iterator[Page]:
        shop = self._ask(queries.SHOP, {})["shop"]
        seen = orjson.dumps(shop).decode()
        if state.get("shop") != seen:
            state["shop"] = seen
            yield Page([shop], self._origin("shop"))

    # ---- pages ---------------------------------------------------------------------------------

    def _listed(self, listing: Listing, query: str, search: str) -> Iterator[list[dict[str, Any]]]:
        """All records of a listing, page by page; `search` narrows it."""
        after, count, narrowed = None, 0, search
        guard = PagingGuard(f"source {self.source!r}: {listing.root}")
        while True:
            variables = {"after": after, "query": narrowed}
            connection = self._ask_page(query, variables)[listing.root]
            records, info = connection["nodes"], connection["pageInfo"]
            count += len(records)
            guard.turn(f"{narrowed} {info['endCursor']}" if records else None, len(records))
            yield records
            if not info["hasNextPage"]:
                return
            after = info["endCursor"]
            if count >= _RESTART and records:
                # records of that second come again, which does no harm
                last = records[-1]
                rest = (
                    f"id:>{last['id'].rsplit('/', 1)[1]}"
                    if listing.sort == "ID"
                    else f"updated_at:>='{last['updatedAt']}'"
                )
                after, count, narrowed = None, 0, f"{search} AND {rest}" if search else rest

    def _complete(self, type_name: str, record: dict[str, Any]) -> None:
        """Fetch what the connections of a record hold beyond the first page."""
        for name in NESTED.get(type_name, ()):
            nodes, info = record[name]["nodes"], record[name]["pageInfo"]
            while info["hasNextPage"]:
                variables = {"id": record["id"], "after": info["endCursor"]}
                owner = self._ask_page(queries.rest_query(type_name, name), variables)["node"]
                if owner is None:  # deleted meanwhile: the next load hears of it
                    break
                nodes += owner[name]["nodes"]
                info = owner[name]["pageInfo"]
            record[name] = {"nodes": nodes}
        for refund in record.get("refunds", ()):
            self._complete("Refund", refund)

    def _deletions(
        self, subject: str, obj: SourceObject, state: dict[str, Any], until: datetime
    ) -> Iterator[Page]:
        """Tombstones from events; before the first load there is nothing to delete."""
        heard = state.get("deletions")
        state["deletions"] = _iso(until)
        if heard is None:
            return
        begin = parse_time(heard) - obj.lookback
        search = (
            f"action:destroy AND subject_type:{subject} AND created_at:>='{_iso(begin)}'"
            f" AND created_at:<='{_iso(until)}'"
        )
        query = queries.paged(DELETIONS.root, DELETIONS.sort, DELETIONS.fields)
        for events in self._listed(DELETIONS, query, search):
            gone = [{"id": e["subjectId"], "updatedAt": e["createdAt"]} for e in events]
            yield Page(gone, self._origin(DELETIONS.root), deleted=True)

    def _vanished(self, obj: SourceObject, listing: Listing, until: datetime) -> Iterator[Page]:
        """Tombstones for the records that we know and the shop no longer lists."""
        known = self.known_keys(obj.name)
        by_id = Listing(listing.root, listing.type, "ID", "id")
        query = queries.paged(by_id.root, by_id.sort, by_id.fields)
        live = [r["id"] for page in self._listed(by_id, query, "") for r in page]
        if len(known) and not live:
            raise SourceError(
                f"source {self.source!r}: the shop lists no {listing.root} at all, yet"
                f" {len(known)} are known; nothing was deleted. Check the app's access scopes"
            )
        gone = pc.filter(known, pc.invert(pc.is_in(known, pa.array(live, pa.string()))))
        records = [{"id": key} for key in gone.to_pylist()]
        yield Page(records, self._origin(listing.root), deleted=True, cursor=_iso(until))

    # ---- bulk operations -----------------------------------------------------------------------

    def _in_bulk(self, listing: Listing, search: str) -> Iterator[Page]:
        origin = self._origin(f"bulk {listing.root}")
        operation = self._run_bulk(queries.bulk_query(listing, search))
        if not operation["url"]:  # nothing was found
            return
        with tempfile.TemporaryDirectory(prefix="shopify-") as folder:
            path = Path(folder) / "result.jsonl"
            self._download(operation, path)
            for records in assembled(path, tuple(NESTED.get(listing.type, {}))):
                if listing.type == "Order":
                    records = self._with_refunds(records)
                yield Page(records, origin)

    def _run_bulk(self, query: str) -> dict[str, Any]:
        """Start an operation, once those of others are done, and wait for its end."""
        deadline = self.clock.now() + timedelta(hours=self.settings.bulk_wait_hours)
        wait = self.settings.bulk_poll_seconds
        while True:
            reply = self._ask(queries.RUN_BULK, {"query": query}, idempotent=False)
            reply = reply["bulkOperationRunQuery"]
            if reply["bulkOperation"]:
                break
            said = "; ".join(e["message"] for e in reply["userErrors"])
            if "in progress" not in said:
                raise SourceError(f"Shopify refused the bulk operation: {said}")
            self._sleep_until(deadline, wait, "another bulk operation of this shop is running")
            wait = min(2 * wait, 60)
        return self._wait_for(reply["bulkOperation"])

    def _wait_for(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation when it has completed."""
        deadline = self.clock.now() + timedelta(hours=self.settings.bulk_wait_hours)
        wait = self.settings.bulk_poll_seconds
        while operation["status"] in ("CREATED", "RUNNING", "CANCELING"):
            self._sleep_until(deadline, wait, "the bulk operation has not ended")
            wait = min(2 * wait, 60)
            operation = self._ask(queries.BULK_STATE, {"id": operation["id"]})["node"]
        if operation["status"] != "COMPLETED":
            raise SourceError(
                f"the bulk operation ended as {operation['status']} ({operation['errorCode']});"
                " run it again, or set bulk: false to load page by page"
            )
        return operation

    def _sleep_until(self, deadline: datetime, seconds: float, why: str) -> None:
        if self.clock.now() + timedelta(seconds=seconds) > deadline:
            raise SourceError(
                f"{why} after {self.settings.bulk_wait_hours} hours; run it again later,"
                " or raise bulk_wait_hours"
            )
        self.clock.sleep(seconds)

    def _download(self, operation: Mapping[str, Any], path: Path) -> None:
        """The result of a bulk operation, whole: its lines are counted."""
        due, lines = int(operation["objectCount"]), 0
        for _ in range(_DOWNLOADS):
            lines = 0
            try:
                with (
                    self.api.call(
                        "GET", operation["url"], stream=True, expect_json=False, credentials=False
                    ) as reply,
                    path.open("wb") as file,
                ):
                    for chunk in reply.iter_content(1 << 20):
                        lines += chunk.count(b"\n")
                        file.write(chunk)
            except requests.RequestException as error:
                log.warning("the result of a bulk operation broke off: %s", type(error).__name__)
                continue
            if lines == due:
                return
        raise SourceError(
            f"the result of the bulk operation holds {lines} of {due} records after"
            f" {_DOWNLOADS} downloads; run it again later"
        )

    def _with_refunds(self, orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Bulk orders with whole refunds, which a bulk operation cannot give."""
        query = queries.refunds_query(self.settings.nested_page_size)
        ids = [o["id"] for o in orders if o["refunds"]]
        found: dict[str, Any] = {}
        while ids:
            data, size = self._ask_sized(query, {"ids": ids})
            ids = ids[size:]
            for order in filter(None, data["nodes"]):
                for refund in order["refunds"]:
                    self._complete("Refund", refund)
                found[order["id"]] = order["refunds"]
        # one that is gone meanwhile is left out whole, and the next load hears of its deletion
        kept = [o for o in orders if not o["refunds"] or o["id"] in found]
        return [o | {"refunds": found.get(o["id"], [])} for o in kept]

    # ---- one query -----------------------------------------------------------------------------

    def _origin(self, what: str) -> str:
        return f"POST /admin/api/graphql.json {what}"

    def _ask_page(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """A page, as large as may be."""
        return self._ask_sized(query, variables)[0]

    def _ask_sized(self, query: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Data of as many records as the cost rules allow and the server manages; how many.

        They are the next ones of a listing, or those of `ids` that come first.
        """
        assert self.api  # makes pace and sizes
        page, ids = self.settings.page_size, variables.get("ids")
        while True:
            size = min(self._sizes.get(query, 1), self._ceilings.get(query, page), page)
            if ids is None:
                asked = {**variables, "first": size}
            else:
                size = min(size, len(ids))
                asked = {**variables, "ids": ids[:size]}
            cost = self._pace.of(query, size)
            try:
                data = self._ask(query, asked, cost=cost, size=size)
            except TooLarge:
                if size == 1:
                    raise
                self._ceilings[query] = size // 2
                continue
            self._sizes[query] = self._pace.learn(query, size)
            return data, size

    def _ask(
        self,
        query: str,
        variables: Mapping[str, Any],
        *,
        cost: float | None = _SMALL_COST,
        size: int = 1,
        idempotent: bool = True,
    ) -> dict[str, Any]:
        """The data of one query about `size` records, asked when its points are there.

        Raises:
            TooLarge: it costs too much, or the server failed over it.
            SourceError: Shopify refused it.
        """
        session = self.api
        wait = self._pace.seconds_until(cost, self.clock.now())
        if wait > 0:
            self.meter.waited_seconds += wait
            self.clock.sleep(wait)
        self._can_shrink = size > 1
        reply = session.call(
            "POST",
            f"/admin/api/{self.settings.version}/graphql.json",
            json={"query": query, "variables": dict(variables)},
            idempotent=idempotent,
            accept=(500,) if self._can_shrink else (),
        )
        self._note_version(reply)
        if not reply.ok:
            raise TooLarge(f"HTTP {reply.status_code}")
        content = reply.json()
        errors = content.get("errors")
        if errors or not content.get("data"):
            raise self._refused(errors)
        data: dict[str, Any] = content["data"]
        return data

    def _refused(self, errors: Any) -> SourceError:
        """What errors in a 200 mean. Partial data with errors is no data."""
        said = "; ".join(str(e.get("message")) for e in errors or [{"message": "no data"}])
        codes = _codes(errors)
        if codes & {"MAX_COST_EXCEEDED", "INTERNAL_SERVER_ERROR"}:
            return TooLarge(
                f"Shopify could not answer: {said}; if it stays so, lower nested_page_size"
            )
        if "ACCESS_DENIED" in codes:
            return SourceError(
                f"Shopify denies access: {said}; grant the app that scope and run it again"
            )
        return SourceError(f"Shopify refused a query: {said}")

    def _judge(self, reply: requests.Response) -> Verdict | None:
        """Keep the account of points; THROTTLED comes as HTTP 200 and without data."""
        if "json" not in reply.headers.get("Content-Type", "") or not reply.ok:
            return None
        content = reply.json()
        cost = (content.get("extensions") or {}).get("cost")
        if cost:
            self._pace.note(cost, self.clock.now())
        codes = _codes(content.get("errors"))
        if "THROTTLED" in codes:
            wait = self._pace.seconds_until(
                (cost or {}).get("requestedQueryCost"), self.clock.now()
            )
            return Verdict.wait(max(wait, 1), "Shopify throttles this app (query cost)")
        if "INTERNAL_SERVER_ERROR" in codes and not self._can_shrink:
            return Verdict.retry("an internal error of Shopify, in HTTP 200")
        return None

    def _note_version(self, reply: requests.Response) -> None:
        self._served = reply.headers.get("X-Shopify-API-Version", self.settings.version)
        if self._served != self.settings.version and not self._version_noted:
            self._version_noted = True
            log.warning(
                "source %r: version %s is retired, Shopify answers with %s: fields may differ",
                self.source, self.settings.version, self._served,
            )  # fmt: skip


class Pace:
    """The account of query points: what a query will cost, and when it can be paid."""

    def __init__(self, max_query_cost: int) -> None:
        self.max_query_cost = max_query_cost
        self._available: float | None = None
        self._maximum = self._restore = 1.0
        self._at: datetime | None = None
        self._requested = 0.0
        self._per_record: dict[str, float] = {}

    def note(self, cost: Mapping[str, Any], now: datetime) -> None:
        """Take over what a reply says in `extensions.cost`."""
        status = cost.get("throttleStatus") or {}
        self._requested = float(cost.get("requestedQueryCost") or 0)
        self._available = float(status.get("currentlyAvailable", 0))
        self._maximum = float(status.get("maximumAvailable", self.max_query_cost))
        self._restore = max(float(status.get("restoreRate", 1)), 0.1)
        self._at = now

    def learn(self, query: str, size: int) -> int:
        """Remember what the last reply's query costs a record; the largest page one may ask for."""
        self._per_record[query] = max(self._requested / size, 0.001)
        most = min(self.max_query_cost, self._maximum)
        return max(1, int(most / self._per_record[query]))

    def of(self, query: str, size: int) -> float | None:
        """What so many records will cost; None: not known yet."""
        per_record = self._per_record.get(query)
        return None if per_record is None else math.ceil(per_record * size)

    def seconds_until(self, cost: float | None, now: datetime) -> float:
        """How long to wait until so many points are there; a cost not known may be the highest."""
        if self._available is None or self._at is None:
            return 0.0
        needed = min(self.max_query_cost if cost is None else cost, self._maximum)
        restored = max((now - self._at).total_seconds(), 0) * self._restore
        lacking = needed - min(self._maximum, self._available + restored)
        return math.ceil(lacking / self._restore * 1000) / 1000 if lacking > 0 else 0.0


def assembled(path: Path, nested: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Records of a bulk result, their children put into them again.

    A child is a line of its own that names its parent, and stands anywhere after it. DuckDB brings
    them together, on disk where memory does not suffice. With several connections in one type, a
    child would have to say which it belongs to: there is at most one.
    """
    [name] = nested or [""]
    with duckdb.connect(config={"temp_directory": str(path.with_suffix(".spill"))}) as connection:
        connection.execute("set memory_limit = '1GB'")
        connection.execute(
            """
            create table line as
            select json as text, ids[1] as id, ids[2] as parent, row_number() over () as position
            from (
                select json, json_extract_string(json, ['$.id', '$.__parentId']) as ids
                from read_ndjson_objects(?)
            )
            """,
            [str(path)],
        )
        lines = connection.execute(
            """
            select line.text, line.parent is not null
            from line
            left join line as owner on line.parent = owner.id and owner.parent is null
            where line.parent is null or owner.id is not null
            order by coalesce(owner.position, line.position), line.position
            """
        )
        records: list[dict[str, Any]] = []
        while found := lines.fetchmany(1000):
            for text, is_child in found:
                value = parse_json(text)
                if is_child:
                    del value["__parentId"]
                    records[-1][name]["nodes"].append(value)
                    continue
                if len(records) == _BULK_PAGE:
                    yield records
                    records = []
                records.append(value | {name: {"nodes": []}} if name else value)
        if records:
            yield records


def _codes(errors: Any) -> set[str]:
    listed = errors if isinstance(errors, list) else []
    return {str((e.get("extensions") or {}).get("code")) for e in listed if isinstance(e, dict)}


def _iso(at: datetime) -> str:
    """A time as searches want it: UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
