"""Mailchimp: what the connector lands is what the account holds, whatever happens on the way."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import SourceError
from ingestion.lake import Lake
from ingestion.sources.connector import ConnectorLoad, load_connector
from ingestion.sources.mailchimp import Mailchimp
from tests.contract.accounts import live
from tests.contract.conftest import SimulatorUnderTest

Load = Callable[..., ConnectorLoad]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def load(
    simulator: SimulatorUnderTest, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Load:
    monkeypatch.setenv("SOURCES__NEWS__API_KEY", simulator.secret("mailchimp", "api_key"))

    def run(**settings: Any) -> ConnectorLoad:
        return load_connector(
            Mailchimp,
            {"base_url": simulator.url("mailchimp"), "ca_bundle": simulator.ca, **settings},
            source="news",
            company="n",
            lake=lake,
            state_dir=tmp_path / "state",
            now=simulator.now(),
            clock=simulator.clock(),
        )

    return run


def newest(lake: Lake, table: str) -> dict[str, Mapping[str, Any]]:
    """The newest live document of every key, without what the connector added."""
    return {
        key: {k: v for k, v in document.items() if not k.startswith("_")}
        for key, document in live(lake, "n_news", table).items()
    }


def assert_equal_to_account(
    simulator: SimulatorUnderTest, lake: Lake, *, stale: frozenset[str] = frozenset()
) -> None:
    """Row for row. `stale`: members that move no cursor; with them go replaced addresses:
    both wait for the next reconcile."""
    for obj in Mailchimp.objects:
        expected = simulator.projection("mailchimp", obj.name)
        if "list_id" in obj.key:
            expected = {f"a1b2c3d4e5|{key}": document for key, document in expected.items()}
        landed = newest(lake, obj.name)
        if stale and obj.name == "members":
            landed = {key: landed[key] for key in expected}
        assert landed.keys() == expected.keys(), obj.name
        for key, document in expected.items():
            want = {k: v for k, v in document.items() if k not in stale}
            assert {k: v for k, v in landed[key].items() if k not in stale} == want, obj.name


def test_first_load_equals_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    done = load()
    assert_equal_to_account(simulator, lake)
    assert done.by_object["members"]["documents"] > 30
    assert done.by_object["email_activity"]["documents"] > 300


def test_small_pages_and_incremental_days_equal_the_account(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.move(days=-60)
    with simulator.settings("mailchimp", count_max=7):
        load(page_size=7)
    for _ in range(6):
        simulator.move(days=10)
        load()
    assert_equal_to_account(simulator, lake, stale=frozenset({"stats", "member_rating"}))
    load(reconcile_every_days=0)
    assert_equal_to_account(simulator, lake)


def test_a_second_run_brings_nothing(load: Load) -> None:
    load()
    again = load()
    assert again.result.documents == {}, "what has not changed does not land again"


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"kind": "throttle", "every": 7},
            {"kind": "forbidden", "every": 5},
            {"kind": "server", "status": 502, "every": 4},
        ],
        [
            {"kind": "reset", "every": 6},
            {"kind": "short_body", "every": 7},
            {"kind": "cut_json", "every": 8},
            {"kind": "cut_gzip", "every": 9},
        ],
    ],
    ids=["refusals", "the wire"],
)
def test_faults_heal(
    simulator: SimulatorUnderTest, lake: Lake, load: Load, faults: list[dict[str, Any]]
) -> None:
    for fault in faults:
        simulator.fault(vendor="mailchimp", **fault)
    load()
    assert_equal_to_account(simulator, lake)


def test_a_lasting_fault_fails_loudly_and_moves_nothing(
    simulator: SimulatorUnderTest, lake: Lake, load: Load
) -> None:
    simulator.fault("server", vendor="mailchimp", status=503, route="email-activity", every=1)
    with pytest.raises(SourceError, match="given up"):
        load()
    assert lake.complete_loads("n_news") == []
    simulator.clear()
    load()
    assert_equal_to_account(simulator, lake)


def test_a_wrong_key_is_named_not_shown(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__NEWS__API_KEY", "canary0123456789-us21")
    with pytest.raises(SourceError, match="SOURCES__NEWS__API_KEY") as caught:
        load()
    assert "canary" not in str(caught.value)


def test_the_vendors_own_client_reads_the_same(
    simulator: SimulatorUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mailchimp_marketing

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", simulator.ca)
    client = mailchimp_marketing.Client()
    client.set_config({"api_key": simulator.secret("mailchimp", "api_key"), "server": "us21"})
    client.api_client.host = f"{simulator.url('mailchimp')}/3.0"
    client.api_client.server = ""
    audience = client.lists.get_all_lists()["lists"][0]["id"]
    members = client.lists.get_list_members_info(audience, count=1000)["members"]
    assert {m["id"]: m for m in members} == simulator.projection("mailchimp", "members")


def test_since_last_changed_looks_back(simulator: SimulatorUnderTest, load: Load) -> None:
    load()
    simulator.move(days=1)
    before = len(simulator.journal("mailchimp"))
    load()
    asked = [
        entry for entry in simulator.journal("mailchimp")[before:] if "/members" in entry["path"]
    ]
    assert asked and all("since_last_changed" in str(entry["query"]) for entry in asked)
    assert (
        timedelta(minutes=5) == next(o for o in Mailchimp.objects if o.name == "members").lookback
    )
