"""Who is who in the simulated company, and what is known of each, against the truth."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.truth.conftest import Simulated

# a customer is a person where all records whose person is known agree
WHO = """
with label as (
    select v.source || ':' || t.external_id as record_key, t.person_id
    from truth.clusters as t inner join vendors as v using (vendor)
    where t.kind = 'record' and t.state = 'live' and t.person_id is not null
),
clustered as (
    select a.customer_id, label.person_id
    from label inner join w.identity.int_identity__assignments as a using (record_key)
),
who as (
    select customer_id, min(person_id) as person_id from clustered
    group by customer_id having count(distinct person_id) = 1
)
"""


def test_accuracy_is_what_the_truth_says(simulated: "Simulated") -> None:
    """The published counts are those of the truth, and what is in use beats identifiers alone."""
    counted = simulated.ask(
        f"""{WHO},
        cell as (select customer_id, person_id, count(*) as n from clustered group by all),
        called as (select customer_id, sum(n) as n from cell group by all),
        people as (select person_id, sum(n) as n from cell group by all)
        select (select sum(n) from cell)::bigint,
            (select sum(n * (n - 1) // 2) from called)::bigint,
            (select sum(n * (n - 1) // 2) from people)::bigint,
            (select sum(n * (n - 1) // 2) from cell)::bigint"""
    )
    rows = "from w.marts.identity_accuracy where dimension = 'all'"
    published = simulated.ask(
        f"select distinct records, called_pairs, true_pairs, right_pairs {rows} "
        "and method = 'default'"
    )
    assert published == counted
    values = dict(
        simulated.ask(f"select method || ' ' || measure, (value, ci_low, ci_high) {rows}")
    )
    for name, (value, low, high) in values.items():
        assert 0 <= low <= value <= high <= 1, name
    assert values["default precision"][0] > 0.97
    assert values["default recall"][0] > 0.93
    assert values["default f1"][0] > values["identifiers f1"][0]


def test_golden_values_are_those_of_the_person(simulated: "Simulated") -> None:
    """Most are; where no record of a person was told of a change, no rule can know it."""
    right = dict(
        simulated.ask(
            f"""{WHO},
            change as (
                select person_id, field, arg_max(value, c.changed_at) as value
                from world.person_change as c where happened(c.changed_at) group by all
            ),
            fact as (
                select p.person_id, f.field, f.value, f.native
                from world.person as p, unnest([
                    {{'field': 'first_name', 'value': p.first_name, 'native': p.native_first_name}},
                    {{'field': 'last_name', 'value': p.last_name, 'native': p.native_last_name}},
                    {{'field': 'email', 'value': p.email, 'native': null}},
                    {{'field': 'street', 'value': p.street, 'native': null}}
                ]) as u(f)
            )
            select g.attribute, avg((
                lower(g.value) = lower(coalesce(change.value, fact.value))
                or lower(g.value) = coalesce(lower(fact.native), '')
            )::int)
            from w.marts.customer_attributes as g inner join who using (customer_id)
            inner join fact on fact.person_id = who.person_id and fact.field = g.attribute
            left join change on change.person_id = who.person_id and change.field = g.attribute
            where fact.value is not null group by all"""
        )
    )
    assert right["last_name"] > 0.92 and right["first_name"] > 0.88
    assert right["email"] > 0.88 and right["street"] > 0.9


def test_nobody_is_written_to_who_said_no(simulated: "Simulated") -> None:
    """A person one of whose live records says no has no consent, whatever the others say.

    Of a contact without an address HubSpot says nothing.
    """
    said_no = f"""{WHO}
        select distinct a.customer_id
        from record as r
        inner join vendors as v using (vendor)
        inner join w.identity.int_identity__assignments as a
            on a.record_key = v.source || ':' || r.external_id
        where r.state = 'live' and r.vendor in ('shopify', 'hubspot')
            and r.email_consent is false and r.email is not null"""
    found = simulated.ask(
        "select count(*), count(*) filter (has_email_consent) from w.marts.customer_360"
        f" where customer_id in ({said_no})"
    )
    assert found[0][0] > 20 and found[0][1] == 0


def test_households_are_of_one_home(simulated: "Simulated") -> None:
    """Nine pairs of ten live together, or are one person whose records were not all found."""
    pairs = simulated.ask(
        f"""{WHO},
        member as (
            select c.household_id, p.household_id as home, who.person_id
            from w.marts.customer_360 as c inner join who using (customer_id)
            inner join world.person as p using (person_id) where c.household_id is not null
        )
        select count(*), count(*) filter (l.home = r.home or l.person_id = r.person_id)
        from member as l inner join member as r using (household_id)
        where (l.person_id, l.home) < (r.person_id, r.home)"""
    )
    assert pairs[0][0] > 10 and pairs[0][1] / pairs[0][0] > 0.85


def test_sensitivity_brackets_what_is_used(simulated: "Simulated") -> None:
    """Looser identities have fewer customers; what is in use is what the KPIs say."""
    rows = simulated.ask(
        "select identity, value from w.marts.identity_sensitivity"
        " where kpi_id = 'customers' and period = 'all'"
    )
    values = dict(rows)
    assert values["loose"] <= values["default"] <= values["strict"]
    compared = simulated.ask("""
        select k.kpi_id, count(*),
            count(*) filter (round(s.value, 9) is distinct from round(k.value, 9))
        from w.marts.kpi_values as k
        left join w.marts.identity_sensitivity as s
            on s.kpi_id = k.kpi_id and s.identity = 'default'
                and s.period = coalesce(strftime(k.period_start, '%Y-%m'), 'all')
        where k.dimension = 'all' and k.period_grain in ('month', 'all') and k.value > 0
            and k.kpi_id in (
                select kpi_id from w.marts.identity_sensitivity where identity = 'loose'
            )
        group by k.kpi_id
    """)
    assert {row[0] for row in compared} == {
        "active_customers", "cac_blended", "known_reach", "new_customers", "new_website_visitors",
        "repeat_customers", "repeat_purchase_rate", "retention_rate", "visitor_conversion_rate",
        "website_visitors",
    }  # fmt: skip
    for kpi, periods, wrong in compared:
        assert periods > 5 and wrong == 0, kpi


def test_every_touch_is_stitched_or_not(simulated: "Simulated") -> None:
    """Channels and months add up to all touches."""
    sums = simulated.ask(
        "select channel = 'all', period_grain, sum(touches)::bigint, sum(tied)::bigint,"
        " sum(before_known)::bigint from w.marts.stitching group by all order by all"
    )
    touches = simulated.ask("select count(*) from w.marts.fct_interactions")[0][0]
    assert [row[2] for row in sums] == [touches] * 4
    assert len({row[3:] for row in sums}) == 1 and 0 < sums[0][4] < sums[0][3] < touches


@pytest.mark.parametrize("guard", ["shared by a household", "shared by too many records"])
def test_guards_say_what_they_prevented(simulated: "Simulated", guard: str) -> None:
    pairs = simulated.ask(
        f"select sum(pairs)::bigint from w.quality.identity_guards where guard = '{guard}'"
    )
    assert pairs[0][0] > 0
