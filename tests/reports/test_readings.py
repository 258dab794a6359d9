from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.reports.monthly import _verdict
from orchestration.reports.readings import (
    Kpi,
    Marts,
    Reading,
    add_months,
    compare,
    deciding_volume,
    month_range,
    select_month,
)
from tests.reports.published import csat, nps

JULY, AUGUST, SEPTEMBER = date(2024, 7, 1), date(2024, 8, 1), date(2024, 9, 1)
TODAY = date(2024, 10, 10)


def reading(row: dict) -> Reading:
    return Reading(row["value"], row["n"], row["ci_low"], row["ci_high"])


def test_fifteen_nps_points_on_a_hundred_answers_are_no_change():
    change = compare(reading(nps(AUGUST, 60, 25, 15)), reading(nps(JULY, 50, 30, 20)))
    assert change.difference == pytest.approx(15.0)
    assert change.margin == pytest.approx(21.1, abs=0.05)
    assert not change.is_clear


def test_fifteen_nps_points_on_a_thousand_answers_are_a_change():
    change = compare(reading(nps(AUGUST, 600, 250, 150)), reading(nps(JULY, 500, 300, 200)))
    assert change.margin == pytest.approx(21.1 / 10**0.5, abs=0.05)
    assert change.is_clear


def test_the_margin_of_a_share_is_half_its_wilson_interval():
    assert reading(csat(AUGUST, 42, 50)).margin == pytest.approx((0.917 - 0.715) / 2, abs=0.001)


def test_a_difference_as_large_as_its_margin_is_no_change():
    before, now = Reading(0, 50, -3, 3), Reading(5, 50, 1, 9)
    assert compare(now, before).margin == 5
    assert not compare(now, before).is_clear
    assert compare(Reading(5.01, 50, 1.01, 9.01), before).is_clear


def test_nothing_is_claimed_without_an_interval():
    change = compare(Reading(200, 200), Reading(100, 100))
    assert change.ratio == 2
    assert change.margin is None
    assert not change.is_clear


def test_a_ratio_needs_something_to_divide_by():
    assert compare(Reading(5, 5), Reading(0, 0)).ratio is None


readings = st.builds(
    lambda value, half: Reading(value, 100, value - half, value + half),
    st.floats(-100, 100),
    st.floats(0, 50),
)


@given(readings, readings)
def test_a_change_is_as_clear_in_either_direction(one, other):
    there, back = compare(one, other), compare(other, one)
    assert there.is_clear == back.is_clear
    assert there.difference == -back.difference
    assert there.margin == back.margin


@given(readings)
def test_equal_months_never_differ(one):
    assert not compare(one, one).is_clear


def kpi_of(kpi_id: str, better: str, months: dict[date, Reading]) -> Kpi:
    return Kpi(
        kpi_id,
        1,
        "A share",
        "share",
        "loyalty",
        "sales",
        "none",
        better,
        True,
        "wilson",
        "",
        "",
        months,
    )


@pytest.mark.parametrize(
    "better, rise, fall",
    [("higher", "better", "worse"), ("lower", "worse", "better"), ("neither",) + 2 * ("neutral",)],
)
def test_the_contract_says_which_way_is_good(better, rise, fall):
    kpi = kpi_of("csat", better, {})
    assert [_verdict(kpi, 0.1), _verdict(kpi, -0.1), _verdict(kpi, 0)] == [rise, fall, "neutral"]


@pytest.mark.parametrize("kpi_id, compared", [("csat", True), ("lead_to_deal_conversion", False)])
def test_a_figure_that_still_grows_is_not_compared(kpi_id, compared):
    months = {JULY: reading(csat(JULY, 190, 200)), AUGUST: reading(csat(AUGUST, 42, 50))}
    kpi = kpi_of(kpi_id, "higher", months)
    assert (kpi.change(AUGUST) is not None) == compared
    assert kpi.change(SEPTEMBER) is None


def of(kind: str, *numbers: float) -> dict[date, dict[str, float]]:
    """These numbers in the months that end with September."""
    months = month_range(add_months(SEPTEMBER, 1 - len(numbers)), SEPTEMBER)
    return {month: {kind: number} for month, number in zip(months, numbers, strict=True) if number}


def test_the_last_complete_month_is_taken_when_it_has_enough():
    assert select_month(of("orders", 50, 50, 30), TODAY) == SEPTEMBER


def test_a_month_with_too_few_orders_is_passed_over_whatever_was_answered():
    volumes = of("orders", 6292, 6512, 16)
    volumes[SEPTEMBER]["survey_responses"] = 630
    assert deciding_volume(volumes, TODAY) == "orders"
    assert select_month(volumes, TODAY) == AUGUST


def test_answers_decide_where_orders_are_always_few():
    volumes = of("survey_responses", 40, 40, 40)
    for month in volumes:
        volumes[month]["orders"] = 3
    assert select_month(volumes, TODAY) == SEPTEMBER


def test_a_survey_that_ended_does_not_hold_the_report_back():
    volumes = of("orders", 50, 50, 50)
    volumes[JULY]["survey_responses"] = 50
    assert select_month(volumes, TODAY) == SEPTEMBER


def test_the_running_month_is_not_complete():
    volumes = of("orders", 50, 50, 50) | {date(2024, 10, 1): {"orders": 500}}
    assert select_month(volumes, TODAY) == SEPTEMBER
    assert select_month(volumes, date(2024, 11, 1)) == date(2024, 10, 1)


def test_a_company_that_is_small_gets_its_last_month_with_anything():
    assert select_month(of("orders", 4, 5, 0), TODAY) == AUGUST


def test_without_any_record_it_is_the_last_complete_month():
    assert select_month({}, date(2024, 1, 1)) == date(2023, 12, 1)


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 100))
def test_a_range_of_months_has_no_gap(day, months):
    first = day.replace(day=1)
    last = add_months(first, months)
    found = month_range(first, last)
    assert (found[0], found[-1], len(set(found))) == (first, last, months + 1)
    assert add_months(last, -months) == first


def test_a_month_is_over_when_the_company_s_own_calendar_says_so(tmp_path: Path) -> None:
    """Midnight in Berlin is still the day before in UTC."""
    with duckdb.connect(str(tmp_path / "published.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.customer_360 as select timestamp '2024-09-30 22:00:00' as as_of,"
            " date '2024-10-01' as as_of_on"
        )
        today = Marts(connection).today()
    assert today == date(2024, 10, 1)
    assert select_month(of("orders", 50, 50), today) == SEPTEMBER
