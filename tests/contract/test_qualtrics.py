"""Qualtrics: what the connector lands is what the account holds, whatever exports do."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingestion.errors import SourceError
from ingestion.exports.check_vendor import check_tables
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.lake import Lake
from ingestion.simulator.company import CLOCKS_KEPT
from ingestion.simulator.vendors.qualtrics import LAKE_TABLES
from ingestion.sources.connector import (
    ConnectorLoad,
    Finding,
    Window,
    check_connection,
    load_connector,
)
from ingestion.sources.qualtrics import Qualtrics
from tests.contract.accounts import live
from tests.contract.conftest import SimulatorUnderTest

Load = Callable[..., ConnectorLoad]
SURVEY, DRAFT = "SV_ab5948e9b65d2d7", "SV_0123456789abcde"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def settings(simulator: SimulatorUnderTest) -> dict[str, Any]:
    return {"base_url": simulator.url("qualtrics"), "ca_bundle": simulator.ca}


@pytest.fixture
def load(
    simulator: SimulatorUnderTest,
    lake: Lake,
    tmp_path: Path,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Load:
    monkeypatch.setenv("SOURCES__ASK__API_TOKEN", simulator.secret("qualtrics", "api_token"))

    def run(
        objects: list[str] | None = None, window: Window | None = None, **changed: Any
    ) -> ConnectorLoad:
        return load_connector(
            Qualtrics,
            settings | changed,
            source="ask",
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
    assert not [e for e in simulator.journal("qualtrics") if e["unsupported"]]


def newest(lake: Lake, table: str) -> Mapping[str, Mapping[str, Any]]:
    """The newest live document of every key."""
    return live(lake, "n_ask", table)


def account(simulator: SimulatorUnderTest, name: str) -> Mapping[str, Mapping[str, Any]]:
    return simulator.projection("qualtrics", LAKE_TABLES.get(name, name))


def assert_equal_to_account(simulator: SimulatorUnderTest, lake: Lake) -> None:
    for obj in Qualtrics.objects:
        expected, landed = account(simulator, obj.name), newest(lake, obj.name)
        assert landed.keys() == expected.keys(), obj.name
        for key, document in expected.items():
            assert landed[key] == document, (obj.name, key)


def asked(simulator: SimulatorUnderTest, method: str, ending: str = "") -> list[dict[str, Any]]:
    return [
        entry
        for entry in simulator.journal("qualtrics")
        if entry["method"] == method and entry["path"].endswith(ending)
    ]


def exports(simulator: SimulatorUnderTest) -> list[dict[str, Any]]:
    return asked(simulator, "POST", "/export-responses")


def test_first_load_equals_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    done = load()
    assert_equal_to_account(simulator, lake)
    assert done.by_object["responses"]["documents"] > 10
    assert done.by_object["distribution_history"]["documents"] > 10
    assert len(exports(simulator)) == 2 and done.notes == []


def test_a_second_run_brings_nothing(simulator: SimulatorUnderTest, load: Load) -> None:
    load()
    simulator.clear()
    again = load()
    assert again.result.documents == {}, "what has not changed does not land again"
    assert len(exports(simulator)) == 1, "the closed survey is not exported again"


@pytest.mark.parametrize("export_format", ["json", "ndjson"])
def test_days_of_increments_and_small_pages_equal_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load, export_format: str
) -> None:
    simulator.move(days=-210)
    with simulator.settings("qualtrics", page_size=3):
        for _ in range(8):
            load(export_format=export_format, reconcile_every_days=1000)
            simulator.move(days=25)
        simulator.move(days=10)
        load(export_format=export_format, reconcile_every_days=0)
    assert_equal_to_account(simulator, lake)


def test_an_increment_asks_for_the_last_weeks_only(
    simulator: SimulatorUnderTest, load: Load
) -> None:
    simulator.move(days=-100)
    load()
    (recorded,) = simulator.company.query(
        f"select max(recorded_at) from {simulator.api('qualtrics').table('responses')}"
    )[0]
    simulator.move(days=1)
    load(reread_days=20)
    first, _, second = exports(simulator)
    assert "startDate" not in str(first["body"])
    asked_from = datetime.fromisoformat(second["body"]["startDate"])
    assert timedelta(days=20) <= recorded - asked_from < timedelta(days=20, seconds=1)


def test_a_later_edit_is_found_by_reading_again(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    """Somebody notes a call five days after an answer: recordedDate says nothing of it."""
    (recorded,) = simulator.company.query(
        "select min(recorded_at) from world.survey_response where survey_id = 2"
        " and (score <= 2 or response_id % 3 = 0) and deleted_at is null"
    )[0]
    simulator.server.simulator.time.move(recorded + timedelta(days=1))
    load()
    simulator.move(days=7)
    before = newest(lake, "responses")
    load()
    after, expected = newest(lake, "responses"), account(simulator, "responses")
    assert after == expected
    edited = [
        key
        for key in before
        if "followUp" in after[key]["values"] and "followUp" not in before[key]["values"]
    ]
    assert edited
    for key in edited:
        assert after[key]["values"]["recordedDate"] == before[key]["values"]["recordedDate"]


def test_deleted_responses_are_found_by_an_export_of_ids(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    before = newest(lake, "responses")
    gone = sorted(before)[0]
    table = simulator.api("qualtrics").table("responses")
    simulator.company.query(f"delete from {table} where id = ?", [gone])
    try:
        load()
        assert gone in newest(lake, "responses"), "the vendor says nothing of it"
        done = load(reconcile_every_days=0)
    finally:
        simulator.move(days=-100)
        for _ in range(CLOCKS_KEPT):  # the table of that time is made anew
            simulator.move(days=1)
    assert newest(lake, "responses").keys() == before.keys() - {gone}
    assert done.by_object["responses"]["deleted"] == 1
    assert exports(simulator)[-1]["body"]["surveyMetadataIds"] == ["_recordId"]


def test_what_is_of_a_deleted_survey_goes_with_it(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.move(days=-10)
    load()
    with simulator.settings("qualtrics", deleted_surveys=(SURVEY,)):
        simulator.move(days=1)
        load(reconcile_every_days=0)
    assert newest(lake, "surveys").keys() == newest(lake, "definitions").keys() == {DRAFT}
    assert newest(lake, "responses") == newest(lake, "distribution_history") == {}
    simulator.move(days=1)
    load()  # it is shared again
    assert_equal_to_account(simulator, lake)


def test_a_survey_deleted_meanwhile_is_skipped(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    """The list still shows it when its questions and responses are gone."""
    for route in ("survey-definitions/" + SURVEY, f"{SURVEY}/export-responses$"):
        simulator.fault("gone_survey", vendor="qualtrics", route=route, every=1)
    done = load()
    assert newest(lake, "definitions").keys() == {DRAFT}
    assert newest(lake, "responses") == {}
    assert len([note for note in done.notes if SURVEY in note]) == 2


def test_a_job_that_failed_at_100_percent_is_made_anew(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("export_failed", vendor="qualtrics", route="export-responses$", nth=1)
    simulator.fault("no_file", vendor="qualtrics", route="export-responses$", nth=2)
    load()
    assert len(exports(simulator)) == 4, "three for one survey, one for the other"
    assert_equal_to_account(simulator, lake)


def test_a_job_that_always_fails_fails_the_load(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("export_failed", vendor="qualtrics", every=1)
    with pytest.raises(SourceError, match="failed 3 times"):
        load()
    assert lake.complete_loads("n_ask") == []


def test_a_failing_survey_holds_up_no_other(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("export_failed", vendor="qualtrics", route=SURVEY, every=1)
    done = load()
    assert [note for note in done.notes if SURVEY in note and "next run" in note]
    assert newest(lake, "responses") == {} and newest(lake, "distribution_history")
    simulator.clear()
    load()
    assert_equal_to_account(simulator, lake)


def test_without_a_progress_id_nothing_is_polled(simulator: SimulatorUnderTest, load: Load) -> None:
    simulator.fault("null_progress", vendor="qualtrics", every=1)
    with pytest.raises(SourceError, match="no progressId"):
        load(["responses"])
    assert not [e for e in asked(simulator, "GET") if "export-responses" in e["path"]]


@pytest.mark.parametrize("kind", ["reset_after_headers", "short_body", "slow_start"])
def test_no_second_job_after_a_reply_that_was_lost(
    simulator: SimulatorUnderTest,
    lake: Lake,
    load: Load,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = Qualtrics.connect

    def impatient(self: Qualtrics) -> Any:
        session = connect(self)
        session.timeout = (5, 0.5)
        return session

    with monkeypatch.context() as patched:
        if kind == "slow_start":
            patched.setattr(Qualtrics, "connect", impatient)
        simulator.fault(
            kind, vendor="qualtrics", method="POST", route=SURVEY, nth=1, options={"seconds": 1}
        )
        done = load()
    begun = simulator.api("qualtrics").jobs.list("export")
    assert [job["survey"] for job in begun] == [SURVEY, DRAFT], "it has begun, and is not repeated"
    assert [note for note in done.notes if "may or may not have begun" in note]
    load()
    assert_equal_to_account(simulator, lake)


def test_a_job_takes_its_time(simulator: SimulatorUnderTest, lake: Lake, load: Load) -> None:
    with simulator.settings("qualtrics"):
        jobs = simulator.api("qualtrics").jobs
        jobs._seconds, usual = 1800, jobs._seconds
        try:
            load()
            polls = [e for e in asked(simulator, "GET") if "/ES_" in e["path"]]
            assert 20 < len(polls) < 200, "waits grow"
            with pytest.raises(SourceError, match="raise export_hours"):
                load(["responses"], export_hours=0.1)
        finally:
            jobs._seconds = usual
    assert_equal_to_account(simulator, lake)


def test_the_file_may_have_any_name(simulator: SimulatorUnderTest, lake: Lake, load: Load) -> None:
    for name in ("../../{name}.json", "", '/\\:*?"<>|.json', "%s {name}\n.json"):
        if name:
            with simulator.settings("qualtrics", file_name=name):
                load()
    assert_equal_to_account(simulator, lake)


def test_previews_and_tests_are_landed_and_left_out_of_the_concepts(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    statuses = {r["values"]["status"] for r in newest(lake, "responses").values()}
    assert statuses == {0, 1, 2}
    mapping = load_vendor_mapping(VENDORS_DIR / "qualtrics.yml")
    for record in mapping.spec.tables["responses"].records:
        assert record.where and "not in ('1', '2'" in record.where


def test_invitations_answers_orders_and_people_belong_together(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    load()
    history = {
        row["surveyLink"].split("Q_DL=")[1].split("&")[0]: row
        for row in newest(lake, "distribution_history").values()
    }
    contacts, answered = newest(lake, "contacts"), 0
    for response in newest(lake, "responses").values():
        values = response["values"]
        if values["status"] == 0:
            asked_for = history[values["Q_DL"]]
            answered += 1
            assert asked_for["responseId"] == response["responseId"]
            assert values["orderId"].startswith("45")
            if contact := contacts.get(asked_for["contactId"] or ""):
                assert contact["extRef"] == values.get("externalDataReference")
    assert answered > 3


def test_oauth_tokens_end_and_are_renewed(
    simulator: SimulatorUnderTest, lake: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES__ASK__API_TOKEN")
    for name in ("client_id", "client_secret"):
        monkeypatch.setenv(f"SOURCES__ASK__{name.upper()}", simulator.secret("qualtrics", name))
    simulator.fault("token_expired", vendor="qualtrics", nth=8)
    with simulator.settings("qualtrics", token_seconds=120):
        load()
    assert len(asked(simulator, "POST", "/oauth2/token")) >= 2
    assert_equal_to_account(simulator, lake)


def test_a_back_fill_reads_its_span_and_moves_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    since, until = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    load(["responses", "distribution_history"], Window(since, until))
    within = {
        key
        for key, document in account(simulator, "responses").items()
        if since <= datetime.fromisoformat(document["values"]["recordedDate"]) < until
    }
    assert within and newest(lake, "responses").keys() == within
    load()
    assert_equal_to_account(simulator, lake)


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"kind": "throttle", "every": 7},
            {"kind": "throttle", "every": 5, "retry_after": 3},
            {"kind": "server", "status": 503, "every": 4, "method": "GET"},
            {"kind": "duplicate_rows", "every": 2},
        ],
        [
            {"kind": "reset", "every": 6, "method": "GET"},
            {"kind": "short_body", "every": 5, "method": "GET"},
            {"kind": "cut_json", "every": 4, "method": "GET"},
            {"kind": "foreign_link", "every": 1},
        ],
    ],
    ids=["refusals", "the wire"],
)
def test_faults_heal(
    simulator: SimulatorUnderTest, lake: Lake, load: Load, faults: list[dict[str, Any]]
) -> None:
    for fault in faults:
        simulator.fault(vendor="qualtrics", **fault)
    with simulator.settings("qualtrics", page_size=20):
        load()
    assert_equal_to_account(simulator, lake)


def test_a_lasting_fault_fails_loudly_and_moves_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("server", vendor="qualtrics", status=503, route="history", every=1)
    with pytest.raises(SourceError, match="given up"):
        load()
    assert lake.complete_loads("n_ask") == []
    simulator.clear()
    load()
    assert_equal_to_account(simulator, lake)


def test_a_wrong_token_is_named_not_shown(
    load: Load, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> list[Finding]:
        return check_connection(Qualtrics, settings, source="ask", state_dir=tmp_path)

    assert all(finding.ok for finding in check())
    monkeypatch.setenv("SOURCES__ASK__API_TOKEN", "canary0123456789")
    assert not check()[0].ok
    with pytest.raises(SourceError, match="SOURCES__ASK__API_TOKEN") as caught:
        load()
    assert "canary" not in str(caught.value)


def test_a_public_client_reads_the_same(simulator: SimulatorUnderTest, tmp_path: Path) -> None:
    import httpx
    from qualtrics.api import QualtricsClient
    from qualtrics.api.models import ExportEvent, ResponseExportRequest

    def let_time_pass(event: ExportEvent) -> None:
        simulator.server.simulator.time.wait(2)

    with QualtricsClient(
        simulator.secret("qualtrics", "api_token"),
        base_url=f"{simulator.url('qualtrics')}/API/v3",
        transport=httpx.HTTPTransport(verify=simulator.ca),
    ) as client:
        surveys = [survey.model_dump(by_alias=True) for survey in client.surveys.iter()]
        definition = client.survey_definitions.get(SURVEY).payload
        result = client.responses.export(
            SURVEY,
            tmp_path / "responses.zip",
            options=ResponseExportRequest(format="json"),
            poll_interval=0,
            on_progress=let_time_pass,
        )
    assert {s["id"]: s for s in surveys} == account(simulator, "surveys")
    assert definition == simulator.projection("qualtrics", "definitions")[SURVEY]
    with zipfile.ZipFile(result.path) as archive:
        (name,) = archive.namelist()
        assert "«" in name, "Qualtrics names it after the survey"
        rows = orjson.loads(archive.read(name))["responses"]
    expected = simulator.projection("qualtrics", "responses")
    assert {f"{SURVEY}|{row['responseId']}": row for row in rows} == expected


def test_a_continuation_brings_what_was_changed_since(simulator: SimulatorUnderTest) -> None:
    """What the connector does not rely on, as its meaning is not sure, works as it is told."""
    import requests

    headers = {"X-API-TOKEN": simulator.secret("qualtrics", "api_token")}
    url = f"{simulator.url('qualtrics')}/API/v3/surveys/{SURVEY}/export-responses"

    def export(**options: Any) -> tuple[list[Any], str]:
        asked_for = {"format": "json", "compress": False, **options}
        started = requests.post(
            url, json=asked_for, headers=headers, verify=simulator.ca, timeout=9
        )
        simulator.server.simulator.time.wait(60)
        job = f"{url}/{started.json()['result']['progressId']}"
        done = requests.get(job, headers=headers, verify=simulator.ca, timeout=9).json()["result"]
        file = requests.get(
            f"{url}/{done['fileId']}/file", headers=headers, verify=simulator.ca, timeout=9
        )
        return file.json()["responses"], done["continuationToken"]

    simulator.move(days=-120)
    first, token = export(allowContinuation=True)
    simulator.move(days=120)
    second, _ = export(allowContinuation=True, continuationToken=token)
    both = {row["responseId"]: row for row in [*first, *second]}
    expected = simulator.projection("qualtrics", "responses")
    assert second and {f"{SURVEY}|{key}": row for key, row in both.items()} == expected


def test_the_mapping_holds() -> None:
    loaded = load_vendor_mapping(VENDORS_DIR / "qualtrics.yml")
    check_tables(loaded)
    assert set(loaded.concepts) >= {
        "survey", "survey_question", "survey_choice", "survey_submission", "survey_answer",
        "survey_invitation", "person_record",
    }  # fmt: skip
