"""Zendesk Support: tickets with their metrics, events and comments, users, and how it is set up.

GET https://<subdomain>.zendesk.com/api/v2/... Changes come from incremental exports, which withhold
the last minute: tickets and users by cursor, the others by time. Small lists are read whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import requests
from pydantic import AwareDatetime, Field

from ingestion.errors import SettingError
from ingestion.sources.api import (
    ApiError,
    ApiSession,
    Auth,
    Basic,
    ClientCredentials,
    RateLimit,
    RefreshToken,
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

_GONE = "vanish; found by comparing ids"
_NONE = "none"
_ADMIN = "of an admin"

OBJECTS = (
    SourceObject(
        # updated_at stays where the system changes a ticket
        "tickets", ("id",), cursor="generated_timestamp",
        deletes="status deleted", merges="the loser is closed, with the tag closed_by_merge",
        scope=_ADMIN,
    ),
    SourceObject(
        "ticket_events", ("id",), cursor="timestamp", deletes="stay", merges=_NONE, scope=_ADMIN
    ),
    SourceObject(
        "ticket_metric_events", ("id",), cursor="time", deletes="stay", merges=_NONE, scope=_ADMIN
    ),
    SourceObject(
        "users", ("id",), cursor="updated_at", deletes="active false, permanently_deleted",
        merges="the loser turns inactive, its e-mail becomes an identity of the winner",
        scope=_ADMIN,
    ),
    SourceObject(
        "organizations", ("id",), cursor="updated_at", deletes="deleted_at", merges=_NONE,
        scope=_ADMIN,
    ),
    # ratings that change are asked for by a time of which it is not sure which one it is
    SourceObject(
        "satisfaction_ratings", ("id",), cursor="updated_at", lookback=timedelta(days=30),
        deletes="stay", merges=_NONE, snapshot=True,
    ),
    SourceObject("groups", ("id",), deletes=_GONE, merges=_NONE, snapshot=True),
    SourceObject("ticket_fields", ("id",), deletes=_GONE, merges=_NONE, snapshot=True),
    SourceObject("sla_policies", ("id",), deletes=_GONE, merges=_NONE, snapshot=True),
    SourceObject("schedules", ("id",), deletes=_GONE, merges=_NONE, snapshot=True),
)  # fmt: skip

# what only some plans have; without it these objects stay empty
OPTIONAL = ("ticket_metric_events", "satisfaction_ratings", "sla_policies", "schedules")
_LISTS = {
    "groups": "groups",
    "ticket_fields": "ticket_fields",
    "sla_policies": "slas/policies",
    "schedules": "business_hours/schedules",
}
_OLDEST = datetime(2007, 1, 1, tzinfo=UTC)  # before the first account


class ZendeskSettings(ConnectorSettings):
    """The account: `subdomain`, as in https://<subdomain>.zendesk.com, or `base_url`."""

    subdomain: str | None = Field(
        default=None,
        description="As in https://<subdomain>.zendesk.com, where there is no `base_url`.",
    )
    start_date: AwareDatetime = Field(default=_OLDEST, description="Changes before are not read.")
    requests_per_minute: int = Field(default=200, ge=1, description="Of the plan: Team has 200.")
    exports_per_minute: int = Field(
        default=10, ge=1, description="30 with the High Volume API add-on."
    )


class Zendesk(Connector):
    """One Zendesk account."""

    vendor = "zendesk"
    objects = OBJECTS
    Settings = ZendeskSettings
    secret_choices = (
        ("client_id", "client_secret", "refresh_token"),
        ("client_id", "client_secret"),
        ("email", "api_token"),
    )

    def connect(self) -> ApiSession:
        base_url = self.settings.base_url
        if base_url is None:
            if self.settings.subdomain is None:
                raise SettingError(
                    f"source {self.source!r}: set subdomain, as in https://<subdomain>.zendesk.com"
                )
            base_url = f"https://{self.settings.subdomain}.zendesk.com"
        base_url = base_url.rstrip("/")
        return self.session(
            f"{base_url}/api/v2",
            auth=self._auth(f"{base_url}/oauth/tokens"),
            limits=(
                RateLimit(self.settings.requests_per_minute, 60),
                RateLimit(self.settings.exports_per_minute, 60, "/incremental/"),
            ),
            judge=_judge,
        )

    def _auth(self, token_url: str) -> Auth:
        if "client_id" not in self.secret:
            return Basic(
                f"{self.secret['email']}/token",
                self.secret["api_token"],
                secret_names=("email", "api_token"),
            )
        client = self.secret["client_id"], self.secret["client_secret"]
        if refresh_token := self.secret.get("refresh_token"):
            # refreshing kills the old pair at once, so early enough for a whole load
            return RefreshToken(
                token_url, *client, refresh_token, store=self.token_store, style="json",
                early=3 * 3600, life=48 * 3600,
            )  # fmt: skip
        return ClientCredentials(token_url, *client, style="json", extra={"scope": "read"})

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        read: dict[str, Callable[..., Iterator[Page]]] = {
            "tickets": self._tickets,
            "ticket_events": self._ticket_events,
            "users": self._users,
            "satisfaction_ratings": self._ratings,
        }
        try:
            if obj.name in read:
                yield from read[obj.name](obj, state, window)
            elif obj.name in _LISTS:
                yield from self._whole(obj)
            else:
                yield from self._by_time(obj, state, window)
        except ApiError as error:
            if error.status != 403 or obj.name not in OPTIONAL:
                raise
            self.notes.append(
                f"{obj.name}: left out; not part of the account's plan, or not open to its user"
            )

    def check(self) -> list[Finding]:
        try:
            user = self.api.get_json("users/me.json")["user"]
        except ApiError as error:
            return [Finding(False, str(error), "authorise anew, or make a new API token")]
        found = [Finding(True, f"connected as {user.get('role')} {user.get('id')}")]
        if user.get("role") != "admin":
            fix = "give the user the role of an admin: exports are open to admins only"
            found.append(Finding(False, "the user is no admin", fix))
        for name in OPTIONAL:
            if name == "ticket_metric_events":  # an export: too dear for a check
                continue
            path = _LISTS.get(name, name)
            reply = self.api.call("GET", f"{path}.json", params={"page[size]": 1}, accept=(403,))
            if reply.status_code == 403:
                found.append(Finding(True, f"{name}: not in the plan, it will be left out"))
        return found

    # ---- objects -------------------------------------------------------------------------------

    def _tickets(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """Each with its metrics: the list of metrics leaves archived tickets out."""
        stamp = _epoch_of("generated_timestamp")
        for reply in self._export("tickets", "metric_sets", stamp, state, window):
            metrics = {m["ticket_id"]: m for m in reply.get("metric_sets", ())}
            yield from _pages(
                obj,
                "GET /api/v2/incremental/tickets/cursor",
                (self._ticket(t, metrics.get(t["id"])) for t in reply["tickets"]),
                gone=lambda ticket: ticket["status"] == "deleted",
            )

    def _ticket(
        self, ticket: Mapping[str, Any], metrics: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """A ticket with its metrics, the name of its group, and times that metrics say as spans."""
        first_reply, first_solution = (
            _later(ticket["created_at"], ((metrics or {}).get(span) or {}).get("calendar"))
            for span in ("reply_time_in_minutes", "first_resolution_time_in_minutes")
        )
        rating = ticket.get("satisfaction_rating")  # an object; in odd cases the bare word
        return {
            **ticket, "metric_set": metrics,
            "_satisfaction": rating.get("score") if isinstance(rating, dict) else rating,
            "_group_name": self._groups.get(ticket.get("group_id")),
            "_first_replied_at": first_reply, "_first_solved_at": first_solution,
        }  # fmt: skip

    def _ticket_events(
        self, obj: SourceObject, state: dict[str, Any], window: Window
    ) -> Iterator[Page]:
        """With the role of who wrote or changed: an event names only the user."""
        # once an agent, always: those who have left are no longer listed
        agents = {*state.get("agents", ()), *self._agents()}
        for page in self._by_time(obj, state, window, include="comment_events"):
            agents |= {c["assignee_id"] for e in page.records for c in _children(e, "assignee_id")}
            agents |= {
                c["author_id"] for e in page.records for c in _children(e, "author_id")
                if c.get("public") is False
            }  # fmt: skip
            yield Page([self._event(event, agents) for event in page.records], origin=page.origin)
        state["agents"] = sorted(agents)

    def _event(self, event: Mapping[str, Any], agents: set[int]) -> dict[str, Any]:
        def role(user: int | None) -> str | None:
            if user is None:
                return None
            return "system" if user < 0 else "agent" if user in agents else "customer"

        children = []
        for child in event.get("child_events", ()):
            more: dict[str, Any] = {}
            if child.get("event_type") == "Comment":
                more["_author_role"] = role(child.get("author_id", event.get("updater_id")))
            elif child.get("group_id") is not None:
                before = child.get("previous_value")
                before = int(before) if str(before).isdecimal() else None
                more["_group_name"] = self._groups.get(child["group_id"])
                more["_previous_group_name"] = self._groups.get(before)
            children.append({**child, **more})
        return {
            **event, "child_events": children, "_updater_role": role(event.get("updater_id")),
        }  # fmt: skip

    def _users(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """Each with its identities. Who has gone comes last: by then merges are known."""
        origin = "GET /api/v2/incremental/users/cursor"
        gone: list[dict[str, Any]] = []
        owners: dict[str, set[int]] = {}  # of e-mails that are not the user's first one
        stamp = _epoch_of("updated_at")
        for reply in self._export("users", "identities", stamp, state, window):
            identities: dict[int, list[Mapping[str, Any]]] = {}
            for identity in reply.get("identities", ()):
                identities.setdefault(identity["user_id"], []).append(identity)
                if identity.get("type") == "email" and not identity.get("primary"):
                    value = str(identity["value"]).lower()
                    owners.setdefault(value, set()).add(identity["user_id"])
            users = [{**u, "identities": identities.get(u["id"], [])} for u in reply["users"]]
            gone += [user for user in users if _is_gone(user)]
            yield Page([user for user in users if not _is_gone(user)], origin=origin)
        for user in gone:
            winners = owners.get(str(user.get("email")).lower(), set()) - {user["id"]}
            if len(winners) == 1 and not user.get("permanently_deleted"):
                (user["merged_into"],) = winners
        yield Page(gone, origin=origin, deleted=True)

    def _ratings(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        start, params = since(state, obj, window), {}
        if start is not None:
            params["start_time"] = int(start.timestamp())
        for rows in self._list("satisfaction_ratings", params):
            if window.until is not None:
                rows = [row for row in rows if parse_time(row["updated_at"]) <= window.until]
            yield Page(rows, origin="GET /api/v2/satisfaction_ratings")
            if not window.is_backfill:
                advance(state, (row["updated_at"] for row in rows))

    def _whole(self, obj: SourceObject) -> Iterator[Page]:
        """All records of a small list, and those that are no longer in it."""
        path = _LISTS[obj.name]
        kept: set[str] = set()
        for rows in self._list(path, {}, key=obj.name):
            if obj.name == "schedules":
                rows = [{**row, "holidays": self._holidays(row["id"])} for row in rows]
            kept.update(str(row["id"]) for row in rows)
            yield Page(rows, origin=f"GET /api/v2/{path}", cursor=self.api.now().isoformat())
        lost = [{"id": key} for key in self.known_keys(obj.name).to_pylist() if key not in kept]
        yield Page(lost, origin=f"no longer listed: {obj.name}", deleted=True)

    def _holidays(self, schedule: int) -> list[Mapping[str, Any]]:
        reply = self.api.get_json(f"business_hours/schedules/{schedule}/holidays.json")
        return list(reply["holidays"])

    @cached_property
    def _groups(self) -> dict[int | None, str]:
        return {group["id"]: group["name"] for rows in self._list("groups", {}) for group in rows}

    def _agents(self) -> Iterator[int]:
        for rows in self._list("users", {"role[]": ["agent", "admin"]}):
            yield from (user["id"] for user in rows)

    # ---- paging --------------------------------------------------------------------------------

    def _export(
        self, name: str, sideload: str, stamp: Callable[[Mapping[str, Any]], int],
        state: dict[str, Any], window: Window,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """Replies of a cursor export, until the vendor says that its stream ends."""
        path = f"incremental/{name}/cursor.json"
        guard = PagingGuard(f"source {self.source!r}: {path}")
        cursor = None if window.is_backfill else state.get("after_cursor")
        params: dict[str, Any] = {"start_time": self._first_second(window)}
        if cursor is not None:
            params = {"cursor": cursor}
            guard.turn(cursor, 1)
        until = None if window.until is None else int(window.until.timestamp())
        while True:
            reply = self.api.get_json(path, params={**params, "include": sideload})
            rows = reply[name]
            cursor = reply["after_cursor"] or cursor  # none where nothing was there yet
            passed = False
            if until is not None:
                reply[name] = [row for row in rows if stamp(row) <= until]
                passed = len(reply[name]) < len(rows)
            yield reply
            if reply["end_of_stream"] or passed:
                break
            guard.turn(cursor, len(rows))
            params = {"cursor": cursor}
        if not window.is_backfill and cursor is not None:
            state["after_cursor"] = cursor

    def _by_time(
        self, obj: SourceObject, state: dict[str, Any], window: Window, **params: str
    ) -> Iterator[Page]:
        """A time-based export. Each reply begins with the last second of the one before."""
        path = f"incremental/{obj.name}.json"
        stamp = _epoch_of(str(obj.cursor))
        guard = PagingGuard(f"source {self.source!r}: {path}")
        start = self._first_second(window)
        seen: set[int] = set()  # ids of that second
        if not window.is_backfill and "end_time" in state:
            start, seen = state["end_time"], set(state["seen"])
        until = None if window.until is None else int(window.until.timestamp())
        while True:
            reply = self.api.get_json(path, params={"start_time": start, **params})
            rows = reply[obj.name]
            fresh = [row for row in rows if stamp(row) != start or row["id"] not in seen]
            if until is not None:
                fresh = [row for row in fresh if stamp(row) <= until]
            yield from _pages(
                obj, f"GET /api/v2/incremental/{obj.name}", fresh,
                gone=lambda row: row.get("deleted_at") is not None,
            )  # fmt: skip
            end = reply["end_time"] or start
            if end != start:
                seen = set()
            seen.update(row["id"] for row in rows if stamp(row) == end)
            if reply["end_of_stream"] or (until is not None and end > until):
                break
            if rows and end == start:
                raise self.api.error(
                    f"{path}: a full page ends in the second it began with ({start}); reading on "
                    "would never end. Ask Zendesk about that second"
                )
            guard.turn(end if rows else None, len(rows))  # an empty one may have others behind it
            start = end
        if not window.is_backfill:
            state["end_time"], state["seen"] = end, sorted(seen)

    def _list(
        self, path: str, params: Mapping[str, Any], key: str | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Pages of a list: by cursor, or by links where the list knows no cursor."""
        guard = PagingGuard(f"source {self.source!r}: {path}")
        url, asked = f"{path}.json", {**params, "page[size]": 100}
        while True:
            reply = self.api.get_json(url, params=asked)
            rows = reply[key or path]
            yield rows
            if "meta" in reply:
                if not reply["meta"]["has_more"]:  # the link to the next page may be there even so
                    return
                asked["page[after]"] = reply["meta"]["after_cursor"]
                guard.turn(asked["page[after]"], len(rows))
            elif reply.get("next_page"):
                url, asked = reply["next_page"], {}
                guard.turn(url, len(rows))
            else:
                return

    def _first_second(self, window: Window) -> int:
        """Where an export begins that has no state; the vendor wants more than a minute back."""
        start = window.since or self.settings.start_date
        return int(min(start, self.api.now() - timedelta(minutes=2)).timestamp())


def _judge(response: requests.Response) -> Verdict | None:
    if response.status_code == 409:
        return Verdict.retry("HTTP 409: the account is being changed right now")
    return None


def _pages(
    obj: SourceObject,
    origin: str,
    rows: Iterable[dict[str, Any]],
    gone: Callable[[Mapping[str, Any]], bool],
) -> Iterator[Page]:
    """Rows that are there, and those that are not any more."""
    listed = list(rows)
    yield Page([row for row in listed if not gone(row)], origin=origin)
    yield Page([row for row in listed if gone(row)], origin=origin, deleted=True)


def _is_gone(user: Mapping[str, Any]) -> bool:
    """Erased, or a customer who was deleted. An agent who has left stays: tickets tell of him."""
    left = user.get("active") is False and user.get("role") == "end-user"
    return left or user.get("permanently_deleted") is True


def _children(event: Mapping[str, Any], member: str) -> Iterator[Mapping[str, Any]]:
    """The child events that have this member."""
    return (c for c in event.get("child_events", ()) if c.get(member) is not None)


def _epoch_of(member: str) -> Callable[[Mapping[str, Any]], int]:
    """The second that a row is ordered by, as the vendor counts it."""

    def stamp(row: Mapping[str, Any]) -> int:
        value = row[member]
        return int(parse_time(value).timestamp()) if isinstance(value, str) else int(value)

    return stamp


def _later(moment: str, minutes: float | None) -> str | None:
    if minutes is None:
        return None
    return (parse_time(moment) + timedelta(minutes=minutes)).isoformat()
