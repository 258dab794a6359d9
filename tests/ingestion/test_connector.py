"""What connectors have in common: pages to the lake, state, back-fills, reconciliation, checks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.errors import SettingError, SourceError
from ingestion.lake import Lake
from ingestion.sources.api import ApiSession, StaticHeader
from ingestion.sources.connector import (
    Connector,
    ConnectorLoad,
    ConnectorSettings,
    Finding,
    Page,
    PagingGuard,
    SourceObject,
    Window,
    advance,
    check_connection,
    known_keys,
    load_connector,
    page_table,
    parse_time,
    since,
)
from ingestion.sources.registry import VENDORS, connector_class
from tests.ingestion.scripted import NOW, FakeClock, Reply, Vendor, serving

CANARY = "canary-5d0c/77+x"


class AcmeSettings(ConnectorSettings):
    page_size: int = 2


class Acme(Connector):
    """Orders by change, two a page; tags without tombstones, listed whole."""

    vendor = "acme"
    objects = (
        SourceObject("orders", ("id",), "updated_at", timedelta(minutes=10), scope="read_orders"),
        SourceObject("tags", ("shop.id", "name"), reconcile=True),
    )
    Settings: ClassVar[type[ConnectorSettings]] = AcmeSettings
    secrets = ("api_token",)

    def connect(self) -> ApiSession:
        return self.session(
            self.settings.base_url,
            auth=StaticHeader("X-Token", self.secret["api_token"]),
            attempts=3,
        )

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        if obj.name == "orders":
            start = since(state, obj, window)
            path: str | None = f"/orders?since={start:%Y-%m-%dT%H:%M}" if start else "/orders"
            if window.until:
                path = f"{path}&until={window.until:%Y-%m-%dT%H:%M}"
            guard = PagingGuard("orders")
            while path:
                body = self.api.get_json(path)
                yield Page(body["orders"], "GET /orders")
                gone = body.get("gone", [])
                yield Page(gone, "GET /orders", deleted=True)
                advance(state, [o["updated_at"] for o in body["orders"]], until=self.api.now())
                path = body.get("next")
                guard.turn(path, len(body["orders"]))
            return
        listed = self.api.get_json("/tags")
        state["times"] = state.get("times", 0) + 1
        yield Page(listed, "GET /tags")
        if window.reconcile:
            live = {f"{t['shop']['id']}|{t['name']}" for t in listed}
            lost = [k.split("|") for k in self.known_keys("tags").to_pylist() if k not in live]
            yield Page(
                [{"shop": {"id": int(s)}, "name": n} for s, n in lost], "GET /tags", deleted=True
            )

    def check(self) -> list[Finding]:
        self.api.get_json("/me")
        return [Finding(True, "the key is good")]


@dataclass
class Account:
    """The vendor, the lake, and runs of the connector between them."""

    vendor: Vendor
    clock: FakeClock
    lake: Lake
    state_dir: Path
    settings: dict[str, Any]
    progress: list[tuple[str, int, int]] = field(default_factory=list)

    def load(self, window: Window | None = None, **options: Any) -> ConnectorLoad:
        return load_connector(
            Acme,
            self.settings,
            source="shop",
            company="acme",
            lake=self.lake,
            state_dir=self.state_dir,
            now=self.clock.now(),
            window=window,
            on_progress=lambda obj, rows, n: self.progress.append((obj.name, rows, n)),
            clock=self.clock,
            **options,
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        loads = self.lake.complete_loads("acme_shop")
        files = [f for load in loads for f in load.files.get(table, ())]
        if not files:
            return []
        with self.lake.connect() as connection:
            found = connection.execute(
                "select * from read_parquet(?) order by _dlt_load_id, _row", [files]
            )
            return found.to_arrow_table().to_pylist()

    def keys(self, table: str) -> list[Any]:
        return known_keys(self.lake, "acme_shop", table).to_pylist()

    def paths(self) -> list[str]:
        taken, self.vendor.asked[:] = [a.path for a in self.vendor.asked], []
        return taken


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("SOURCES__SHOP__API_TOKEN", CANARY)
    clock = FakeClock()
    with serving(clock) as vendor:
        vendor.answer("/orders", Reply({"orders": ORDERS[:2], "next": "/orders?page=2"}))
        vendor.answer("/orders?page=2", Reply({"orders": ORDERS[2:], "gone": [{"id": 9}]}))
        vendor.answer("/tags", Reply([tag(1, "a"), tag(1, "b")]))
        vendor.answer("/me", Reply({}))
        yield Account(
            vendor,
            clock,
            Lake(str(tmp_path / "lake")),
            tmp_path / "state",
            {"base_url": vendor.url},
        )


def tag(shop: int, name: str) -> dict[str, Any]:
    return {"shop": {"id": shop}, "name": name}


ORDERS = [
    {"updated_at": "2026-05-01T10:00:00Z", "id": 1, "text": "ä\u2028\u0000 😀"},
    {"updated_at": "2026-05-01T11:00:00+00:00", "id": 2, "big": 9007199254740993},
    {"updated_at": "2026-05-01T10:30:00Z", "total": "1.50"},
]
NEXT = "/orders?since=2026-05-01T10:50"


def test_pages_become_documents(account: Account) -> None:
    load = account.load()
    assert load.result.documents == {"orders": 4, "tags": 2}
    orders = account.rows("orders")
    assert [r["_key"] for r in orders] == ["1", "2", None, "9"]
    assert [r["_problem"] for r in orders] == [None, None, "has no id", None]
    assert [r["_deleted"] for r in orders] == [False, False, False, True]
    assert [r["_row"] for r in orders] == [1, 2, 3, 4]
    assert [r["_cursor"] for r in orders] == [
        *(order["updated_at"] for order in ORDERS),
        NOW.isoformat(),
    ]
    assert {r["_extracted_at"] for r in orders} == {NOW}
    assert {r["_origin"] for r in orders} == {"GET /orders"}
    assert [json.loads(r["document"]) for r in orders[:3]] == ORDERS
    assert orders[0]["document"].startswith('{"updated_at"')  # the order of fields is kept
    assert [r["_key"] for r in account.rows("tags")] == ["1|a", "1|b"]
    assert load.requests == 3
    assert load.notes == ["orders: 1 records could not be shaped, see _problem"]
    assert load.by_object == {
        "orders": {"documents": 3, "deleted": 1, "requests": 2, "waited_seconds": 0},
        "tags": {"documents": 2, "deleted": 0, "requests": 1, "waited_seconds": 0},
    }
    assert account.progress[-1] == ("tags", 2, 1)
    assert ("orders", 4, 2) in account.progress


def test_the_next_run_asks_from_where_the_last_one_ended(account: Account) -> None:
    account.load()
    account.paths()
    account.vendor.answer(NEXT, Reply({"orders": []}))
    account.vendor.answer("/tags", Reply([]))
    second = account.load()
    assert account.paths() == [NEXT, "/tags"]
    assert second.result.load_id is None
    account.load()
    assert account.paths() == [NEXT, "/tags"]
    assert len(account.rows("orders")) == 4


def test_a_state_that_moves_without_documents_is_kept(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export's opaque position goes on even where the page was empty."""
    seen: list[Any] = []

    def read(
        self: Acme, obj: SourceObject, state: dict[str, Any], window: Window
    ) -> Iterator[Page]:
        seen.append(state.get("position"))
        state["position"] = len(seen)
        yield Page([], "GET /export")

    monkeypatch.setattr(Acme, "read", read)
    for _ in range(3):
        assert account.load(objects=["orders"]).result.load_id is None
    account.load(Window(since=NOW), objects=["orders"])
    account.load(objects=["orders"])
    assert seen == [None, 1, 2, None, 3]


@pytest.mark.parametrize(
    "fault",
    [
        Reply({}, 500),
        Reply(how="reset"),
        Reply({"orders": ORDERS}, how="short"),
        Reply('{"orders": ['),
        Reply({"wrong": 1}),
        Reply({"orders": [], "next": "/orders?page=2"}),
        Reply({}, 401),
        Reply({}, 429, {"Retry-After": "86400"}),
    ],
)
def test_a_fault_in_the_middle_loads_nothing_and_moves_no_state(
    account: Account, fault: Reply
) -> None:
    good = account.vendor.script["/orders?page=2"][0]
    account.vendor.answer("/orders?page=2", fault)
    with pytest.raises(SourceError, match="source 'shop'") as failed:
        account.load()
    assert CANARY not in str(failed.value)
    assert account.rows("orders") == account.rows("tags") == []
    assert not list(account.state_dir.glob("acme_shop-*"))
    account.paths()
    account.vendor.answer("/orders?page=2", good)
    assert account.load().result.documents == {"orders": 4, "tags": 2}
    assert account.paths() == ["/orders", "/orders?page=2", "/tags"]


def test_a_failing_object_takes_the_others_back(account: Account) -> None:
    account.load()
    account.vendor.answer(NEXT, Reply({"orders": [{"id": 3, "updated_at": "2026-05-01T11:30Z"}]}))
    tags = account.vendor.script["/tags"][0]
    account.vendor.answer("/tags", Reply({}, 403))
    with pytest.raises(SourceError, match=r"source 'shop'.*HTTP 403.*object 'tags'"):
        account.load()
    account.paths()
    account.vendor.answer("/tags", tags)
    account.load()
    assert account.paths()[0] == NEXT
    assert account.keys("orders") == ["1", "2", "3"]


def test_a_missing_permission_is_named(account: Account) -> None:
    account.vendor.answer("/orders", Reply({}, 403))
    with pytest.raises(SourceError, match="reading it needs the permission read_orders"):
        account.load()


def test_some_objects_only(account: Account) -> None:
    assert account.load(objects=["tags"]).result.documents == {"tags": 2}
    assert account.paths() == ["/tags"]
    with pytest.raises(SettingError, match="has no object carts; there are: orders, tags"):
        account.load(objects=["tags", "carts"])
    assert account.paths() == []


def test_a_back_fill_reads_its_window_and_moves_no_state(account: Account) -> None:
    account.load()
    account.paths()
    path = "/orders?since=2025-01-01T00:00&until=2026-01-01T00:00"
    late = {"id": 5, "updated_at": "2026-05-01T11:59:00Z"}
    account.vendor.answer(path, Reply({"orders": [late]}))
    window = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert account.load(window, objects=["orders"]).result.documents == {"orders": 1}
    assert account.paths() == [path]
    account.vendor.answer(NEXT, Reply({"orders": []}))
    account.load(objects=["orders"])
    assert account.paths() == [NEXT]


def test_what_is_no_longer_listed_is_found_from_time_to_time(account: Account) -> None:
    account.load()
    account.vendor.answer("/tags", Reply([tag(1, "b")]))
    account.vendor.answer(NEXT, Reply({"orders": []}))
    account.clock.at += timedelta(days=6)
    account.load()
    assert account.keys("tags") == ["1|a", "1|b"]
    account.clock.at += timedelta(days=1)
    load = account.load()
    assert load.by_object["tags"]["deleted"] == 1
    assert account.keys("tags") == ["1|b"]
    account.vendor.answer("/tags", Reply([]))
    account.clock.at += timedelta(days=1)
    account.load()
    assert account.keys("tags") == ["1|b"]
    account.load(Window(reconcile=True))
    assert account.keys("tags") == []
    account.vendor.answer("/tags", Reply([tag(1, "a")]))
    account.clock.at += timedelta(days=1)
    account.load()
    assert account.rows("tags")[-1]["_cursor"] is None
    account.settings["reconcile_every_days"] = 0
    account.vendor.answer("/tags", Reply([]))
    assert account.load().by_object["tags"]["documents"] == 0


def test_known_keys_go_by_the_newest_version(account: Account) -> None:
    assert account.keys("orders") == []
    account.vendor.answer(
        "/orders",
        Reply(
            {
                "orders": [
                    {"id": "late", "updated_at": "2026-05-03T00:00:00Z"},
                    {"id": "gone", "updated_at": "2026-05-01T00:00:00Z"},
                ],
                "gone": [
                    {"id": "late", "updated_at": "2026-05-02T00:00:00Z"},
                    {"id": "gone", "updated_at": "2026-05-01T00:00:01+00:00"},
                ],
            }
        ),
    )
    account.load()
    assert account.keys("orders") == ["late"]


def test_a_future_stamp_does_not_move_the_state_past_the_vendors_clock(account: Account) -> None:
    ahead = {"id": 1, "updated_at": "2027-01-01T00:00:00Z"}
    account.vendor.answer("/orders", Reply({"orders": [ahead]}))
    account.load(objects=["orders"])
    account.vendor.answer("/orders?since=2026-05-01T11:50", Reply({"orders": []}))
    account.load(objects=["orders"])


def test_no_secret_leaves_through_a_fault_of_the_connector(
    account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Acme, *args: Any) -> Iterator[Page]:
        raise KeyError(f"no such thing: {self.secret['api_token']}")
        yield Page()

    monkeypatch.setattr(Acme, "read", broken)
    with pytest.raises(SourceError, match=r"object 'orders'.*KeyError") as failed:
        account.load()
    for text in (str(failed.value), str(failed.getrepr(chain=True)), caplog.text):
        assert CANARY not in text
    for path in account.state_dir.rglob("*"):
        assert not path.is_file() or CANARY not in path.read_text()


def test_no_secret_reaches_the_lake_through_an_origin(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read(self: Acme, obj: SourceObject, *args: Any) -> Iterator[Page]:
        yield Page([{"id": 1}], f"GET /orders?key={self.secret['api_token']}")

    monkeypatch.setattr(Acme, "read", read)
    account.load(objects=["orders"])
    assert account.rows("orders")[0]["_origin"] == "GET /orders?key=***"
    assert all(
        CANARY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


# --- settings and checks


def test_settings_that_do_not_hold_are_named_without_their_values(account: Account) -> None:
    account.settings |= {"page_size": "many", "api_token": "hunter2-hunter2"}
    with pytest.raises(SettingError, match=r"page_size: .*api_token: Extra inputs") as failed:
        account.load()
    assert "hunter2" not in str(failed.value)
    assert account.paths() == []


def test_missing_secrets_are_named_as_variables(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def findings() -> list[Finding]:
        return check_connection(
            Acme, account.settings, source="shop", state_dir=account.state_dir, clock=account.clock
        )

    assert findings() == [Finding(True, "the key is good")]
    account.vendor.answer("/me", Reply({}, 401))
    (refused,) = findings()
    assert not refused.ok
    assert "check SOURCES__SHOP__API_TOKEN" in refused.what
    monkeypatch.delenv("SOURCES__SHOP__API_TOKEN")
    assert findings() == [
        Finding(False, "the secret api_token is not set", "set SOURCES__SHOP__API_TOKEN")
    ]
    with pytest.raises(SettingError, match="set SOURCES__SHOP__API_TOKEN"):
        account.load()
    monkeypatch.setattr(Acme, "secrets", ())
    monkeypatch.setattr(Acme, "secret_choices", (("api_token",), ("client_id", "client_secret")))
    monkeypatch.setenv("SOURCES__SHOP__CLIENT_ID", "me")
    assert [f.fix for f in findings()] == [
        "set SOURCES__SHOP__API_TOKEN or SOURCES__SHOP__CLIENT_ID and SOURCES__SHOP__CLIENT_SECRET"
    ]


def test_a_secret_of_digits_stays_text(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__SHOP__API_TOKEN", "0012345")
    account.load(objects=["tags"])
    assert account.vendor.asked[-1].headers["x-token"] == "0012345"


def test_the_registry_knows_vendors_by_name() -> None:
    with pytest.raises(SettingError, match="no connector 'acme'; there are: hubspot,"):
        connector_class("acme")
    assert set(VENDORS) == {
        *("hubspot", "mailchimp", "qualtrics", "salesforce"),
        *("segment", "shopify", "surveymonkey", "zendesk"),
    }


# --- pages


def test_texts_can_be_given_with_their_keys() -> None:
    obj = SourceObject("events", ("messageId",), "receivedAt")
    page = Page(
        origin="2026/05/01.ndjson",
        documents=[b'{"messageId": "a", "n": 1.10}', '{"n": 2}'],
        keys=pa.array(["a", None]),
        cursors=["2026-05-01", None],
    )
    table = page_table(page, obj, extracted_at=NOW, first_row=11)
    assert table.column("document").to_pylist() == ['{"messageId": "a", "n": 1.10}', '{"n": 2}']
    assert table.column("_problem").to_pylist() == [None, "has no messageId"]
    assert table.column("_row").to_pylist() == [11, 12]
    with pytest.raises(SourceError, match="'events': a page of JSON texts came without keys"):
        page_table(Page(documents=["{}"]), obj, extracted_at=NOW)


def test_what_orjson_refuses_still_lands() -> None:
    page = Page([{"id": 1, "cut": "\ud83d"}, {"id": 2, "n": 10**30}], "GET /x")
    table = page_table(page, SourceObject("x", ("id",)), extracted_at=NOW)
    texts = table.column("document").to_pylist()
    assert [json.loads(text) for text in texts] == page.records


@pytest.mark.parametrize(
    ("record", "key", "problem"),
    [
        ({"a": {"b": 7}, "c": "x"}, "7|x", None),
        ({"a": {"b": 0}, "c": "x"}, "0|x", None),
        ({"a": None, "c": "x"}, None, "has no a.b"),
        ({"a": [1], "c": "x"}, None, "has no a.b"),
        ({"a": {"b": 7}, "c": ""}, None, "has no c"),
        ({}, None, "has no a.b"),
    ],
)
def test_keys_of_several_parts(record: Any, key: str | None, problem: str | None) -> None:
    obj = SourceObject("x", ("a.b", "c"))
    table = page_table(Page([record], "GET /x"), obj, extracted_at=NOW)
    assert table.column("_key").to_pylist() == [key]
    assert table.column("_problem").to_pylist() == [problem]


# --- times


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01T12:00:00Z",
        "2026-05-01T12:00:00.000Z",
        "2026-05-01T12:00:00.0000000Z",
        "2026-05-01T14:00:00+02:00",
        "2026-05-01T12:00:00+0000",
        "2026-05-01T12:00:00.000+0000",
        "2026-05-01 12:00:00",
        "2026-05-01 12:00:00 UTC",
    ],
)
def test_times_of_many_spellings_are_one(text: str) -> None:
    assert parse_time(text) == NOW


TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)
)


@given(st.lists(st.tuples(st.lists(TIMES), TIMES)))
def test_the_state_never_goes_back_nor_beyond_the_bound(
    runs: list[tuple[list[datetime], datetime]],
) -> None:
    state: dict[str, Any] = {}
    obj = SourceObject("x", ("id",), "at", timedelta(seconds=90))
    expected: datetime | None = None
    for page, until in runs:
        advance(state, [t.isoformat() for t in page], until=until)
        if page:
            bounded = min(max(page), until)
            expected = max(expected, bounded) if expected else bounded
        start = since(state, obj)
        assert (start and start + obj.lookback) == expected


def test_paging_without_end_is_ended() -> None:
    guard = PagingGuard("orders", most_empty=2)
    for cursor, rows in (("a", 1), ("b", 0), ("c", 0), ("d", 5), ("e", 0), (None, 0)):
        guard.turn(cursor, rows)
    with pytest.raises(SourceError, match="orders: 3 empty pages in a row"):
        guard.turn("f", 0)
    with pytest.raises(SourceError, match="repeats the page 'a'"):
        guard.turn("a", 1)
