"""Salesforce: accounts, people, sales, service and campaigns, by REST queries and Bulk API 2.0.

Queried are all fields that describe lists, so a field added to the org arrives by itself. A large
result goes through a Bulk job, a small one through REST; both give the same documents: REST's JSON,
typed as describe says, without `attributes`. `queryAll` also shows deleted and merged records.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests
from pydantic import Field

from ingestion.errors import SourceError
from ingestion.sources.api import ApiSession, ClientCredentials, Verdict
from ingestion.sources.connector import (
    Connector,
    ConnectorSettings,
    Finding,
    Page,
    PagingGuard,
    SourceObject,
    Window,
    advance,
    since,
)

csv.field_size_limit(2**31 - 1)  # the text of a mail may be long

# The fields by which changes are found, the best first; describe must say that it can be filtered.
_CURSORS = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
_NO_BULK = {"address", "location", "base64", "complexvalue"}  # their parts are fields as well
_NUMBERS = {"double", "currency", "percent"}
_PASSING = ("QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW")
_LONGEST_URL = 16_000  # bytes; a longer query goes through a Bulk job, whose body has no such bound
_JOBS_TRIED = 2
_IDS_IN_QUERY = 200

OBJECT_OF = {
    "accounts": "Account",
    "contacts": "Contact",
    "leads": "Lead",
    "lead_history": "LeadHistory",
    "opportunities": "Opportunity",
    "opportunity_history": "OpportunityHistory",
    "cases": "Case",
    "case_history": "CaseHistory",
    "email_messages": "EmailMessage",
    "case_comments": "CaseComment",
    "tasks": "Task",
    "events": "Event",
    "campaigns": "Campaign",
    "campaign_members": "CampaignMember",
    "users": "User",
}
_MERGED = {"Account", "Contact", "Lead", "Case"}


def _source_object(name: str) -> SourceObject:
    entity = OBJECT_OF[name]
    is_history = entity in ("LeadHistory", "CaseHistory")
    return SourceObject(
        name=name,
        key=("Id",),
        cursor="CreatedDate" if is_history else "SystemModstamp",
        lookback=timedelta(seconds=600),
        deletes="IsDeleted in queryAll for 15 days, then by comparing ids",
        merges="the loser has IsDeleted and MasterRecordId" if entity in _MERGED else "",
        reconcile=True,
        scope=f"read access to {entity} and its fields, View All Data",
    )


class SalesforceSettings(ConnectorSettings):
    """What differs from org to org."""

    base_url: str = Field(description="My Domain: https://acme.my.salesforce.com")
    version: str = Field("68.0", pattern=r"^\d+\.0$", description="Of the API.")
    page_size: int = Field(2000, ge=200, le=2000, description="Rows of a REST page.")
    bulk_from: int = Field(
        20_000, ge=0, description="A result of more rows goes through a Bulk job."
    )
    bulk_page_size: int = Field(50_000, ge=1, description="Rows of one part of a job's result.")
    job_wait_seconds: float = Field(4 * 3600, gt=0, description="How long a job may take.")
    lookback_seconds: float = Field(600, ge=0, description="How late a record may be committed.")


class Salesforce(Connector):
    """One org; needs an external client app with the client-credentials flow."""

    vendor = "salesforce"
    objects = tuple(_source_object(name) for name in OBJECT_OF)
    Settings = SalesforceSettings
    secrets = ("client_id", "client_secret")

    settings: SalesforceSettings

    def connect(self) -> ApiSession:
        host = self.settings.base_url.rstrip("/")
        # the reply to a login names no end of the session: it serves until Salesforce refuses it
        login = ClientCredentials(
            f"{host}/services/oauth2/token", self.secret["client_id"], self.secret["client_secret"]
        )
        return self.session(
            host,
            auth=login,
            judge=_judge,
            headers={"Sforce-Query-Options": f"batchSize={self.settings.page_size}"},
        )

    def check(self) -> list[Finding]:
        """Log in, and say which objects the integration user cannot read."""
        readable = {o["name"] for o in self._get("sobjects")["sobjects"] if o["queryable"]}
        findings = [Finding(True, "logged in")]
        for name, entity in OBJECT_OF.items():
            if entity not in readable:
                fix = f"give the integration user read access to {entity} in Salesforce"
                findings.append(Finding(False, f"object {name!r} cannot be read", fix))
        return findings

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """Pages of what has changed since the last load, deleted records apart from live ones."""
        entity = OBJECT_OF[obj.name]
        fields = self._fields(entity)
        now = self.api.now()
        start = self._start(obj, state, window, fields)
        cursor = next((c for c in _CURSORS if c in fields and fields[c]["filterable"]), None)
        if cursor is None:
            raise SourceError(f"{entity} lets nobody filter on {', '.join(_CURSORS)}")
        # stamps are whole seconds, and so is the server's Date: what else comes in this second is
        # found by the next load, which looks back
        bounds = [f"{cursor} <= {_literal(min(now, window.until or now))}"]
        if start is not None:
            bounds.insert(0, f"{cursor} >= {_literal(start)}")
        soql = f"SELECT {', '.join(fields)} FROM {entity} WHERE {' AND '.join(bounds)}"
        read: set[str] = set()
        for origin, records in self._records(soql, fields):
            advance(state, (r[cursor] for r in records), until=now)
            read.update(r["Id"] for r in records)
            live = [r for r in records if not r.get("IsDeleted")]
            deleted = [r for r in records if r.get("IsDeleted")]
            if live:
                yield Page(live, origin)
            if deleted:
                yield Page(deleted, origin, deleted=True)
        if window.reconcile:
            yield from self._compared(obj, fields, read, now)
        state["fields"] = sorted(fields)

    # ---- what to read --------------------------------------------------------------------------

    def _fields(self, entity: str) -> dict[str, Mapping[str, Any]]:
        """The fields that both APIs can give, as describe tells of them."""
        reply = self._call("GET", f"sobjects/{entity}/describe", accept=(404,))
        if reply.status_code == 404:
            raise SourceError(
                f"{entity} cannot be read: give the integration user read access to it in "
                "Salesforce, or leave the object out of this source"
            )
        return {f["name"]: f for f in reply.json()["fields"] if f["type"] not in _NO_BULK}

    def _start(
        self, obj: SourceObject, state: Mapping[str, Any], window: Window, fields: Iterable[str]
    ) -> datetime | None:
        """From when on to read; None: everything.

        A field that the org got, or that we may see only now, is unknown of all records so far,
        and no stamp moves for it: then everything is read anew.
        """
        lookback = timedelta(seconds=self.settings.lookback_seconds)
        start = since(state, replace(obj, lookback=lookback), window)
        if start is None or window.is_backfill:
            return start
        known = set(state["fields"])
        if gone := sorted(known.difference(fields)):
            self.notes.append(
                f"{obj.name} no longer has {', '.join(gone)}: dropped, or hidden from us"
            )
        if new := sorted(set(fields) - known):
            self.notes.append(f"{obj.name} now has {', '.join(new)}; all of it is read anew")
            return None
        return start

    def _compared(
        self,
        obj: SourceObject,
        fields: Mapping[str, Mapping[str, Any]],
        read: set[str],
        now: datetime,
    ) -> Iterator[Page]:
        """What a comparison of ids brings: tombstones of records that are not even in the recycle
        bin any more, and records that came too late for looking back (or came back to our sight).
        """
        entity, told = OBJECT_OF[obj.name], now.isoformat()
        shown = {name: fields[name] for name in ("Id", "IsDeleted") if name in fields}
        listed = {
            record["Id"]: record.get("IsDeleted", False)
            for _, records in self._records(f"SELECT {', '.join(shown)} FROM {entity}", shown)
            for record in records
        }
        known = self.known_keys(obj.name).to_pylist()
        if gone := [key for key in known if key not in listed]:
            tombstones = [{"Id": key} for key in gone]
            yield Page(tombstones, f"comparison of ids: {entity}", deleted=True, cursor=told)
        expected = read.union(known)
        missed = [key for key, deleted in listed.items() if not deleted and key not in expected]
        for start in range(0, len(missed), _IDS_IN_QUERY):
            ids = ", ".join(f"'{key}'" for key in missed[start : start + _IDS_IN_QUERY])
            soql = f"SELECT {', '.join(fields)} FROM {entity} WHERE Id IN ({ids})"
            for origin, records in self._records(soql, fields):
                yield Page(records, origin, cursor=told)

    # ---- how to read it ------------------------------------------------------------------------

    def _records(
        self, soql: str, fields: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Origin and records of a query, part by part; a large result by a Bulk job."""
        kinds = {name: field["type"] for name, field in fields.items()}
        if len(quote(soql)) > _LONGEST_URL:
            yield from self._bulk(soql, kinds)
            return
        reply = self._get("queryAll", {"q": soql})
        total, seen = reply["totalSize"], 0
        if total > self.settings.bulk_from:
            yield from self._bulk(soql, kinds)
            return
        guard = PagingGuard(f"source {self.source!r}: queryAll")
        while True:
            seen += len(reply["records"])
            yield f"GET {self._path}/queryAll", [_document(r, kinds) for r in reply["records"]]
            if reply["done"]:
                break
            guard.turn(reply["nextRecordsUrl"], len(reply["records"]))
            reply = self._get(reply["nextRecordsUrl"])
        _expect(total, seen, soql)

    def _bulk(
        self, soql: str, kinds: Mapping[str, str]
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        job = self._finished_job(soql)
        path, seen, locator = f"jobs/query/{job['id']}", 0, ""
        guard = PagingGuard(f"source {self.source!r}: results of a Bulk job")
        while locator != "null":  # the word is what the last part says
            parameters: dict[str, Any] = {"maxRecords": self.settings.bulk_page_size}
            if locator:
                parameters["locator"] = locator
            part = self._call("GET", f"{path}/results", params=parameters, expect_json=False)
            rows = csv.DictReader(io.StringIO(part.content.decode(), newline=""))
            records = [_document(row, kinds) for row in rows]
            yield f"GET {self._path}/jobs/query/results", records
            seen += len(records)
            locator = part.headers["Sforce-Locator"]
            guard.turn(locator, len(records))
        _expect(job["numberRecordsProcessed"], seen, soql)
        self._call("DELETE", path, expect_json=False, accept=(404,))

    def _finished_job(self, soql: str) -> Mapping[str, Any]:
        """A query job that is complete. A failed one cannot be started again: another is made."""
        outcome = ""
        for _ in range(_JOBS_TRIED):
            order = {"operation": "queryAll", "query": soql, "contentType": "CSV",
                     "columnDelimiter": "COMMA", "lineEnding": "LF"}  # fmt: skip
            job = self._call("POST", "jobs/query", json=order).json()
            waited, pause = 0.0, 1.0
            while job["state"] in ("UploadComplete", "InProgress"):
                if waited >= self.settings.job_wait_seconds:
                    self._call("PATCH", f"jobs/query/{job['id']}", json={"state": "Aborted"})
                    raise SourceError(
                        f"a Bulk job was not done after {waited:.0f} s (query ends with "
                        f"{soql[-120:]!r}); load again later, or raise job_wait_seconds"
                    )
                self.clock.sleep(pause)
                waited, pause = waited + pause, min(2 * pause, 30.0)
                job = self._get(f"jobs/query/{job['id']}")
            if job["state"] == "JobComplete":
                return job
            outcome = f"{job['state']}: {job.get('errorMessage', 'no reason given')}"
        raise SourceError(
            f"{_JOBS_TRIED} Bulk jobs ended as {outcome} (query ends with {soql[-120:]!r}); "
            "load again later"
        )

    # ---- requests ------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return f"/services/data/v{self.settings.version}"

    def _get(self, path: str, params: Any = None) -> Any:
        return self._call("GET", path, params=params).json()

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the host that the login named; `path`: below the version, or from `/`."""
        login = self.api.credentials
        assert isinstance(login, ClientCredentials)
        instance = str(login.reply(self.api).get("instance_url") or self.settings.base_url)
        self.api.trust(instance)
        root = "" if path.startswith("/") else f"{self._path}/"
        return self.api.call(method, f"{instance.rstrip('/')}{root}{path}", **options)


def _judge(response: requests.Response) -> Verdict | None:
    """Salesforce's own words for limits and passing faults."""
    status = response.status_code
    if status in (406, 420):
        return Verdict.retry(f"HTTP {status}, which Salesforce's edge answers now and then")
    if status == 410:
        return Verdict.fail("this API version is retired; set `version` to a newer one")
    if response.ok or "json" not in response.headers.get("Content-Type", ""):
        return None
    reply = response.json()
    code = reply[0].get("errorCode") if isinstance(reply, list) and reply else None
    if code == "REQUEST_LIMIT_EXCEEDED":
        return Verdict.fail(
            f"{reply[0].get('message')} The org has used up its API calls of the last 24 hours: "
            "run it again later, load less often, or raise the limit in Salesforce"
        )
    if code in _PASSING:
        return Verdict.retry(str(code))
    return None


def _document(record: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """The fields asked for, typed; not `attributes`, which REST adds."""
    return {name: typed(record[name], kind) for name, kind in kinds.items() if name in record}


def _expect(total: int, seen: int, soql: str) -> None:
    if seen < total:
        raise SourceError(
            f"{total} records were announced and {seen} came (query ends with {soql[-120:]!r}); "
            "load again"
        )


def typed(value: Any, kind: str) -> Any:
    """A value of JSON, or the text of it in a CSV, as REST shows it; an empty text is null."""
    if value is None or value == "":
        return None
    if kind == "boolean":
        return value is True or value == "true"
    if kind == "int":
        return int(value)
    if kind in _NUMBERS:
        return float(value)
    if kind == "datetime":  # a CSV says Z where JSON says +0000
        return value.removesuffix("Z") + "+0000" if value.endswith("Z") else value
    if kind == "anyType":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _literal(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
