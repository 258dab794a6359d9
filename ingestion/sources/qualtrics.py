"""Qualtrics: surveys and their questions, responses, distributions and what became of them.

GET https://<data center>.qualtrics.com/API/v3/..., pages by `nextPage`. Responses come by export
jobs, a survey at a time, filtered on when they were recorded. What is edited later moves no date,
so the last weeks are exported again, and only what differs lands.
"""

import logging
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import orjson
import requests
from pydantic import Field

from ingestion.errors import SettingError, SourceError
from ingestion.sources.api import (
    ApiError,
    ApiSession,
    Auth,
    ClientCredentials,
    StaticHeader,
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
)

log = logging.getLogger(__name__)

_GONE = "vanish; found by comparing ids"
_NO_MERGES = "none"

OBJECTS = (
    SourceObject(
        "surveys", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True, scope="read:surveys"
    ),
    SourceObject(
        "definitions", ("SurveyID",), deletes=_GONE, merges=_NO_MERGES, snapshot=True,
        scope="read:surveys",
    ),
    SourceObject(
        "responses", ("_survey_id", "responseId"), cursor="values.recordedDate", deletes=_GONE,
        merges=_NO_MERGES, reconcile=True, snapshot=True, scope="read:survey_responses",
    ),
    SourceObject(
        "distributions", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True,
        scope="read:distributions",
    ),
    SourceObject(
        "distribution_history", ("distributionId", "contactLookupId"), deletes=_GONE,
        merges=_NO_MERGES, reconcile=True, snapshot=True, scope="read:distributions",
    ),
    SourceObject(
        "contacts", ("contactId",), deletes=_GONE, merges="keep one contactId", snapshot=True,
        scope="read:directory_contacts",
    ),
)  # fmt: skip

_DOWNLOADS = 4
_JOBS = 3  # for an export that Qualtrics itself says has failed
_ROWS = 1000  # of a page

State = dict[str, Any]


class QualtricsSettings(ConnectorSettings):
    """`data_center` is that of the account settings, or of the address: fra1, iad1."""

    data_center: str | None = Field(
        default=None, description="Of the account settings, or of the address: fra1, iad1."
    )
    directory: str | None = Field(default=None, description="POOL_...; by default the first one.")
    scope: str = Field(
        default=" ".join(dict.fromkeys(obj.scope for obj in OBJECTS)),
        description="What an OAuth client asks for.",
    )
    export_format: Literal["json", "ndjson"] = Field(
        default="json", description="ndjson is read line by line: for surveys of gigabytes."
    )
    reread_days: float = Field(
        default=30, ge=0, description="Responses so new are exported again, for later edits."
    )
    history_days: float = Field(
        default=30, gt=0, description="The history of a distribution is read until it is so old."
    )
    poll_seconds: float = Field(default=2, gt=0, description="Between looks at an export.")
    export_hours: float = Field(default=1, gt=0, description="How long an export may take.")


class _ExportError(SourceError):
    """The responses of one survey could not be had; those of others may be."""


class Qualtrics(Connector):
    """One Qualtrics brand, as one user sees it."""

    vendor = "qualtrics"
    objects = OBJECTS
    Settings = QualtricsSettings
    secret_choices = (("api_token",), ("client_id", "client_secret"))

    def connect(self) -> ApiSession:
        base_url = self.settings.base_url
        if base_url is None:
            if not self.settings.data_center:
                raise SettingError(
                    f"source {self.source!r}: set data_center, such as fra1 "
                    "(Account settings > Qualtrics IDs), or base_url"
                )
            base_url = f"https://{self.settings.data_center}.qualtrics.com"
        base_url = base_url.rstrip("/")
        auth: Auth
        if "api_token" in self.secret:
            auth = StaticHeader("X-API-TOKEN", self.secret["api_token"])
        else:
            auth = ClientCredentials(
                f"{base_url}/oauth2/token",
                self.secret["client_id"],
                self.secret["client_secret"],
                basic=True,
                extra={"scope": self.settings.scope},
            )
        return self.session(f"{base_url}/API/v3", auth=auth)

    def read(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        readers: dict[str, Callable[[SourceObject, State, Window], Iterator[Page]]] = {
            "surveys": self._read_surveys,
            "definitions": self._read_definitions,
            "responses": self._read_responses,
            "distributions": self._read_distributions,
            "distribution_history": self._read_history,
            "contacts": self._read_contacts,
        }
        yield from readers[obj.name](obj, state, window)

    def check(self) -> list[Finding]:
        try:
            me = self.api.get_json("whoami")["result"]
        except ApiError as error:
            return [Finding(False, str(error), "make a new token under Account settings > IDs")]
        return [Finding(True, f"connected as {me.get('userName', '?')}")]

    # -- the objects

    def _read_surveys(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        if self._surveys:
            yield Page(self._surveys, origin="GET /API/v3/surveys", cursor=self._read_at())
        yield from self._gone(obj, (survey["id"] for survey in self._surveys))

    def _read_definitions(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """Questions of those surveys that were changed."""
        listed = {survey["id"]: survey.get("lastModified") for survey in self._surveys}
        for survey in state.keys() - listed.keys():
            del state[survey]
        for survey, modified in listed.items():
            if modified is not None and state.get(survey) == modified:
                continue
            reply = self._one(f"survey-definitions/{survey}")
            if reply is None:
                self._skipped(obj, survey)
                continue
            definition = reply["result"]
            yield Page(
                [{**definition, "_choices": _choices(definition)}],
                origin="GET /API/v3/survey-definitions",
                cursor=self._read_at(),
            )
            state[survey] = modified
        yield from self._gone(obj, listed)

    def _read_responses(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """An export for each survey, by a cursor of its own; a closed one is exported once."""
        failed: list[str] = []
        done = 0
        for survey in self._surveys:
            of = state.setdefault(survey["id"], {})
            closed = survey.get("isActive") is False
            if closed and of.get("closed") and not window.is_backfill:
                continue
            try:
                yield from self._responses_of(survey["id"], of, window)
            except _ExportError as error:
                log.warning("%s", error)
                failed.append(f"{survey['id']}: {error}")
                continue
            of["closed"] = closed
            done += 1
        if failed and not done:
            raise SourceError("; ".join(failed))
        # the others are worth keeping; where these stand has not moved
        self.notes += [f"responses: left for the next run: {said}" for said in failed]
        if window.reconcile:
            yield from self._vanished(obj, state)

    def _responses_of(self, survey: str, of: State, window: Window) -> Iterator[Page]:
        options: State = {"format": self.settings.export_format, "compress": True}
        start, until = window.since, window.until or self.api.now()
        if not window.is_backfill and of.get("cursor"):
            start = parse_time(of["cursor"]) - timedelta(days=self.settings.reread_days)
        if start is not None:
            options["startDate"] = _zulu(start)
        if window.until is not None:
            options["endDate"] = _zulu(window.until)
        with self._export(survey, options) as found:
            if found is None:
                self.notes.append(f"responses: {survey} was deleted, or is no longer shared")
                return
            for rows in found:
                yield Page(
                    [{**row, "_survey_id": survey} for row in rows],
                    origin="GET /API/v3/surveys/export-responses",
                    cursor=self._read_at(),  # recordedDate stays as it is whatever changes
                )
                if not window.is_backfill:
                    values = (row.get("values") or {} for row in rows)
                    advance(of, (v.get("recordedDate") for v in values), until=until)

    def _vanished(self, obj: SourceObject, state: State) -> Iterator[Page]:
        """Responses that an export of nothing but ids no longer holds."""
        known: dict[str, list[str]] = {}
        for key in self.known_keys(obj.name).to_pylist():
            survey, _, response = key.partition("|")
            known.setdefault(survey, []).append(response)
        only_ids: State = {
            "format": self.settings.export_format, "compress": True,
            "surveyMetadataIds": ["_recordId"], "questionIds": [], "embeddedDataIds": [],
        }  # fmt: skip
        for survey, responses in known.items():
            try:
                with self._export(survey, only_ids) as found:
                    kept = {row["responseId"] for rows in found or () for row in rows}
                    survey_is_gone = found is None
            except _ExportError as error:
                self.notes.append(f"responses: {survey} was not compared: {error}")
                continue
            if survey_is_gone:
                state.pop(survey, None)  # should it ever be shared again, it is read anew
            first, second = obj.key
            yield from self._lost(
                obj, [{first: survey, second: r} for r in responses if r not in kept]
            )

    def _read_distributions(
        self, obj: SourceObject, state: State, window: Window
    ) -> Iterator[Page]:
        if self._distributions:
            yield Page(
                self._distributions, origin="GET /API/v3/distributions", cursor=self._read_at()
            )
        yield from self._gone(obj, (d["id"] for d in self._distributions))

    def _read_history(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        """Whom each recent distribution reached; older ones once, and to reconcile."""
        known: dict[str, list[str]] = {}
        for key in self.known_keys(obj.name).to_pylist():
            distribution, _, contact = key.partition("|")
            known.setdefault(distribution, []).append(contact)
        read_at: dict[str, str] = state.setdefault("read_at", {})
        sent = {d["id"]: d.get("sendDate") or d.get("createdDate") for d in self._distributions}
        for distribution in read_at.keys() - sent.keys():
            del read_at[distribution]
        for distribution, sent_text in sent.items():
            sent_at = parse_time(sent_text) if sent_text else None
            if not self._history_is_due(sent_at, read_at.get(distribution), window):
                continue
            kept: set[str] = set()
            for page in self._pages(f"distributions/{distribution}/history", may_be_gone=True):
                rows = [{**row, "distributionId": distribution} for row in page]
                kept.update(str(row["contactLookupId"]) for row in rows)
                yield Page(rows, origin="GET /API/v3/distributions/history", cursor=self._read_at())
            read_at[distribution] = self._read_at()
            if not window.is_backfill:
                yield from self._no_longer_sent(obj, distribution, known, kept)
        if not window.is_backfill:
            for distribution in known.keys() - sent.keys():
                yield from self._no_longer_sent(obj, distribution, known, ())

    def _history_is_due(
        self, sent_at: datetime | None, read_at: str | None, window: Window
    ) -> bool:
        if window.is_backfill:
            return sent_at is not None and (
                (window.since is None or window.since <= sent_at)
                and (window.until is None or sent_at < window.until)
            )
        if window.reconcile or read_at is None or sent_at is None:
            return True
        return parse_time(read_at) < sent_at + timedelta(days=self.settings.history_days)

    def _no_longer_sent(
        self,
        obj: SourceObject,
        distribution: str,
        known: Mapping[str, list[str]],
        kept: Collection[str],
    ) -> Iterator[Page]:
        lost = [contact for contact in known.get(distribution, ()) if contact not in kept]
        first, second = obj.key
        yield from self._lost(obj, [{first: distribution, second: contact} for contact in lost])

    def _read_contacts(self, obj: SourceObject, state: State, window: Window) -> Iterator[Page]:
        directory = self.settings.directory
        if directory is None:
            found = [d["directoryId"] for page in self._pages("directories") for d in page]
            if not found:
                self.notes.append("contacts: the account has no XM Directory")
                return
            directory = found[0]
        kept: set[str] = set()
        asked = {"pageSize": 500, "includeEmbedded": "true"}
        for page in self._pages(f"directories/{directory}/contacts", asked):
            kept.update(row["contactId"] for row in page)
            yield Page(page, origin="GET /API/v3/directories/contacts", cursor=self._read_at())
        yield from self._gone(obj, kept)

    # -- export jobs

    @contextmanager
    def _export(self, survey: str, options: State) -> Iterator[Iterable[list[State]] | None]:
        """The responses of a survey, some at a time; None if there is no such survey.

        Raises:
            _ExportError: Qualtrics did not give them.
        """
        with tempfile.TemporaryDirectory(prefix="qualtrics-") as folder:
            path = Path(folder) / "responses"
            file_id = self._run_export(survey, options)
            if file_id is None:
                yield None
                return
            self._download(survey, file_id, path)
            with _opened(path) as file:
                yield _batches(file)

    def _run_export(self, survey: str, options: State) -> str | None:
        for _ in range(_JOBS):
            job = self._start_export(survey, options)
            if job is None:
                return None
            file_id = self._wait_for(survey, job)
            if file_id:
                return file_id
        raise _ExportError(f"the export of survey {survey} failed {_JOBS} times")

    def _start_export(self, survey: str, options: State) -> str | None:
        """Id of a new job. It is asked for once: a second job would be another export."""
        try:
            reply = self.api.call(
                "POST",
                f"surveys/{survey}/export-responses",
                json=options,
                idempotent=False,
                accept=(404,),
            )
        except ApiError as error:
            if error.status is not None and error.status < 500:
                raise
            raise _ExportError(
                f"the export of survey {survey} may or may not have begun; it was not asked for"
                f" again ({error})"
            ) from None
        if reply.status_code == 404:
            return None
        job = reply.json()["result"].get("progressId")
        if not job:  # asking for the progress of nothing never ends
            raise _ExportError(f"the export of survey {survey} was given no progressId")
        return str(job)

    def _wait_for(self, survey: str, job: str) -> str | None:
        """Id of the file; None if the job failed, which only `status` tells: 100 % it has too."""
        deadline = self.clock.now() + timedelta(hours=self.settings.export_hours)
        wait = self.settings.poll_seconds
        while True:
            reply = self._one(f"surveys/{survey}/export-responses/{job}")
            if reply is None:
                raise _ExportError(f"the export {job} of survey {survey} is gone")
            status = reply["result"].get("status")
            if status == "complete":
                return reply["result"].get("fileId") or None
            if status != "inProgress":
                return None
            if self.clock.now() >= deadline:
                raise _ExportError(
                    f"the export {job} of survey {survey} was not ready within "
                    f"{self.settings.export_hours:g} hours; raise export_hours"
                )
            self.clock.sleep(wait)
            wait = min(1.5 * wait, 30)

    def _download(self, survey: str, file_id: str, path: Path) -> None:
        """The file of an export, whole."""
        for _ in range(_DOWNLOADS):
            try:
                with (
                    self.api.call(
                        "GET",
                        f"surveys/{survey}/export-responses/{file_id}/file",
                        stream=True,
                        expect_json=False,
                    ) as reply,
                    path.open("wb") as file,
                ):
                    for chunk in reply.iter_content(1 << 20):
                        file.write(chunk)
                if zipfile.is_zipfile(path):
                    with zipfile.ZipFile(path) as archive:
                        if archive.testzip() is None:
                            return
            except (requests.RequestException, zipfile.BadZipFile, EOFError) as error:
                log.warning("the file of an export broke off: %s", type(error).__name__)
        raise _ExportError(
            f"the file with the responses of survey {survey} was not whole after "
            f"{_DOWNLOADS} downloads"
        )

    # -- asking

    @cached_property
    def _surveys(self) -> list[State]:
        found = {row["id"]: row for page in self._pages("surveys") for row in page}
        return list(found.values())

    @cached_property
    def _distributions(self) -> list[State]:
        found = {
            row["id"]: row
            for survey in self._surveys
            for page in self._pages("distributions", {"surveyId": survey["id"]}, may_be_gone=True)
            for row in page
        }
        return list(found.values())

    def _pages(
        self, path: str, params: Mapping[str, Any] | None = None, *, may_be_gone: bool = False
    ) -> Iterator[list[State]]:
        asked, guard = dict(params or {}), PagingGuard(f"GET /API/v3/{path}")
        while True:
            accept = (404,) if may_be_gone else ()
            reply = self.api.call("GET", path, params=asked, accept=accept)
            if not reply.ok:
                self.notes.append(f"GET /API/v3/{path}: deleted, or no longer shared")
                return
            result = reply.json()["result"]
            if result["elements"]:
                yield result["elements"]
            following = result.get("nextPage")
            if not following:
                return
            guard.turn(following, len(result["elements"]))
            # its host may be another one of the vendor's; the credentials are for ours
            asked |= dict(parse_qsl(urlsplit(following).query))

    def _one(self, path: str) -> Any:
        """A reply; None if there is no such thing."""
        reply = self.api.call("GET", path, accept=(404,))
        return reply.json() if reply.ok else None

    def _read_at(self) -> str:
        return self.api.now().astimezone(UTC).isoformat()

    # -- what is gone

    def _skipped(self, obj: SourceObject, survey: str) -> None:
        self.notes.append(f"{obj.name}: {survey} was deleted, or is no longer shared")

    def _gone(self, obj: SourceObject, kept: Iterable[str]) -> Iterator[Page]:
        live = set(kept)
        lost = [key for key in self.known_keys(obj.name).to_pylist() if key not in live]
        yield from self._lost(obj, [{obj.key[0]: key} for key in lost])

    def _lost(self, obj: SourceObject, records: list[State]) -> Iterator[Page]:
        if records:
            origin = f"no longer listed: {obj.name}"
            yield Page(records, origin=origin, deleted=True, cursor=self._read_at())


def _choices(definition: Mapping[str, Any]) -> list[State]:
    """Choices with the value that responses give for them, which is neither id nor position."""
    found = []
    for name, question in (definition.get("Questions") or {}).items():
        choices, recodes = question.get("Choices"), question.get("RecodeValues") or {}
        if isinstance(choices, dict):
            found += [
                {
                    "question_id": name,
                    "choice_id": key,
                    "recode": str(recodes.get(key, key)),
                    "text": choice.get("Display") if isinstance(choice, dict) else None,
                }
                for key, choice in choices.items()
            ]
    return found


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The one file in an archive, whatever it is called."""
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
        with archive.open(entry) as file:
            yield file


def _batches(file: IO[bytes]) -> Iterator[list[State]]:
    """Responses out of JSON (`{"responses": [...]}`) or of a line each."""
    first = file.readline()
    try:
        parsed = orjson.loads(first) if first.strip() else {"responses": []}
    except orjson.JSONDecodeError:  # printed over several lines
        parsed = orjson.loads(first + file.read())
    if "responses" in parsed:
        rows = parsed["responses"]
        for start in range(0, len(rows), _ROWS):
            yield rows[start : start + _ROWS]
        return
    batch = [parsed]
    for line in file:
        if line.strip():
            batch.append(orjson.loads(line))
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _zulu(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
