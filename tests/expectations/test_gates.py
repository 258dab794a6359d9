"""Each defect fails the check made for it, with its severity, and no other."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import duckdb
import pytest

from expectations.runner import CheckResult, SuiteResult, validate
from tests.expectations.warehouse import add_load, insert

Damaged = Callable[..., Path]
LIMITS = {"shop": 2.0}

ALL_SET_ASIDE = "update quality.load_accounts set accepted = 0, quarantined = 200"


def failures(results: list[SuiteResult]) -> dict[str, CheckResult]:
    return {
        f"{suite.name}.{check.name}": check
        for suite in results
        for check in suite.checks
        if not check.passed
    }


def severities(results: list[SuiteResult]) -> dict[str, str]:
    return {name: check.severity for name, check in failures(results).items()}


@pytest.mark.parametrize("layer", ["landed", "marts"])
def test_a_clean_warehouse_passes_every_check(clean: Path, layer: str) -> None:
    results = validate(clean, layer, stale_after_days=LIMITS)
    assert failures(results) == {}
    assert all(suite.passed and not suite.blocks for suite in results)
    assert {check.error for suite in results for check in suite.checks} == {None}
    made = [c for suite in results for c in suite.checks if c.skipped is None]
    assert len(made) == {"landed": 9, "marts": 27}[layer]


@pytest.mark.parametrize(
    ("defects", "expected"),
    [
        pytest.param(
            ["insert into marts.customer_360 (customer_id) values ('c1')"],
            {"marts_customers.customer_id_is_unique": "critical"},
            id="customer twice",
        ),
        pytest.param(
            ["insert into marts.customer_360 (customer_id, email) values (null, 'a@b.example')"],
            {
                "marts_customers.customer_id_is_known": "critical",
                "marts_customers.one_row_per_customer_of_the_bridge": "critical",
            },
            id="customer without id",
        ),
        pytest.param(
            [
                "insert into marts.bridge_customer_records (record_key, customer_id) "
                "values (1, 'c9')"
            ],
            {"marts_customers.one_row_per_customer_of_the_bridge": "critical"},
            id="customer of the bridge lost",
        ),
        pytest.param(
            ["update marts.bridge_customer_records set record_key = 'shop:c1'"],
            {"marts_customers.a_record_belongs_to_one_customer": "critical"},
            id="record of several customers",
        ),
        pytest.param(
            ["update marts.customer_360 set revenue_reporting = 31 where customer_id = 'c1'"],
            {"marts_customers.revenue_is_that_of_the_orders": "critical"},
            id="revenue of a customer too high",
        ),
        pytest.param(
            ["insert into marts.fct_orders (order_key, customer_id) values ('o9', 'nobody')"],
            {"marts_orders.customers_are_known": "critical"},
            id="order of an unknown customer",
        ),
        pytest.param(
            ["insert into marts.fct_orders (order_key, is_valid) values ('o1', false)"],
            {"marts_orders.order_key_is_unique": "critical"},
            id="order twice",
        ),
        pytest.param(
            ["insert into marts.fct_order_lines (order_key, item_amount) values ('o1', 0.01)"],
            {"marts_orders.goods_are_those_of_the_lines": "critical"},
            id="line that the order does not know",
        ),
        pytest.param(
            ["update marts.fct_orders set delivered_at = '2026-03-04 06:00:01'"],
            {"marts_orders.nothing_is_in_the_future": "warning"},
            id="delivered in the future",
        ),
        pytest.param(
            ["update marts.fct_orders set delivered_at = '2026-03-04 06:00:00'"],
            {},
            id="delivered a day ahead at most",
        ),
        pytest.param(
            [
                "update marts.fct_interactions set customer_id = 'nobody', "
                "occurred_at = '2027-01-01'"
            ],
            {
                "marts_interactions.customers_are_known": "critical",
                "marts_interactions.nothing_is_in_the_future": "warning",
            },
            id="interactions of nobody, next year",
        ),
        pytest.param(
            [
                "update marts.fct_journey_stage_spans set entered_at = '2026-01-31' "
                "where span_number = 2"
            ],
            {"marts_journey.spans_do_not_overlap": "critical"},
            id="spans overlap",
        ),
        pytest.param(
            ["update marts.fct_journey_stage_spans set exited_at = null where span_number = 1"],
            {"marts_journey.spans_do_not_overlap": "critical"},
            id="open span followed by another",
        ),
        pytest.param(
            [
                "update marts.fct_journey_stage_spans set exited_at = '2026-01-31' "
                "where span_number = 3"
            ],
            {"marts_journey.spans_end_after_they_begin": "critical"},
            id="span ends before it begins",
        ),
        pytest.param(
            ["update marts.kpi_values set value = 1.01, ci_high = 1.1 where kpi_id = 'csat'"],
            {"marts_kpis.shares_are_shares": "critical"},
            id="share above 1",
        ),
        pytest.param(
            ["update marts.kpi_values set value = -101, ci_low = -110 where kpi_id = 'nps'"],
            {"marts_kpis.net_scores_are_in_range": "critical"},
            id="net score below -100",
        ),
        pytest.param(
            ["update marts.kpi_values set ci_low = ci_high, ci_high = ci_low where kpi_id = 'nps'"],
            {"marts_kpis.intervals_hold_their_value": "critical"},
            id="interval inverted",
        ),
        pytest.param(
            ["update marts.kpi_values set ci_low = null where kpi_id = 'nps'"],
            {"marts_kpis.intervals_hold_their_value": "critical"},
            id="interval with one end",
        ),
        pytest.param(
            ["update marts.kpi_values set ci_low = 2e-9 where kpi_id = 'csat'"],
            {},
            id="interval off by rounding",
        ),
        pytest.param(
            ["update marts.kpi_values set value = null where kpi_id = 'csat'"],
            {"marts_kpis.figures_are_known": "critical"},
            id="value missing",
        ),
        pytest.param(
            ["update marts.kpi_values set value = 'nan' where kpi_id = 'repeat_customers'"],
            {"marts_kpis.figures_are_known": "critical"},
            id="value that is no number",
        ),
        pytest.param(
            ["insert into marts.kpi_values from marts.kpi_values where kpi_id = 'csat' limit 1"],
            {"marts_kpis.one_figure_each": "critical"},
            id="figure twice",
        ),
        pytest.param(
            ["update marts.kpi_values set value = 2 where dimension_value = 'web'"],
            {"marts_kpis.sources_add_up": "critical"},
            id="source that does not add up",
        ),
        pytest.param(
            ["delete from marts.kpi_values where dimension = 'all' and kpi_id = 'orders'"],
            {"marts_kpis.sources_add_up": "critical"},
            id="total missing",
        ),
        pytest.param(
            ["update marts.kpi_values set value = value * 2 where kpi_id = 'revenue'"],
            {"marts_kpis.revenue_is_that_of_the_orders": "critical"},
            id="revenue counted twice",
        ),
        pytest.param(
            ["update quality.load_accounts set accepted = 199 where load_id = '1.5'"],
            {"marts_accounts.accepted_and_quarantined_are_received": "critical"},
            id="document lost",
        ),
    ],
)
def test_a_defect_of_the_marts(
    damaged: Damaged, defects: list[str], expected: dict[str, str]
) -> None:
    results = validate(damaged(*defects), "marts")
    assert severities(results) == expected
    assert any(suite.blocks for suite in results) == ("critical" in expected.values())
    for check in failures(results).values():
        assert check.error is None
        assert check.unexpected_count is not None and check.unexpected_count > 0


@pytest.mark.parametrize(
    ("defects", "expected", "said"),
    [
        pytest.param(
            [f"{ALL_SET_ASIDE} where load_id = '3.5'"],
            {"landed_volume.something_was_accepted": "critical"},
            "shop / orders had 200 of 200 documents for orders quarantined",
            id="nothing accepted",
        ),
        pytest.param(
            [f"{ALL_SET_ASIDE} where load_id = '2.5'"],
            {},
            None,
            id="nothing accepted, but long ago",
        ),
        pytest.param(
            [
                "update quality.load_accounts set accepted = 99, quarantined = 101 "
                "where load_id = '3.5'",
                "insert into quality.quarantine values "
                "('shop', 'orders', 'orders', '3.5', 'status', 'is not one of paid')",
            ],
            {"landed_volume.quarantine_is_not_the_rule": "critical"},
            "shop / orders had 101 of 200 documents for orders quarantined, "
            "most of them because status is not one of paid",
            id="more than half quarantined",
        ),
        pytest.param(
            [
                "update quality.load_accounts set accepted = 189, quarantined = 11 "
                "where load_id = '3.5'"
            ],
            {"landed_volume.quarantine_is_the_exception": "warning"},
            "shop / orders had 11 of 200 documents for orders quarantined",
            id="more than a twentieth quarantined",
        ),
        pytest.param(
            [
                "update quality.load_accounts set accepted = 190, quarantined = 10 "
                "where load_id = '3.5'"
            ],
            {},
            None,
            id="a twentieth quarantined",
        ),
        pytest.param(
            ["update quality.load_accounts set received = 20, accepted = 20 where load_id = '3.5'"],
            {"landed_volume.volume_is_usual": "warning"},
            "shop / orders brought 20 documents; the median of the loads before (2) is 200",
            id="a tenth of the volume",
        ),
        pytest.param(
            [partial(add_load, number=10, documents=601)],
            {"landed_volume.volume_is_usual": "warning"},
            "shop / orders brought 601 documents; the median of the loads before (3) is 200",
            id="three times the volume, load 10 after load 3",
        ),
        pytest.param(
            [
                "update quality.load_accounts set received = 90000, accepted = 90000 "
                "where load_id = '1.5'"
            ],
            {},
            None,
            id="a full load, then what is new",
        ),
        pytest.param(
            [
                partial(
                    add_load, number=4, status="case when i % 2 = 0 then 'canceled' else 'paid' end"
                )
            ],
            {"landed_drift.orders_status_mix": "warning"},
            "delivered 0.0 % instead of 90.0 %, paid 50.0 % instead of 0.0 %, "
            "canceled 50.0 % instead of 10.0 %",
            id="drift in the mix of status",
        ),
        pytest.param(
            [partial(add_load, number=4, amount="5 + i % 7 / 10")],
            {"landed_drift.orders_total_amount_mean": "warning"},
            "shop / orders has a mean total amount of 5.30 instead of 52.97",
            id="amounts in another unit",
        ),
        pytest.param(
            [partial(add_load, number=4, amount="-50 - i % 7")],
            {"landed_drift.orders_total_amount_mean": "warning"},
            "a mean total amount of -52.97 instead of 52.97",
            id="amounts with another sign",
        ),
        pytest.param(
            [partial(add_load, number=4, person="case when i % 8 > 0 then 'shop:p' || i end")],
            {"landed_drift.orders_person_record_key_empty": "warning"},
            "shop / orders has no person record key in 12.5 % of documents instead of 0.0 %",
            id="orders lose their person",
        ),
        pytest.param(
            [
                partial(add_load, number=n, status=f"case when i % 7 < {n} then 'paid' end")
                for n in (10, 11, 12, 13, 14)
            ],
            {},
            None,
            id="drift that has become the rule",
        ),
        pytest.param(
            [partial(add_load, number=4, documents=99, status="'canceled'", amount="1")],
            {"landed_volume.volume_is_usual": "warning"},
            None,
            id="too few documents to speak of drift",
        ),
    ],
)
def test_a_defect_of_landed_data(
    damaged: Damaged, defects: list[str], expected: dict[str, str], said: str | None
) -> None:
    results = validate(damaged(*defects), "landed")
    assert severities(results) == expected
    assert any(suite.blocks for suite in results) == ("critical" in expected.values())
    if said is not None:
        (check,) = failures(results).values()
        assert check.observed is not None and said in check.observed


def test_drift_and_volume_are_skipped_with_a_reason_while_there_is_one_load(
    damaged: Damaged,
) -> None:
    one_load = damaged("delete from quality.load_accounts where load_id <> '3.5'")
    checks = {c.name: c for suite in validate(one_load, "landed") for c in suite.checks}
    assert checks["volume_is_usual"].skipped == "no table has had more than one load"
    assert checks["orders_status_mix"].skipped == "there is only one load"
    assert checks["tickets_status_mix"].skipped == "nothing was loaded"
    assert checks["sources_are_fresh"].skipped == "no source has a limit"
    assert checks["something_was_accepted"].skipped is None


def test_loads_of_one_source_are_not_compared_with_those_of_another(damaged: Damaged) -> None:
    def other_shop(db: duckdb.DuckDBPyConnection) -> None:
        add_load(db, 4, status="'canceled'", amount="1")

    elsewhere = damaged(
        other_shop,
        "update staging.stg__orders set source = 'kiosk' where load_id = '4.5'",
        "update quality.load_accounts set source = 'kiosk' where load_id = '4.5'",
    )
    assert severities(validate(elsewhere, "landed")) == {}


@pytest.mark.parametrize(
    ("as_of", "limits", "said"),
    [
        (datetime(2026, 3, 5, 6), {"shop": 2.0}, None),
        (datetime(2026, 3, 5, 6, 0, 1), {"shop": 2}, "shop was last extracted 2.0 days ago"),
        (datetime(2026, 3, 9, 6, tzinfo=UTC), {"shop": 2.0}, "6.0 days ago, on 2026-03-03"),
        # 05:00 at +02:00 is 03:00 UTC
        (datetime(2026, 3, 5, 5, tzinfo=timezone(timedelta(hours=2))), {"shop": 1.9}, None),
        (datetime(2026, 3, 9), {"shop": None}, None),
        (datetime(2026, 3, 3), {"shop": 2.0, "c:r{m}'": 1.0}, "c:r{m}' has never been loaded"),
        (None, {"shop": 0.0}, None),
    ],
)
def test_a_stale_source_is_a_warning(
    clean: Path, as_of: datetime | None, limits: dict[str, float | None], said: str | None
) -> None:
    results = validate(clean, "landed", as_of=as_of, stale_after_days=limits)
    failed = failures(results)
    assert list(failed) == ([] if said is None else ["landed_freshness.sources_are_fresh"])
    for check in failed.values():
        assert check.severity == "warning"
        assert said is not None and check.observed is not None and said in check.observed


def test_as_of_decides_what_the_future_is(clean: Path) -> None:
    failed = severities(validate(clean, "marts", as_of=datetime(2026, 1, 31)))
    assert failed == {
        "marts_orders.nothing_is_in_the_future": "warning",
        "marts_interactions.nothing_is_in_the_future": "warning",
    }


def test_examples_are_few_and_the_count_is_of_all(damaged: Damaged) -> None:
    def many(db: duckdb.DuckDBPyConnection) -> None:
        for number in range(300):
            insert(db, "marts.fct_orders", order_key=f"x{number}", customer_id="nobody")

    (check,) = failures(validate(damaged(many), "marts")).values()
    assert check.unexpected_count == 300
    assert check.observed is not None
    assert check.observed.count("names the unknown customer nobody") == 5
    assert check.observed.endswith("; and 295 more")
