"""Medians and tails of times in service: the SQL of int_kpis__service on tickets by hand."""

import duckdb
import pytest
from jinja2 import Environment

from dbt_project.kpis.contracts import MODELS

# Tickets and contacts of 1 to 20 hours, the last `waiting` of them not over yet; by the clock of
# the business everything takes half of that. Twice ten visits to help pages, ten people.
ROWS = """
create table customer_360 as
select 'c' || n as customer_id, 'north' as region, null::varchar as country, false as is_test,
    false as is_employee
from range(10) as t (n);
create table fct_tickets as
select 's:' || n as ticket_key, 'c' || n % 10 as customer_id, 's' as source,
    date '2026-01-05' as created_on, false as is_merged, is_over as is_finished,
    case when is_over then timestamp '2026-01-06' end as first_solved_at,
    case when is_over then 60.0 * n end as first_resolution_minutes,
    case when is_over then 30.0 * n end as first_resolution_business_minutes,
    case when is_over then 60.0 * n end as full_resolution_minutes,
    case when is_over then 30.0 * n end as full_resolution_business_minutes,
    60.0 * n as requester_wait_minutes, 60.0 * n as agent_wait_minutes
from hours;
create table fct_ticket_timeline as
select 's:' || n as ticket_key, 'open' as status, 60.0 * n as minutes, 30.0 * n as business_minutes
from hours;
create table fct_ticket_replies as
select 's:' || n as ticket_key, true as is_first, 60.0 * n as minutes, 30.0 * n as business_minutes,
    case when is_over then 'replied' else 'waiting' end as outcome
from hours;
create table fct_service_contacts as
select 's:' || n as contact_key, 'c' || n % 10 as customer_id, 's' as source,
    date '2026-01-05' as started_on, 60.0 * n as wait_minutes, not is_over as is_open,
    false as is_merged, 'ticket' as kind
from hours;
create table fct_help_sessions as
select 'v' || n as session_key, date '2026-01-05' as started_on, 's' as source,
    'c' || n % 10 as customer_id
from hours;
create table fct_ticket_slas (ticket_key varchar, customer_id varchar, source varchar,
    metric varchar, started_on date, target_minutes double, elapsed_minutes double, outcome varchar)
"""
CALENDAR = (
    "first_reply_hours", "first_resolution_hours", "full_resolution_hours",
    "requester_wait_hours", "agent_wait_hours", "waiting_time_hours",
)  # fmt: skip
BUSINESS = (
    "first_reply_business_hours", "first_resolution_business_hours",
    "full_resolution_business_hours",
)  # fmt: skip


def figures(waiting: int) -> dict[str, set[float | None]]:
    """Values of each KPI over all its periods and groups."""
    macros = "".join(
        (MODELS.parent / "macros" / f"{name}.sql").read_text(encoding="utf-8")
        for name in ("statistics", "survival", "periods")
    )
    model = (MODELS / "kpis" / "int_kpis__service.sql").read_text(encoding="utf-8")
    environment = Environment(extensions=["jinja2.ext.do"])
    sql = environment.from_string(macros + model).render(ref=lambda name: name)
    with duckdb.connect() as connection:
        connection.execute(
            f"create table hours as select n, n <= 20 - {waiting} as is_over"
            " from range(1, 21) as t (n)"
        )
        connection.execute(ROWS)
        found: dict[str, set[float | None]] = {}
        for kpi, value in connection.execute(f"select kpi_id, value from ({sql})").fetchall():
            found.setdefault(kpi, set()).add(value)
    return found


# who still waits has waited as long as anybody; nine in ten are not known where three wait
@pytest.mark.parametrize(("waiting", "most"), [(0, 18), (2, 18), (3, None)])
def test_half_and_nine_in_ten_by_hand(waiting: int, most: int | None) -> None:
    found = figures(waiting)
    for kpis, unit in ((CALENDAR, 1.0), (BUSINESS, 0.5)):
        for kpi in kpis:
            assert found.pop(f"{kpi}_median") == {10 * unit}, kpi
            assert found.pop(f"{kpi}_p90") == {most * unit if most else None}, kpi
    assert found == {"self_service_score": {2.0}}
