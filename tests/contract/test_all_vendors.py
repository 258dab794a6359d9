"""What holds of every vendor: after whatever went wrong, the lake is what the world says."""

import faulthandler
import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from ingestion.errors import SourceError
from ingestion.simulator import lake_writer
from ingestion.simulator.credentials import environment
from ingestion.simulator.server.faults import ODD_TEXT
from ingestion.sources.connector import Window
from ingestion.sources.registry import VENDORS
from tests.contract.accounts import COMPANY, Account, RemoteClock, load_apart, served
from tests.contract.conftest import END, SimulatorUnderTest

KILLS = 2
# of each vendor; more find more, at some seconds each
WALKS = int(os.environ.get("CXM_FAULT_WALKS", "1"))

# reply or transport, no data: what a connector gets over, or says that it could not
PASSING: list[dict[str, Any]] = [
    {"kind": "throttle", "retry_after": 7},
    {"kind": "throttle", "retry_after": "2.0"},
    {"kind": "throttle", "retry_after": None},
    {"kind": "throttle_date"},
    {"kind": "throttle_text"},
    *({"kind": "server", "status": status} for status in (500, 502, 503, 504, 520, 524, 530)),
    {"kind": "reset"},
    {"kind": "reset_after_headers"},
    {"kind": "short_body"},
    {"kind": "cut_json"},
    {"kind": "cut_gzip"},
    {"kind": "timeout", "seconds": 0.1},
    {"kind": "unauthorized"},
    {"kind": "duplicate_rows"},
    {"kind": "out_of_order"},
    {"kind": "clock_skew", "seconds": 300, "every": 1},
    {"kind": "clock_skew", "seconds": -300, "every": 1},
]
OWN: dict[str, list[dict[str, Any]]] = {
    "mailchimp": [{"kind": "forbidden"}],
    "salesforce": [
        {"kind": "limit_exceeded"},
        {"kind": "edge_406"},
        {"kind": "edge_420"},
        {"kind": "query_timeout"},
        {"kind": "token_expired"},
    ],
    "shopify": [
        {"kind": "throttle_200", "route": "graphql"},
        {"kind": "internal_error", "route": "graphql"},
        {"kind": "token_expired"},
    ],
    "zendesk": [{"kind": "repeated_cursor", "route": "incremental"}, {"kind": "token_expired"}],
}
# a reply with a rotated refresh token that is lost on its way: somebody has to sign in anew
NOT_WHERE_TOKENS_ARE = {"zendesk": "/api/"}
LASTING: list[dict[str, Any]] = [
    {"kind": "missing_scope"},
    {"kind": "gone"},
    {"kind": "cursor_expired"},
    {"kind": "wrong_region"},
    {"kind": "foreign_link", "every": 1},
]
WHAT_TO_DO = re.compile(
    r"run it again|load again|check SOURCES__|set base_url|grant |correct the address|"
    r"check address|has the vendor's API changed|Ask Zendesk"
)


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module", params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def late_simulator(
    made_company: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimulatorUnderTest]:
    """Of the newest changes, nearly a third become visible two minutes late."""
    folder = tmp_path_factory.mktemp("late") / "company"
    with served(made_company, folder, late_share=0.3, late_seconds=120) as simulator:
        yield simulator


@pytest.fixture
def account(
    vendor: str,
    late_simulator: SimulatorUnderTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Account]:
    for name, value in environment(late_simulator.company.seed, {vendor: vendor}).items():
        monkeypatch.setenv(name, value)
    late_simulator.clear()
    account = Account(vendor, late_simulator, tmp_path)
    with account.small_pages():
        yield account
    late_simulator.clear()


def move(account: Account, to: Any) -> None:
    account.simulator.server.simulator.time.move(to)


@pytest.mark.parametrize("walk", range(WALKS))
def test_any_mix_of_faults_ends_right_or_says_what_to_do(account: Account, walk: int) -> None:
    """Three loads in increments, some rows late, every kind of fault that a vendor knows."""
    if account.vendor == "segment":
        pytest.skip("Segment is files: nothing is asked over HTTP")
    random = np.random.default_rng([walk, list(VENDORS).index(account.vendor)])
    busy = account.busy_moment()
    faults = [*PASSING, *OWN.get(account.vendor, ())]
    random.shuffle(faults)  # type: ignore[arg-type]
    lasting = LASTING[(list(VENDORS).index(account.vendor) + walk) % len(LASTING)]
    parts = [faults[n::3] for n in range(3)]
    for number, moment in enumerate((busy, busy + timedelta(days=1), END)):
        move(account, moment)
        load_with_faults(account, parts[number], random)
        account.assert_loaded()
    load_with_faults(account, [lasting], random)
    clean_load(account, reconcile_every_days=0)
    account.assert_loaded(reconciled=True)


def load_with_faults(
    account: Account, faults: list[dict[str, Any]], random: np.random.Generator
) -> None:
    """One load with these faults at random places, and, if it failed, one without any."""
    before = account.loads()
    begin_anew(account)
    for fault in faults:
        place = {} if "every" in fault else {"nth": int(random.integers(1, 12))}
        if account.vendor in NOT_WHERE_TOKENS_ARE:
            place = {"route": NOT_WHERE_TOKENS_ARE[account.vendor], **place}
        account.simulator.fault(vendor=account.vendor, **{**place, **fault})
    try:
        account.load()
    except SourceError as error:
        assert WHAT_TO_DO.search(str(error)), str(error)
        assert account.loads() == before
        failed = True
    else:
        # by a clock that goes wrong a load may cover less than there is
        failed = any(fault["kind"] == "clock_skew" for fault in faults)
    account.assert_rules(account.requests())
    if failed:
        clean_load(account)


def begin_anew(account: Account) -> None:
    """No faults, an empty journal; limits and tokens go on."""
    account.simulator.server.simulator.faults.clear()
    account.simulator.server.simulator.journal.clear()


def clean_load(account: Account, **settings: Any) -> None:
    begin_anew(account)
    account.load(**settings)
    account.assert_rules(account.requests())
    # the failed load before may have used up what a minute allows
    refused = [e for e in account.requests() if e["status"] >= 400 and e["status"] != 429]
    assert not refused


# ---- what comes too late ------------------------------------------------------------------------

LATE = timedelta(days=20)  # much longer than any connector looks back
# Zendesk orders its exports by when a record shows: nothing comes late there
LATE_OBJECTS = {
    "hubspot": ["contacts", "deals", "tickets"],
    "shopify": ["customers", "orders"],
}


@pytest.mark.parametrize("vendor", LATE_OBJECTS)
def test_what_shows_later_than_the_lookback_is_healed_by_a_back_fill(
    vendor: str, made_company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next load can't see it: that is the limit of a cursor, and a back-fill its remedy."""
    names = LATE_OBJECTS[vendor]
    settings = {"late_share": 0.3, "late_seconds": LATE.total_seconds()}
    with served(made_company, tmp_path / "company", **settings) as simulator:
        for name, value in environment(simulator.company.seed, {vendor: vendor}).items():
            monkeypatch.setenv(name, value)
        account = Account(vendor, simulator, tmp_path)
        load = partial(account.load, objects=names, reconcile_every_days=1000)
        objects = [obj for obj in account.objects if obj.name in names]
        assert all(obj.lookback < LATE for obj in objects)
        move(account, END - timedelta(days=60))
        load()
        move(account, END - timedelta(days=35))
        load()
        behind = {(obj.name, key) for obj in objects for key in account.behind(obj)}
        assert behind, "nothing came late"
        load()
        assert behind == {(obj.name, key) for obj in objects for key in account.behind(obj)}
        span = Window(since=END - timedelta(days=85), until=END - timedelta(days=35))
        load(window=span)
        assert not any(account.behind(obj) for obj in objects)


# ---- a process that dies -------------------------------------------------------------------------


def test_a_load_that_was_killed_is_made_up_for_by_the_next(account: Account) -> None:
    move(account, END)
    random = np.random.default_rng([3, list(VENDORS).index(account.vendor)])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.contract.accounts"])
    simulator = account.simulator
    arguments = (
        account.vendor, account.settings,
        environment(simulator.company.seed, {account.vendor: account.vendor}),
        str(account.folder), simulator.now(), RemoteClock(simulator.server.url, simulator.ca),
    )  # fmt: skip
    for _ in range(KILLS):
        begin_anew(account)
        process = context.Process(target=load_apart, args=arguments)
        process.start()
        if account.vendor == "segment":  # nothing is asked
            time.sleep(random.uniform(0.1, 1))
        else:
            # not the first one: who dies with a rotated refresh token has to sign in anew
            last = int(random.integers(2, 25))
            while simulator.server.simulator.journal.total < last and process.is_alive():
                time.sleep(0.001)
        process.kill()
        process.join()
        assert process.exitcode in (0, -9)
    account.load()
    account.assert_loaded(reconciled=True)


# ---- without a server ----------------------------------------------------------------------------


def test_the_direct_way_into_the_lake_equals_the_way_over_http(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where records are so many that they are written part by part: here some, in parts."""
    numbers = 2_000 if account.vendor == "segment" else 100
    monkeypatch.setattr(lake_writer, "NUMBERS_IN_PART", numbers)
    move(account, END)
    clean_load(account)
    direct = Account(account.vendor, account.simulator, account.folder / "direct")
    done = lake_writer.write_lake(
        account.simulator.company,
        account.module,
        account.connector,
        direct.lake,
        f"{COMPANY}_{account.vendor}",
    )
    for obj in account.objects:
        loaded, written = account.newest(obj.name), direct.newest(obj.name)
        assert loaded.keys() == written.keys(), obj.name
        for key, document in loaded.items():
            assert written[key] == document, (obj.name, key)
        if obj.name in ("orders", "abandoned_checkouts", "tracks"):
            assert done.documents[obj.name] == len(written), "a record is in several parts"


# ---- documents that are not as they were ---------------------------------------------------------

# {vendor: (object, route of its list, fields that become: a large number, odd text, long text,
# absent, a list)}; Salesforce and Shopify give no field that was not asked for
NEW = ("added", "odd", "long")
DRIFT: dict[str, tuple[str, str, tuple[str, str, str, str, str]]] = {
    "hubspot": ("owners", "owners", (*NEW, "firstName", "userId")),
    "mailchimp": ("members", "/members$", (*NEW, "vip", "web_id")),
    "qualtrics": ("surveys", "/surveys$", (*NEW, "ownerId", "isActive")),
    "salesforce": (
        "accounts", "query", ("NumberOfEmployees", "Name", "BillingCity", "Industry", "Website"),
    ),
    "shopify": (
        "products", "graphql", ("vendor", "title", "handle", "productType", "status"),
    ),
    "surveymonkey": ("contacts", "/contacts$", (*NEW, "phone_number", "last_name")),
    "zendesk": ("users", "incremental/users", (*NEW, "locale", "time_zone")),
}  # fmt: skip
LARGE = 2**60 + 1  # no float holds it


def test_what_is_sent_lands_as_it_is(account: Account) -> None:
    """New, dropped and changed fields, awkward and huge texts, a page twice and in reverse."""
    if account.vendor == "segment":
        pytest.skip("the lines of its files are stored as they are")
    move(account, END)
    name, route, fields = DRIFT[account.vendor]
    large, odd, long, dropped, changed = fields
    for kind, options in (
        ("new_field", {"field": large, "value": LARGE}),
        ("odd_text", {"field": odd}),
        ("long_text", {"field": long}),
        ("dropped_field", {"field": dropped}),
        ("changed_value", {"field": changed, "value": [1, {"a": None}]}),
        ("duplicate_rows", {"rows": 3}),
        ("out_of_order", {}),
    ):
        account.simulator.fault(kind, account.vendor, route=route, every=1, **options)
    paged: dict[str, Any] = {"bulk": False} if account.vendor == "shopify" else {}
    account.load(objects=[name], **paged)
    [obj] = [o for o in account.objects if o.name == name]
    told, found = account.told(obj), account.newest(name)
    assert found.keys() == told.keys()
    sent = {
        large: LARGE, odd: ODD_TEXT, long: "x" * 1_000_000, dropped: None,
        changed: [1, {"a": None}],
    }  # fmt: skip
    for key, document in told.items():
        assert found[key] | {dropped: found[key].get(dropped)} == document | sent


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("surveymonkey", "/v3/surveys/{}/details"),
        ("qualtrics", "/API/v3/survey-definitions/{}"),
    ],
)
def test_one_record_may_come_empty_too(simulator: SimulatorUnderTest, name: str, path: str) -> None:
    """No defect of the server: what is asked for by its id is an object without fields."""
    survey = next(iter(simulator.projection(name, "surveys")))
    simulator.fault("empty_page", name, route=re.escape(survey), nth=1)
    header, secret = {
        "surveymonkey": ("Authorization", f"Bearer {simulator.secret(name, 'access_token')}"),
        "qualtrics": ("X-API-TOKEN", simulator.secret("qualtrics", "api_token")),
    }[name]
    url = simulator.url(name) + path.format(survey)
    empty, whole = (
        requests.get(url, headers={header: secret}, verify=simulator.ca, timeout=30).json()
        for _ in range(2)
    )
    assert whole.get("result", whole) and not empty.get("result", empty)


# {vendor: (object, route of its list, settings of the server, of the connector)}, several pages
LISTS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "hubspot": ("contacts", "objects/.*contacts$", {}, {"page_size_with_history": 5}),
    "mailchimp": ("members", "/members$", {}, {"page_size": 10}),
    "qualtrics": ("surveys", "/surveys$", {"page_size": 1}, {}),
    "salesforce": ("contacts", "query", {"page_rows": 3}, {}),
    "shopify": ("customers", "graphql", {}, {"bulk": False, "page_size": 10}),
    "surveymonkey": ("contacts", "/contacts$", {}, {"page_size": 10}),
    "zendesk": ("users", "incremental/users", {"export_page": 20}, {}),
}


# what was on the empty page is lost to whoever is told no count; a reconcile may find it
UNCOUNTED = {"hubspot", "qualtrics", "shopify"}


@pytest.mark.parametrize("fault", ["empty_page", "duplicate_rows"])
def test_pages_that_are_not_as_counted_lose_nothing(account: Account, fault: str) -> None:
    """The first page is empty, with more announced; or each repeats its last records."""
    if account.vendor == "segment":
        pytest.skip("Segment is files: nothing is asked over HTTP")
    move(account, END)
    name, route, of_server, of_connector = LISTS[account.vendor]
    first = 2 if account.vendor == "shopify" else 1  # it asks for the shop before
    often = {"nth": first} if fault == "empty_page" else {"every": 1}
    account.simulator.fault(fault, account.vendor, route=route, **often)
    with account.simulator.settings(account.vendor, **of_server):
        try:
            account.load(objects=[name], **of_connector)
        except SourceError as error:
            assert WHAT_TO_DO.search(str(error)), str(error)
            assert account.loads() == 0
            return
    [obj] = [o for o in account.objects if o.name == name]
    told, found = account.told(obj), account.newest(name)
    if fault == "empty_page" and account.vendor in UNCOUNTED:
        assert 1 <= len(told) - len(found) <= 10 and found.keys() < told.keys()
    else:
        assert found.keys() == told.keys() and len(told) > 1
    paged = [e for e in account.requests() if re.search(route, e["path"])][first - 1 :]
    assert len(paged) > 1 and paged[0]["faults"] == [fault]
