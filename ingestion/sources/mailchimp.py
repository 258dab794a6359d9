"""Mailchimp: audiences, members, segments, and what became of every mailing.

GET https://<dc>.api.mailchimp.com/3.0/..., pages by `offset` and `count`. Rows that change while
they are paged move, so changes are read oldest first within a closed span, and again the next time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from ingestion.errors import SettingError, SourceError
from ingestion.sources.api import ApiError, ApiSession, Basic, StaticHeader, Verdict
from ingestion.sources.connector import (
    Connector,
    ConnectorSettings,
    Finding,
    Page,
    SourceObject,
    Window,
    advance,
    since,
)

_GONE = "vanish; found by comparing ids"
_NO_MERGES = "none"
_READINGS = 3  # of a list that changes while it is read

OBJECTS = (
    SourceObject("lists", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True),
    SourceObject(
        "members",
        ("list_id", "id"),
        cursor="last_changed",
        lookback=timedelta(minutes=5),
        deletes="archived: status; deleted for good: vanish, found by comparing ids",
        merges="a changed e-mail is a new id; contact_id stays",
        reconcile=True,
        snapshot=True,
    ),
    SourceObject("segments", ("list_id", "id"), deletes=_GONE, merges=_NO_MERGES, snapshot=True),
    SourceObject("campaigns", ("id",), deletes=_GONE, merges=_NO_MERGES, snapshot=True),
    SourceObject("reports", ("id",), deletes="stay", merges=_NO_MERGES, snapshot=True),
    *(
        SourceObject(
            name, ("campaign_id", "email_id"), deletes="stay", merges=_NO_MERGES, snapshot=True
        )
        for name in ("sent_to", "email_activity", "unsubscribes")
    ),
)  # fmt: skip

# object -> path below the campaign's report, name of the list in the reply
_OF_REPORT = {
    "sent_to": ("sent-to", "sent_to"),
    "email_activity": ("email-activity", "emails"),
    "unsubscribes": ("unsubscribed", "unsubscribes"),
}


class MailchimpSettings(ConnectorSettings):
    """`base_url` is read off the API key (`...-us21`) where it is not given."""

    page_size: int = Field(default=1000, ge=1, le=1000, description="Records of a page.")
    activity_days: float = Field(
        default=30, gt=0, description="A mailing is read again until it is so old."
    )


class Mailchimp(Connector):
    """One Mailchimp account."""

    vendor = "mailchimp"
    objects = OBJECTS
    Settings = MailchimpSettings
    secret_choices = (("api_key",), ("access_token",))

    def connect(self) -> ApiSession:
        key = self.secret.get("api_key")
        base_url = self.settings.base_url
        if base_url is None:
            if not key or "-" not in key:
                raise SettingError(
                    f"source {self.source!r}: set base_url, as in https://us21.api.mailchimp.com; "
                    "it cannot be read off the credentials"
                )
            base_url = f"https://{key.rpartition('-')[2]}.api.mailchimp.com"
        return self.session(
            f"{base_url.rstrip('/')}/3.0",
            auth=Basic("cxm", key)
            if key
            else StaticHeader(
                "Authorization",
                self.secret["access_token"],
                "Bearer ",
                secret_names=("access_token",),
            ),
            judge=_judge,
        )

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        if obj.name == "members":
            yield from self._members(obj, state, window)
        elif obj.name in ("lists", "campaigns"):
            yield from self._whole(obj, obj.name, obj.name)
        elif obj.name == "segments":
            for audience in self._audiences():
                yield from self._whole(obj, f"lists/{audience}/segments", "segments")
        elif obj.name == "reports":
            for _, page in self._recent(state, window, keep=True):
                yield Page(page, origin="GET /3.0/reports", cursor=self._read_at())
        else:
            yield from self._of_reports(obj, state, window)

    def check(self) -> list[Finding]:
        try:
            account = self.api.get_json("ping")
        except ApiError as error:
            return [Finding(False, str(error), "make a new API key under Account > Extras")]
        return [Finding(True, f"connected: {account.get('health_status', 'ok')}")]

    def _members(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """Changes of each audience; all of it when reconciling: stats and tags move no cursor."""
        kept: set[str] = set()
        start = None if window.reconcile else since(state, obj, window)
        until = window.until or self._server_time()
        for audience in self._audiences():
            params = {"sort_field": "last_changed", "sort_dir": "ASC"}
            if start is not None:
                params["since_last_changed"] = start.isoformat(timespec="seconds")
            if window.until is not None:
                params["before_last_changed"] = until.isoformat(timespec="seconds")
            for page in self._pages(f"lists/{audience}/members", "members", params):
                kept.update(f"{row['list_id']}|{row['id']}" for row in page)
                # a reconcile brings what has changed under an old cursor
                yield Page(
                    page,
                    origin="GET /3.0/lists/members",
                    cursor=None if not window.reconcile else self._read_at(),
                )
                if not window.is_backfill:
                    advance(state, (row.get("last_changed") for row in page), until=until)
        if window.reconcile:
            yield from self._gone(obj, kept)

    def _whole(self, obj: SourceObject, path: str, key: str) -> Iterator[Page]:
        """All records of a small list, and those that are no longer in it."""
        kept: set[str] = set()
        for page in self._pages(path, key, {}):
            kept.update("|".join(str(row[part]) for part in obj.key) for row in page)
            yield Page(page, origin=f"GET /3.0/{key}", cursor=self._read_at())
        yield from self._gone(obj, kept)

    def _of_reports(
        self, obj: SourceObject, state: dict[str, Any], window: Window
    ) -> Iterator[Page]:
        path, key = _OF_REPORT[obj.name]
        for reports, _ in self._recent(state, window, keep=False):
            for report in reports:
                own = {"campaign_id": report["id"]}
                if obj.name == "sent_to":  # the record does not say when; its report does
                    own["_sent_at"] = report.get("send_time", "")
                for page in self._pages(f"reports/{report['id']}/{path}", key, {}):
                    yield Page(
                        [{**row, **own} for row in page],
                        origin=f"GET /3.0/reports/{path}",
                        cursor=self._read_at(),
                    )

    def _recent(
        self, state: dict[str, Any], window: Window, *, keep: bool
    ) -> Iterator[tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]]:
        """Reports of mailings whose counts may still move, a page at a time."""
        until = window.until or self._server_time()
        params: dict[str, Any] = {"sort_field": "send_time", "sort_dir": "ASC"}
        start = window.since
        if not window.is_backfill and state.get("read_until"):
            start = datetime.fromisoformat(state["read_until"]) - timedelta(
                days=self.settings.activity_days
            )
        if start is not None:
            params["since_send_time"] = start.isoformat(timespec="seconds")
        if window.until is not None:
            params["before_send_time"] = until.isoformat(timespec="seconds")
        for page in self._pages("reports", "reports", params):
            yield page, page
        if not window.is_backfill:
            state["read_until"] = until.isoformat()

    def _pages(
        self, path: str, key: str, params: Mapping[str, Any]
    ) -> Iterator[list[Mapping[str, Any]]]:
        """Pages of a list; one that was not whole is read again.

        Raises:
            SourceError: records are still missing: it changed each time while it was read.
        """
        number = "email_id" if path.startswith("reports/") else "id"
        for _ in range(_READINGS):
            offset, total = 0, 0
            found: set[str] = set()
            while True:
                asked = {
                    **params, "offset": offset, "count": self.settings.page_size,
                    "exclude_fields": f"{key}._links,_links",
                }  # fmt: skip
                reply = self.api.get_json(path, params=asked)
                page, total = reply[key], reply["total_items"]
                if page:
                    yield page
                offset += len(page)
                found.update(row[number] for row in page)
                if not page or offset >= total:
                    break
            if len(found) >= total:
                return
        raise SourceError(
            f"GET /3.0/{path}: {len(found)} of {total} records came; the list changes while it is "
            "read, run it again"
        )

    def _audiences(self) -> list[str]:
        return [row["id"] for page in self._pages("lists", "lists", {}) for row in page]

    def _gone(self, obj: SourceObject, kept: set[str]) -> Iterator[Page]:
        lost = [key for key in self.known_keys(obj.name).to_pylist() if key not in kept]
        records = [dict(zip(obj.key, key.split("|"), strict=True)) for key in lost]
        if records:
            yield Page(records, origin=f"no longer listed: {obj.name}", deleted=True)

    def _server_time(self) -> datetime:
        if self.api.server_time is None:
            self.api.get_json("ping")
        return self.api.server_time or self.clock.now()

    def _read_at(self) -> str:
        return self._server_time().isoformat()


def _judge(response: Any) -> Verdict | None:
    # under heavy load it refuses without a word; a real refusal explains itself
    if response.status_code == 403 and "json" not in response.headers.get("content-type", ""):
        return Verdict.wait(message="a bare 403, sent under heavy load")
    return None
