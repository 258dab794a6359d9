"""HubSpot: contacts, companies, deals, leads, tickets, engagements, feedback, and who owns them.

Everything is read first from the list endpoint, changes by search. A search shows 10,000 rows and
shifts while it is paged, so each page is a search of its own: by id, after the last id seen.
Archived records come from their own list, merged ones from what their successor says of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
import requests
from pydantic import Field

from ingestion.errors import SourceError
from ingestion.sources.api import (
    ApiError,
    ApiSession,
    RateLimit,
    RefreshToken,
    StaticHeader,
    Verdict,
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

HISTORY = "propertiesWithHistory"
Record = dict[str, Any]

# type -> (types whose associations come with each record, properties that come with their history)
_TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "companies": ((), ()),
    "contacts": (("companies",), ("hs_email_optout", "hs_legal_basis")),
    "leads": (("contacts", "companies"), ("hs_pipeline_stage",)),
    "deals": (("contacts", "companies"), ("dealstage",)),
    "tickets": (
        ("contacts", "companies"),
        ("hs_pipeline_stage", "hs_ticket_priority", "hubspot_owner_id"),
    ),
    **dict.fromkeys(
        ("calls", "emails", "meetings", "tasks", "notes"),
        (("contacts", "companies", "deals", "leads", "tickets"), ()),
    ),
    "feedback_submissions": (("contacts", "tickets"), ()),
}
_SEARCH_ONLY = ("feedback_submissions",)
_SINGULAR = {"companies": "company", "feedback_submissions": "feedback_submission"}
_PIPELINES = ("deals", "tickets", "leads")
_WITH_PRIMARY = ("contacts", "deals", "tickets")  # of their companies one is the primary one

OBJECTS = (
    *(
        SourceObject(
            name,
            ("id",),
            cursor="updatedAt",
            lookback=timedelta(minutes=10),  # the search index is up to a minute behind
            deletes="archived: list of archived records, 90 days; erased: found by comparing ids",
            merges="a new id that names the merged ones in hs_merged_object_ids",
            reconcile=True,
            snapshot=True,
            scope=f"crm.objects.{name}.read",
        )
        for name in _TYPES
    ),
    SourceObject(
        "owners",
        ("id",),
        cursor="updatedAt",
        deletes="archived owners stay readable",
        merges="none",
        snapshot=True,
        scope="crm.objects.owners.read",
    ),
    *(
        SourceObject(
            name,
            ("_object_type", key),
            deletes="vanish; found by comparing ids",
            merges="none",
            snapshot=True,
            scope="crm.schemas.<type>.read",
        )
        for name, key in (("pipelines", "id"), ("properties", "name"))
    ),
)


class HubSpotSettings(ConnectorSettings):
    """Limits are those of the smallest subscription; other integrations share them."""

    version: str = Field(
        default="2026-09", pattern=r"^(v3|20\d\d-\d\d)$", description="Of the paths."
    )
    page_size: int = Field(default=100, ge=1, le=100, description="Records of a list's page.")
    page_size_with_history: int = Field(
        default=50, ge=1, le=50, description="The same, where the history of a property is read."
    )
    search_page_size: int = Field(
        default=200, ge=1, le=200, description="Records of a search's page."
    )
    association_batch: int = Field(
        default=1000, ge=1, le=1000, description="Records whose associations are read at once."
    )
    calls_per_10_seconds: int = Field(default=100, ge=1, description="Of the subscription.")
    searches_per_second: int = Field(default=4, ge=1, description="Of the account.")
    url_characters: int = Field(
        default=8000, ge=200, description="Longer lists of properties are asked for by POST."
    )


class HubSpot(Connector):
    """One HubSpot account, by private app (access_token) or OAuth app."""

    vendor = "hubspot"
    objects = OBJECTS
    Settings = HubSpotSettings
    secret_choices = (("access_token",), ("client_id", "client_secret", "refresh_token"))

    def connect(self) -> ApiSession:
        base_url = (self.settings.base_url or "https://api.hubapi.com").rstrip("/")
        auth: StaticHeader | RefreshToken
        if "access_token" in self.secret:
            auth = StaticHeader(
                "Authorization",
                self.secret["access_token"],
                "Bearer ",
                secret_names=("access_token",),
            )
        else:
            version = self.settings.version
            auth = RefreshToken(
                f"{base_url}/oauth/{'v1' if version == 'v3' else version}/token",
                self.secret["client_id"],
                self.secret["client_secret"],
                self.secret["refresh_token"],
                store=self.token_store,
                early=300,
            )
        return self.session(
            base_url,
            auth=auth,
            judge=_judge,
            limits=(
                RateLimit(self.settings.calls_per_10_seconds, 10),
                RateLimit(self.settings.searches_per_second, 1, "/search$"),
            ),
        )

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        if obj.name == "owners":
            for archived in ("false", "true"):
                path = self._path("owners")
                for page in self._pages(path, {"limit": 500, "archived": archived}):
                    yield Page(page, origin=f"GET /{path}")
        elif obj.name in ("pipelines", "properties"):
            yield from self._described(obj)
        else:
            yield from self._records(obj, state, window)

    def check(self) -> list[Finding]:
        found = [Finding(True, "the credentials are good")]
        for name in (*_TYPES, "owners"):
            obj = next(one for one in OBJECTS if one.name == name)
            try:
                if name in _SEARCH_ONLY:
                    self.api.post_json(f"{self._path('objects', name)}/search", {"limit": 1})
                else:
                    parts = ("owners",) if name == "owners" else ("objects", name)
                    self.api.get_json(self._path(*parts), params={"limit": 1})
            except ApiError as error:
                if error.status != 403:
                    return [Finding(False, str(error), "check the token of the app")]
                found.append(
                    Finding(False, f"{name} cannot be read", f"give the app the scope {obj.scope}")
                )
        return found

    # -- CRM records

    def _records(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        self._property_names(obj.name)  # its reply tells the vendor's time
        until = self.api.now()
        before = state.get("cursor")
        start = since(state, obj, window)
        whole = window.reconcile or (start is None and not window.is_backfill)
        if whole and obj.name not in _SEARCH_ONLY:
            pages = self._listed(obj.name)
        else:
            pages = self._searched(obj.name, None if whole else start, window.until)
        live: set[str] = set()
        told: set[str] = set()  # merged or archived: their tombstones say more than an absence
        known = _Known(self, obj.name)
        for page in pages:
            yield Page(page, origin=f"/crm/objects/{obj.name}")
            live.update(record["id"] for record in page)
            merged = list(self._merged(page, before, known))
            told.update(record["id"] for record, _ in merged)
            yield from _tombstones(merged, f"hs_merged_object_ids of {obj.name}")
            if not window.is_backfill:
                advance(state, (_changed_at(obj.name, record) for record in page), until=until)
        if obj.name not in _SEARCH_ONLY and not window.is_backfill:
            before = state.get("archived_cursor")
            archived = {"cursor": before}
            back = timedelta(days=90) if window.reconcile else obj.lookback
            for page in self._pages_of_type(obj.name, archived=True):
                told.update(record["id"] for record in page)
                yield from _tombstones(
                    self._newly_archived(page, before, known, back),
                    f"/crm/objects/{obj.name}?archived=true",
                )
                advance(archived, (record.get("archivedAt") for record in page), until=until)
            state["archived_cursor"] = archived["cursor"]
        if window.reconcile:
            gone = [key for key in known.keys if key not in live and key not in told]
            if gone:
                yield Page([{"id": key} for key in gone], origin=f"gone: {obj.name}", deleted=True)

    def _listed(self, name: str) -> Iterator[list[Record]]:
        """All live records of a type."""
        others, _ = _TYPES[name]
        for page in self._pages_of_type(name, archived=False):
            for other in others:  # an inline list is capped
                cut = [r for r in page if "paging" in r.get("associations", {}).get(other, {})]
                self._associate(name, other, cut)
            yield [_in_order(record) for record in page]

    def _pages_of_type(self, name: str, *, archived: bool) -> Iterator[list[Record]]:
        others, history = _TYPES[name]
        properties = self._property_names(name)
        size = self.settings.page_size_with_history if history else self.settings.page_size
        params: dict[str, Any] = {"limit": size, "archived": str(archived).lower()}
        if others and not archived:
            params["associations"] = ",".join(others)
        inline = len(",".join(properties)) <= self.settings.url_characters
        if inline:
            params["properties"] = ",".join(properties)
            if history:
                params[HISTORY] = ",".join(history)
        for page in self._pages(self._path("objects", name), params):
            yield page if inline else self._filled(name, page, archived=archived)

    def _searched(
        self, name: str, start: datetime | None, until: datetime | None
    ) -> Iterator[list[Record]]:
        """Live records that were changed in a span, by id.

        Without an end where none is asked for: what changes meanwhile comes again next time.
        """
        others, history = _TYPES[name]
        changed = _changed_property(name)
        span = [
            {"propertyName": changed, "operator": operator, "value": _milliseconds(bound)}
            for operator, bound in (("GTE", start), ("LTE", until))
            if bound is not None
        ]
        properties = self._property_names(name)
        last = "0"
        guard = PagingGuard(f"search of {name}")
        while True:
            after = {"propertyName": "hs_object_id", "operator": "GT", "value": last}
            reply = self.api.post_json(
                f"{self._path('objects', name)}/search",
                {
                    "filterGroups": [{"filters": [*span, after]}],
                    "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                    "properties": properties,
                    "limit": self.settings.search_page_size,
                },
            )
            page: list[Record] = reply["results"]
            if page:
                newest = max(page, key=lambda record: int(record["id"]))["id"]
                if int(newest) <= int(last):
                    raise SourceError(
                        f"{name}: a search for ids after {last} gave {newest}; reading on would "
                        "never end. Run it again; if it stays so, tell the vendor"
                    )
                last = newest
                if history:
                    page = self._filled(name, page)
                for other in others:
                    self._associate(name, other, page)
                yield [_in_order(record) for record in page]
            if "paging" not in reply:
                return
            guard.turn(None, len(page))

    def _filled(self, name: str, page: Sequence[Record], *, archived: bool = False) -> list[Record]:
        """The records with all properties, and history where it is wanted.

        One that was archived or merged since it was found is left out: it comes as that.
        """
        _, history = _TYPES[name]
        size = self.settings.page_size_with_history if history else self.settings.page_size
        found: dict[str, Record] = {}
        for part in _batches(page, size):
            reply = self.api.post_json(
                f"{self._path('objects', name)}/batch/read",
                {
                    "inputs": [{"id": record["id"]} for record in part],
                    "properties": self._property_names(name),
                    HISTORY: list(history),
                },
                params={"archived": str(archived).lower()},
            )
            found.update((record["id"], record) for record in reply["results"])
        for record in page:
            if record["id"] in found and "associations" in record:
                found[record["id"]]["associations"] = record["associations"]
        return [found[record["id"]] for record in page if record["id"] in found]

    def _associate(self, name: str, other: str, page: Sequence[Record]) -> None:
        """Put all associations with a type into the records, in the shape of the list endpoint."""
        found: dict[str, list[dict[str, str]]] = {}
        path = f"{self._path('associations', name, other)}/batch/read"
        asked: list[dict[str, str]] = [{"id": record["id"]} for record in page]
        while asked:
            more = []
            for part in _batches(asked, self.settings.association_batch):
                reply = self.api.post_json(path, {"inputs": part})
                for result in reply["results"]:
                    key = str(result["from"]["id"])
                    for target in result["to"]:
                        found.setdefault(key, []).extend(_association(name, other, target))
                    if after := result.get("paging", {}).get("next", {}).get("after"):
                        more.append({"id": key, "after": after})
            if more == asked:
                raise SourceError(f"POST /{path} repeats a page; reading on would never end")
            asked = more
        for record in page:
            if record["id"] in found:
                record.setdefault("associations", {})[other] = {"results": found[record["id"]]}
            else:
                record.get("associations", {}).pop(other, None)

    def _merged(
        self, page: Iterable[Record], before: str | None, known: "_Known"
    ) -> Iterator[tuple[Record, str]]:
        """Tombstones of what was merged into these records, with their time, each time it is new.

        Aliases that the lake never knew are told too: other systems may still name them.
        """
        for record in page:
            properties = record["properties"]
            vids = (properties.get("hs_calculated_merged_vids") or "").split(";")
            losers = (properties.get("hs_merged_object_ids") or "").split(";")
            losers += [vid.partition(":")[0] for vid in vids]
            at = record["updatedAt"]
            for loser in dict.fromkeys(losers):
                if not loser or loser == record["id"]:
                    continue
                is_news = before is None or parse_time(at) > parse_time(before)
                if is_news or loser in known or record["id"] not in known:
                    yield {"id": loser, "merged_into": record["id"]}, at

    def _newly_archived(
        self, page: Iterable[Record], before: str | None, known: "_Known", back: timedelta
    ) -> Iterator[tuple[Record, str]]:
        """Archived records that the lake has not heard of: archiving moves no other cursor."""
        for record in page:
            at = record.get("archivedAt") or record["updatedAt"]
            if (
                before is None
                or parse_time(at) > parse_time(before)
                or (parse_time(at) > parse_time(before) - back and record["id"] in known)
            ):
                yield _in_order(record), at

    # -- what describes them

    def _described(self, obj: SourceObject) -> Iterator[Page]:
        types = _PIPELINES if obj.name == "pipelines" else tuple(_TYPES)
        kept: set[str] = set()
        for name in types:
            path = self._path(obj.name, name)
            rows = [{**row, "_object_type": name} for row in self.api.get_json(path)["results"]]
            kept.update("|".join(row[part] for part in obj.key) for row in rows)
            yield Page(rows, origin=f"GET /{path}", cursor=self.api.now().isoformat())
        gone = [key for key in self.known_keys(obj.name).to_pylist() if key not in kept]
        records = [dict(zip(obj.key, key.split("|"), strict=True)) for key in gone]
        if records:
            yield Page(records, origin=f"no longer listed: {obj.name}", deleted=True)

    def _property_names(self, name: str) -> list[str]:
        """All properties of a type, those that the company has added too."""
        if name not in self._names:
            reply = self.api.get_json(self._path("properties", name))
            self._names[name] = sorted(row["name"] for row in reply["results"])
        return self._names[name]

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        return {}

    # -- requests

    def _path(self, what: str, *parts: str) -> str:
        version = self.settings.version
        if version == "v3":
            version = "v4" if what == "associations" else "v3"
            return "/".join(("crm", version, what, *parts))
        return "/".join(("crm", what, version, *parts))

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[list[Record]]:
        guard = PagingGuard(f"GET /{path}")
        asked = dict(params)
        while True:
            reply = self.api.get_json(path, params=asked)
            if reply["results"]:
                yield reply["results"]
            after = reply.get("paging", {}).get("next", {}).get("after")
            if after is None:
                return
            guard.turn(after, len(reply["results"]))
            asked["after"] = after


class _Known:
    """Keys that are live in the lake, looked up once and only where that is needed."""

    def __init__(self, connector: HubSpot, table: str) -> None:
        self._connector, self._table = connector, table
        self._keys: set[str] | None = None

    @property
    def keys(self) -> set[str]:
        if self._keys is None:
            self._keys = set(self._connector.known_keys(self._table).to_pylist())
        return self._keys

    def __contains__(self, key: str) -> bool:
        return key in self.keys


def _tombstones(found: Iterable[tuple[Record, str]], origin: str) -> Iterator[Page]:
    """Records that are gone, each with its own time of that."""
    records = list(found)
    if records:
        yield Page(
            documents=[orjson.dumps(record) for record, _ in records],
            keys=[record["id"] for record, _ in records],
            cursors=[at for _, at in records],
            origin=origin,
            deleted=True,
        )


def _batches(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _changed_property(name: str) -> str:
    return "lastmodifieddate" if name == "contacts" else "hs_lastmodifieddate"


def _changed_at(name: str, record: Record) -> str:
    """When it was changed, as the property says that searches go by: ISO, or epoch milliseconds."""
    text = record["properties"].get(_changed_property(name)) or record["updatedAt"]
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat()
    return str(text)


def _association(name: str, other: str, target: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """One associated record as the list endpoint tells it: once for each type."""
    kind = f"{_singular(name)}_to_{_singular(other)}"
    for one in target["associationTypes"]:
        label = one.get("label")
        said = kind
        if label is None and other == "companies" and name in _WITH_PRIMARY:
            said = f"{kind}_unlabeled"
        elif label is None and (name, other) == ("leads", "contacts"):
            said = "lead_to_primary_contact"
        elif label not in (None, "Primary"):
            said = label.lower().replace(" ", "_")
        yield {"id": str(target["toObjectId"]), "type": said}


def _singular(name: str) -> str:
    return _SINGULAR.get(name, name.removesuffix("s"))


def _in_order(record: Record) -> Record:
    """The record with its associations in a fixed order, the primary one first."""
    found = {
        other: {"results": sorted(said["results"], key=lambda one: (one["type"], one["id"]))}
        for other, said in sorted(record.pop("associations", {}).items())
        if said["results"]
    }
    return {**record, "associations": found} if found else record


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _judge(response: requests.Response) -> Verdict | None:
    """HubSpot's own signs: which limit was met, a token that is none, faults that pass."""
    status = response.status_code
    if status == 530:  # from its proxy, as a page
        return Verdict.reauth("HTTP 530: the access token is malformed")
    if status in (423, 477):
        return Verdict.retry(f"HTTP {status}: locked or busy")
    if status != 429:
        return None
    said = response.json()
    policy, message = said.get("policyName", ""), said.get("message", "")
    if policy == "DAILY":
        return Verdict.fail(
            f"{message} It is renewed at midnight in the account's time zone: run it again then, "
            "or let it have fewer calls elsewhere"
        )
    if "Retry-After" in response.headers:
        return None
    return Verdict.wait(1 if "secondly" in message and "ten" not in message else 10, message)
