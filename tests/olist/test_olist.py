"""A real shop's exports, from nothing to report: every figure of their README, out of the marts."""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support import ROOT, Home

DATA = ROOT.parent / "shared" / "data" / "olist"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the Olist exports are not here")


@pytest.fixture(scope="module")
def olist(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("olist"), Path(__file__).parent / "mapping.yml")
    outcome = home.run()
    assert outcome["succeeded"] and not outcome["failed_sources"], outcome
    return home


def kpi(home: Home, kpi_id: str, column: str = "value") -> float:
    return home.one(
        f"select {column} from marts.kpi_values where kpi_id = '{kpi_id}'"
        " and period_grain = 'all' and dimension = 'all'"
    )


def test_people_who_ordered(olist: Home) -> None:
    placed = "select count(*) from marts.customer_360 where orders_placed >= "
    assert [olist.one(placed + str(n)) for n in (1, 2)] == [96_096, 2_997]
    assert olist.one("select max(orders_placed) from marts.customer_360") == 17
    valid = "select count(*) from marts.customer_360 where valid_orders >= "
    assert [olist.one(valid + str(n)) for n in (1, 2)] == [94_990, 2_888]
    assert kpi(olist, "new_customers") == 94_990
    assert kpi(olist, "repeat_customers") == 2_888
    assert kpi(olist, "repeat_purchase_rate") == pytest.approx(2_888 / 94_990)


def test_money(olist: Home) -> None:
    items, freight = olist.one(
        "select sum(item_amount), sum(shipping_amount) from marts.fct_order_lines"
    )
    assert (items, freight) == (Decimal("13591643.7000"), Decimal("2251909.5400"))
    assert items + freight == Decimal("15843553.24")
    assert olist.one("select sum(paid_amount) from marts.fct_orders") == Decimal("16008872.12")
    assert olist.one("select sum(total_amount) from marts.fct_orders") == Decimal("15843553.24")
    assert olist.one("select count(*) from marts.fct_orders where lines = 0") == 775


def test_every_order_whose_money_differs_is_listed_with_its_cause(olist: Home) -> None:
    """What was paid less what there was to pay is 165 318.88, and every cent of it has a cause."""
    listed = olist.query(
        "select cause, count(*), sum(difference) from quality.order_money_differences"
        " where rule = 'paid and total' group by 1"
    )
    assert {cause: (n, difference) for cause, n, difference in listed} == {
        "no lines known": (772, Decimal("162591.9500")),
        "rounding": (316, Decimal("-0.6300")),
        "interest of instalments": (235, Decimal("3063.4000")),
        "paid in part": (19, Decimal("-198.6300")),
        "paid more than the total": (6, Decimal("6.2500")),
        "no payment known": (1, Decimal("-143.4600")),
    }
    assert sum(row[2] for row in listed) == Decimal("16008872.12") - Decimal("15843553.24")


def test_orders_by_status(olist: Home) -> None:
    assert dict(olist.query("select status, count(*) from marts.fct_orders group by 1")) == {
        "delivered": 96_478, "shipped": 1_107, "canceled": 625, "unavailable": 609,
        "invoiced": 314, "processing": 301, "created": 5, "approved": 2,
    }  # fmt: skip
    assert kpi(olist, "orders") == 99_441


def test_late_deliveries(olist: Home) -> None:
    assert (
        kpi(olist, "late_delivery_rate", "numerator"),
        kpi(olist, "late_delivery_rate", "n"),
    ) == (
        7_826,
        96_470,
    )


def test_reviews_are_csat_responses_and_both_ways_of_counting_them_are_there(olist: Home) -> None:
    per_order = "select score, count(*) from marts.bridge_survey_response_orders group by 1"
    assert dict(olist.query(per_order)) == {5: 57_328, 4: 19_142, 3: 8_179, 2: 3_151, 1: 11_424}
    assert olist.one("select count(*) from marts.fct_survey_responses") == 98_410
    assert round(100 * kpi(olist, "csat_per_order"), 2) == 77.07
    assert kpi(olist, "csat_per_order", "n") == 99_224
    assert kpi(olist, "csat", "n") == 98_410
    reviewed = "select count(distinct order_key) from marts.bridge_survey_response_orders"
    assert olist.one(reviewed) == 98_673


def test_the_largest_month_is_one_of_the_company_s_own_calendar(olist: Home) -> None:
    assert olist.query(
        "select period_start::text, value from marts.kpi_values where kpi_id = 'orders'"
        " and period_grain = 'month' and dimension = 'all' order by value desc limit 1"
    ) == [("2017-11-01", 7_544)]


def test_times_are_utc_and_the_zone_is_kept(olist: Home) -> None:
    # in the file: 2018-07-24 20:41:37, in a zone three hours behind
    assert olist.one(
        "select ordered_at::text, ordered_on::text, source_timezone from marts.fct_orders"
        " where order_id = '53cdb2fc8bc7dce0b6741e2150273451'"
    ) == ("2018-07-24 23:41:37", "2018-07-24", "America/Sao_Paulo")


def test_leads_become_deals(olist: Home) -> None:
    assert (kpi(olist, "leads"), kpi(olist, "lead_to_deal_conversion", "numerator")) == (8_000, 842)
    assert kpi(olist, "lead_to_deal_conversion") == pytest.approx(0.10525)
    assert olist.one(
        "select count(*) from marts.fct_opportunities o"
        " join marts.dim_accounts a using (account_key) where o.is_won"
    ) == 842 - olist.one(
        "select count(*) from marts.fct_opportunities where is_won"
        " and account_key not in (select account_key from marts.dim_accounts)"
    )


def test_the_journey_runs_from_lead_and_order_to_review(olist: Home) -> None:
    actions = dict(olist.query("select action, count(*) from marts.fct_interactions group by 1"))
    assert actions["lead_created"] == 8_000
    assert actions["stage_won"] == 842
    assert actions["order_placed"] == 99_441
    assert actions["order_delivered"] == 99_441 - 2_965  # so many have no delivery date
    answered = "select count(*) from marts.fct_survey_responses where responded_at is not null"
    assert actions["survey_answered"] == olist.one(answered)
    stages = {
        s for (s,) in olist.query("select distinct journey_stage from marts.fct_interactions")
    }
    assert stages == {"awareness", "decision", "service", "loyalty"}


def test_every_record_has_one_customer(olist: Home) -> None:
    assert olist.query(
        "select source, record_type, count(*), count(distinct record_key)"
        " from marts.bridge_customer_records group by all order by all"
    ) == [("crm", "person_record", 8_000, 8_000), ("shop", "person_record", 99_441, 99_441)]


def test_nothing_was_lost(olist: Home) -> None:
    assert olist.query(
        "select source, sum(received), sum(accepted), sum(quarantined) from quality.load_accounts"
        " where model not in ('person_records', 'opportunities') or source = 'shop'"
        " group by 1 order by 1"
    ) == [("crm", 842, 842, 0), ("shop", 550_759, 550_759, 0)]
    undated = olist.one("select records from quality.findings where finding = 'no_answer_time'")
    assert undated == olist.one(
        "select count(*) from marts.fct_survey_responses where responded_at is null"
    )


def test_a_second_run_with_nothing_new_changes_nothing(olist: Home) -> None:
    before, version = olist.mart_hashes(), olist.status()["published"]["version"]
    outcome = olist.run()
    assert outcome["succeeded"] and not outcome["published_new"]
    assert olist.status()["published"]["version"] == version
    assert olist.mart_hashes() == before


def test_a_lost_warehouse_comes_back_with_the_same_ids_and_marts(olist: Home) -> None:
    before = olist.mart_hashes()
    (olist.path / "warehouse.duckdb").unlink()
    shutil.rmtree(olist.path / "published")
    assert olist.run()["published_new"]
    assert olist.mart_hashes() == before
