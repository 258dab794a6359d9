"""Shopify's connector against the simulated shop: every trap of its API."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pytest
import requests
import shopify as sdk
from graphql import execute_sync, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import SourceError
from ingestion.exports.expressions import parse_expression, raw_column
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping
from ingestion.lake import Lake
from ingestion.simulator.server import serving
from ingestion.simulator.vendors.shopify_graphql import SCHEMA, Projector, bulk_lines, plan
from ingestion.sources.connector import (
    ConnectorLoad,
    Page,
    Window,
    check_connection,
    known_keys,
    load_connector,
    make_connector,
)
from ingestion.sources.shopify import Shopify, assembled
from tests.contract.conftest import SimulatorUnderTest
from tests.contract.shopify_world import (
    CLOCK,
    ERASED,
    LONG_ORDER,
    LONG_REFUND,
    MERGED,
    START,
    TEST_ORDERS,
    TWIN_CARTS,
    make_shop,
)

OBJECTS = ("shop", "customers", "orders", "products", "abandoned_checkouts")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorUnderTest]:
    folder = tmp_path_factory.mktemp("shop")
    with serving(make_shop(folder, late_share=0.3)) as server:
        yield SimulatorUnderTest(server)


@pytest.fixture
def shop(
    served: SimulatorUnderTest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatorUnderTest]:
    """The small shop at `CLOCK`, and the app's credentials in the environment."""
    served.clear()
    served.server.simulator.time.move(CLOCK)
    with served.settings("shopify"):
        _grant(served, monkeypatch, "client_id", "client_secret")
        yield served
    for entry in served.journal("shopify"):
        assert not entry["failure"] and not entry["unsupported"], entry


def _grant(shop: SimulatorUnderTest, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in ("client_id", "client_secret", "refresh_token", "access_token"):
        monkeypatch.delenv(f"SOURCES__SHOP__{name.upper()}", raising=False)
    for name in names:
        monkeypatch.setenv(f"SOURCES__SHOP__{name.upper()}", shop.secret("shopify", name))


def _settings(shop: SimulatorUnderTest, **changed: Any) -> dict[str, Any]:
    return {"base_url": shop.url("shopify"), "ca_bundle": shop.ca, **changed}


def _connector(shop: SimulatorUnderTest, folder: Path, **changed: Any) -> Shopify:
    connector = make_connector(
        Shopify, _settings(shop, **changed), source="shop", state_dir=folder, clock=shop.clock()
    )
    assert isinstance(connector, Shopify)
    return connector


def _read(
    connector: Shopify, name: str, state: dict[str, Any], window: Window | None = None
) -> list[Page]:
    [obj] = [o for o in connector.objects if o.name == name]
    return list(connector.read(obj, state, window or Window()))


def _documents(pages: list[Page]) -> dict[str, Any]:
    return {r["id"]: dict(r) for page in pages if not page.deleted for r in page.records}


def _gone(pages: list[Page]) -> set[str]:
    return {r["id"] for page in pages if page.deleted for r in page.records}


def _load(shop: SimulatorUnderTest, folder: Path, **options: Any) -> ConnectorLoad:
    return load_connector(
        Shopify,
        _settings(shop, **options.pop("settings", {})),
        source="shop",
        company="acme",
        lake=Lake(str(folder / "lake")),
        state_dir=folder / "state",
        now=shop.now(),
        clock=shop.clock(),
        **options,
    )


def _in_lake(folder: Path, table: str) -> dict[str, Any]:
    """The newest document of every key that is live, as staging sees it."""
    lake = Lake(str(folder / "lake"))
    files = [f for load in lake.complete_loads("acme_shop") for f in load.files.get(table, ())]
    with lake.connect() as connection:
        rows = connection.execute(
            """
            select _key, document from read_parquet(?)
            qualify row_number() over (
                partition by _key order by try_cast(_cursor as timestamp) desc, _extracted_at desc,
                    _dlt_load_id desc, _row desc
            ) = 1 and not _deleted
            """,
            [files],
        ).fetchall()
    assert {key for key, _ in rows} == set(known_keys(lake, "acme_shop", table).to_pylist())
    return {key: orjson.loads(document) for key, document in rows}


def _assert_lake_is_the_shop(shop: SimulatorUnderTest, folder: Path) -> None:
    for name in OBJECTS:
        lake, truth = _in_lake(folder, name), shop.projection("shopify", name)
        assert lake.keys() == truth.keys(), name
        for key, document in truth.items():
            assert lake[key] == document, f"{name} {key}"


def _queries(shop: SimulatorUnderTest) -> list[dict[str, Any]]:
    return [e for e in shop.journal("shopify") if e["path"].endswith("graphql.json")]


def _errors(shop: SimulatorUnderTest) -> list[int]:
    return [e["status"] for e in shop.journal("shopify") if e["status"] >= 400]


@pytest.mark.parametrize("bulk", [True, False])
def test_lake_is_the_shop_after_first_and_later_loads(
    shop: SimulatorUnderTest, tmp_path: Path, bulk: bool
) -> None:
    settings = {"bulk": bulk, "reconcile_every_days": 0}
    _load(shop, tmp_path, settings=settings)
    _assert_lake_is_the_shop(shop, tmp_path)
    uses_bulk = any("bulkOperationRunQuery" in str(e["body"]) for e in _queries(shop))
    assert uses_bulk == bulk
    before = _in_lake(tmp_path, "orders")
    for days in (2.5, 3) if bulk else (5.5,):
        shop.move(days=days)
        _load(shop, tmp_path, settings=settings)
        _assert_lake_is_the_shop(shop, tmp_path)
    after = _in_lake(tmp_path, "orders")
    assert after != before and not _errors(shop)
    erased = f"gid://shopify/Customer/7{ERASED:09d}"
    assert erased not in _in_lake(tmp_path, "customers")
    moved = after["gid://shopify/Order/4500000030"]["customer"]
    assert moved == {"id": "gid://shopify/Customer/7000000001"}  # 11 into 12 into 1


def test_lake_is_the_shop_of_the_simulated_company(
    simulator: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _grant(simulator, monkeypatch, "client_id", "client_secret")
    _load(simulator, tmp_path, settings={"reconcile_every_days": 0})
    _assert_lake_is_the_shop(simulator, tmp_path)
    simulator.move(days=6)
    _load(simulator, tmp_path, settings={"reconcile_every_days": 0})
    _assert_lake_is_the_shop(simulator, tmp_path)
    assert not any(e["unsupported"] for e in simulator.journal("shopify"))


def test_deleted_order_leaves_a_tombstone(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path)
    state: dict[str, Any] = {}
    first = _documents(_read(connector, "orders", state))
    doomed = f"gid://shopify/Order/{4_500_000_000 + TEST_ORDERS[1]}"
    assert first[doomed]["test"] is True
    shop.move(days=25)
    assert _gone(_read(connector, "orders", state)) == {doomed}
    assert doomed not in shop.projection("shopify", "orders")


def test_second_load_brings_only_the_look_back(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path)
    states: dict[str, dict[str, Any]] = {name: {} for name in OBJECTS}
    for name in OBJECTS:
        assert _documents(_read(connector, name, states[name]))
    for name in OBJECTS:
        again = _read(connector, name, states[name])
        newest = max(d["updatedAt"] for d in shop.projection("shopify", name).values())
        late = {d["updatedAt"][:10] for d in _documents(again).values()}
        assert late <= {newest[:10]} and not _gone(again), name


def test_late_rows_are_not_lost(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    """A row that shows after a later-stamped one did, as a lagging search index shows it."""
    connector = _connector(shop, tmp_path, bulk=False)
    state: dict[str, Any] = {}
    _read(connector, "abandoned_checkouts", state)
    for n in TWIN_CARTS:
        late, twin = (f"gid://shopify/AbandonedCheckout/{6_200_000_000 + i}" for i in (n, 1000 + n))
        shop.server.simulator.time.move(START + timedelta(days=n, seconds=60 - 3600))
        visible = shop.projection("shopify", "abandoned_checkouts")
        if late not in visible and twin in visible:
            break
    else:
        pytest.fail("no late cart in this world")
    seen = _documents(_read(connector, "abandoned_checkouts", state))
    assert twin in seen and late not in seen
    shop.move(seconds=120)
    assert late in _documents(_read(connector, "abandoned_checkouts", state))


def test_tiny_pages_lose_nothing(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path, bulk=False, page_size=2, nested_page_size=1)
    with shop.settings("shopify", page_cap=2):
        orders = _documents(_read(connector, "orders", {}))
    assert orders == shop.projection("shopify", "orders")
    lines = orders[f"gid://shopify/Order/{4_500_000_000 + LONG_ORDER}"]["lineItems"]["nodes"]
    refund = orders[f"gid://shopify/Order/{4_500_000_000 + LONG_REFUND}"]["refunds"][0]
    assert len(lines) == len(refund["refundLineItems"]["nodes"]) == 15


def test_bulk_orders_have_whole_refunds(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    """A bulk operation cannot give the lines of refunds; they are asked for by themselves."""
    orders = _documents(_read(_connector(shop, tmp_path), "orders", {}))
    refund = orders[f"gid://shopify/Order/{4_500_000_000 + LONG_REFUND}"]["refunds"][0]
    assert len(refund["refundLineItems"]["nodes"]) == 15
    assert [t["kind"] for t in refund["transactions"]["nodes"]] == ["REFUND"]


def test_long_listing_is_begun_anew(
    shop: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.sources.shopify._RESTART", 20)
    connector = _connector(shop, tmp_path, bulk=False, page_size=8)
    with shop.settings("shopify", paged_objects=30):
        for name in ("customers", "abandoned_checkouts"):
            assert _documents(_read(connector, name, {})) == shop.projection("shopify", name)


def _costs(connector: Shopify) -> list[dict[str, Any]]:
    """Extensions of every reply from now on, and the code of an error."""
    seen: list[dict[str, Any]] = []
    judge = connector.api.judge
    assert judge

    def note(reply: requests.Response) -> Any:
        content = reply.json()
        codes = [e["extensions"]["code"] for e in content.get("errors", [])]
        seen.append({**content.get("extensions", {}).get("cost", {}), "codes": codes})
        return judge(reply)

    connector.api.judge = note
    return seen


@pytest.mark.parametrize(("bucket", "restore"), [(1000, 50), (200, 10)])
def test_rate_rule_is_kept(
    shop: SimulatorUnderTest, tmp_path: Path, bucket: int, restore: int
) -> None:
    """The connector waits until its points are there: it is never throttled."""
    connector = _connector(shop, tmp_path, bulk=False)
    replies = _costs(connector)
    with shop.settings("shopify", bucket=bucket, restore_per_second=restore):
        orders = _documents(_read(connector, "orders", {}))
    assert orders == shop.projection("shopify", "orders")
    assert not [c for reply in replies for c in reply["codes"]]
    waited, spent = connector.meter.waited_seconds, sum(r["actualQueryCost"] for r in replies)
    assert waited > 0 and spent <= bucket + waited * restore
    assert len(replies) == len(_queries(shop))


def test_pages_are_as_large_as_the_cost_allows(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path, bulk=False)
    replies = _costs(connector)
    _read(connector, "customers", {})
    largest = max(e["body"]["variables"].get("first", 0) for e in _queries(shop))
    assert largest > 100 and max(r["requestedQueryCost"] for r in replies) > 900


def test_throttled_is_no_empty_page(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    shop.fault("throttle_200", "shopify", every=3, times=5, route="graphql")
    connector = _connector(shop, tmp_path, bulk=False)
    replies = _costs(connector)
    assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
    assert sum("THROTTLED" in r["codes"] for r in replies) == 5
    assert connector.meter.waited_seconds >= 5


def test_points_that_another_process_took(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    """The bucket is emptied behind the connector's back: it waits for what it lacks."""
    connector = _connector(shop, tmp_path, bulk=False)
    replies = _costs(connector)
    judge = connector.api.judge
    assert judge

    def judge_while_others_ask(reply: requests.Response) -> Any:
        if len(replies) < 6:
            _ask(shop, "{ customers(first: 59) { nodes { id amountSpent { amount } } } }")
        return judge(reply)

    connector.api.judge = judge_while_others_ask
    with shop.settings("shopify", bucket=1000, restore_per_second=10):
        assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
    assert any("THROTTLED" in r["codes"] for r in replies)


def test_failing_page_passes_smaller(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    """Internal errors in HTTP 200 and as 500 halve the page; so does a cost above the limit."""
    with shop.settings("shopify", heavy_cost=400):
        connector = _connector(shop, tmp_path, bulk=False)
        replies = _costs(connector)
        assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
        assert any("INTERNAL_SERVER_ERROR" in r["codes"] for r in replies)
    with shop.settings("shopify", max_query_cost=300):
        connector = _connector(shop, tmp_path, bulk=False)
        replies = _costs(connector)
        assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
        assert any("MAX_COST_EXCEEDED" in r["codes"] for r in replies)
    shop.fault("server", "shopify", nth=3, route="graphql", status=500)
    connector = _connector(shop, tmp_path, bulk=False)
    shop.server.simulator.journal.clear()
    assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
    sizes = [e["body"]["variables"].get("first") for e in _queries(shop)]
    assert _errors(shop) == [500] and sizes[3] == sizes[2] // 2 > 0


def test_passing_faults_lose_nothing(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    for kind, nth in (("cut_json", 3), ("short_body", 5), ("reset", 7), ("internal_error", 1)):
        shop.fault(kind, "shopify", nth=nth, route="graphql")
    shop.fault("server", "shopify", nth=9, route="graphql", status=503)
    connector = _connector(shop, tmp_path, bulk=False)
    assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")


@pytest.mark.parametrize("fault", ["cut_json", "short_body"])
def test_cut_bulk_result_is_fetched_again(
    shop: SimulatorUnderTest, tmp_path: Path, fault: str
) -> None:
    shop.fault(fault, "shopify", route="bulk")
    connector = _connector(shop, tmp_path)
    assert _documents(_read(connector, "customers", {})) == shop.projection("shopify", "customers")
    downloads = [e for e in shop.journal("shopify") if "/bulk/" in e["path"]]
    assert len(downloads) == 2


def test_bulk_operation_waits_for_another(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    shop.api("shopify").jobs.create("bulk", query="{ shop { id } }", seconds=100)
    connector = _connector(shop, tmp_path)
    assert _documents(_read(connector, "products", {})) == shop.projection("shopify", "products")
    asked = sum("bulkOperationRunQuery" in str(e["body"]) for e in _queries(shop))
    assert asked > 2


def test_failed_bulk_operation_says_what_to_do(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path, bulk_wait_hours=0.001)
    state: dict[str, Any] = {}
    with pytest.raises(SourceError, match="bulk_wait_hours"):
        _read(connector, "products", state)
    shop.api("shopify").jobs.update(shop.api("shopify").jobs.list("bulk")[-1]["id"], failed=True)
    shop.move(seconds=60)
    with pytest.raises(SourceError, match="bulk: false"):
        _connector(shop, tmp_path)._wait_for(
            {"id": "gid://shopify/BulkOperation/1", "status": "RUNNING"}
        )
    assert "cursor" not in state


def test_expired_token_in_the_middle(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    shop.fault("token_expired", "shopify", nth=3, route="graphql")
    connector = _connector(shop, tmp_path, bulk=False)
    assert _documents(_read(connector, "orders", {})) == shop.projection("shopify", "orders")
    assert _errors(shop) == [401]


def test_short_lived_tokens_are_renewed_in_time(
    shop: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refresh tokens rotate: the newest survives the process, and no request is refused."""
    _grant(shop, monkeypatch, "client_id", "client_secret", "refresh_token")
    with shop.settings("shopify", offline_token_seconds=20):
        for _ in range(2):
            connector = _connector(shop, tmp_path, bulk=False)
            customers = _documents(_read(connector, "customers", {}))
            assert customers == shop.projection("shopify", "customers")
            connector.clock.sleep(21)
            _read(connector, "products", {})
    renewals = [e for e in shop.journal("shopify") if e["path"].endswith("access_token")]
    assert len(renewals) == 4 and not _errors(shop)
    assert "shprt" not in str(shop.journal("shopify"))


def test_lasting_token_of_an_old_app(
    shop: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _grant(shop, monkeypatch, "access_token")
    connector = _connector(shop, tmp_path)
    assert _documents(_read(connector, "shop", {})) == shop.projection("shopify", "shop")
    with shop.settings("shopify", lasting_token=False):
        [finding] = check_connection(
            Shopify, _settings(shop), source="shop", state_dir=tmp_path, clock=shop.clock()
        )
    assert not finding.ok and "SOURCES__SHOP__ACCESS_TOKEN" in finding.what


def test_check_says_what_is_missing(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    connector = _connector(shop, tmp_path)
    assert [f.ok for f in connector.check()] == [True]
    with shop.settings("shopify", scopes=["read_customers", "read_orders", "read_inventory"]):
        findings = connector.check()
        kept = _documents(_read(connector, "orders", {}))
    said = " ".join(f"{f.what} {f.fix}" for f in findings if not f.ok)
    assert "read_products" in said and "last 60 days" in said and "read_all_orders" in said
    assert 0 < len(kept) < len(shop.projection("shopify", "orders"))
    outdated = _connector(shop, tmp_path, version="2024-01").check()
    assert any("2025-10" in f.what for f in outdated if not f.ok)


def test_denied_scope_fails_loudly(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    state: dict[str, Any] = {}
    with (
        shop.settings("shopify", scopes=["read_customers"]),
        pytest.raises(SourceError, match="read_orders"),
    ):
        _read(_connector(shop, tmp_path, bulk=False), "orders", state)
    assert "cursor" not in state


def test_merged_and_erased_customers_are_found_by_comparing(
    shop: SimulatorUnderTest, tmp_path: Path
) -> None:
    connector = _connector(shop, tmp_path)
    state: dict[str, Any] = {}
    known = _documents(_read(connector, "customers", state))
    connector.known_keys = lambda table: pa.array(sorted(known))
    shop.move(days=5)
    assert not _gone(_read(connector, "customers", state))
    gone = _gone(_read(connector, "customers", state, Window(reconcile=True)))
    assert gone == {f"gid://shopify/Customer/7{n:09d}" for n in (MERGED[2], ERASED)}


def test_empty_listing_deletes_nothing(
    shop: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = _connector(shop, tmp_path, bulk=False, page_size=250)
    state: dict[str, Any] = {}
    _read(connector, "customers", state)
    connector.known_keys = lambda table: pa.array(["gid://shopify/Customer/7000000001"])
    listed = connector._listed
    monkeypatch.setattr(
        connector, "_listed", lambda *given: iter([[]]) if given[2] == "" else listed(*given)
    )
    with pytest.raises(SourceError, match="nothing was deleted"):
        _read(connector, "customers", state, Window(reconcile=True))


def test_forgotten_checkouts_stay_in_the_lake(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    _load(shop, tmp_path, objects=["abandoned_checkouts"])
    before = _in_lake(tmp_path, "abandoned_checkouts")
    shop.move(days=3)
    with shop.settings("shopify", checkout_days=30):
        _load(shop, tmp_path, objects=["abandoned_checkouts"])
    after = _in_lake(tmp_path, "abandoned_checkouts")
    assert before.keys() < after.keys()


def test_back_fill_reads_its_window_only(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    begin, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    truth = {
        key: document
        for key, document in shop.projection("shopify", "orders").items()
        if begin <= datetime.fromisoformat(document["updatedAt"]) <= end
    }
    for bulk in (True, False):
        state: dict[str, Any] = {}
        pages = _read(_connector(shop, tmp_path, bulk=bulk), "orders", state, Window(begin, end))
        assert _documents(pages) == truth and truth


def test_guest_orders_have_an_address_and_no_customer(
    shop: SimulatorUnderTest, tmp_path: Path
) -> None:
    orders = _documents(_read(_connector(shop, tmp_path), "orders", {})).values()
    guests = [o for o in orders if o["customer"] is None]
    assert len(guests) > 5 and all(o["email"].startswith("gast") for o in guests)


def test_presentment_money_adds_up(shop: SimulatorUnderTest, tmp_path: Path) -> None:
    """Lines + tax + shipping - discounts = total, to the cent; tax is added unless included."""

    def paid(bag: dict[str, Any]) -> Decimal:
        return Decimal(bag["presentmentMoney"]["amount"])

    orders = _documents(_read(_connector(shop, tmp_path), "orders", {})).values()
    for order in orders:
        lines = sum(paid(line["discountedTotalSet"]) for line in order["lineItems"]["nodes"])
        tax = sum(
            paid(t["priceSet"]) for line in order["lineItems"]["nodes"] for t in line["taxLines"]
        )
        assert tax == paid(order["totalTaxSet"]) > 0
        rest = paid(order["totalShippingPriceSet"]) + (0 if order["taxesIncluded"] else tax)
        assert lines + rest - paid(order["cartDiscountAmountSet"]) == paid(order["totalPriceSet"])
        moved = [t for t in order["transactions"] if t["kind"] == "REFUND"]
        back = sum(paid(r["totalRefundedSet"]) for r in order["refunds"])
        assert back == sum(paid(t["amountSet"]) for t in moved) == paid(order["totalRefundedSet"])
        assert (
            order["totalPriceSet"]["presentmentMoney"]["currencyCode"]
            == (order["presentmentCurrencyCode"])
        )
    assert {o["presentmentCurrencyCode"] for o in orders} == {"EUR", "GBP", "BRL", "USD"}
    assert {o["presentmentCurrencyCode"] for o in orders if o["taxesIncluded"]} == {"GBP"}


@pytest.mark.parametrize(
    ("fulfilment", "delivered", "status"),
    [
        ("FULFILLED", "2026-01-12", "delivered"),
        ("PARTIALLY_FULFILLED", "2026-01-12", "processing"),  # the rest was not even sent
        ("FULFILLED", None, "shipped"),
        ("UNFULFILLED", None, "processing"),
    ],
)
def test_part_of_an_order_is_not_the_order(
    fulfilment: str, delivered: str | None, status: str
) -> None:
    [order] = [
        checked.record
        for checked in load_vendor_mapping(VENDORS_DIR / "shopify.yml").checked["orders"]
        if checked.record.concept == "order"
    ]
    said = {
        "displayFulfillmentStatus": fulfilment, "displayFinancialStatus": "PAID",
        "cancelledAt": None, "fulfillments[0].deliveredAt": delivered,
    }  # fmt: skip
    expression = parse_expression(str(order.fields["status"]), "status")
    columns = ", ".join(f"cast(? as varchar) as {raw_column(name)}" for name in said)
    [(found,)] = duckdb.execute(
        f"select {expression.sql} from (select {columns})", [*said.values()]
    ).fetchall()
    assert found == status


def test_mapping_holds() -> None:
    mapping = load_vendor_mapping(VENDORS_DIR / "shopify.yml")
    assert mapping.spec.tables.keys() == set(OBJECTS) - {"shop"}
    assert mapping.concepts == [
        "cart", "consent_event", "fulfilment", "order", "order_line", "payment", "person_record",
        "product", "refund",
    ]  # fmt: skip


# ---- the simulated API itself ------------------------------------------------------------------


def _ask(shop: SimulatorUnderTest, text: str, **variables: Any) -> Any:
    return requests.post(
        shop.url("shopify") + "/admin/api/2026-10/graphql.json",
        json={"query": text, "variables": variables},
        headers={"X-Shopify-Access-Token": shop.secret("shopify", "access_token")},
        verify=shop.ca,
        timeout=30,
    ).json()


def test_shopify_sdk_reads_the_same_orders(
    shop: SimulatorUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", shop.ca)
    sdk.ApiVersion.define_known_versions()
    sdk.ApiVersion.define_version(sdk.Release("2026-10"))
    session = sdk.Session("nordlicht", "2026-10", shop.secret("shopify", "access_token"))
    session.url = shop.url("shopify").removeprefix("https://")
    query = """query ($after: String) { orders(first: 50, after: $after, sortKey: ID) {
        edges { node { id name email totalPriceSet { presentmentMoney { amount } } } }
        pageInfo { hasNextPage endCursor } } }"""
    found: dict[str, Any] = {}
    after = None
    with sdk.Session.temp(session.url, "2026-10", session.token):
        sdk.ShopifyResource.activate_session(session)
        while True:
            page = orjson.loads(sdk.GraphQL().execute(query, {"after": after}))["data"]["orders"]
            found |= {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
    truth = _documents(_read(_connector(shop, tmp_path), "orders", {}))
    assert found.keys() == truth.keys()
    for key, node in found.items():
        assert node["name"] == truth[key]["name"] and node["email"] == truth[key]["email"]
        amount = truth[key]["totalPriceSet"]["presentmentMoney"]["amount"]
        assert node["totalPriceSet"]["presentmentMoney"]["amount"] == amount


def test_replies_are_those_of_the_reference_executor(shop: SimulatorUnderTest) -> None:
    """Our projection of documents and graphql-core's own execution say the same."""
    documents = list(shop.projection("shopify", "orders").values())[:20]
    query = """{ orders(first: 20) { edges { node {
        nummer: name __typename test currencyCode ... on Node { id } ...money
        refunds { note totalRefundedSet { shopMoney { amount } } } customer { id }
        transactions(first: 1) { kind parentTransaction { id } } } } } }
        fragment money on Order { totalPriceSet { presentmentMoney { amount currencyCode } } }"""
    selection = plan(query, {}).roots[0]
    ours = Projector(lambda *_: None).connection(
        selection, documents, [""] * len(documents), more=False
    )
    firsts = [d | {"transactions": d["transactions"][:1]} for d in documents]
    orders = {"edges": [{"node": d} for d in firsts]}
    theirs = execute_sync(
        SCHEMA, parse(query), {"orders": lambda *_, **__: orders}, type_resolver=lambda *_: "Order"
    )
    assert theirs.errors is None and theirs.data == {"orders": ours}


def test_cost_is_charged_before_and_refunded_after(shop: SimulatorUnderTest) -> None:
    query = "{ orders(first: 40) { nodes { id lineItems(first: 4) { nodes { id } } } } }"
    before, cost = (_ask(shop, query)["extensions"]["cost"] for _ in range(2))
    assert cost["requestedQueryCost"] == 40 * (1 + 4)
    assert 40 < cost["actualQueryCost"] < 40 * 5
    left = [c["throttleStatus"]["currentlyAvailable"] for c in (before, cost)]
    assert left[0] - left[1] == cost["actualQueryCost"]
    refused = _ask(shop, query.replace("first: 4)", "first: 40)"))
    assert refused["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_cursor_belongs_to_its_query(shop: SimulatorUnderTest) -> None:
    query = """query ($after: String, $query: String) {
        orders(first: 2, after: $after, query: $query) { pageInfo { endCursor } } }"""
    after = _ask(shop, query)["data"]["orders"]["pageInfo"]["endCursor"]
    assert "errors" not in _ask(shop, query, after=after)
    refused = _ask(shop, query, after=after, query="id:>7")
    assert "Invalid cursor" in refused["errors"][0]["message"] and refused["data"] == {
        "orders": None
    }


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 4), max_size=8), page=st.integers(1, 5))
def test_bulk_lines_make_whole_records_again(sizes: list[int], page: int) -> None:
    """Whatever the children of each record are, and wherever their lines stand."""
    documents = [
        {"id": f"gid://shopify/Product/{n}", "title": f"Größe {n}",
         "variants": {"nodes": [{"id": f"gid://shopify/ProductVariant/{n}{i}", "sku": "a"}
                                for i in range(size)]}}
        for n, size in enumerate(sizes, start=1)
    ]  # fmt: skip
    query = """{ products { edges { node { id title
        variants { edges { node { id sku } } } } } } }"""
    selection, projector = plan(query, {}).roots[0], Projector(lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.jsonl"
        parts = [documents[i : i + page] for i in range(0, len(documents), page)]
        path.write_bytes(b"".join(b"".join(bulk_lines(p, selection, projector)) for p in parts))
        assert [r for page in assembled(path, ("variants",)) for r in page] == documents
