"""SurveyMonkey: what the connector lands is what the account holds, within its calls of a day."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import SourceError
from ingestion.exports.check_vendor import check_tables
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.lake import Lake
from ingestion.simulator.company import CLOCKS_KEPT
from ingestion.simulator.vendors.surveymonkey import LAKE_TABLES, POLL
from ingestion.sources.connector import (
    ConnectorLoad,
    Finding,
    Window,
    check_connection,
    load_connector,
)
from ingestion.sources.surveymonkey import SurveyMonkey
from tests.contract.accounts import live
from tests.contract.conftest import SimulatorUnderTest

Load = Callable[..., ConnectorLoad]
NPS = "400000001"
# a response counts in its survey and its collector, and dates neither
COUNTS = {"response_count", "date_modified"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def settings(simulator: SimulatorUnderTest) -> dict[str, Any]:
    return {"base_url": simulator.url("surveymonkey"), "ca_bundle": simulator.ca}


@pytest.fixture
def load(
    simulator: SimulatorUnderTest,
    lake: Lake,
    tmp_path: Path,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Load:
    monkeypatch.setenv(
        "SOURCES__PANEL__ACCESS_TOKEN", simulator.secret("surveymonkey", "access_token")
    )

    def run(
        objects: list[str] | None = None, window: Window | None = None, **changed: Any
    ) -> ConnectorLoad:
        return load_connector(
            SurveyMonkey,
            settings | changed,
            source="panel",
            company="n",
            lake=lake,
            state_dir=tmp_path / "state",
            now=simulator.now(),
            objects=objects,
            window=window,
            clock=simulator.clock(),
        )

    return run


@pytest.fixture(autouse=True)
def nothing_unsupported(simulator: SimulatorUnderTest) -> Iterator[None]:
    yield
    assert not [e for e in simulator.journal("surveymonkey") if e["unsupported"]]


def newest(lake: Lake, table: str) -> Mapping[str, Mapping[str, Any]]:
    """The newest live document of every key."""
    return live(lake, "n_panel", table)


def account(simulator: SimulatorUnderTest, name: str) -> Mapping[str, Mapping[str, Any]]:
    found = simulator.projection("surveymonkey", LAKE_TABLES.get(name, name))
    if name == "collectors":
        return {f"{document['_survey_id']}|{key}": document for key, document in found.items()}
    return found


def assert_equal_to_account(
    simulator: SimulatorUnderTest, lake: Lake, *, without: frozenset[str] = frozenset()
) -> None:
    """Row for row; objects in `without` may lag behind."""
    for obj in SurveyMonkey.objects:
        if obj.name in without:
            continue
        expected, landed = account(simulator, obj.name), newest(lake, obj.name)
        assert landed.keys() == expected.keys(), obj.name
        # counts in the questionnaire are as old as its last edit
        stale = COUNTS if obj.name == "survey_details" else set()
        for key, document in expected.items():
            for field in document.keys() | landed[key].keys():
                if field not in stale:
                    assert landed[key].get(field) == document.get(field), (obj.name, key, field)


def asked(simulator: SimulatorUnderTest, ending: str) -> list[dict[str, Any]]:
    return [e for e in simulator.journal("surveymonkey") if e["path"].endswith(ending)]


def test_first_load_equals_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    done = load()
    assert_equal_to_account(simulator, lake)
    assert done.by_object["responses"]["documents"] > 60
    assert done.by_object["recipients"]["documents"] > 20
    assert done.notes == []


def test_a_second_run_brings_nothing_and_asks_little(
    simulator: SimulatorUnderTest, load: Load
) -> None:
    load()
    simulator.clear()
    again = load()
    assert again.result.documents == {}, "what has not changed does not land again"
    assert again.requests == 3, "the surveys, and the changes of each"


def test_days_of_increments_and_small_pages_equal_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.move(days=-200)
    small = {"page_size": 7, "responses_page_size": 5}
    with simulator.settings("surveymonkey", per_page_max=7, bulk_max=5):
        load(**small, reconcile_every_days=1000)
        for _ in range(8):
            simulator.move(days=25)
            load(**small, reconcile_every_days=1000)
        # a response that was deleted shows in no change
        expected, landed = account(simulator, "responses"), newest(lake, "responses")
        assert expected.keys() <= landed.keys()
        assert {key: landed[key] for key in expected} == expected
        load(**small, reconcile_every_days=0)
    assert_equal_to_account(simulator, lake)


def test_more_changes_in_one_second_than_fit_into_a_page(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    with simulator.settings("surveymonkey", bulk_max=1):
        load(responses_page_size=1)
    assert_equal_to_account(simulator, lake)


def test_filters_that_mean_strictly_after_lose_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.move(days=-60)
    with simulator.settings("surveymonkey", modified_is_strict=True):
        load(responses_page_size=3)
        simulator.move(days=60)
        load(responses_page_size=3, reconcile_every_days=0)
    assert_equal_to_account(simulator, lake)


def test_a_partial_response_is_completed_under_its_id(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    finished = simulator.company.query(
        "select response_id, recorded_at, completed_at from world.survey_response"
        " where survey_id = 1 and is_partial and completed_at > recorded_at + interval 1 minute"
        " and deleted_at is null order by 1 limit 1"
    )
    assert finished, "the story has no partial answer that is finished later"
    ((number, recorded, completed),) = finished
    key = f"{NPS}|{118000000000 + number}"
    simulator.server.simulator.time.move(recorded + (completed - recorded) / 2)
    load()
    before = newest(lake, "responses")[key]
    simulator.server.simulator.time.move(completed + timedelta(hours=1))
    load()
    after = newest(lake, "responses")[key]
    assert (before["response_status"], after["response_status"]) == ("partial", "completed")
    assert before["date_modified"] < after["date_modified"]
    assert before["date_created"] == after["date_created"]
    simulator.clear()


def test_deleted_responses_are_found_by_their_ids(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    before = newest(lake, "responses")
    gone = sorted(before)[0]
    simulator.company.query(
        f"delete from {simulator.api('surveymonkey').table('responses')} where id = ?", [gone]
    )
    try:
        load()
        assert gone in newest(lake, "responses"), "the vendor says nothing of it"
        assert not asked(simulator, "/responses")
        done = load(reconcile_every_days=0)
    finally:
        simulator.move(days=-100)
        for _ in range(CLOCKS_KEPT):  # the table of that time is made anew
            simulator.move(days=1)
            simulator.company.query("select 1")
    assert newest(lake, "responses").keys() == before.keys() - {gone}
    assert done.by_object["responses"]["deleted"] == 1
    assert len(asked(simulator, "/responses")) == 2, "ids, a thousand a call"


def test_thirty_calls_a_day_bring_everything_in_some_days(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.move(days=-15)
    with simulator.settings("surveymonkey", calls_per_day=30):
        notes: list[list[str]] = []
        for _ in range(12):
            done = load(responses_page_size=10)
            assert done.requests <= 30
            notes.append(done.notes)
            if not notes[-1]:
                break
            load(responses_page_size=10)  # once more on the same day: nothing to spend
            simulator.move(days=1)
    assert len(notes) > 2 and notes[-1] == []
    assert all("next run" in note and "spent" in note for day in notes for note in day)
    assert_equal_to_account(simulator, lake)
    journal = simulator.journal("surveymonkey")
    assert max(Counter(entry["at"][:10] for entry in journal).values()) <= 30
    assert {entry["status"] for entry in journal} == {200}


def test_a_budget_too_small_for_one_round_starves_nobody(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    """Each survey in turn, though a day's calls never reach both."""
    only = ["responses"]
    simulator.move(days=-15)
    with simulator.settings("surveymonkey", calls_per_day=3):
        for _ in range(8):
            load(only, keep_calls=0, responses_page_size=50)
            simulator.move(days=1)
        load(only, keep_calls=0, responses_page_size=50)
    landed, expected = newest(lake, "responses"), account(simulator, "responses")
    read = {survey: len([k for k in landed if k.startswith(survey)]) for survey in (NPS, POLL)}
    assert read[POLL] > 50 and read[NPS] > 3
    assert len(expected) - len(landed) <= 3
    assert_minutes_kept(simulator, 120)


def assert_minutes_kept(simulator: SimulatorUnderTest, most: int) -> None:
    times = [datetime.fromisoformat(e["at"]) for e in simulator.journal("surveymonkey")]
    for start in times:
        assert sum(start <= t < start + timedelta(minutes=1) for t in times) <= most


def test_the_minute_is_kept_without_a_refusal(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    with simulator.settings("surveymonkey", calls_per_minute=10):
        load(calls_per_minute=10)
    assert {entry["status"] for entry in simulator.journal("surveymonkey")} == {200}
    assert_minutes_kept(simulator, 10)
    assert_equal_to_account(simulator, lake)


def test_a_429_without_retry_after_waits_for_the_minute(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    with simulator.settings("surveymonkey", calls_per_minute=10):
        load()  # it thinks that it may ask 120 times
    assert 429 in {entry["status"] for entry in simulator.journal("surveymonkey")}
    assert_equal_to_account(simulator, lake)


def test_a_spent_day_is_no_failure_and_waits_for_nobody(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    clock = simulator.now()
    with simulator.settings("surveymonkey", calls_per_day=0):
        done = load()
    assert done.result.documents == {} and simulator.now() - clock < timedelta(minutes=1)
    assert len(done.notes) == len(SurveyMonkey.objects)
    load()
    assert_equal_to_account(simulator, lake)


def test_a_survey_deleted_meanwhile_is_skipped(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("survey_deleted", vendor="surveymonkey", route=f"{POLL}/", every=1)
    done = load()
    assert newest(lake, "survey_details").keys() == {NPS}
    assert {key.split("|")[0] for key in newest(lake, "responses")} == {NPS}
    assert all(POLL in note and "deleted" in note for note in done.notes)
    assert done.notes


def test_what_is_of_a_deleted_survey_goes_with_it(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    with simulator.settings("surveymonkey", deleted_surveys=(POLL,)):
        simulator.move(days=1)
        load(reconcile_every_days=0)
    assert newest(lake, "surveys").keys() == newest(lake, "survey_details").keys() == {NPS}
    for name in ("responses", "collectors"):
        assert {key.split("|")[0] for key in newest(lake, name)} == {NPS}, name
    simulator.move(days=1)
    load()  # it is shared again
    assert_equal_to_account(simulator, lake)


def test_an_edited_question_keeps_its_old_choices(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    (details,) = [d for k, d in newest(lake, "survey_details").items() if k == NPS]
    offered = {c["id"] for c in details["pages"][0]["questions"][0]["answers"]["choices"]}
    given = [
        answer
        for key, response in newest(lake, "responses").items()
        if key.startswith(NPS)
        for question in response["pages"][0]["questions"]
        for answer in question["answers"]
        if "choice_id" in answer
    ]
    old = [answer for answer in given if answer["choice_id"] not in offered]
    assert old and len(old) < len(given)
    assert all(0 <= int(answer["choice_metadata"]["weight"]) <= 10 for answer in given)


def test_a_back_fill_reads_its_span_and_moves_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    since, until = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    load(["responses"], Window(since, until))
    within = {
        key
        for key, document in account(simulator, "responses").items()
        if since - timedelta(seconds=1) <= datetime.fromisoformat(document["date_modified"]) < until
    }
    assert within and newest(lake, "responses").keys() == within
    load()
    assert_equal_to_account(simulator, lake)


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"kind": "throttle", "every": 5},
            {"kind": "server", "status": 502, "every": 4},
            {"kind": "duplicate_rows", "every": 2},
        ],
        [
            {"kind": "reset", "every": 6},
            {"kind": "short_body", "every": 7},
            {"kind": "cut_json", "every": 8},
            {"kind": "out_of_order", "every": 2},
        ],
    ],
    ids=["refusals", "the wire"],
)
def test_faults_heal(
    simulator: SimulatorUnderTest, lake: Lake, load: Load, faults: list[dict[str, Any]]
) -> None:
    for fault in faults:
        simulator.fault(vendor="surveymonkey", **fault)
    load(responses_page_size=20)
    assert_equal_to_account(simulator, lake)


def test_a_lasting_fault_fails_loudly_and_moves_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("server", vendor="surveymonkey", status=503, route="/bulk", every=1)
    with pytest.raises(SourceError, match="given up"):
        load()
    assert lake.complete_loads("n_panel") == []
    simulator.clear()
    load()
    assert_equal_to_account(simulator, lake)


def test_another_region_is_said(simulator: SimulatorUnderTest, load: Load) -> None:
    simulator.fault("wrong_region", vendor="surveymonkey", every=1)
    with pytest.raises(SourceError, match=r"set base_url to https://api\.eu\.surveymonkey\.com"):
        load()


def test_a_wrong_address_is_said(
    simulator: SimulatorUnderTest, load: Load, settings: dict[str, Any]
) -> None:
    with pytest.raises(SourceError, match="set base_url to the API's address"):
        load(base_url=f"{settings['base_url']}/v3")


def test_a_wrong_token_is_named_not_shown(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__PANEL__ACCESS_TOKEN", "canary0123456789")
    with pytest.raises(SourceError, match="SOURCES__PANEL__ACCESS_TOKEN") as caught:
        load()
    assert "canary" not in str(caught.value)


def test_missing_permissions_are_found_before_and_while_reading(
    simulator: SimulatorUnderTest, load: Load, settings: dict[str, Any], tmp_path: Path
) -> None:
    def check() -> list[Finding]:
        return check_connection(
            SurveyMonkey, settings, source="panel", state_dir=tmp_path, clock=simulator.clock()
        )

    assert all(finding.ok for finding in check())
    with simulator.settings("surveymonkey", scopes=("surveys_read", "users_read")):
        assert [f.what for f in check() if not f.ok] == [
            "no permission collectors_read, contacts_read, responses_read_detail"
        ]
        with pytest.raises(SourceError, match="permission responses_read_detail"):
            load()


def test_the_mapping_holds() -> None:
    loaded = load_vendor_mapping(VENDORS_DIR / "surveymonkey.yml")
    check_tables(loaded)
    assert set(loaded.concepts) >= {
        "survey", "survey_question", "survey_choice", "survey_submission", "survey_answer",
        "survey_invitation", "person_record",
    }  # fmt: skip
