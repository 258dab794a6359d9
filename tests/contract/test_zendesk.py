"""Zendesk: what the connector lands is what the account holds, whatever happens on the way."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pytest
import requests

from ingestion.concepts import load_concepts
from ingestion.errors import SettingError, SourceError
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.simulator.company import Company
from ingestion.simulator.server import serving
from ingestion.simulator.server.tokens import secret
from ingestion.simulator.vendors.zendesk import LAKE_TABLES, PROJECTIONS
from ingestion.simulator.world import table_of, write_block
from ingestion.sources.connector import Window, check_connection
from ingestion.sources.zendesk import OPTIONAL, Zendesk
from tests.contract import accounts
from tests.contract.conftest import SimulatorUnderTest

OAUTH = ("client_id", "client_secret", "refresh_token")
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday; Berlin is an hour ahead


class Warehouse(accounts.Warehouse):
    connector, source = Zendesk, "desk"

    def exports(self) -> list[datetime]:
        """When incremental exports were asked for."""
        return [
            datetime.fromisoformat(e["at"])
            for e in self.simulator.journal("zendesk")
            if "/incremental/" in e["path"]
        ]


def told(simulator: SimulatorUnderTest, name: str) -> dict[str, tuple[dict[str, Any], bool]]:
    """What the account holds, but for the last minute: the document, and whether it is gone."""
    projection = PROJECTIONS[LAKE_TABLES.get(name, name)]
    until = int(simulator.company.clock.timestamp()) - 60
    rows = simulator.company.query(
        f"select id, archived_at is not null, document from {simulator.company.table(projection)}"
        " where epoch(updated_at) < ?",
        [until],
    )
    found = {key: (orjson.loads(document), is_gone) for key, is_gone, document in rows}
    assert len(found) == len(rows), f"{name}: an id is there twice"
    return found


def assert_equal_to_account(warehouse: Warehouse) -> None:
    """Row for row, with all that the connector added."""
    for obj in Zendesk.objects:
        landed, expected = warehouse.newest(obj.name), told(warehouse.simulator, obj.name)
        assert landed.keys() == expected.keys(), obj.name
        for key, record in expected.items():
            assert landed[key] == record, obj.name


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a company with seed 7."""
    for name in OAUTH:
        monkeypatch.setenv(f"SOURCES__DESK__{name.upper()}", secret(7, "zendesk", name))


@pytest.fixture
def warehouse(simulator: SimulatorUnderTest, tmp_path: Path) -> Warehouse:
    return Warehouse(simulator, tmp_path)


# ---- a world of our own --------------------------------------------------------------------------


def day(number: float, seconds: float = 0) -> datetime:
    return BEGIN + timedelta(days=number, seconds=seconds)


def user(number: int, at: datetime, version: int = 1, **columns: Any) -> dict[str, Any]:
    return {
        "vendor": "zendesk", "object": "user", "record_id": number, "version": version,
        "external_id": str(900_000 + number), "changed_at": at, "created_at": day(0),
        "email": f"p{number}@example.test", "first_name": "Ann", "last_name": f"No{number}",
        "state": "live", **columns,
    }  # fmt: skip


def ticket(number: int, at: datetime, requester: int = 1, **columns: Any) -> dict[str, Any]:
    return {
        "ticket_id": number, "vendor": "zendesk", "record_id": requester, "created_at": at,
        "channel": "email", "topic": "delivery", "subject": "Where is it?", "priority": "normal",
        "support_group": "delivery", "is_test": False, **columns,
    }  # fmt: skip


def event(
    number: int, of: int, at: datetime, field: str, before: str | None, after: str,
    actor: str = "agent", employee: int | None = 1,
) -> dict[str, Any]:  # fmt: skip
    return {
        "ticket_event_id": number, "ticket_id": of, "at": at, "field": field,
        "from_value": before, "to_value": after, "actor": actor,
        "employee_id": employee if actor == "agent" or field == "assignee" else None,
    }  # fmt: skip


def message(
    number: int, of: int, at: datetime, author: str, public: bool = True, employee: int = 1
) -> dict[str, Any]:
    return {
        "message_id": number, "ticket_id": of, "at": at, "author": author, "is_public": public,
        "employee_id": employee if author == "agent" else None, "body": f"said {number}",
    }  # fmt: skip


def agent(number: int, group: str, left_at: datetime | None = None) -> dict[str, Any]:
    return {
        "employee_id": number, "first_name": "Eva", "last_name": f"Fox {number}",
        "email": f"eva{number}@n.test", "team": "support", "role": "agent",
        "support_group": group, "hired_at": day(-500), "left_at": left_at,
    }  # fmt: skip


PEOPLE: dict[str, list[dict[str, Any]]] = {
    "employee": [agent(1, "delivery"), agent(2, "returns"), agent(3, "returns", day(1))],
    "record": [user(n, day(0)) for n in range(1, 5)],
    "holiday": [{"day": date(2026, 3, 9), "country": "DE", "name": "Made up"}],
}


@contextmanager
def desk(
    folder: Path, now: datetime, rows: Mapping[str, list[dict[str, Any]]], **settings: Any
) -> Iterator[Warehouse]:
    """An account whose world holds these rows beside PEOPLE, and an empty lake."""
    company = folder / "company"
    all_rows = {name: [*PEOPLE.get(name, ()), *rows.get(name, ())] for name in {*PEOPLE, *rows}}
    tables = {
        name: table_of(name, {c: [r.get(c) for r in of] for c in {c for r in of for c in r}})
        for name, of in all_rows.items()
    }
    write_block(company / "world", "week0000", tables)
    kept = {
        "seed": 7, "customers": 1, "started_at": day(-600).isoformat(), "clock": now.isoformat(),
        "weeks": 10_000, "settings": {"zendesk": settings},
    }  # fmt: skip
    (company / "company.json").write_bytes(orjson.dumps(kept))
    with serving(Company.open(company), tls=False) as server:
        yield Warehouse(SimulatorUnderTest(server), folder)


# ---- row for row ---------------------------------------------------------------------------------


def test_first_load_equals_the_account(warehouse: Warehouse) -> None:
    done = warehouse.load()
    assert_equal_to_account(warehouse)
    assert done.by_object["tickets"]["documents"] > 50
    assert done.by_object["ticket_events"]["documents"] > 300
    assert done.by_object["ticket_metric_events"]["documents"] > 300
    assert done.notes == []
    asked = warehouse.simulator.journal("zendesk")
    assert not any(entry["unsupported"] for entry in asked)


def test_small_pages_and_incremental_days_equal_the_account(
    simulator: SimulatorUnderTest, warehouse: Warehouse
) -> None:
    simulator.move(days=-60)
    with simulator.settings("zendesk", export_page=9, list_page=5):
        warehouse.load()
        assert_equal_to_account(warehouse)
        for days in (1, 9, 20, 15, 15):
            simulator.move(days=days)
            warehouse.load()
    assert_equal_to_account(warehouse)


def test_a_second_run_brings_nothing(warehouse: Warehouse) -> None:
    warehouse.load()
    assert warehouse.load().result.documents == {}, "what has not changed does not land again"


# ---- limits and faults ---------------------------------------------------------------------------


def test_no_more_exports_a_minute_than_allowed(
    simulator: SimulatorUnderTest, warehouse: Warehouse
) -> None:
    with simulator.settings("zendesk", export_page=9):
        warehouse.load()
    at = warehouse.exports()
    assert len(at) > 50
    minute = timedelta(seconds=60)
    assert max(sum(a <= b < a + minute for b in at) for a in at) == 10
    assert {e["status"] for e in simulator.journal("zendesk")} == {200}


@pytest.mark.parametrize("limit", ["exports_per_minute", "requests_per_minute"])
def test_a_limit_that_another_client_used_up_is_waited_for(
    simulator: SimulatorUnderTest, warehouse: Warehouse, limit: str
) -> None:
    with simulator.settings("zendesk", **{limit: 3}):
        warehouse.load()
    refused = [e for e in simulator.journal("zendesk") if e["status"] == 429]
    assert refused, "the account allowed fewer than the connector thought"
    assert_equal_to_account(warehouse)


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"kind": "throttle", "every": 7, "retry_after": 7},
            {"kind": "throttle_text", "every": 8, "retry_after": None},
            {"kind": "server", "status": 503, "every": 9},
            {"kind": "server", "status": 520, "every": 10},
            {"kind": "server", "status": 409, "every": 11},
            {"kind": "token_expired", "nth": 5},
        ],
        [
            {"kind": "reset", "every": 7},
            {"kind": "short_body", "every": 8},
            {"kind": "cut_json", "every": 9},
            {"kind": "cut_gzip", "every": 10},
            {"kind": "duplicate_rows", "route": "incremental/(tickets|users)"},
        ],
        [
            {"kind": "empty_page", "every": 3, "route": "incremental"},
            {"kind": "empty_page", "every": 2, "route": "ratings|groups"},
        ],
    ],
    ids=["refusals", "the wire and the data", "empty pages"],
)
def test_faults_heal(
    simulator: SimulatorUnderTest, warehouse: Warehouse, faults: list[dict[str, Any]]
) -> None:
    for fault in faults:
        simulator.fault(vendor="zendesk", **fault)
    with simulator.settings("zendesk", export_page=300, list_page=20):
        warehouse.load(exports_per_minute=100)
    assert_equal_to_account(warehouse)


@pytest.mark.parametrize(
    "route", ["incremental/tickets", "incremental/ticket_events", "incremental/users", "groups"]
)
def test_a_stuck_cursor_raises(
    simulator: SimulatorUnderTest, warehouse: Warehouse, route: str
) -> None:
    simulator.fault("repeated_cursor", "zendesk", route=route, every=1)
    with pytest.raises(SourceError, match="never end"):
        warehouse.load()
    assert warehouse.lake.complete_loads("n_desk") == []
    assert len(simulator.journal("zendesk")) < 30


def test_a_lasting_fault_moves_nothing(simulator: SimulatorUnderTest, warehouse: Warehouse) -> None:
    simulator.move(days=-30)
    warehouse.load()
    simulator.move(days=30)
    simulator.fault("server", "zendesk", status=503, route="incremental/users", every=1)
    with pytest.raises(SourceError, match="given up"):
        warehouse.load()
    assert len(warehouse.lake.complete_loads("n_desk")) == 1
    simulator.clear()
    warehouse.load(state="state")
    assert_equal_to_account(warehouse)


# ---- exports -------------------------------------------------------------------------------------

TIED = [ticket(n, day(3)) for n in range(1, 31)]
TIES = {
    "ticket": TIED,
    "ticket_event": [
        event(n, n, day(3), "status", None, "new", "customer") for n in range(1, 31)
    ],
    "message": [message(n, n, day(3), "customer") for n in range(1, 31)],
}  # fmt: skip


def test_more_rows_in_one_second_than_a_page_holds(tmp_path: Path) -> None:
    with desk(tmp_path, day(6), TIES, export_page=9) as warehouse:
        warehouse.load(exports_per_minute=100)
        assert_equal_to_account(warehouse)
        assert len(warehouse.versions("ticket_events")) == 30, "repeated rows are dropped"
        warehouse.simulator.move(days=1)
        assert warehouse.load().result.documents == {}


def test_a_second_that_cannot_be_left_raises(tmp_path: Path) -> None:
    with (
        desk(tmp_path, day(5), TIES, export_page=9, ties_in_full=False) as warehouse,
        pytest.raises(SourceError, match="ends in the second it began with"),
    ):
        warehouse.load("ticket_events")


def test_the_next_run_goes_on_where_the_stream_ended(tmp_path: Path) -> None:
    with desk(tmp_path, day(5), TIES) as warehouse:
        ended = ask(warehouse, "incremental/tickets/cursor.json", start_time=1).json()
        warehouse.load("tickets", "ticket_events")
        warehouse.simulator.clear()
        warehouse.simulator.move(days=1)
        # clearing made the first refresh token good again
        warehouse.load("tickets", "ticket_events", state="state")
        asked = [e["query"] for e in warehouse.simulator.journal("zendesk") if "incr" in e["path"]]
    assert [q.get("cursor") for q in asked] == [ended["after_cursor"], None]
    assert [q.get("start_time") for q in asked] == [None, str(int(day(3).timestamp()))]


def test_the_last_minute_comes_the_next_time(tmp_path: Path) -> None:
    now = day(5)
    rows = {
        "ticket": [ticket(1, day(3)), ticket(2, now - timedelta(seconds=30))],
        "ticket_event": [
            event(1, 1, now - timedelta(seconds=5), "status", "new", "open"),
            event(2, 2, now - timedelta(seconds=30), "status", None, "new", "customer"),
        ],
    }
    with desk(tmp_path, now, rows) as warehouse:
        warehouse.load()
        assert warehouse.live("tickets") == {}
        assert warehouse.live("ticket_events") == {}
        warehouse.simulator.move(seconds=45)
        warehouse.load()
        assert set(warehouse.live("tickets")) == {"5002"}
        warehouse.simulator.move(seconds=45)
        warehouse.load()
        assert set(warehouse.live("tickets")) == {"5001", "5002"}
        assert_equal_to_account(warehouse)


def test_what_the_system_changes_comes_although_updated_at_stays(tmp_path: Path) -> None:
    rows = {
        "ticket": [ticket(1, day(3))],
        "ticket_event": [
            event(1, 1, day(3), "status", None, "solved", "customer"),
            event(2, 1, day(7), "status", "solved", "closed", "system"),
        ],
    }
    with desk(tmp_path, day(5), rows) as warehouse:
        warehouse.load("tickets")
        warehouse.simulator.move(days=3)
        warehouse.load("tickets")
        (_, before, _), (_, after, _) = warehouse.versions("tickets")
    assert (before["status"], after["status"]) == ("solved", "closed")
    assert before["updated_at"] == after["updated_at"]
    assert after["generated_timestamp"] == int(day(7).timestamp())


def ask(warehouse: Warehouse, path: str, **params: Any) -> requests.Response:
    simulator = warehouse.simulator
    access = simulator.api("zendesk").tokens.issue("zdaccess", 3600)
    return requests.get(
        f"{simulator.url('zendesk')}/api/v2/{path}",
        params=params,
        headers={"Authorization": f"Bearer {access}"},
        timeout=10,
    )


def test_a_start_within_the_last_minute_is_refused(tmp_path: Path) -> None:
    now = day(5)
    with desk(tmp_path, now, TIES) as warehouse:
        recent = int(now.timestamp()) - 60
        for path in ("incremental/tickets/cursor.json", "incremental/ticket_events"):
            assert ask(warehouse, path, start_time=recent).status_code == 400
            assert ask(warehouse, path, start_time=recent - 1).status_code == 200
        warehouse.load(window=Window(since=now - timedelta(seconds=5)))


def test_links_are_there_even_at_the_end(tmp_path: Path) -> None:
    with desk(tmp_path, day(5), TIES) as warehouse:
        tickets = ask(warehouse, "incremental/tickets/cursor.json", start_time=1).json()
        assert tickets["end_of_stream"] and tickets["after_url"] and tickets["after_cursor"]
        events = ask(warehouse, "incremental/ticket_events.json", start_time=1).json()
        assert events["end_of_stream"] and "start_time=" in events["next_page"]
        assert events["count"] == 30 and "body" not in str(events)
        groups = ask(warehouse, "groups.json", **{"page[size]": 5}).json()
        assert groups["links"]["next"] and not groups["meta"]["has_more"]
        by_offset = ask(warehouse, "groups", per_page=1, page=2).json()
        assert by_offset["count"] == 2 and by_offset["next_page"] is None


def test_a_backfill_reads_its_window_and_moves_no_state(tmp_path: Path) -> None:
    rows = {
        "ticket": [ticket(n, day(n)) for n in range(1, 9)],
        "ticket_event": [
            event(n, n, day(n), "status", None, "new", "customer") for n in range(1, 9)
        ],
    }
    with desk(tmp_path, day(10), rows, export_page=2) as warehouse:
        objects = ("tickets", "ticket_events")
        warehouse.load(*objects, window=Window(since=day(3), until=day(5, 1)))
        assert set(warehouse.live("tickets")) == {"5003", "5004", "5005"}
        assert len(warehouse.live("ticket_events")) == 3
        warehouse.load(*objects)
        assert len(warehouse.live("tickets")) == len(warehouse.live("ticket_events")) == 8


# ---- credentials ---------------------------------------------------------------------------------


def test_a_second_process_goes_on_with_the_renewed_refresh_token(
    simulator: SimulatorUnderTest, warehouse: Warehouse
) -> None:
    warehouse.load("groups")
    warehouse.load("groups")
    asked = [e for e in simulator.journal("zendesk") if e["path"].endswith("/oauth/tokens")]
    assert [e["status"] for e in asked] == [200, 200]
    with pytest.raises(SourceError, match="SOURCES__DESK__REFRESH_TOKEN"):
        warehouse.load("groups", state="another")  # which knows only the first one


def test_refreshing_kills_the_old_pair_at_once(tmp_path: Path) -> None:
    with desk(tmp_path, day(5), {}) as warehouse:
        url = warehouse.simulator.url("zendesk")
        body = {"grant_type": "refresh_token"} | {n: secret(7, "zendesk", n) for n in OAUTH}
        first = requests.post(f"{url}/oauth/tokens", json=body, timeout=10).json()
        renewed = body | {"refresh_token": first["refresh_token"]}
        bearer = {"Authorization": f"Bearer {first['access_token']}"}
        me = f"{url}/api/v2/users/me.json"
        assert requests.get(me, headers=bearer, timeout=10).status_code == 200
        current = requests.get(
            f"{url}/api/v2/oauth/tokens/current.json", headers=bearer, timeout=10
        )
        assert current.json()["token"]["expires_at"] == "2026-03-09T00:00:00Z", "in 48 hours"
        assert requests.post(f"{url}/oauth/tokens", json=renewed, timeout=10).ok
        refused = requests.get(me, headers=bearer, timeout=10)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        for dead in (body, renewed):
            assert requests.post(f"{url}/oauth/tokens", json=dead, timeout=10).status_code == 400


@pytest.mark.parametrize("names", [("client_id", "client_secret"), ("email", "api_token")])
def test_other_ways_to_sign_in(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    for name in OAUTH:
        monkeypatch.delenv(f"SOURCES__DESK__{name.upper()}")
    with pytest.raises(SettingError, match="SOURCES__DESK__API_TOKEN"):
        warehouse.load("groups")
    for name in names:
        monkeypatch.setenv(f"SOURCES__DESK__{name.upper()}", secret(7, "zendesk", name))
    assert warehouse.load("groups").by_object["groups"]["documents"] > 2


def test_a_wrong_token_is_named_not_shown(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OAUTH:
        monkeypatch.delenv(f"SOURCES__DESK__{name.upper()}")
    monkeypatch.setenv("SOURCES__DESK__EMAIL", "it@nordlicht.test")
    monkeypatch.setenv("SOURCES__DESK__API_TOKEN", "canary0123456789")
    with pytest.raises(SourceError, match="SOURCES__DESK__API_TOKEN") as caught:
        warehouse.load()
    assert "canary" not in str(caught.value)


# ---- what a plan lacks ---------------------------------------------------------------------------


def test_what_the_plan_lacks_is_a_note(simulator: SimulatorUnderTest, warehouse: Warehouse) -> None:
    with simulator.settings("zendesk", gated=list(OPTIONAL)):
        done = warehouse.load()
        found = check_connection(
            Zendesk, warehouse.settings(), source="desk", state_dir=warehouse.folder / "state",
            clock=simulator.clock(),
        )  # fmt: skip
    assert [note.split(":")[0] for note in done.notes] == [
        obj.name for obj in Zendesk.objects if obj.name in OPTIONAL
    ]
    assert warehouse.live("tickets") and not warehouse.live("satisfaction_ratings")
    assert all(finding.ok for finding in found)
    assert sum("not in the plan" in finding.what for finding in found) == 3
    warehouse.load()  # the plan has them now
    assert_equal_to_account(warehouse)


def test_what_every_plan_has_must_be_readable(
    simulator: SimulatorUnderTest, warehouse: Warehouse
) -> None:
    simulator.fault("missing_scope", "zendesk", route="incremental/users")
    with pytest.raises(SourceError, match=r"403.*Forbidden.*permission of an admin"):
        warehouse.load()


# ---- deletions, merges, ratings ------------------------------------------------------------------


def merged(**settings: Any) -> Callable[[Path], Any]:
    """User 1 goes into 2 on day 10, 3 is erased, 4 is deleted; ticket 2 is deleted."""
    rows = {
        "record": [
            user(1, day(10), 2, state="merged", merged_into=2),
            user(2, day(10), 2, other_emails=["P1@example.test"], merged_from=[1]),
            user(3, day(11), 2, state="erased"),
            user(4, day(11), 2, state="archived"),
        ],
        "ticket": [ticket(1, day(3)), ticket(2, day(4), 3, deleted_at=day(12))],
        "ticket_event": [
            event(1, 1, day(3), "status", None, "solved", "customer"),
            event(2, 2, day(4), "status", None, "solved", "customer"),
        ],
        "message": [message(1, 1, day(3), "customer"), message(2, 2, day(4), "customer")],
    }
    return lambda folder: desk(folder, day(5), rows, **settings)


def test_merged_erased_and_deleted(tmp_path: Path) -> None:
    with merged()(tmp_path) as warehouse:
        warehouse.load()
        assert warehouse.live("tickets")["5001"]["requester_id"] == 900_001
        assert len(warehouse.live("users")) == 7
        comments = ask(warehouse, "tickets/5002/comments.json")
        assert [c["body"] for c in comments.json()["comments"]] == ["said 2"]
        warehouse.simulator.move(days=10)
        warehouse.load()
        assert_equal_to_account(warehouse)

        users = warehouse.newest("users")
        assert {key for key, (_, gone) in users.items() if gone} == {"900001", "900003", "900004"}
        assert users["900001"][0]["merged_into"] == 900_002
        assert "merged_into" not in users["900003"][0] and "merged_into" not in users["900004"][0]
        assert users["900003"][0]["name"] == "Permanently Deleted User"
        assert users["900003"][0]["email"] is None

        tickets = warehouse.newest("tickets")
        moved = tickets["5001"][0]
        assert (moved["requester_id"], moved["submitter_id"]) == (900_002, 900_001)
        assert moved["generated_timestamp"] == int(day(10).timestamp())
        assert moved["updated_at"] == "2026-03-05T00:00:00Z"
        scrubbed, gone = tickets["5002"]
        assert gone and (scrubbed["status"], scrubbed["subject"]) == ("deleted", "SCRUBBED")
        refused = ask(warehouse, "tickets/5002/comments.json")
        assert (refused.status_code, refused.json()["error"]) == (404, "RecordNotFound")
        listed = ask(warehouse, "deleted_tickets.json", **{"page[size]": 5}).json()
        assert [t["id"] for t in listed["deleted_tickets"]] == [5002]


def test_a_first_load_after_the_merge_knows_it_too(tmp_path: Path) -> None:
    with merged()(tmp_path) as warehouse:
        warehouse.simulator.move(days=10)
        warehouse.load()
        assert warehouse.newest("users")["900001"][0]["merged_into"] == 900_002


def test_a_merge_that_left_no_email_is_a_deletion(tmp_path: Path) -> None:
    with merged(merged_keeps_email=False)(tmp_path) as warehouse:
        warehouse.load()
        warehouse.simulator.move(days=10)
        warehouse.load()
        document, gone = warehouse.newest("users")["900001"]
        assert gone and "merged_into" not in document


def test_an_organization_that_says_when_it_was_deleted_is_gone(tmp_path: Path) -> None:
    rows = {
        "account": [{"account_id": 1, "name": "Alpha", "domain": "a.test", "created_at": day(1)}],
        "ticket": [ticket(1, day(3), account_id=1)],
    }
    with desk(tmp_path, day(5), rows) as warehouse:
        warehouse.load("organizations")
        assert warehouse.live("organizations")["36000001"]["domain_names"] == ["a.test"]
        warehouse.simulator.fault(
            "changed_value",
            "zendesk",
            route="organizations",
            field="deleted_at",
            value="2026-03-06",
        )
        warehouse.load("organizations", window=Window(since=day(0)))
        assert warehouse.live("organizations") == {}


RATED = [(10, None, "offered"), (11, "offered", "good"), (12, "good", "bad"), (13, "bad", "good")]


@pytest.mark.parametrize("ratings_since", ["updated_at", "created_at"])
def test_ratings_that_change_are_kept_in_order(tmp_path: Path, ratings_since: str) -> None:
    rows = {
        "ticket": [ticket(1, day(3))],
        "ticket_event": [
            event(1, 1, day(3), "status", None, "solved", "customer"),
            *(event(at, 1, day(at), "satisfaction", before, after, "customer")
              for at, before, after in RATED),
        ],
    }  # fmt: skip
    with desk(tmp_path, day(10, 3600), rows, ratings_since=ratings_since) as warehouse:
        for _ in RATED:
            warehouse.load("tickets", "ticket_events", "satisfaction_ratings")
            warehouse.simulator.move(days=1)
        scores = [d["score"] for _, d, _ in warehouse.versions("satisfaction_ratings")]
        assert scores == ["offered", "good", "bad", "good"]
        in_tickets = [d["_satisfaction"] for _, d, _ in warehouse.versions("tickets")]
        assert in_tickets == scores
        children = [
            (child.get("previous_value"), child["satisfaction_score"])
            for _, document, _ in warehouse.versions("ticket_events")
            for child in document["child_events"]
            if "satisfaction_score" in child
        ]
        assert children == [(before, after) for _, before, after in RATED]


# ---- what records say ----------------------------------------------------------------------------


def test_metrics_know_the_working_hours(tmp_path: Path) -> None:
    friday = datetime(2026, 3, 6, 16, 50, tzinfo=UTC)  # 17:50 in Berlin; Monday is a holiday
    tuesday = datetime(2026, 3, 10, 7, 10, tzinfo=UTC)  # 8:10
    solved = tuesday + timedelta(hours=30)
    rows = {
        "ticket": [ticket(1, friday, priority="urgent"), ticket(2, friday, priority="high")],
        "ticket_event": [
            event(1, 1, friday, "status", None, "new", "customer"),
            event(2, 1, tuesday, "status", "new", "pending"),
            event(3, 1, solved, "status", "pending", "solved"),
        ],
        "message": [message(1, 1, friday, "customer"), message(2, 1, tuesday, "agent")],
    }
    with desk(tmp_path, datetime(2026, 3, 20, tzinfo=UTC), rows) as warehouse:
        warehouse.load()
        metrics = warehouse.live("tickets")["5001"]["metric_set"]
        days = 3 * 1440 + 14 * 60 + 20
        assert metrics["reply_time_in_minutes"] == {"calendar": days, "business": 20}
        assert metrics["requester_wait_time_in_minutes"] == {"calendar": days, "business": 20}
        assert metrics["agent_wait_time_in_minutes"] == {"calendar": 1800, "business": 960}
        assert metrics["full_resolution_time_in_minutes"]["business"] == 980
        assert metrics["on_hold_time_in_minutes"] == {"calendar": None, "business": None}
        assert warehouse.live("tickets")["5001"]["_first_replied_at"] == tuesday.isoformat()

        story: dict[tuple[int, str], list[Any]] = {}
        for _, said, _ in warehouse.versions("ticket_metric_events"):
            key = said["ticket_id"], said["metric"]
            story.setdefault(key, []).append((said["type"], said["time"][5:16]))
        assert set(story[5001, "reply_time"]) == {
            ("activate", "03-06T16:50"), ("apply_sla", "03-06T16:50"),
            ("fulfill", "03-10T07:10"), ("update_status", "03-10T07:10"),
        }  # fmt: skip
        assert ("breach", "03-10T10:50") in story[5002, "reply_time"], "240 minutes, 10 on Friday"
        assert set(story[5001, "agent_work_time"]) == {
            ("activate", "03-06T16:50"), ("apply_sla", "03-06T16:50"),
            ("pause", "03-10T07:10"), ("fulfill", "03-11T13:10"),
        }  # fmt: skip
        # 480 minutes at any time of day; two moments may be told in any order
        assert set(story[5001, "requester_wait_time"]) == {
            ("activate", "03-06T16:50"), ("apply_sla", "03-06T16:50"), ("breach", "03-07T00:50"),
            ("pause", "03-10T07:10"), ("fulfill", "03-11T13:10"),
        }  # fmt: skip
        (schedule,) = warehouse.live("schedules").values()
        assert [h["start_date"] for h in schedule["holidays"]] == ["2026-03-09"]


def test_every_reply_and_the_work_have_targets(tmp_path: Path) -> None:
    """Normal when it came: 1,200 minutes of work; high when it was asked again: 300 to reply."""
    monday = datetime(2026, 3, 2, 8, tzinfo=UTC)  # 9 o'clock in Berlin

    def after(hours: float) -> datetime:
        return monday + timedelta(hours=hours)

    rows = {
        "ticket": [ticket(1, monday, priority="normal")],
        "ticket_event": [
            event(1, 1, monday, "status", None, "new", "customer"),
            event(2, 1, after(2), "status", "new", "pending"),
            event(3, 1, after(2), "priority", "normal", "high"),
            event(4, 1, after(4), "status", "pending", "open", "customer"),
            event(5, 1, after(100), "status", "open", "solved"),
        ],
        "message": [
            message(1, 1, monday, "customer"), message(2, 1, after(2), "agent"),
            message(3, 1, after(4), "customer"), message(4, 1, after(5), "customer"),
            message(5, 1, after(26), "agent"), message(6, 1, after(30), "customer"),
        ],
    }  # fmt: skip
    with desk(tmp_path, after(200), rows) as warehouse:
        warehouse.load("ticket_metric_events")
        told = [d for _, d, _ in warehouse.versions("ticket_metric_events")]
        said = {
            (
                d["metric"],
                d["instance_id"],
                d["type"],
                d["time"][5:16],
                d["sla"] and d["sla"]["target"],
            )
            for d in told
            if d["type"] != "update_status"
        }
        assert {s for s in said if s[0] == "reply_time" and s[1] > 1} == {
            # from 13 to 18 o'clock of Monday are the 300 minutes
            ("reply_time", 2, "activate", "03-02T12:00", None),
            ("reply_time", 2, "apply_sla", "03-02T12:00", 300),
            ("reply_time", 2, "breach", "03-02T17:00", None),
            ("reply_time", 2, "fulfill", "03-03T10:00", None),
            # the last is never answered: the ticket is solved on Friday
            ("reply_time", 3, "activate", "03-03T14:00", None),
            ("reply_time", 3, "apply_sla", "03-03T14:00", 300),
            ("reply_time", 3, "breach", "03-04T09:00", None),
        }
        # two hours of Monday before the first reply and five after it, ten of Tuesday, three more
        assert {s for s in said if s[0] == "agent_work_time" and s[3] > "03-02T12:00"} == {
            ("agent_work_time", 1, "breach", "03-04T10:00", None),
            ("agent_work_time", 1, "fulfill", "03-06T12:00", None),
        }


def test_who_wrote_is_known_even_of_agents_who_have_left(tmp_path: Path) -> None:
    rows = {
        "ticket": [ticket(1, day(0, 60))],
        "ticket_event": [
            event(1, 1, day(0, 60), "status", None, "new", "customer"),
            event(2, 1, day(0, 90), "assignee", None, "3", "system", 3),
            event(3, 1, day(0, 90), "support_group", "delivery", "returns", "system"),
        ],
        "message": [
            message(1, 1, day(0, 60), "customer"), message(2, 1, day(0, 120), "agent", employee=3),
            message(3, 1, day(0, 130), "agent", employee=2), message(4, 1, day(0, 140), "bot"),
        ],
    }  # fmt: skip
    with desk(tmp_path, day(5), rows) as warehouse:
        warehouse.load()
        events = [d for _, d, _ in warehouse.versions("ticket_events")]
        assert [e["_updater_role"] for e in events] == [
            "customer", "system", "agent", "agent", "system",
        ]  # fmt: skip
        children = [child for e in events for child in e["child_events"]]
        roles = [c["_author_role"] for c in children if c["event_type"] == "Comment"]
        assert roles == ["customer", "agent", "agent", "system"]
        (moved,) = [c for c in children if "group_id" in c]
        assert (moved["_previous_group_name"], moved["_group_name"]) == ("delivery", "returns")
        left = warehouse.live("users")["700003"]
        assert left["active"] is False, "an agent who has left is still who he was"


# ---- the mapping ---------------------------------------------------------------------------------


def text_at(record: Any, path: tuple[str | int, ...]) -> str | None:
    """What stands there, as staging reads it: text as it is, anything else as JSON."""
    for part in path:
        try:
            record = record[part]
        except (KeyError, IndexError, TypeError):
            return None
    if record is None or isinstance(record, str):
        return record
    return orjson.dumps(record).decode()


def mapped(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """What the mapping makes of every live record in the lake, by concept."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, records in load_vendor_mapping(VENDORS_DIR / "zendesk.yml").checked.items():
        documents = warehouse.live(table).values()
        for record in records:
            member = (record.record.each or "").removesuffix("[]")
            nested = [(d, c) for d in documents for c in d[member]] if record.levels else []
            columns = {
                f"raw.{name}": [text_at(row[place.level], place.path) for row in nested]
                if record.levels
                else [text_at(document, place.path) for document in documents]
                for name, place in record.places.items()
            }
            raw = pa.table({name: pa.array(c, pa.string()) for name, c in columns.items()})
            fields = ", ".join(f"{e.sql} as {name}" for name, e in record.expressions.items())
            where = f" where {record.where.sql}" if record.where else ""
            with duckdb.connect() as connection:
                connection.register("raw", raw)
                rows = connection.execute(f"select {fields} from raw{where}").to_arrow_table()
            found.setdefault(record.record.concept, []).extend(rows.to_pylist())
    return found


def assert_fits(found: dict[str, list[dict[str, Any]]]) -> None:
    """No record lacks what its concept needs, and no word is unknown to it."""
    for name, rows in found.items():
        for field in load_concepts()[name].fields.values():
            values = [row.get(field.name) for row in rows]
            if field.required and "default" not in field.meta:
                assert None not in values, f"{name}.{field.name}"
            if accepted := field.meta.get("accepted"):
                assert {v for v in values if v} <= set(accepted), f"{name}.{field.name}"


def test_the_mapping_says_what_the_world_says(tmp_path: Path) -> None:
    at = [day(1, 36_000 + 600 * n) for n in range(8)]  # Tuesday, from 11 o'clock in Berlin
    rows = {
        "account": [{"account_id": 1, "name": "Alpha", "domain": "a.test", "created_at": day(0)}],
        "ticket": [
            ticket(1, at[0], channel="phone", order_id=5, account_id=1),
            ticket(2, at[0], is_test=True),
        ],
        "ticket_event": [
            event(1, 1, at[0], "status", None, "new", "customer"),
            event(2, 1, at[1], "assignee", None, "1", "system"),
            event(3, 1, at[1], "priority", "normal", "high"),
            event(4, 1, at[2], "support_group", "delivery", "returns"),
            event(5, 1, at[3], "status", "new", "solved"),
            event(6, 1, at[4], "status", "solved", "open", "customer"),
            event(7, 1, at[5], "status", "open", "solved"),
            event(8, 1, at[6], "satisfaction", None, "bad", "customer"),
            event(9, 1, at[7], "status", "solved", "closed", "system"),
        ],
        "message": [
            message(1, 1, at[0], "customer"), message(2, 1, at[2], "agent", public=False),
            message(3, 1, at[3], "agent"),
        ],
    }  # fmt: skip
    with desk(tmp_path, day(5), rows) as warehouse:
        warehouse.load()
        found = mapped(warehouse)
    assert_fits(found)
    (case,) = found["ticket"]
    assert case == {
        "ticket_id": "5001", "person_record_id": "900001", "account_id": "36000001",
        "order_id": "4500000005", "channel": "phone", "subject": "Where is it?",
        "topic": "delivery", "status": "closed", "priority": "high", "group_name": "returns",
        "assignee_id": "700001", "satisfaction": "bad", "created_at": "2026-03-03T10:00:00Z",
        "first_replied_at": "2026-03-03T10:30:00+00:00",
        "first_solved_at": "2026-03-03T10:30:00+00:00", "solved_at": "2026-03-03T10:50:00Z",
        "closed_at": "2026-03-03T11:10:00Z", "reopens": "1", "is_merged": "false",
    }  # fmt: skip
    changes = [(c["field"], c["from_value"], c["to_value"]) for c in found["ticket_event"]]
    assert sorted(changes, key=str) == sorted(
        [
            ("status", None, "new"), ("assignee", None, "700001"), ("priority", "normal", "high"),
            ("support_group", "delivery", "returns"), ("status", "new", "solved"),
            ("status", "solved", "open"), ("status", "open", "solved"),
            ("satisfaction", None, "bad"), ("status", "solved", "closed"),
        ],
        key=str,
    )  # fmt: skip
    said = [(m["author_role"], m["is_public"], m["person_record_id"]) for m in found["message"]]
    assert sorted(said, key=str) == [
        ("agent", "false", None), ("agent", "true", None), ("customer", "true", "900001"),
    ]  # fmt: skip
    assert {e["full_name"]: bool(e["ended_on"]) for e in found["employee"]} == {
        "Eva Fox 1": False, "Eva Fox 2": False, "Eva Fox 3": True,
    }  # fmt: skip
    assert {p["full_name"] for p in found["person_record"]} == {f"Ann No{n}" for n in range(1, 5)}
    assert [a["domain"] for a in found["account"]] == ["a.test"]


def test_the_mapping_knows_every_word_of_the_story(warehouse: Warehouse) -> None:
    warehouse.load()
    found = mapped(warehouse)
    assert_fits(found)
    names = ("person_record", "employee", "ticket", "ticket_event", "message")
    assert all(found[name] for name in names)
