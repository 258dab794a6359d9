"""HubSpot: the connector against the simulated API, and both against what the world says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from ingestion.concepts import load_concepts
from ingestion.errors import SourceError
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.simulator.company import Company
from ingestion.simulator.server import serving
from ingestion.simulator.server.tokens import secret
from ingestion.simulator.vendors.hubspot import TYPES
from ingestion.simulator.world import table_of, write_block
from ingestion.sources.connector import Window, check_connection
from ingestion.sources.hubspot import HubSpot, _changed_at
from tests.contract import accounts
from tests.contract.conftest import SimulatorUnderTest

DAY = timedelta(days=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
Rows = dict[str, list[dict[str, Any]]]


def day(number: float, seconds: float = 0) -> datetime:
    return BEGIN + timedelta(days=number, seconds=seconds)


# ---- loading, and reading back -----------------------------------------------------------------


class Warehouse(accounts.Warehouse):
    connector = HubSpot

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """The vendor's own reply to somebody with the token."""
        headers = {"Authorization": f"Bearer {self.simulator.secret('hubspot', 'access_token')}"}
        verify = self.simulator.ca if self.simulator.server.authority else True
        url = f"{self.simulator.url('hubspot')}/{path}"
        return requests.request(
            method, url, **{"headers": headers, "verify": verify, "timeout": 30, **options}
        )

    def search(self, name: str, *filters: dict[str, Any], **body: Any) -> requests.Response:
        body = {"filterGroups": [{"filters": list(filters)}]} | body if filters else body
        return self.ask("POST", f"crm/v3/objects/{name}/search", json=body)


def assert_same(warehouse: Warehouse, *, associations: bool = True) -> int:
    """Every object in the lake is what the world says; gives the number of live records.

    No cursor tells of changed associations: they are right again after a reconcile.
    """
    left = () if associations else ("associations",)
    count = 0
    for name in TYPES:
        told = warehouse.simulator.projection("hubspot", name)
        found = {
            key: ({k: v for k, v in document.items() if k not in left}, deleted)
            for key, (document, deleted) in warehouse.newest(name).items()
        }
        said = {k: {f: v for f, v in d.items() if f not in left} for k, d in told.items()}
        live = {key: d for key, d in said.items() if not d["archived"]}
        assert {k: d for k, (d, deleted) in found.items() if not deleted} == live, name
        for key in said.keys() - live.keys():
            assert found[key] == (said[key], True), name
        for key, document in live.items():
            merged = document["properties"].get("hs_merged_object_ids")
            for loser in (merged or "").split(";"):
                if loser:
                    assert found[loser] == ({"id": loser, "merged_into": key}, True), name
        count += len(live)
    for name in ("owners", "pipelines"):
        described = {
            key: {k: v for k, v in document.items() if k != "_object_type"}
            for key, document in warehouse.live(name).items()
        }
        assert described == warehouse.simulator.projection("hubspot", name), name
    return count


def unsupported(simulator: SimulatorUnderTest) -> list[dict[str, Any]]:
    return [entry for entry in simulator.journal("hubspot") if entry["unsupported"]]


def asked(simulator: SimulatorUnderTest, part: str) -> list[dict[str, Any]]:
    return [entry for entry in simulator.journal("hubspot") if part in entry["path"]]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the private app of a company with seed 7."""
    monkeypatch.setenv("SOURCES__CRM__ACCESS_TOKEN", secret(7, "hubspot", "access_token"))


@pytest.fixture
def oauth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an OAuth app instead."""
    monkeypatch.delenv("SOURCES__CRM__ACCESS_TOKEN")
    for name in ("client_id", "client_secret", "refresh_token"):
        monkeypatch.setenv(f"SOURCES__CRM__{name.upper()}", secret(7, "hubspot", name))


@pytest.fixture
def warehouse(simulator: SimulatorUnderTest, tmp_path: Path) -> Warehouse:
    return Warehouse(simulator, tmp_path)


# ---- a world of our own --------------------------------------------------------------------------


def contact(number: int, at: datetime, version: int = 1, **columns: Any) -> dict[str, Any]:
    return {
        "vendor": "hubspot", "object": "contact", "record_id": number, "version": version,
        "external_id": contact_id(number), "changed_at": at,
        "created_at": at if version == 1 else day(min(number, 10)),
        "email": f"p{number}@example.test", "first_name": "Ann", "last_name": f"No{number}",
        "country": "DE", "state": "live", **columns,
    }  # fmt: skip


def contact_id(number: int) -> str:
    return str(100_000_000 + number)


@contextmanager
def account(
    folder: Path, now: datetime, rows: Rows, late_share: float = 0.0
) -> Iterator[Warehouse]:
    """An account whose world holds these rows, and an empty lake beside it."""
    company = folder / "company"
    tables = {
        name: table_of(name, {c: [r.get(c) for r in of] for c in {c for r in of for c in r}})
        for name, of in rows.items()
    }
    write_block(company / "world", "week0000", tables)
    kept = {
        "seed": 7, "customers": 1, "started_at": (BEGIN - DAY).isoformat(),
        "clock": now.isoformat(), "weeks": 10_000, "settings": {"late_share": late_share},
    }  # fmt: skip
    (company / "company.json").write_bytes(orjson.dumps(kept))
    with serving(Company.open(company), tls=False) as server:
        yield Warehouse(SimulatorUnderTest(server), folder)


AWKWARD = 'He said "hi, there",\nthen left\u2028; emoji 👩🏽‍🚀, N/A'

LIFE: Rows = {
    "account": [
        {"account_id": 1, "name": "Alpha, Inc.", "domain": "alpha.test", "segment": "smb",
         "industry": "health", "employees": 50, "annual_revenue": 1_200_000, "country": "DE",
         "created_at": day(0)},
        {"account_id": 2, "name": "Beta", "segment": "enterprise", "created_at": day(0)},
        {"account_id": 3, "name": "Gamma", "segment": "smb", "parent_account_id": 1,
         "created_at": day(55)},
    ],
    "employee": [
        {"employee_id": 1, "first_name": "Eva", "last_name": "Fox", "email": "eva@n.test",
         "team": "support", "role": "agent", "hired_at": day(0), "left_at": day(65)},
        {"employee_id": 2, "first_name": "Tim", "last_name": "Oak", "email": "tim@n.test",
         "team": "sales", "role": "account_executive", "hired_at": day(0)},
    ],
    "record": [
        # 1 and 2 become 8, then 8 and 3 become 9
        contact(1, day(1), account_id=1), contact(2, day(2), account_id=1), contact(3, day(3)),
        contact(1, day(50), 2, state="merged", merged_into=8),
        contact(2, day(50), 2, state="merged", merged_into=8),
        contact(8, day(50), merged_from=[1, 2], account_id=1, other_emails=["p1@example.test"]),
        contact(8, day(60), 2, state="merged", merged_into=9),
        contact(3, day(60), 2, state="merged", merged_into=9),
        contact(9, day(60), merged_from=[8, 3], account_id=1,
                other_emails=["p1@example.test", "p3@example.test"]),
        contact(4, day(4)), contact(4, day(70), 2, state="archived"),
        contact(5, day(5)), contact(5, day(70), 2, state="erased"),
        contact(6, day(6), email_consent=True, consent_changed_at=day(6), birth_date=day(-9000)),
        contact(6, day(75), 2, email="new@example.test", email_consent=False,
                consent_changed_at=day(75), birth_date=day(-9000)),
        contact(7, day(7)), contact(7, day(40), 2, state="archived"), contact(7, day(72), 3),
        contact(10, day(10), account_id=2),
    ],
    "opportunity": [
        {"opportunity_id": 1, "vendor": "hubspot", "kind": "lead", "record_id": 1,
         "account_id": 1, "employee_id": 2, "currency": "EUR", "created_at": day(7)},
        {"opportunity_id": 2, "vendor": "hubspot", "kind": "opportunity", "record_id": 1,
         "account_id": 1, "employee_id": 2, "currency": "USD", "created_at": day(30),
         "from_opportunity_id": 1, "name": AWKWARD, "lost_reason": "price",
         "expected_close": day(90).date()},
        {"opportunity_id": 3, "vendor": "hubspot", "kind": "opportunity", "record_id": 6,
         "employee_id": 1, "currency": "EUR", "created_at": day(40), "name": "Rain"},
    ],
    "opportunity_stage": [
        {"stage_event_id": 1, "opportunity_id": 1, "at": day(7), "stage": "new"},
        {"stage_event_id": 2, "opportunity_id": 1, "at": day(20), "stage": "qualified"},
        {"stage_event_id": 3, "opportunity_id": 2, "at": day(30), "stage": "new", "amount": 1000,
         "probability": 0.1},
        {"stage_event_id": 4, "opportunity_id": 2, "at": day(74), "stage": "lost", "amount": 1234,
         "probability": 0.0},
        {"stage_event_id": 5, "opportunity_id": 3, "at": day(40), "stage": "qualified"},
    ],
    "exchange_rate": [{"day": day(0).date(), "currency": "USD", "to_eur": 0.5}],
    "ticket": [
        {"ticket_id": 1, "vendor": "hubspot", "record_id": 1, "created_at": day(31),
         "channel": "email", "topic": "delivery", "subject": AWKWARD, "priority": "normal",
         "account_id": 1, "order_id": 5, "support_group": "business"},
        {"ticket_id": 2, "vendor": "hubspot", "record_id": 1, "created_at": day(32),
         "channel": "web", "topic": "delivery", "subject": "Again", "priority": "high",
         "account_id": 1, "merged_into": 1},
        {"ticket_id": 3, "vendor": "hubspot", "record_id": 6, "created_at": day(33),
         "channel": "chat", "subject": "Spam", "priority": "low", "deleted_at": day(71)},
        {"ticket_id": 4, "vendor": "zendesk", "record_id": 99, "created_at": day(31)},
    ],
    "ticket_event": [
        {"ticket_event_id": 1, "ticket_id": 1, "at": day(31), "field": "status",
         "to_value": "new", "actor": "customer"},
        {"ticket_event_id": 2, "ticket_id": 1, "at": day(31, 50), "field": "assignee",
         "to_value": "1", "actor": "system"},
        {"ticket_event_id": 3, "ticket_id": 1, "at": day(32), "field": "status",
         "from_value": "new", "to_value": "solved", "actor": "agent", "employee_id": 1},
        {"ticket_event_id": 4, "ticket_id": 2, "at": day(32), "field": "status",
         "to_value": "new", "actor": "customer"},
        {"ticket_event_id": 5, "ticket_id": 2, "at": day(51), "field": "status",
         "from_value": "new", "to_value": "closed", "actor": "agent", "employee_id": 1},
        {"ticket_event_id": 6, "ticket_id": 3, "at": day(33), "field": "status",
         "to_value": "new", "actor": "customer"},
        {"ticket_event_id": 7, "ticket_id": 1, "at": day(62), "field": "status",
         "from_value": "solved", "to_value": "open", "actor": "customer"},
        {"ticket_event_id": 8, "ticket_id": 1, "at": day(62, 9), "field": "priority",
         "from_value": "normal", "to_value": "urgent", "actor": "agent", "employee_id": 1},
        {"ticket_event_id": 9, "ticket_id": 1, "at": day(64), "field": "status",
         "from_value": "open", "to_value": "solved", "actor": "agent", "employee_id": 1},
        {"ticket_event_id": 10, "ticket_id": 1, "at": day(68), "field": "status",
         "from_value": "solved", "to_value": "closed", "actor": "system"},
    ],
    "message": [
        {"message_id": 1, "ticket_id": 1, "at": day(31), "author": "customer", "is_public": True,
         "body": AWKWARD},
        {"message_id": 2, "ticket_id": 1, "at": day(31, 60), "author": "agent", "employee_id": 1,
         "is_public": False, "body": "x" * 200_000},
        {"message_id": 3, "ticket_id": 2, "at": day(32), "author": "customer", "is_public": True,
         "body": "again"},
    ],
    "activity": [
        {"activity_id": 1, "vendor": "hubspot", "kind": "call", "record_id": 1,
         "opportunity_id": 2, "employee_id": 2, "at": day(33), "duration_seconds": 300,
         "direction": "outbound", "subject": "Offer", "outcome": "reached"},
        {"activity_id": 2, "vendor": "hubspot", "kind": "meeting", "record_id": 1,
         "opportunity_id": 1, "employee_id": 2, "at": day(9), "duration_seconds": 1800,
         "subject": "Visit", "outcome": "held"},
        {"activity_id": 3, "vendor": "hubspot", "kind": "task", "record_id": 10,
         "employee_id": 2, "at": day(9), "subject": "Call back", "outcome": "done"},
    ],
    "survey": [
        {"survey_id": 3, "vendor": "hubspot", "name": "After your request", "kind": "ces",
         "scale_min": 1, "scale_max": 7, "created_at": day(0)},
    ],
    "survey_invitation": [
        {"invitation_id": n, "survey_id": 3, "record_id": 1, "ticket_id": ticket}
        for n, ticket in ((1, 1), (2, 4), (3, 2))
    ],
    "survey_response": [
        {"response_id": 1, "invitation_id": 1, "survey_id": 3, "recorded_at": day(34),
         "completed_at": day(34), "is_partial": False, "score": 7, "comment": AWKWARD},
        {"response_id": 2, "invitation_id": 2, "survey_id": 3, "recorded_at": day(44),
         "completed_at": day(66), "is_partial": True, "score": 2, "comment": "late"},
        {"response_id": 3, "invitation_id": 3, "survey_id": 3, "recorded_at": day(45),
         "completed_at": day(45), "is_partial": False, "score": 4, "deleted_at": day(69)},
    ],
}  # fmt: skip


# ---- row for row ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3"])
def test_the_first_load_equals_the_account(warehouse: Warehouse, version: str) -> None:
    done = warehouse.load(version=version)
    assert assert_same(warehouse) > 150
    assert done.by_object["contacts"]["documents"] > 30
    paths = {entry["path"] for entry in warehouse.simulator.journal("hubspot")}
    assert all(version in path or path.startswith("/crm/v4/a") for path in paths)
    assert not unsupported(warehouse.simulator)


def test_small_pages_and_capped_associations_lose_nothing(warehouse: Warehouse) -> None:
    small: dict[str, Any] = {
        "page_size": 7, "page_size_with_history": 5, "search_page_size": 9,
        "association_batch": 3, "url_characters": 200,
    }  # fmt: skip
    with warehouse.simulator.settings(
        "hubspot", list_max=7, list_max_with_history=5, batch_max=7, search_max=9,
        search_window=9, inline_associations=1, association_page=1, association_inputs=3,
    ):  # fmt: skip
        warehouse.load(**small)
        assert_same(warehouse)
        assert asked(warehouse.simulator, "contacts/batch/read")
        warehouse.simulator.move(days=20)
        warehouse.load(**small, reconcile_every_days=1000)
        assert_same(warehouse, associations=False)
    assert not unsupported(warehouse.simulator)


def test_days_loaded_one_after_the_other_equal_the_account(warehouse: Warehouse) -> None:
    warehouse.simulator.move(days=-60)
    warehouse.load(reconcile_every_days=1000)
    for _ in range(3):
        warehouse.simulator.move(days=20)
        warehouse.load(reconcile_every_days=1000)
        assert_same(warehouse, associations=False)
    lists = [
        e
        for e in asked(warehouse.simulator, "2026-09/deals")
        if e["method"] == "GET" and "objects" in e["path"]
    ]
    assert len(lists) == 1 + 4, "once the live ones, each time the archived ones"
    warehouse.load(window=Window(reconcile=True))
    assert_same(warehouse)


def test_every_step_of_a_life_arrives(tmp_path: Path) -> None:
    with account(tmp_path, day(35), LIFE) as warehouse:
        warehouse.load()
        assert_same(warehouse)
        for until in (45.5, 52, 61, 66.5, 71.5, 80):
            move_to(warehouse, day(until))
            warehouse.load(reconcile_every_days=0)
            assert_same(warehouse)
        assert not unsupported(warehouse.simulator)


def move_to(warehouse: Warehouse, to: datetime) -> None:
    warehouse.simulator.server.simulator.time.move(to)


def test_a_second_run_brings_nothing(warehouse: Warehouse) -> None:
    warehouse.load()
    again = warehouse.load()
    assert again.result.documents == {}
    compared = warehouse.load(window=Window(reconcile=True))
    assert compared.result.documents == {}


def test_nothing_new_after_merges_and_archives_either(tmp_path: Path) -> None:
    objects = ("contacts", "tickets", "deals")
    with account(tmp_path, day(70, 60), LIFE) as warehouse:
        warehouse.load(*objects)
        assert warehouse.load(*objects).result.documents == {}
        move_to(warehouse, day(80))
        assert warehouse.load(*objects).result.documents
        assert warehouse.load(*objects).result.documents == {}


# ---- deletions and merges ------------------------------------------------------------------------


def test_an_archived_record_becomes_a_tombstone_though_no_cursor_moves(tmp_path: Path) -> None:
    with account(tmp_path, day(69), LIFE) as warehouse:
        warehouse.load("contacts")
        before = warehouse.live("contacts")[contact_id(4)]
        move_to(warehouse, day(71))
        warehouse.load("contacts", reconcile_every_days=1000)
        document, deleted = warehouse.newest("contacts")[contact_id(4)]
        assert deleted and document["archivedAt"] == "2026-03-12T00:00:00.000Z"
        assert document["updatedAt"] == before["updatedAt"]
        found = warehouse.search("contacts", limit=200).json()["results"]
        assert contact_id(4) not in {record["id"] for record in found}


def test_a_restored_record_lives_again(tmp_path: Path) -> None:
    with account(tmp_path, day(41), LIFE) as warehouse:
        warehouse.load("contacts")
        assert warehouse.newest("contacts")[contact_id(7)][1]
        move_to(warehouse, day(73))
        warehouse.load("contacts")
        assert contact_id(7) in warehouse.live("contacts")


def test_merged_ids_become_tombstones_that_name_the_new_one(tmp_path: Path) -> None:
    with account(tmp_path, day(49), LIFE) as warehouse:
        warehouse.load("contacts", "tickets")
        assert {contact_id(n) for n in (1, 2, 3)} < set(warehouse.live("contacts"))
        move_to(warehouse, day(55))
        warehouse.load("contacts", "tickets", reconcile_every_days=1000)
        merged = warehouse.newest("contacts")
        for loser in (1, 2):
            told = {"id": contact_id(loser), "merged_into": contact_id(8)}
            assert merged[contact_id(loser)] == (told, True)
        assert warehouse.newest("tickets")["8000000001"] == (
            {"id": "8000000001", "merged_into": "8100000001"}, True,
        )  # fmt: skip
        move_to(warehouse, day(61))  # the winner is merged too: all lead to the last one
        warehouse.load("contacts", reconcile_every_days=1000)
        merged = warehouse.newest("contacts")
        for loser in (1, 2, 3, 8):
            told = {"id": contact_id(loser), "merged_into": contact_id(9)}
            assert merged[contact_id(loser)] == (told, True)
        winner = merged[contact_id(9)][0]["properties"]
        assert winner["hs_additional_emails"] == "p1@example.test;p3@example.test"
        assert winner["hs_calculated_merged_vids"].startswith(f"{contact_id(1)}:17")
        old = warehouse.ask("GET", f"crm/objects/2026-09/contacts/{contact_id(1)}").json()
        assert old["id"] == contact_id(9)


def test_merges_before_the_first_load_are_told_as_well(tmp_path: Path) -> None:
    with account(tmp_path, day(61), LIFE) as warehouse:
        warehouse.load("contacts")
        told = {"id": contact_id(1), "merged_into": contact_id(9)}
        assert warehouse.newest("contacts")[contact_id(1)] == (told, True)


def test_an_erased_record_is_found_by_comparing_ids(tmp_path: Path) -> None:
    with account(tmp_path, day(69), LIFE) as warehouse:
        warehouse.load("contacts", "feedback_submissions", reconcile_every_days=5)
        move_to(warehouse, day(71))
        warehouse.load("contacts", reconcile_every_days=5)
        assert contact_id(5) in warehouse.live("contacts"), "nothing tells of it"
        move_to(warehouse, day(75))
        warehouse.load("contacts", reconcile_every_days=5)
        assert warehouse.newest("contacts")[contact_id(5)] == ({"id": contact_id(5)}, True)


def test_an_archived_record_that_expired_unseen_is_found_too(tmp_path: Path) -> None:
    with account(tmp_path, day(69), LIFE) as warehouse:
        warehouse.load("contacts")
        move_to(warehouse, day(170))
        assert contact_id(4) not in warehouse.simulator.projection("hubspot", "contacts")
        warehouse.load("contacts")
        assert warehouse.newest("contacts")[contact_id(4)] == ({"id": contact_id(4)}, True)


def test_a_lost_association_is_right_after_a_reconcile(tmp_path: Path) -> None:
    with account(tmp_path, day(49), LIFE) as warehouse:
        warehouse.load("deals")
        move_to(warehouse, day(55))
        warehouse.load("deals", reconcile_every_days=1000)
        stale = warehouse.live("deals")["9000000002"]["associations"]["contacts"]["results"]
        assert stale == [{"id": contact_id(1), "type": "deal_to_contact"}]
        warehouse.load("deals", window=Window(reconcile=True))
        fresh = warehouse.live("deals")["9000000002"]["associations"]
        assert fresh == {
            "companies": {"results": [
                {"id": "7000000001", "type": "deal_to_company"},
                {"id": "7000000001", "type": "deal_to_company_unlabeled"},
            ]},
            "contacts": {"results": [{"id": contact_id(8), "type": "deal_to_contact"}]},
        }  # fmt: skip


# ---- the search ----------------------------------------------------------------------------------


def test_more_rows_of_one_moment_than_a_search_shows(tmp_path: Path) -> None:
    imported: Rows = {
        "record": [contact(n, day(1)) for n in range(1, 5)]
        + [contact(n, day(10)) for n in range(100, 195)]
    }
    with account(tmp_path, day(5), imported) as warehouse:
        simulator = warehouse.simulator
        with simulator.settings("hubspot", search_window=40, search_max=20):
            warehouse.load("contacts")
            assert len(warehouse.live("contacts")) == 4
            move_to(warehouse, day(11))
            warehouse.load("contacts", search_page_size=20)
            assert_same_contacts(warehouse)
            refused = warehouse.search("contacts", limit=20, after="40")
            assert refused.status_code == 400
            assert refused.json()["category"] == "VALIDATION_ERROR"
        bodies = [entry["body"] for entry in asked(simulator, "/search")]
        assert "hs_object_id" in str(bodies[1]) and "lastmodifieddate" in str(bodies[1])


def assert_same_contacts(warehouse: Warehouse) -> None:
    assert warehouse.live("contacts") == warehouse.simulator.projection("hubspot", "contacts")


def test_what_the_index_did_not_know_yet_comes_with_the_next_run(tmp_path: Path) -> None:
    rows: Rows = {
        "record": [
            contact(1, day(1)), contact(2, day(1)),
            contact(1, day(10), 2, last_name="indexed"),
            contact(2, day(10, -30), 2, last_name="late"),
            contact(3, day(10, -5)),
        ]
    }  # fmt: skip
    with account(tmp_path, day(5), rows) as warehouse:
        warehouse.load("contacts")
        # the later change is found before the earlier ones
        move_to(warehouse, day(10, 25))
        with warehouse.simulator.settings(
            "hubspot", search_lag_updated_seconds=20, search_lag_created_seconds=60
        ):
            warehouse.load("contacts")
        assert warehouse.live("contacts")[contact_id(1)]["properties"]["lastname"] == "indexed"
        assert contact_id(3) not in warehouse.live("contacts")
        move_to(warehouse, day(10, 120))
        warehouse.load("contacts")
        assert_same_contacts(warehouse)


def test_a_changed_record_hides_from_the_search_for_a_minute(tmp_path: Path) -> None:
    rows: Rows = {"record": [contact(1, day(1)), contact(1, day(10), 2), contact(2, day(9))]}
    since = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": "2026-01-05"}
    with account(tmp_path, day(10, 30), rows) as warehouse:
        assert warehouse.search("contacts", since).json()["total"] == 1
        move_to(warehouse, day(10, 61))
        assert warehouse.search("contacts", since).json()["total"] == 2


def test_rows_committed_late_are_not_lost(tmp_path: Path) -> None:
    rows: Rows = {"record": [contact(n, day(1, 3 * n)) for n in range(1, 400)]}
    with account(tmp_path, day(1, 1), rows, late_share=0.3) as warehouse:
        for step in range(1, 6):
            move_to(warehouse, day(1, 300 * step))
            warehouse.load("contacts", reconcile_every_days=1000)
        assert len(warehouse.live("contacts")) == 399


def test_a_backfill_reads_its_span_and_moves_no_state(tmp_path: Path) -> None:
    with account(tmp_path, day(80), LIFE) as warehouse:
        warehouse.load("tickets", "contacts", window=Window(since=day(5), until=day(20)))
        assert set(warehouse.live("contacts")) == {contact_id(10)}
        bodies = str([entry["body"] for entry in asked(warehouse.simulator, "contacts/search")])
        assert "GTE" in bodies and "LTE" in bodies
        warehouse.load()
        assert_same(warehouse)


BY_MAIL = {"propertyName": "email", "value": "a"}


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "x"},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{**BY_MAIL, "operator": "EQ"}] * 11}]},
        {"filterGroups": [{"filters": [{**BY_MAIL, "operator": "LIKE"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ"}]}]},
    ],
)  # fmt: skip
def test_a_search_out_of_bounds_is_refused(warehouse: Warehouse, body: dict[str, Any]) -> None:
    reply = warehouse.search("contacts", **body)
    assert reply.status_code == 400 and reply.json()["category"] == "VALIDATION_ERROR"


def test_a_filter_on_the_wrong_property_finds_nothing(warehouse: Warehouse) -> None:
    wrong = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": "0"}
    assert warehouse.search("contacts", wrong).json()["total"] == 0
    assert warehouse.search("deals", wrong).json()["total"] > 0


def test_groups_are_alternatives_and_filters_conditions(tmp_path: Path) -> None:
    with (
        account(tmp_path, day(30), LIFE) as warehouse,
        warehouse.simulator.settings("hubspot", searches_per_second=100),
    ):

        def found(*groups: list[tuple[str, str, Any]]) -> set[str]:
            asked = [
                {"filters": [{"propertyName": p, "operator": o, **v} for p, o, v in group]}
                for group in groups
            ]
            reply = warehouse.search("contacts", filterGroups=asked).json()
            return {record["properties"]["email"][:2] for record in reply["results"]}

        one = ("email", "EQ", {"value": "p1@example.test"})
        assert found([one]) == {"p1"}
        assert found([one], [("lastname", "IN", {"values": ["No2", "No3"]})]) == {"p1", "p2", "p3"}
        assert found([one, ("lastname", "NEQ", {"value": "No1"})]) == set()
        assert found([("associatedcompanyid", "HAS_PROPERTY", {})]) == {"p1", "p2"}
        assert found([("email", "CONTAINS_TOKEN", {"value": "p3*"})]) == {"p3"}
        between = {"value": "2026-01-03", "highValue": "2026-01-04"}
        assert found([("createdate", "BETWEEN", between)]) == {"p2", "p3"}


# ---- what the documents say ----------------------------------------------------------------------


def test_property_values_are_texts_and_stages_have_a_history(tmp_path: Path) -> None:
    with account(tmp_path, day(80), LIFE) as warehouse:
        warehouse.load()
        for name in TYPES:
            for document in warehouse.live(name).values():
                values = document["properties"].values()
                assert all(value is None or isinstance(value, str) for value in values), name
        deal = warehouse.live("deals")["9000000002"]
        assert [step["value"] for step in deal["propertiesWithHistory"]["dealstage"]] == [
            "closedlost", "appointmentscheduled",
        ]  # fmt: skip
        assert deal["properties"]["amount"] == "1234.00"
        assert deal["properties"]["amount_in_home_currency"] == "617.00"
        assert deal["properties"]["closed_lost_reason"] == "price"
        assert deal["properties"]["dealname"] == AWKWARD
        ticket = warehouse.live("tickets")["8100000001"]
        steps = ticket["propertiesWithHistory"]["hs_pipeline_stage"]
        assert [step["value"] for step in steps] == ["4", "3", "4", "1"]
        assert ticket["properties"]["content"] == AWKWARD
        eva = warehouse.live("owners")["77001"]
        assert (eva["archived"], eva["userId"], eva["userIdIncludingInactive"]) == (
            True,
            None,
            66001,
        )
        contact_6 = warehouse.live("contacts")[contact_id(6)]
        assert contact_6["properties"]["date_of_birth"].lstrip("-").isdigit()
        optout = contact_6["propertiesWithHistory"]["hs_email_optout"]
        assert [step["value"] for step in optout] == ["true", "false"]


@pytest.mark.parametrize("url_characters", [8000, 200], ids=["in the url", "by post"])
def test_a_property_that_was_added_arrives(tmp_path: Path, url_characters: int) -> None:
    with account(tmp_path, day(30), LIFE) as warehouse:
        warehouse.load("contacts", "properties", url_characters=url_characters)
        added = {f"custom_{n:03}__c": f"value {n}" for n in range(300)}
        with warehouse.simulator.settings("hubspot", custom_properties={"contacts": added}):
            warehouse.load(
                "contacts", "properties", url_characters=url_characters,
                window=Window(reconcile=True),
            )  # fmt: skip
        properties = warehouse.live("contacts")[contact_id(3)]["properties"]
        assert properties["custom_299__c"] == "value 299"
        assert "contacts|custom_000__c" in warehouse.live("properties")


def test_a_url_too_long_is_never_asked_for(tmp_path: Path) -> None:
    added = {f"a_rather_long_name_of_a_property_{n:03}__c": "x" for n in range(500)}
    with (
        account(tmp_path, day(30), LIFE) as warehouse,
        warehouse.simulator.settings("hubspot", custom_properties={"deals": added}),
    ):
        warehouse.load("deals")
        move_to(warehouse, day(76))
        warehouse.load("deals", reconcile_every_days=1000)
        properties = warehouse.live("deals")["9000000002"]["properties"]
        assert properties.keys() > added.keys()
        path = f"crm/v3/objects/deals?properties={','.join(added)}"
        assert warehouse.ask("GET", path).status_code == 414


def test_unknown_properties_are_passed_over_and_few_come_unasked(tmp_path: Path) -> None:
    with account(tmp_path, day(30), LIFE) as warehouse:
        reply = warehouse.ask("GET", "crm/v3/objects/contacts?properties=nonsense").json()
        assert set(reply["results"][0]["properties"]) == {
            "createdate", "hs_object_id", "lastmodifieddate",
        }  # fmt: skip
        assert "associations" not in reply["results"][0] and "paging" not in reply


def test_the_cursor_of_a_search_may_be_written_in_milliseconds() -> None:
    record = {"properties": {"lastmodifieddate": "1700000000000"}, "updatedAt": "2020-01-01"}
    assert _changed_at("contacts", record) == "2023-11-14T22:13:20+00:00"
    assert _changed_at("deals", record) == "2020-01-01"


# ---- limits, tokens, faults ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"kind": "throttle", "policy": "TEN_SECONDLY_ROLLING", "retry_after": 3, "every": 11},
            {"kind": "throttle", "policy": "TEN_SECONDLY_ROLLING", "every": 13},
            {"kind": "throttle", "policy": "SECONDLY", "route": "search", "every": 3},
            {"kind": "server", "status": 502, "every": 12},
            {"kind": "server", "status": 423, "every": 14},
            {"kind": "server", "status": 477, "every": 15},
            {"kind": "server", "status": 524, "every": 17},
        ],
        [
            {"kind": "reset", "every": 11},
            {"kind": "short_body", "every": 12},
            {"kind": "cut_json", "every": 13},
            {"kind": "cut_gzip", "every": 14},
            {"kind": "duplicate_rows", "route": "objects", "every": 2},
            {"kind": "out_of_order", "route": "search", "every": 1},
        ],
    ],
    ids=["refusals", "the wire and the data"],
)
def test_faults_heal(warehouse: Warehouse, faults: list[dict[str, Any]]) -> None:
    warehouse.simulator.move(days=-10)
    warehouse.load("contacts", "deals", "feedback_submissions", reconcile_every_days=1000)
    for fault in faults:
        warehouse.simulator.fault(vendor="hubspot", **fault)
    warehouse.simulator.move(days=10)
    warehouse.load(reconcile_every_days=1000)
    assert_same(warehouse, associations=False)


def test_a_day_that_is_used_up_fails_loudly(warehouse: Warehouse) -> None:
    warehouse.simulator.fault("throttle", vendor="hubspot", policy="DAILY", nth=9)
    with pytest.raises(SourceError, match=r"daily limit.*midnight"):
        warehouse.load()
    assert warehouse.lake.complete_loads("n_crm") == []
    warehouse.load()
    assert_same(warehouse)


def test_the_limits_of_a_small_subscription_are_kept(warehouse: Warehouse) -> None:
    with warehouse.simulator.settings(
        "hubspot", calls_per_10_seconds_private=20, searches_per_second=2
    ):
        warehouse.load(calls_per_10_seconds=20, searches_per_second=2)
        assert not [e for e in warehouse.simulator.journal("hubspot") if e["status"] == 429]
        warehouse.load(calls_per_10_seconds=100, searches_per_second=50, search_page_size=3)
    refused = [e for e in warehouse.simulator.journal("hubspot") if e["status"] == 429]
    assert refused, "others use the account too: what is refused is waited for"
    assert_same(warehouse)


def test_an_access_token_ends_during_a_run(warehouse: Warehouse, oauth: None) -> None:
    warehouse.load("owners")
    assert len(asked(warehouse.simulator, "oauth")) == 1
    warehouse.simulator.fault("token_expired", vendor="hubspot", nth=4)
    with warehouse.simulator.settings("hubspot", token_seconds=60, calls_per_10_seconds_oauth=5):
        warehouse.load()
    assert len(asked(warehouse.simulator, "oauth/2026-09/token")) > 3
    assert_same(warehouse)
    expired = [e for e in warehouse.simulator.journal("hubspot") if e["status"] == 401]
    assert len(expired) == 1, "but for the one that was revoked, no token was used to its end"


def test_a_wrong_refresh_token_is_named_not_shown(
    warehouse: Warehouse, oauth: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__CRM__REFRESH_TOKEN", "canary0123456789")
    with pytest.raises(SourceError, match="SOURCES__CRM__REFRESH_TOKEN") as caught:
        warehouse.load("owners")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("token", ["pat na1 canary", "canary-0123456789-0123456789"])
def test_a_bad_token_is_named_not_shown(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("SOURCES__CRM__ACCESS_TOKEN", token)
    with pytest.raises(SourceError, match="SOURCES__CRM__ACCESS_TOKEN") as caught:
        warehouse.load("contacts")
    assert "canary" not in str(caught.value)
    statuses = [entry["status"] for entry in warehouse.simulator.journal("hubspot")]
    assert statuses == [530 if " " in token else 401], "asked once, not again and again"


def test_a_missing_scope_is_said_and_found_by_the_check(warehouse: Warehouse) -> None:
    with warehouse.simulator.settings("hubspot", missing_scopes=["deals"]):
        with pytest.raises(SourceError, match=r"crm\.objects\.deals\.read"):
            warehouse.load()
        findings = check_connection(
            HubSpot, warehouse.settings(), source="crm", state_dir=warehouse.folder / "state",
            clock=warehouse.simulator.clock(),
        )  # fmt: skip
    assert [finding.what for finding in findings if not finding.ok] == ["deals cannot be read"]
    assert "crm.objects.deals.read" in next(f.fix for f in findings if not f.ok)


def test_a_lasting_fault_moves_nothing(warehouse: Warehouse) -> None:
    warehouse.simulator.fault("server", vendor="hubspot", status=503, route="tickets", every=1)
    with pytest.raises(SourceError, match="given up"):
        warehouse.load()
    assert warehouse.lake.complete_loads("n_crm") == []
    warehouse.simulator.clear()
    warehouse.load()
    assert_same(warehouse)


def test_a_paging_that_repeats_itself_ends(warehouse: Warehouse) -> None:
    warehouse.simulator.fault("empty_page", vendor="hubspot", route="search", every=1)
    with pytest.raises(SourceError, match="empty pages"):
        warehouse.load("feedback_submissions", search_page_size=1)


# ---- others read the same ------------------------------------------------------------------------


def test_the_vendors_own_client_reads_the_same(simulator: SimulatorUnderTest) -> None:
    from hubspot import HubSpot as Client
    from hubspot.crm.contacts import PublicObjectSearchRequest

    client = Client(access_token=simulator.secret("hubspot", "access_token"))

    def api(part: Any) -> Any:
        part.api_client.configuration.host = simulator.url("hubspot")
        part.api_client.configuration.ssl_ca_cert = simulator.ca
        part.api_client.rest_client = type(part.api_client.rest_client)(
            part.api_client.configuration
        )
        return part

    told = simulator.projection("hubspot", "contacts")
    live = {k: v for k, v in told.items() if not v["archived"]}
    contacts = []
    after = None
    while True:
        page = api(client.crm.contacts.basic_api).get_page(
            limit=50, after=after, properties=list(next(iter(live.values()))["properties"])
        )
        contacts += page.results
        if page.paging is None:
            break
        after = page.paging.next.after
    assert {c.id: c.properties for c in contacts} == {k: v["properties"] for k, v in live.items()}
    assert all(c.updated_at.isoformat(timespec="milliseconds")[:23] + "Z" == live[c.id]["updatedAt"]
               for c in contacts)  # fmt: skip
    found = api(client.crm.contacts.search_api).do_search(
        public_object_search_request=PublicObjectSearchRequest(limit=100)
    )
    assert found.total == len(live)
    owners = api(client.crm.owners.owners_api).get_page()
    assert {o.id for o in owners.results} <= set(simulator.projection("hubspot", "owners"))


def test_the_mapping_holds_and_feeds_the_concepts() -> None:
    mapping = load_vendor_mapping(VENDORS_DIR / "hubspot.yml")
    assert set(mapping.checked) <= {obj.name for obj in HubSpot.objects}
    fed = {r.record.concept for records in mapping.checked.values() for r in records}
    assert fed >= {
        "person_record", "account", "employee", "opportunity", "opportunity_stage_event", "ticket",
        "ticket_event", "message", "conversation", "survey_response", "consent_event",
    }  # fmt: skip
    assert fed <= set(load_concepts())
