"""SurveyMonkey: surveys with their questions, collectors, who was asked, responses, contacts.

GET https://api.surveymonkey.com/v3/... A private app has 500 calls a day for everything. So nothing
is asked twice, and a run that has spent them ends in good order: what is read is loaded, each
survey has a state of its own, and the next run goes on with what has waited longest.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import requests
from pydantic import Field

from ingestion.errors import SourceError
from ingestion.sources.api import ApiError, ApiSession, RateLimit, StaticHeader, Verdict
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

_GONE = "vanish; found by comparing ids"
_NO_MERGES = "none"

OBJECTS = (
    SourceObject(
        "surveys", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True, scope="surveys_read"
    ),
    SourceObject(
        "survey_details", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True,
        scope="surveys_read",
    ),
    SourceObject(
        "responses", ("survey_id", "id"), cursor="date_modified", lookback=timedelta(minutes=5),
        deletes=_GONE, merges=_NO_MERGES, reconcile=True, snapshot=True,
        scope="responses_read_detail",
    ),
    SourceObject(
        "collectors", ("_survey_id", "id"), deletes=_GONE, merges=_NO_MERGES, snapshot=True,
        scope="collectors_read",
    ),
    SourceObject(
        "recipients", ("_message_id", "id"), deletes=_GONE, merges=_NO_MERGES, reconcile=True,
        snapshot=True, scope="collectors_read",
    ),
    SourceObject(
        "contacts", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True, scope="contacts_read"
    ),
)  # fmt: skip

_SURVEY_FIELDS = (
    "language,folder_id,question_count,page_count,response_count,date_created,date_modified,"
    "custom_variables"
)
_COLLECTOR_FIELDS = "type,status,response_count,date_created,date_modified"
_RECIPIENT_FIELDS = "survey_response_status,mail_status,custom_fields,extra_fields"
_SECOND = timedelta(seconds=1)

State = dict[str, Any]


class SurveyMonkeySettings(ConnectorSettings):
    """`base_url` is that of the region, as in https://api.eu.surveymonkey.com."""

    calls_per_minute: int = Field(default=120, ge=1, description="Of the plan.")
    keep_calls: int = Field(default=5, ge=0, description="Calls a day that are left to others.")
    page_size: int = Field(default=1000, ge=1, le=1000, description="Records of a page.")
    responses_page_size: int = Field(default=100, ge=1, le=100, description="Responses of a page.")
    lists_every_hours: float = Field(
        default=20, ge=0, description="So often collectors, recipients and contacts are read."
    )
    recipient_days: float = Field(
        default=30, gt=0, description="Recipients of a message are read again until it is so old."
    )


class _DayIsSpentError(Exception):
    """The account has no calls left today but those that are to be kept."""


class _SkipError(Exception):
    """One survey or collector cannot be read, which is no reason to stop."""


class SurveyMonkey(Connector):
    """One SurveyMonkey account."""

    vendor = "surveymonkey"
    objects = OBJECTS
    Settings = SurveyMonkeySettings
    secrets = ("access_token",)

    def connect(self) -> ApiSession:
        base_url = self.settings.base_url or "https://api.surveymonkey.com"
        return self.session(
            f"{base_url.rstrip('/')}/v3",
            auth=StaticHeader(
                "Authorization",
                self.secret["access_token"],
                "bearer ",
                secret_names=("access_token",),
            ),
            limits=[RateLimit(self.settings.calls_per_minute, 60)],
            judge=self._judge,
        )

    def read(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        readers: dict[str, Callable[[SourceObject, State, Window], Iterator[Page]]] = {
            "surveys": self._read_surveys,
            "survey_details": self._read_details,
            "responses": self._read_responses,
            "collectors": self._read_collectors,
            "recipients": self._read_recipients,
            "contacts": self._read_contacts,
        }
        try:
            yield from readers[obj.name](obj, state, window)
        except _DayIsSpentError:
            self.notes.append(f"{obj.name}: left for the next run; {_SPENT}")
        except _SkipError:  # of a list that every account has
            raise SourceError("HTTP 404; set base_url to the API's address, without /v3") from None

    def check(self) -> list[Finding]:
        try:
            account = self.api.get_json("users/me")
        except ApiError as error:
            return [Finding(False, str(error), "copy the token of the app's settings page again")]
        granted = set(account.get("scopes", {}).get("granted", ()))
        missing = sorted({obj.scope for obj in OBJECTS} - granted)
        findings = [Finding(True, f"connected as {account.get('username', '?')}")]
        if missing and granted:
            fix = "grant it in the app's settings, or leave out the objects that need it"
            findings.append(Finding(False, f"no permission {', '.join(missing)}", fix))
        if self._left is not None:
            findings.append(Finding(True, f"{self._left} calls are left today"))
        return findings

    # -- the objects

    def _read_surveys(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        yield from self._page(self._surveys, "GET /v3/surveys")
        yield from self._tombstones(obj, {survey["id"] for survey in self._surveys})

    def _read_details(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """Questions of those surveys that were changed; a response changes no survey."""
        listed = {survey["id"]: survey for survey in self._surveys}
        for survey in state.keys() - listed.keys():
            del state[survey]

        def read(survey: str, of: State) -> Iterator[Page]:
            details = self._get(f"surveys/{survey}/details")
            yield from self._page([details], "GET /v3/surveys/details")
            of["date_modified"] = listed[survey]["date_modified"]

        changed = [
            survey
            for survey, said in listed.items()
            if state.get(survey, {}).get("date_modified") != said["date_modified"]
        ]
        yield from self._in_turn(obj, changed, state, read)
        yield from self._tombstones(obj, listed.keys())

    def _read_responses(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """Changes of every survey by a cursor of its own: a common one would lose late surveys."""
        surveys = [survey["id"] for survey in self._surveys]
        of_surveys = state.setdefault("surveys", {})
        complete = yield from self._in_turn(
            obj, surveys, of_surveys, lambda survey, of: self._changes(obj, survey, of, window)
        )
        if window.reconcile:
            state["to_compare"] = sorted(self._known(obj))
        if not complete:
            return
        waiting: list[str] = state.get("to_compare", [])
        compared: State = {}
        yield from self._in_turn(
            obj, waiting, compared, lambda survey, _: self._vanished(obj, survey)
        )
        done = {survey for survey, of in compared.items() if "read_at" in of}
        state["to_compare"] = [survey for survey in waiting if survey not in done]
        for survey in done - set(surveys):
            of_surveys.pop(survey, None)  # should it ever be shared again, it is read anew

    def _changes(self, obj: SourceObject, survey: str, of: State, window: Window) -> Iterator[Page]:
        """Responses in the order of their change.

        Each page begins where the last one ended, by time: a response that changes meanwhile moves
        to the end, and counted pages would then skip another one.
        """
        until = window.until or self.api.now()
        start, number = since(of, obj, window), 1
        guard = PagingGuard(f"responses of survey {survey}")
        params: State = {
            "sort_by": "date_modified", "sort_order": "ASC", "simple": "true",
            "per_page": self.settings.responses_page_size,
        }  # fmt: skip
        if window.until is not None:
            params["end_modified_at"] = _naive(window.until)
        while True:
            if start is not None:  # in words "after": a second earlier is right in either case
                params["start_modified_at"] = _naive(start - _SECOND)
            reply = self._get(f"surveys/{survey}/responses/bulk", {**params, "page": number})
            page: list[State] = reply["data"]
            yield from self._page(page, "GET /v3/surveys/responses/bulk")
            if page and not window.is_backfill:
                advance(of, (row.get("date_modified") for row in page), until=until)
            if not reply["links"].get("next"):
                return
            guard.turn(f"{start} {page[0]['id']}" if page else None, len(page))
            last = max((parse_time(row["date_modified"]) for row in page), default=start)
            if last is not None and (start is None or last > start):
                start, number = last, 1
            else:  # more of them in one second than fit into a page
                number += 1

    def _vanished(self, obj: SourceObject, survey: str) -> Iterator[Page]:
        """Responses that the lake holds and the survey no longer lists."""
        try:
            listed = {row["id"] for row in self._all(f"surveys/{survey}/responses")}
        except _SkipError:  # the survey itself is gone
            listed = set()
        yield from self._gone(obj, survey, listed)

    def _read_collectors(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        surveys = [survey["id"] for survey in self._surveys]

        def read(survey: str, of: State) -> Iterator[Page]:
            page = self._collectors_of(survey)
            yield from self._page(page, "GET /v3/surveys/collectors")
            yield from self._gone(obj, survey, {collector["id"] for collector in page})

        yield from self._in_turn(obj, self._due(surveys, state), state, read)
        for survey in self._known(obj).keys() - set(surveys):
            yield from self._gone(obj, survey)

    def _read_recipients(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """Those of every message that was sent lately; of older ones once, and to reconcile."""
        of_surveys: State = state.setdefault("surveys", {})
        of_collectors: State = state.setdefault("collectors", {})
        if window.reconcile:  # all of them count as unread, until they are read again
            for of in (*of_surveys.values(), *of_collectors.values()):
                of["read_at"] = ""
            for of in of_collectors.values():
                of["messages"] = dict.fromkeys(of.get("messages", ()), "")
        surveys = [survey["id"] for survey in self._surveys]
        for survey in self._due(surveys, of_surveys):
            mailed = [c["id"] for c in self._collectors_of(survey) if c.get("type") == "email"]
            of_surveys[survey] = {"read_at": self._read_at(), "collectors": mailed}
        collectors = [key for survey in surveys for key in of_surveys[survey]["collectors"]]
        complete = yield from self._in_turn(
            obj,
            self._due(collectors, of_collectors),
            of_collectors,
            lambda collector, of: self._recipients_of(obj, collector, of, window),
        )
        if not complete or window.is_backfill:
            return
        for survey in of_surveys.keys() - set(surveys):
            del of_surveys[survey]
        for collector in of_collectors.keys() - set(collectors):
            del of_collectors[collector]
        live = {message for of in of_collectors.values() for message in of.get("messages", {})}
        for message in self._known(obj).keys() - live:
            yield from self._gone(obj, message)

    def _recipients_of(
        self, obj: SourceObject, collector: str, of: State, window: Window
    ) -> Iterator[Page]:
        read_at: dict[str, str] = of.setdefault("messages", {})
        messages = [m for m in self._all(f"collectors/{collector}/messages") if _sent_at(m)]
        for gone in read_at.keys() - {m["id"] for m in messages}:
            del read_at[gone]
        for message in messages:
            key, sent_at = message["id"], parse_time(_sent_at(message))
            if window.is_backfill and not (
                (window.since is None or window.since <= sent_at)
                and (window.until is None or sent_at < window.until)
            ):
                continue
            settled = (sent_at + timedelta(days=self.settings.recipient_days)).isoformat()
            if read_at.get(key, "") >= settled:
                continue
            rows = [
                {**row, "_message_id": key, "_sent_at": _sent_at(message)}
                for row in self._all(
                    f"collectors/{collector}/messages/{key}/recipients",
                    {"include": _RECIPIENT_FIELDS},
                )
            ]
            yield from self._page(rows, "GET /v3/collectors/recipients")
            yield from self._gone(obj, key, {row["id"] for row in rows})
            read_at[key] = self._read_at()

    def _read_contacts(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        if not self._due(["all"], state):
            return
        rows = self._all("contacts")
        yield from self._page(rows, "GET /v3/contacts")
        yield from self._tombstones(obj, {row["id"] for row in rows})
        state["all"] = {"read_at": self._read_at()}

    # -- in turn, within the day's calls

    def _in_turn(
        self,
        obj: SourceObject,
        things: Iterable[str],
        state: State,
        read: Callable[[str, State], Iterator[Page]],
    ) -> Generator[Page, None, bool]:
        """Pages of surveys or collectors, the longest unread first; gives whether all were read."""
        order = sorted(things, key=lambda thing: str(state.get(thing, {}).get("read_at", "")))
        for place, thing in enumerate(order):
            of = state.setdefault(thing, {})
            try:
                yield from read(thing, of)
            except _SkipError as error:
                self.notes.append(f"{obj.name}: {thing} was skipped: {error}")
                continue
            except _DayIsSpentError:
                left = len(order) - place
                self.notes.append(
                    f"{obj.name}: {left} of {len(order)} left for the next run; {_SPENT}"
                )
                return False
            of["read_at"] = self._read_at()
        return True

    def _due(self, things: Iterable[str], state: State) -> list[str]:
        """Those that were not read in the last hours."""
        ago = self.api.now() - timedelta(hours=self.settings.lists_every_hours)
        bound = ago.astimezone(UTC).isoformat()
        return [thing for thing in things if state.get(thing, {}).get("read_at", "") < bound]

    # -- asking

    @cached_property
    def _surveys(self) -> list[State]:
        return self._all("surveys", {"include": _SURVEY_FIELDS})

    @cached_property
    def _collectors(self) -> dict[str, list[State]]:
        return {}

    def _collectors_of(self, survey: str) -> list[State]:
        if survey not in self._collectors:
            try:
                found = self._all(f"surveys/{survey}/collectors", {"include": _COLLECTOR_FIELDS})
            except _SkipError:
                found = []
            self._collectors[survey] = [{**row, "_survey_id": survey} for row in found]
        return self._collectors[survey]

    def _all(self, path: str, params: Mapping[str, Any] | None = None) -> list[State]:
        """All records of a list, each once.

        Raises:
            SourceError: it changed while it was read, so that a record may be missing.
        """
        for _ in range(3):
            rows: dict[str, State] = {}
            number, guard = 1, PagingGuard(f"GET /v3/{path}")
            while True:
                asked = {**(params or {}), "per_page": self.settings.page_size, "page": number}
                reply = self._get(path, asked)
                page = reply["data"]
                rows.update((row["id"], row) for row in page)
                if not reply["links"].get("next"):
                    break
                guard.turn(page[0]["id"] if page else None, len(page))
                number += 1
            if len(rows) >= reply.get("total", 0):
                return list(rows.values())
        raise SourceError(f"GET /v3/{path}: the list changes while it is read; run it again later")

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """A reply, if the day's calls allow to ask."""
        if self._left is not None and self._left <= self.settings.keep_calls:
            raise _DayIsSpentError
        try:
            reply = self.api.call("GET", path, params=params, accept=(404, 410, 413))
        except ApiError as error:
            if error.status == 429 and self._left == 0:
                raise _DayIsSpentError from None
            raise
        if reply.status_code == 413:
            raise _SkipError("it is too large for the API (more than 1000 questions)")
        if not reply.ok:
            raise _SkipError("it was deleted, or is no longer shared with this account")
        return reply.json()

    _left: int | None = None  # calls of today, as of the last reply

    def _judge(self, response: requests.Response) -> Verdict | None:
        headers = response.headers
        left = headers.get("X-Ratelimit-App-Global-Day-Remaining", "")
        if left.isdigit():
            self._left = int(left)
        if response.status_code == 429:  # without Retry-After
            if self._left == 0:
                hours = int(headers.get("X-Ratelimit-App-Global-Day-Reset", "0")) / 3600
                return Verdict.fail(f"{_SPENT} (new ones in {hours:.1f} hours)")
            reset = headers.get("X-Ratelimit-App-Global-Minute-Reset", "")
            return Verdict.wait(float(reset) if reset.isdigit() else None)
        if response.status_code == 403 and _error_id(response) == "1018":
            return Verdict.fail(
                "the account lives in another region: set base_url to https://api.eu.surveymonkey.com"
                " or https://api.surveymonkey.ca"
            )
        return None

    def _page(self, rows: list[State], origin: str) -> Iterator[Page]:
        """Records as of now: not by date_modified, for what was gone may come again unchanged."""
        if rows:
            yield Page(rows, origin=origin, cursor=self._read_at())

    def _read_at(self) -> str:
        return self.api.now().astimezone(UTC).isoformat()

    # -- what is gone

    @cached_property
    def _known_by_parent(self) -> dict[str, dict[str, set[str]]]:
        return {}

    def _known(self, obj: SourceObject) -> dict[str, set[str]]:
        """Ids in the lake by the first part of their key (the survey or message)."""
        if obj.name not in self._known_by_parent:
            found: dict[str, set[str]] = {}
            for key in self.known_keys(obj.name).to_pylist():
                parent, _, record = key.partition("|")
                found.setdefault(parent, set()).add(record)
            self._known_by_parent[obj.name] = found
        return self._known_by_parent[obj.name]

    def _tombstones(self, obj: SourceObject, kept: Collection[str]) -> Iterator[Page]:
        lost = [key for key in self.known_keys(obj.name).to_pylist() if key not in kept]
        yield from self._lost(obj, [{"id": key} for key in lost])

    def _gone(self, obj: SourceObject, parent: str, kept: Collection[str] = ()) -> Iterator[Page]:
        """What the lake holds of a survey or message, but for what is still listed."""
        first, second = obj.key
        lost = sorted(self._known(obj).get(parent, set()) - set(kept))
        yield from self._lost(obj, [{first: parent, second: key} for key in lost])

    def _lost(self, obj: SourceObject, records: list[State]) -> Iterator[Page]:
        if records:
            origin = f"no longer listed: {obj.name}"
            yield Page(records, origin=origin, deleted=True, cursor=self._read_at())


_SPENT = "the account's calls of today are spent"


def _sent_at(message: Mapping[str, Any]) -> str:
    """When a message went out; empty if it did not."""
    if message.get("status") != "sent":
        return ""
    return message.get("scheduled_date") or message.get("date_created") or ""


def _naive(when: datetime) -> str:
    """As the filters want it: UTC, whole seconds, no zone."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _error_id(response: requests.Response) -> str:
    reply = response.json()
    error = reply.get("error") if isinstance(reply, dict) else None
    return str(error.get("id")) if isinstance(error, dict) else ""
