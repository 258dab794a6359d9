"""Salesforce: the connector against the simulated API, and both against what the world says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from simple_salesforce import Salesforce as SimpleSalesforce

from ingestion.concepts import load_concepts
from ingestion.errors import SourceError
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.simulator.company import Company
from ingestion.simulator.server import serving
from ingestion.simulator.vendors.salesforce_objects import ENTITIES
from ingestion.simulator.vendors.soql import Field, SoqlError, full_id, translate
from ingestion.simulator.world import table_of, write_block
from ingestion.sources.connector import Window, check_connection
from ingestion.sources.salesforce import OBJECT_OF, Salesforce, typed
from tests.contract import accounts
from tests.contract.conftest import END, SimulatorUnderTest

DAY = timedelta(days=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NULL_ID = "0" * 15


def day(number: float, seconds: float = 0) -> datetime:
    return BEGIN + timedelta(days=number, seconds=seconds)


def contact_id(number: int) -> str:
    return full_id(f"003Hs{number:010}")


# ---- loading, and reading back -----------------------------------------------------------------


class Warehouse(accounts.Warehouse):
    connector = Salesforce


def assert_same(warehouse: Warehouse, tables: Sequence[str] = tuple(OBJECT_OF)) -> int:
    """Objects in the lake are what the world says of them; gives the number of live records."""
    count = 0
    for table in tables:
        entity = OBJECT_OF[table]
        told = warehouse.simulator.projection("salesforce", entity)
        found = warehouse.newest(table)
        for documents in (told.values(), (document for document, _ in found.values())):
            for document in documents:
                document.pop("IsArchived", None)  # turns true without any stamp that tells of it
        live = {key: d for key, d in told.items() if not d.get("IsDeleted")}
        assert {k: d for k, (d, deleted) in found.items() if not deleted} == live, entity
        for key in told.keys() - live.keys():  # in the recycle bin
            assert found[key] == (told[key], True), entity
        count += len(live)
    return count


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a company with seed 7."""
    from ingestion.simulator.server.tokens import secret

    for name in ("client_id", "client_secret"):
        monkeypatch.setenv(f"SOURCES__CRM__{name.upper()}", secret(7, "salesforce", name))


@pytest.fixture
def warehouse(simulator: SimulatorUnderTest, tmp_path: Path) -> Warehouse:
    return Warehouse(simulator, tmp_path)


# ---- a world of our own --------------------------------------------------------------------------


def contact(number: int, at: datetime, version: int = 1, **columns: Any) -> dict[str, Any]:
    return {
        "vendor": "salesforce", "object": "contact", "record_id": number, "version": version,
        "external_id": contact_id(number), "changed_at": at, "created_at": day(number / 1000),
        "email": f"p{number}@example.test", "first_name": "Ann", "last_name": f"No{number}",
        "country": "DE", "state": "live", **columns,
    }  # fmt: skip


@contextmanager
def org(
    folder: Path, now: datetime, rows: dict[str, list[dict[str, Any]]], **settings: Any
) -> Iterator[Warehouse]:
    """An org whose world holds these rows, and an empty lake beside it."""
    company = folder / "company"
    tables = {
        name: table_of(name, {c: [r.get(c) for r in of] for c in {c for r in of for c in r}})
        for name, of in rows.items()
    }
    write_block(company / "world", "week0000", tables)
    kept = {
        "seed": 7, "customers": 1, "started_at": (BEGIN - DAY).isoformat(),
        "clock": now.isoformat(), "weeks": 10_000, "settings": {"late_share": 0.0, **settings},
    }  # fmt: skip
    (company / "company.json").write_bytes(orjson.dumps(kept))
    with serving(Company.open(company), tls=False) as server:
        yield Warehouse(SimulatorUnderTest(server), folder)


AWKWARD = 'He said "hi, there",\nthen left\u2028; emoji 👩🏽‍🚀, N/A'

SERVICE: dict[str, list[dict[str, Any]]] = {
    "account": [
        {"account_id": 1, "name": "Alpha, Inc.", "domain": "alpha.test", "segment": "enterprise",
         "employees": 500, "annual_revenue": 1_200_000, "country": "DE", "created_at": day(0)},
        {"account_id": 2, "name": "Beta", "segment": "smb", "created_at": day(0)},
    ],
    "employee": [
        {"employee_id": 1, "first_name": "Eva", "last_name": "Fox", "email": "eva@n.test",
         "team": "support", "role": "agent", "hired_at": day(0)},
    ],
    "campaign": [
        {"campaign_id": 1, "name": "Fair", "channel": "event", "started_at": day(1),
         "ended_at": day(40), "budget": 100, "currency": "EUR"},
    ],
    "record": [
        # 1 is merged into 2, then 2 into 3
        contact(1, day(1), account_id=1), contact(2, day(2), account_id=1), contact(3, day(3)),
        contact(1, day(50), 2, state="merged", merged_into=2),
        contact(2, day(60), 2, state="merged", merged_into=3),
        contact(4, day(4)), contact(4, day(70), 2, state="archived"),
        contact(5, day(5)), contact(5, day(70), 2, state="erased"),
        contact(6, day(6)), contact(6, day(75), 2, email="new@example.test", email_consent=False),
        {**contact(7, day(7)), "object": "lead", "external_id": full_id("00QHs0000000007")},
    ],
    "opportunity": [
        {"opportunity_id": 1, "vendor": "salesforce", "kind": "lead", "record_id": 7,
         "employee_id": 1, "campaign_id": 1, "currency": "EUR", "created_at": day(7)},
        {"opportunity_id": 2, "vendor": "salesforce", "kind": "opportunity", "record_id": 1,
         "account_id": 1, "employee_id": 1, "currency": "USD", "created_at": day(30),
         "from_opportunity_id": 1, "name": "Tents"},
    ],
    "opportunity_stage": [
        {"stage_event_id": 1, "opportunity_id": 1, "at": day(7), "stage": "new"},
        {"stage_event_id": 2, "opportunity_id": 1, "at": day(20), "stage": "qualified"},
        {"stage_event_id": 3, "opportunity_id": 2, "at": day(30), "stage": "new", "amount": 1000,
         "probability": 0.1},
        {"stage_event_id": 4, "opportunity_id": 2, "at": day(74), "stage": "won", "amount": 1234,
         "probability": 1.0},
    ],
    "ticket": [
        {"ticket_id": 1, "vendor": "salesforce", "record_id": 1, "created_at": day(31),
         "channel": "email", "topic": "delivery", "subject": AWKWARD, "priority": "normal",
         "account_id": 1, "order_id": 5},
        {"ticket_id": 2, "vendor": "salesforce", "record_id": 1, "created_at": day(34),
         "channel": "web", "subject": "again", "priority": "high", "merged_into": 1},
        {"ticket_id": 3, "vendor": "salesforce", "record_id": 6, "created_at": day(35),
         "channel": "web", "subject": "rubbish", "priority": "low", "deleted_at": day(65)},
    ],
    "ticket_event": [
        {"ticket_event_id": 1, "ticket_id": 1, "at": day(31), "field": "status",
         "to_value": "new", "actor": "customer"},
        {"ticket_event_id": 2, "ticket_id": 1, "at": day(32), "field": "status",
         "from_value": "new", "to_value": "solved", "actor": "agent", "employee_id": 1},
        {"ticket_event_id": 3, "ticket_id": 2, "at": day(48), "field": "status",
         "from_value": "new", "to_value": "closed", "actor": "agent", "employee_id": 1},
    ],
    "message": [
        {"message_id": 1, "ticket_id": 1, "at": day(31), "author": "customer", "is_public": True,
         "body": AWKWARD},
        {"message_id": 2, "ticket_id": 1, "at": day(31, 60), "author": "agent", "employee_id": 1,
         "is_public": False, "body": "x" * 200_000},
        {"message_id": 3, "ticket_id": 2, "at": day(34), "author": "customer", "is_public": True,
         "body": "and again"},
    ],
    "activity": [
        {"activity_id": 1, "vendor": "salesforce", "kind": "call", "record_id": 1,
         "opportunity_id": 2, "employee_id": 1, "at": day(33), "duration_seconds": 300,
         "direction": "outbound", "subject": "Offer", "outcome": "reached"},
        {"activity_id": 2, "vendor": "salesforce", "kind": "meeting", "record_id": 7,
         "employee_id": 1, "at": day(9), "duration_seconds": 1800, "subject": "Visit"},
    ],
}  # fmt: skip


# ---- row for row ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bulk_from", [0, 10**6], ids=["bulk", "rest"])
def test_the_lake_holds_what_the_world_says(warehouse: Warehouse, bulk_from: int) -> None:
    simulator = warehouse.simulator
    simulator.move(days=-25)
    with simulator.settings("salesforce", page_rows=50, bulk_rows=40):
        warehouse.load(bulk_from=bulk_from)
        assert assert_same(warehouse) > 150
        simulator.move(days=25)
        warehouse.load(bulk_from=bulk_from)
        assert_same(warehouse)
    asked = {entry["path"].rsplit("/", 1)[-1] for entry in simulator.journal("salesforce")}
    assert ("results" in asked) == (bulk_from == 0)
    assert not [e for e in simulator.journal("salesforce") if e["unsupported"]]


def test_a_small_increment_needs_no_bulk_job(warehouse: Warehouse) -> None:
    warehouse.simulator.move(days=-2)
    first = warehouse.load("contacts", bulk_from=5)
    warehouse.simulator.clear()
    warehouse.simulator.move(seconds=3600)
    second = warehouse.load("contacts", bulk_from=5)
    asked = [entry["path"] for entry in warehouse.simulator.journal("salesforce")]
    assert not [path for path in asked if "jobs" in path]
    assert second.by_object["contacts"]["documents"] < first.by_object["contacts"]["documents"]


def test_rest_and_bulk_give_equal_documents(tmp_path: Path) -> None:
    with org(tmp_path, day(72), SERVICE) as by_rest:
        by_bulk = Warehouse(by_rest.simulator, tmp_path / "bulk")
        by_rest.load()
        by_bulk.load(bulk_from=0)
        for table in OBJECT_OF:
            assert by_rest.newest(table) == by_bulk.newest(table), table
        assert_same(by_rest)
        mail = by_bulk.live("email_messages")[full_id("02sHs0000000001")]
        assert mail["TextBody"] == AWKWARD
        assert mail["SystemModstamp"].endswith(".000+0000")
        account = by_bulk.live("accounts").popitem()[1]
        assert (account["AnnualRevenue"], account["NumberOfEmployees"]) == (1_200_000.0, 500)
        assert account["IsDeleted"] is False and account["ParentId"] is None
        assert "BillingAddress" not in account  # compound: Bulk refuses it, its parts are there


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("", "string", None), ("N/A", "string", "N/A"), ("false", "boolean", False),
        (True, "boolean", True), ("3", "int", 3), ("1e+20", "double", 1e20), (5, "currency", 5.0),
        ("2026-10-01T11:02:03.000Z", "datetime", "2026-10-01T11:02:03.000+0000"),
        ("2026-10-01T11:02:03.000+0000", "datetime", "2026-10-01T11:02:03.000+0000"),
        (True, "anyType", "true"), ("2026-10-01", "date", "2026-10-01"),
    ],
)  # fmt: skip
def test_values_are_those_of_rest(text: Any, kind: str, value: Any) -> None:
    found = typed(text, kind)
    assert found == value and type(found) is type(value)


# ---- changes, deletions, merges -----------------------------------------------------------------


CASES = [full_id(f"500Hs{n:010}") for n in range(4)]  # the first is none


def test_merges_deletions_and_changes_arrive(tmp_path: Path) -> None:
    tables = ("contacts", "leads", "opportunities", "cases", "email_messages")
    with org(tmp_path, day(45), SERVICE) as warehouse:

        def step(days: float) -> None:
            warehouse.simulator.move(days=days)
            warehouse.load(*tables)
            assert_same(warehouse, tables)

        step(0)
        assert len(warehouse.live("contacts")) == 6
        assert warehouse.live("cases")[CASES[1]]["ContactId"] == contact_id(1)
        step(10)  # 1 was merged
        merged, deleted = warehouse.newest("contacts")[contact_id(1)]
        assert deleted and merged["MasterRecordId"] == contact_id(2)
        assert warehouse.live("cases")[CASES[1]]["ContactId"] == contact_id(2)
        # cases are merged otherwise: the loser stays, its mails move
        assert warehouse.live("cases")[CASES[2]]["MasterRecordId"] == CASES[1]
        mails = warehouse.live("email_messages")
        assert [m["ParentId"] for m in mails.values() if m["TextBody"] == "and again"] == [CASES[1]]
        step(12)  # 2 was merged too: the chain leads to 3; a case was deleted
        chain = {k: d["MasterRecordId"] for k, (d, gone) in warehouse.newest("contacts").items()}
        assert chain[contact_id(1)] == contact_id(2)
        assert chain[contact_id(2)] == contact_id(3)
        assert warehouse.live("cases")[CASES[1]]["ContactId"] == contact_id(3)
        assert set(warehouse.live("cases")) == {CASES[1], CASES[2]}
        step(9)
        assert set(warehouse.live("contacts")) == {contact_id(3), contact_id(6)}
        assert warehouse.live("contacts")[contact_id(6)]["Email"] == "new@example.test"
        lead = warehouse.live("leads").popitem()[1]
        assert lead["IsConverted"] and lead["ConvertedContactId"] == contact_id(3)
        assert warehouse.live("opportunities").popitem()[1]["StageName"] == "Closed Won"


def test_nothing_changes_without_a_stamp_that_tells_of_it(simulator: SimulatorUnderTest) -> None:
    late = timedelta(seconds=simulator.company.settings["late_seconds"])
    known: dict[str, dict[str, Any]] = {}
    before = simulator.now()
    for back in (200, 60, 59, 3):
        simulator.move(days=(END - simulator.now()) / DAY - back)
        for name in ENTITIES:
            told = simulator.projection("salesforce", name)
            for key, document in told.items():
                document.pop("IsArchived", None)
                stamp = datetime.fromisoformat(
                    document.get("SystemModstamp", document["CreatedDate"])
                )
                assert stamp <= simulator.now(), f"{name} {key} is of the future"
                if name in known and known[name].get(key) != document:
                    assert stamp >= before.replace(microsecond=0) - late, f"{name} {key}"
            known[name] = told
        before = simulator.now()


def test_what_left_the_recycle_bin_unseen_is_found_by_comparing_ids(tmp_path: Path) -> None:
    with org(tmp_path, day(69), SERVICE) as warehouse:
        warehouse.load("contacts")
        assert {contact_id(4), contact_id(5)} < set(warehouse.live("contacts"))
        warehouse.simulator.move(days=20)
        assert contact_id(4) not in warehouse.simulator.projection("salesforce", "Contact")
        warehouse.load("contacts", reconcile_every_days=1000)
        assert {contact_id(4), contact_id(5)} < set(warehouse.live("contacts"))
        warehouse.load("contacts")
        found = warehouse.newest("contacts")
        assert found[contact_id(4)] == ({"Id": contact_id(4)}, True)  # erased leaves no more either
        assert found[contact_id(5)] == ({"Id": contact_id(5)}, True)
        assert contact_id(6) in warehouse.live("contacts")
        again = warehouse.load("contacts", window=Window(reconcile=True))
        assert again.by_object["contacts"]["deleted"] == 0


def test_a_deletion_within_the_recycle_bin_carries_its_document(tmp_path: Path) -> None:
    with org(tmp_path, day(69), SERVICE) as warehouse:
        warehouse.load("contacts")
        warehouse.simulator.move(days=5)
        warehouse.load("contacts", reconcile_every_days=1000)
        document, deleted = warehouse.newest("contacts")[contact_id(4)]
        assert deleted and document["Email"] == "p4@example.test"


def test_late_commits_are_found_by_looking_back(tmp_path: Path) -> None:
    rows = {"record": [contact(n, day(10, -n)) for n in range(1, 41)]}
    with org(tmp_path, day(10), rows, late_share=0.3, late_seconds=300) as warehouse:
        careless = Warehouse(warehouse.simulator, tmp_path / "careless")
        for one in (warehouse, careless):
            one.load("contacts", lookback_seconds=600 if one is warehouse else 0)
            assert 0 < len(one.live("contacts")) < 40
        warehouse.simulator.move(seconds=400)
        warehouse.load("contacts")
        careless.load("contacts", lookback_seconds=0)
        assert len(warehouse.live("contacts")) == 40
        assert len(careless.live("contacts")) < 40


def test_what_came_later_than_we_look_back_is_found_by_comparing_ids(tmp_path: Path) -> None:
    rows = {"record": [contact(n, day(10, -60 * n)) for n in range(1, 41)]}
    with org(tmp_path, day(10), rows, late_share=0.3, late_seconds=7200) as warehouse:
        warehouse.load("contacts")
        warehouse.simulator.move(days=1)
        warehouse.load("contacts")
        assert len(warehouse.live("contacts")) < 40
        found = warehouse.load("contacts", window=Window(reconcile=True))
        assert len(warehouse.live("contacts")) == 40
        assert 0 < found.by_object["contacts"]["documents"] < 40


def test_ties_beyond_a_page_arrive_once_each_and_so_do_later_ones(tmp_path: Path) -> None:
    ties = [contact(n, day(10)) for n in range(1, 31)]
    in_the_same_second = contact(31, day(10) + timedelta(milliseconds=900))
    with org(tmp_path, day(10), {"record": [*ties, in_the_same_second]}) as warehouse:
        with warehouse.simulator.settings("salesforce", page_rows=7):
            first = warehouse.load("contacts", lookback_seconds=0)
            assert first.by_object["contacts"]["documents"] == 30
            warehouse.simulator.move(seconds=1)
            warehouse.load("contacts", lookback_seconds=0)
        assert len(warehouse.live("contacts")) == 31


def test_a_back_fill_reads_its_window_and_moves_no_state(tmp_path: Path) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        fill = warehouse.load("contacts", window=Window(since=day(3), until=day(5)))
        assert fill.by_object["contacts"]["documents"] == 3
        assert warehouse.load("contacts").by_object["contacts"]["documents"] == 6


# ---- fields --------------------------------------------------------------------------------------


def test_a_new_field_arrives_for_all_records_and_a_hidden_one_is_noted(
    tmp_path: Path,
) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        warehouse.load("contacts")
        simulator = warehouse.simulator
        with simulator.settings("salesforce", custom_fields={"Contact": {"Tier__c": "picklist"}}):
            warehouse.load("contacts")
            assert all(d["Tier__c"] for d in warehouse.live("contacts").values())
        hidden = {"Contact": ["Phone"]}
        with simulator.settings("salesforce", hidden_fields=hidden):
            simulator.move(days=10)
            done = warehouse.load("contacts")
        assert any("no longer has Phone, Tier__c" in note for note in done.notes)
        changed, _ = warehouse.newest("contacts")[contact_id(1)]
        assert "Phone" not in changed and "Email" in changed


def test_a_query_too_long_for_a_url_goes_through_bulk(tmp_path: Path) -> None:
    custom = {"Contact": {f"A_custom_field_number_{n}__c": "string" for n in range(600)}}
    with (
        org(tmp_path, day(45), SERVICE) as warehouse,
        warehouse.simulator.settings("salesforce", custom_fields=custom),
    ):
        warehouse.load("contacts")
        assert warehouse.live("contacts")[contact_id(3)]["A_custom_field_number_599__c"]


def test_an_object_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    with (
        org(tmp_path, day(45), SERVICE) as warehouse,
        warehouse.simulator.settings("salesforce", hidden_objects=["Lead"]),
    ):
        with pytest.raises(
            SourceError, match=r"'leads'.*Lead cannot be read: give the integration"
        ):
            warehouse.load("leads")
        findings = check_connection(
            Salesforce, warehouse.settings(), source="crm", state_dir=tmp_path / "state"
        )
        assert [f.what for f in findings if not f.ok] == ["object 'leads' cannot be read"]


# ---- session, limits, faults --------------------------------------------------------------------


@pytest.mark.parametrize("bulk_from", [0, 10**6], ids=["bulk", "rest"])
def test_a_session_that_ends_between_two_pages_is_renewed(tmp_path: Path, bulk_from: int) -> None:
    rows = {"record": [contact(n, day(1)) for n in range(1, 31)]}
    with org(tmp_path, day(10), rows) as warehouse:
        route = "/results" if bulk_from == 0 else "/query/01g"
        warehouse.simulator.fault("token_expired", "salesforce", route=route, nth=2)
        with warehouse.simulator.settings("salesforce", page_rows=7, bulk_rows=7):
            warehouse.load("contacts", bulk_from=bulk_from)
        assert len(warehouse.live("contacts")) == 30
        journal = warehouse.simulator.journal("salesforce")
        assert [e["path"] for e in journal].count("/services/oauth2/token") == 2
        assert [e["status"] for e in journal].count(401) == 1


def test_a_session_that_timed_out_during_a_long_job_is_renewed(tmp_path: Path) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        slow = {"session_seconds": 900, "job_seconds": 3600}
        with warehouse.simulator.settings("salesforce", **slow):
            warehouse.load("contacts", bulk_from=0)
        assert len(warehouse.live("contacts")) == 6


def test_the_used_up_call_limit_stops_the_load_with_advice(tmp_path: Path) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        with (
            warehouse.simulator.settings("salesforce", daily_calls=5),
            pytest.raises(SourceError, match="API calls of the last 24 hours"),
        ):
            warehouse.load("contacts", "leads", "cases")
        assert warehouse.lake.complete_loads("n_crm") == []
        assert not warehouse.simulator.clock().slept  # more calls would only make it worse
        warehouse.simulator.move(days=1, seconds=1)
        warehouse.load("contacts", "leads", "cases")
        assert_same(warehouse, ("contacts", "leads", "cases"))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("edge_420", {}), ("edge_406", {}), ("query_timeout", {}), ("server", {"status": 503}),
        ("throttle", {"retry_after": None}), ("cut_json", {}), ("reset", {}),
    ],
)  # fmt: skip
def test_passing_faults_pass(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        warehouse.simulator.fault(kind, "salesforce", route="queryAll", options=options)
        warehouse.load("contacts")
        assert len(warehouse.live("contacts")) == 6


def test_a_wrong_secret_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__CRM__CLIENT_SECRET", "not-the-secret")
    with org(tmp_path, day(45), SERVICE) as warehouse:
        with pytest.raises(SourceError, match="SOURCES__CRM__CLIENT_SECRET") as raised:
            warehouse.load("contacts")
        assert "not-the-secret" not in str(raised.value)


def test_a_retired_version_says_so(tmp_path: Path) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        with pytest.raises(SourceError, match=r"v30\.0.*is retired.*set `version`"):
            warehouse.load("contacts", version="30.0")
        warehouse.load("contacts", version="59.0")
        assert len(warehouse.live("contacts")) == 6


# ---- Bulk API ------------------------------------------------------------------------------------


def test_the_locator_null_ends_the_result(tmp_path: Path) -> None:
    rows = {"record": [contact(n, day(1)) for n in range(1, 22)]}
    with org(tmp_path, day(10), rows) as warehouse:
        warehouse.load("contacts", bulk_from=0, bulk_page_size=7)
        journal = warehouse.simulator.journal("salesforce")
        assert len([e for e in journal if e["path"].endswith("/results")]) == 3
        assert len(warehouse.live("contacts")) == 21
        assert [e["method"] for e in journal if "/jobs/query/" in e["path"]][-1] == "DELETE"


@pytest.mark.parametrize("has_header", [True, False])
def test_an_empty_result_is_no_row(tmp_path: Path, has_header: bool) -> None:
    with (
        org(tmp_path, day(45), SERVICE) as warehouse,
        warehouse.simulator.settings("salesforce", bulk_empty_has_header=has_header),
    ):
        client = Client(warehouse)
        job = client.job("SELECT Id FROM Contact WHERE Email = 'nobody@example.test'")
        part = client.get(f"jobs/query/{job}/results")
        assert part.text == ('"Id"\n' if has_header else "")
        assert part.headers["Sforce-Locator"] == "null"
        assert part.headers["Sforce-NumberOfRecords"] == "0"


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_job_is_made_anew_once(tmp_path: Path, failing: int) -> None:
    with (
        org(tmp_path, day(45), SERVICE) as warehouse,
        warehouse.simulator.settings("salesforce", failing_jobs=failing),
    ):
        if failing == 2:
            with pytest.raises(SourceError, match="2 Bulk jobs ended as Failed: Internal"):
                warehouse.load("contacts", bulk_from=0)
        else:
            warehouse.load("contacts", bulk_from=0)
            assert len(warehouse.live("contacts")) == 6


def test_a_job_that_never_ends_is_aborted(tmp_path: Path) -> None:
    with (
        org(tmp_path, day(45), SERVICE) as warehouse,
        warehouse.simulator.settings("salesforce", job_seconds=1e6),
    ):
        with pytest.raises(SourceError, match="raise job_wait_seconds"):
            warehouse.load("contacts", bulk_from=0, job_wait_seconds=600)
        (job,) = warehouse.simulator.api("salesforce").jobs.list("query")
        assert job["state"] == "aborted"


# ---- the API itself, asked without the connector -------------------------------------------------


class Client:
    """Plain requests with a session of the org."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.root = warehouse.simulator.url("salesforce")
        secret = warehouse.simulator.secret
        form = {
            "grant_type": "client_credentials",
            "client_id": secret("salesforce", "client_id"),
            "client_secret": secret("salesforce", "client_secret"),
        }
        self.simulator = warehouse.simulator
        self.login = requests.post(
            f"{self.root}/services/oauth2/token", data=form, timeout=10
        ).json()
        self.headers = {"Authorization": f"Bearer {self.login['access_token']}"}

    def get(self, path: str, version: str = "68.0", **params: Any) -> requests.Response:
        url = f"{self.root}/services/data/v{version}/{path}"
        return requests.get(url, params=params, headers=self.headers, timeout=10)

    def query(self, soql: str) -> requests.Response:
        return self.get("query", q=soql)

    def job(self, soql: str) -> str:
        """A finished query job."""
        made = requests.post(
            f"{self.root}/services/data/v68.0/jobs/query", headers=self.headers, timeout=10,
            json={"operation": "query", "query": soql},
        )  # fmt: skip
        assert made.json()["state"] == "UploadComplete", made.text
        job = str(made.json()["id"])
        self.simulator.clock().sleep(5)
        assert self.get(f"jobs/query/{job}").json()["state"] == "InProgress"
        self.simulator.clock().sleep(5)
        assert self.get(f"jobs/query/{job}").json()["state"] == "JobComplete"
        return job


def test_the_api_answers_as_salesforce_does(tmp_path: Path) -> None:
    with org(tmp_path, day(72), SERVICE) as warehouse:
        client = Client(warehouse)
        assert "expires_in" not in client.login
        assert client.login["instance_url"] == client.root
        reply = client.query("SELECT Id, SystemModstamp FROM Contact ORDER BY Id LIMIT 1")
        assert reply.headers["Sforce-Limit-Info"] == "api-usage=1/100000"
        assert reply.json() == {
            "totalSize": 1,
            "done": True,
            "records": [
                {
                    "attributes": {
                        "type": "Contact",
                        "url": f"/services/data/v68.0/sobjects/Contact/{contact_id(3)}",
                    },
                    "Id": contact_id(3),
                    "SystemModstamp": "2026-01-04T00:00:00.000+0000",
                }
            ],
        }
        everything = client.get("queryAll", q="SELECT Id FROM Contact WHERE IsDeleted = true")
        assert {r["Id"] for r in everything.json()["records"]} == {contact_id(2), contact_id(4)}
        assert client.get("query", "30.0", q="SELECT Id FROM User").status_code == 410
        job = client.job("SELECT Id, SystemModstamp, AccountId FROM Contact WHERE LastName = 'No3'")
        part = client.get(f"jobs/query/{job}/results")
        assert part.text == (
            f'"Id","SystemModstamp","AccountId"\n"{contact_id(3)}","2026-01-04T00:00:00.000Z",""\n'
        )
        assert client.get(f"jobs/query/{job}/results", "67.0").status_code == 409
        refused = requests.post(
            f"{client.root}/services/data/v68.0/jobs/query", headers=client.headers, timeout=10,
            json={"operation": "query", "query": "SELECT MailingAddress FROM Contact"},
        )  # fmt: skip
        assert refused.status_code == 400 and "compound data" in refused.text
        client.headers = {"Authorization": "Bearer nonsense"}
        refused = client.query("SELECT Id FROM User")
        assert (refused.status_code, refused.json()) == (
            401,
            [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
        )


def test_archived_activities_show_in_query_all_only(tmp_path: Path) -> None:
    with org(tmp_path, day(390), SERVICE) as warehouse:
        client = Client(warehouse)
        assert client.query("SELECT Id FROM Event").json()["totalSize"] == 0
        found = client.get("queryAll", q="SELECT IsArchived FROM Event").json()["records"]
        assert [r["IsArchived"] for r in found] == [True]


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Foo__c FROM Contact", "INVALID_FIELD"),
        ("SELECT Id, Id FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE MailingStreet = 'x'", "INVALID_FIELD"),  # not filterable
        ("SELECT Id FROM Contact WHERE SystemModstamp > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Email = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = 'a' AND Id = 'b' OR Id = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email > null", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact; DROP TABLE x", "MALFORMED_QUERY"),
        ("UPDATE Contact", "MALFORMED_QUERY"),
    ],
)  # fmt: skip
def test_wrong_soql_is_refused(tmp_path: Path, soql: str, code: str) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        reply = Client(warehouse).query(soql)
        assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT COUNT() FROM Contact",
        "SELECT FIELDS(ALL) FROM Contact LIMIT 200",
        "SELECT Account.Name FROM Contact",
        "SELECT Id FROM Contact WHERE Name LIKE 'A%'",
        "SELECT Id FROM Contact WHERE CreatedDate = LAST_N_DAYS:3",
        "SELECT Id FROM Contact LIMIT 5 OFFSET 5",
        "SELECT Id FROM Contact WHERE NOT (Name = 'x')",
    ],
)
def test_soql_that_is_not_simulated_is_journaled(tmp_path: Path, soql: str) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        assert Client(warehouse).query(soql).status_code == 400
        assert warehouse.simulator.journal("salesforce")[-1]["unsupported"]


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("Email = 'P3@EXAMPLE.test'", {3}),
        (f"Id = '{contact_id(3)[:15]}'", {3}),
        ("LastName IN ('No1', 'No2') AND AccountId != null", {1, 2}),
        ("(LastName = 'No1' OR LastName = 'No4') AND (AccountId = null OR AccountId = '')", {4}),
        ("CreatedDate <= 2026-01-01T00:02:51.9Z", {1}),
        ("CreatedDate < 2026-01-01T01:04:19+01:00", {1, 2}),
        ("HasOptedOutOfEmail = true", set()),
        ("Email != 'p1@example.test'", {2, 3, 4, 5, 6}),
    ],
)  # fmt: skip
def test_conditions_find_what_they_say(tmp_path: Path, condition: str, numbers: set[int]) -> None:
    with org(tmp_path, day(45), SERVICE) as warehouse:
        reply = Client(warehouse).query(f"SELECT Id FROM Contact WHERE {condition}").json()
        assert {r["Id"] for r in reply["records"]} == {contact_id(n) for n in numbers}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_text_in_quotes_is_what_was_meant(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    fields = {"Account": {"Name": Field("Name", "string", '"Name"')}}
    query = translate(f"SELECT Name FROM Account WHERE Name = '{quoted}'", fields)
    assert query.parameters == (text,)


@given(st.text("SELECTFROMWHRANDO ()'=<>,.0123\\Id", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        translate(f"SELECT Id FROM Contact WHERE {text}", {"Contact": ENTITIES["Contact"].fields})
    except SoqlError as error:
        assert error.code in ("MALFORMED_QUERY", "INVALID_FIELD", "INVALID_TYPE")


def test_ids_of_15_characters_get_their_check_letters() -> None:
    assert full_id("0013000000aBcDe") == "0013000000aBcDeAAK"
    assert full_id("0013000000aBcDeAAK") == "0013000000aBcDeAAK"
    assert full_id(NULL_ID) == NULL_ID + "AAA"


def test_simple_salesforce_reads_the_same(simulator: SimulatorUnderTest, tmp_path: Path) -> None:
    with requests.Session() as session:
        session.verify, session.trust_env = simulator.ca, False
        form = {
            "grant_type": "client_credentials",
            "client_id": simulator.secret("salesforce", "client_id"),
            "client_secret": simulator.secret("salesforce", "client_secret"),
        }
        url = f"{simulator.url('salesforce')}/services/oauth2/token"
        token = session.post(url, data=form).json()["access_token"]
        client = SimpleSalesforce(
            instance=simulator.url("salesforce").removeprefix("https://"),
            session_id=token,
            session=session,
        )
        with simulator.settings("salesforce", page_rows=3):
            found = client.query_all("SELECT Id, Email FROM Contact", include_deleted=True)
        told = simulator.projection("salesforce", "Contact")
        assert {r["Id"]: r["Email"] for r in found["records"]} == {
            key: document["Email"] for key, document in told.items()
        }
        assert found["totalSize"] > 3
        assert client.api_usage["api-usage"].total == 100_000
        contacts: Any = client.Contact
        described = contacts.describe()["fields"]
        assert {f["name"] for f in described} >= set(next(iter(told.values())))
        with simulator.settings("salesforce", job_seconds=0):
            bulk: Any = client.bulk2
            parts = list(bulk.Contact.query_all("SELECT Id FROM Contact", max_records=50))
        lines = [line for part in parts for line in part.splitlines()[1:]]
        assert sorted(line.strip('"') for line in lines) == sorted(told)


# ---- the mapping ---------------------------------------------------------------------------------


def mapped(simulator: SimulatorUnderTest) -> dict[str, list[dict[str, Any]]]:
    """What the mapping makes of every live record, by concept."""
    found: dict[str, list[dict[str, Any]]] = {}
    mapping = load_vendor_mapping(VENDORS_DIR / "salesforce.yml")
    for table, records in mapping.checked.items():
        told = simulator.projection("salesforce", OBJECT_OF[table]).values()
        live = [d for d in told if not d.get("IsDeleted")]
        for record in records:
            missing = record.places.keys() - ENTITIES[OBJECT_OF[table]].fields.keys()
            assert not missing, f"{table} has no {missing}"
            raw = ", ".join(f"""d ->> '$."{c}"' as "raw.{c}\"""" for c in record.places)
            fields = ", ".join(f"{e.sql} as {name}" for name, e in record.expressions.items())
            where = f" where {record.where.sql}" if record.where else ""
            with duckdb.connect() as connection:
                rows = connection.execute(
                    f"with raw as (select {raw} from (select unnest(?::json[]) as d))"
                    f" select {fields} from raw{where}",
                    [[orjson.dumps(d).decode() for d in live]],
                ).to_arrow_table()
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
    with org(tmp_path, day(76), SERVICE) as warehouse:
        found = mapped(warehouse.simulator)
    assert_fits(found)
    (lead,) = [r for r in found["person_record"] if r.get("lifecycle_status") == "lead"]
    assert lead["merged_into_id"] == contact_id(3)
    opt_outs = {r["person_record_id"]: r["email_consent"] for r in found["person_record"]}
    assert opt_outs[contact_id(6)] == "false" and opt_outs[contact_id(3)] is None
    assert [(r["kind"], r["person_record_id"]) for r in found["opportunity"]] == [
        ("lead", full_id("00QHs0000000007")),
        ("opportunity", contact_id(3)),
    ]
    lead, opportunity = found["opportunity"]
    assert lead["converted_to_id"] == opportunity["opportunity_id"]
    stages = sorted((r["opportunity_id"][:3], r["stage"]) for r in found["opportunity_stage_event"])
    assert stages == [("006", "new"), ("006", "won"), ("00Q", "new"), ("00Q", "qualified")]
    ticket = found["ticket"][0]
    assert (ticket["status"], ticket["priority"], ticket["channel"]) == (
        "solved",
        "normal",
        "email",
    )
    assert ticket["order_id"] == "4500000005"
    assert sorted(r["is_merged"] for r in found["ticket"]) == ["false", "true"]
    changes = [(r["field"], r["from_value"], r["to_value"]) for r in found["ticket_event"]]
    assert sorted(changes, key=str) == [
        ("status", "new", "closed"),
        ("status", "new", "solved"),
        ("status", None, "new"),
    ]
    assert sorted(r["author_role"] for r in found["message"]) == ["agent", "customer", "customer"]
    (call,) = found["conversation"]
    assert (call["kind"], call["direction"]) == ("call", "outbound")
    assert [r["full_name"] for r in found["employee"]] == ["Eva Fox"]
    assert [r["domain"] for r in found["account"]] == ["alpha.test"]
    assert [r["channel"] for r in found["campaign"]] == ["event"]
    (response,) = found["campaign_event"]
    assert response["kind"] == "responded"
    assert len(response["occurred_at"]) > len("2026-01-01"), "a day would be before the lead"


def test_the_mapping_knows_every_word_of_the_story(simulator: SimulatorUnderTest) -> None:
    found = mapped(simulator)
    assert_fits(found)
    assert all(found[name] for name in ("person_record", "opportunity_stage_event", "conversation"))
