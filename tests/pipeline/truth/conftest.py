"""A simulated company as two loads have made its warehouse, and what is known to be true of it.

`make truth CUSTOMERS=10000 SEED=8` asks the same of a larger company, or of another story.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
import yaml

from ingestion.exports.mapping import load_mapping
from ingestion.simulator.company import Company
from ingestion.simulator.vendors.salesforce_objects import sql_id
from ingestion.simulator.world import open_world
from orchestration.sources import load_source
from orchestration.warehouse import append_decisions, record_build, write_plan
from tests.pipeline.conftest import Homes, dbt, settings_of
from tests.support import NOW, ROOT, Home

SMALL = {"customers": 350, "days": 450, "seed": 7}
COMPANY = SMALL | {
    name: int(os.environ[variable])
    for name in ("customers", "days", "seed")
    if os.environ.get(variable := f"CXM_TRUTH_{name.upper()}")
}
# the share of people of whom a system tells what another did: on a borrowed browser, as a guest
# from another's mailbox; of 350 people there are none
MISTAKEN = 0 if COMPANY == SMALL else 0.02
THE_DAY_AFTER = (datetime.fromisoformat(NOW) + timedelta(days=1)).isoformat()

VENDORS = """
    from (values
        ('shop', 'shopify'), ('support', 'zendesk'), ('marketing', 'hubspot'),
        ('sales', 'salesforce'), ('relationship', 'surveymonkey'), ('experience', 'qualtrics'),
        ('news', 'mailchimp'), ('web', 'segment')
    ) as v(source, vendor)
"""

# What is true as of the clock, in the words of the world; `id` is what the vendor calls the thing.
WORLD = f"""
create macro happened(moment) as coalesce(moment <= clock(), false);
create macro month_of(moment) as strftime(timezone('Europe/Berlin', moment), '%Y-%m');
create macro seconds(moment) as date_trunc('second', moment)::timestamp;
create table people as select person_id from world.person where kind in ('b2c', 'b2b');
create table vendors as {VENDORS};

create table reported as  -- files of the website hold whole days
select event_id, review_id, referral_id from world.web_event
where received_at < date_trunc('day', clock());

create table sale as  -- the shop marks the orders of tests
select *, (4500000000 + order_id)::varchar as id from world.orders
where happened(placed_at) and not coalesce(is_test, false);

create table record as  -- each in its newest state
select * from world.record where happened(changed_at)
qualify row_number() over (partition by record_id order by version desc) = 1;

create table request as
with changes as (
    select ticket_id, arg_max(to_value, (e.at, ticket_event_id)) as status,
        min(e.at) filter (to_value = 'solved') as first_solved_at,
        max(e.at) filter (to_value = 'solved') as solved_at,
        count(*) filter (
            from_value = 'solved' and to_value in ('new', 'open', 'pending', 'hold')
        ) as reopens
    from world.ticket_event as e where field = 'status' and happened(e.at) group by ticket_id
),
ratings as (
    select ticket_id, arg_max(to_value, (e.at, ticket_event_id)) as satisfaction
    from world.ticket_event as e where field = 'satisfaction' and happened(e.at) group by ticket_id
),
merges as (  -- closed without having been solved
    select t.ticket_id, t.vendor, t.merged_into from world.ticket as t
    inner join changes as c using (ticket_id)
    where t.merged_into is not null and c.status = 'closed'
),
talk as (  -- Zendesk leaves with a ticket what was said there, the others hand it on
    select coalesce(x.merged_into, m.ticket_id) as ticket_id,
        count(*) filter (author = 'customer') as customer_messages,
        count(*) filter (author = 'agent' and is_public) as agent_replies,
        min(m.at) filter (author = 'agent' and is_public) as first_replied_at
    from world.message as m
    left join merges as x on m.ticket_id = x.ticket_id and x.vendor <> 'zendesk'
    where happened(m.at) group by all
)
select t.*, coalesce(c.status, 'new') as status, r.satisfaction,
    t.ticket_id in (select ticket_id from merges) as is_merged,
    c.first_solved_at, c.solved_at, coalesce(c.reopens, 0) as reopens, m.first_replied_at,
    coalesce(m.customer_messages, 0) as customer_messages,
    coalesce(m.agent_replies, 0) as agent_replies,
    case t.vendor
        when 'zendesk' then (5000 + t.ticket_id)::varchar
        when 'salesforce' then {sql_id("500", "t.ticket_id")}
        -- every merge gives the winner a new number
        else (8000000000 + t.ticket_id + 100000000 * (
            select count(*) from merges where merged_into = t.ticket_id
        ))::varchar
    end as id
from world.ticket as t
left join changes as c using (ticket_id)
left join ratings as r using (ticket_id)
left join talk as m using (ticket_id)
where happened(t.created_at) and not happened(t.deleted_at) and not coalesce(t.is_test, false);

create table deal as
select o.*, month_of(o.created_at) as month, coalesce(s.stage, 'new') as stage, s.amount,
    case o.vendor || ' ' || o.kind
        when 'salesforce opportunity' then {sql_id("006", "o.opportunity_id")}
        when 'salesforce lead' then r.external_id
        when 'hubspot opportunity' then (9000000000 + o.opportunity_id)::varchar
        else (9500000000 + o.opportunity_id)::varchar
    end as id,
    -- who deletes a lead deletes what was known of it
    o.vendor = 'salesforce' and o.kind = 'lead' and r.state <> 'live' as is_deleted
from world.opportunity as o
left join record as r using (record_id)
left join (
    select opportunity_id, arg_max(stage, (e.at, stage_event_id)) as stage,
        arg_max(amount, (e.at, stage_event_id)) filter (amount is not null) as amount
    from world.opportunity_stage as e where happened(e.at) group by opportunity_id
) as s using (opportunity_id)
where happened(o.created_at);
"""


@dataclass(frozen=True)
class Simulated:
    """A company's warehouse (`w`), its world (`world`) and the truth about it (`truth.<name>`)."""

    home: Home
    connection: duckdb.DuckDBPyConnection

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def agree(self, of_warehouse: str, of_world: str) -> None:
        """Both queries give the same rows, and give some."""
        ours, theirs = (
            self.ask(f"select * from ({q}) order by all") for q in (of_warehouse, of_world)
        )
        assert theirs
        known, found = set(theirs), set(ours)
        assert [r for r in ours if r not in known] == []
        assert [r for r in theirs if r not in found] == []
        assert len(ours) == len(theirs)


@pytest.fixture(scope="session")
def first_load(homes: Homes) -> Home:
    """The company as it is loaded and staged for the first time."""
    config = yaml.safe_load((ROOT / "examples" / "simulated.yml").read_text(encoding="utf-8"))
    config["simulation"] |= COMPANY
    path = homes.base / "simulated.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    home = homes.make("simulated", path, CXM_NOW=THE_DAY_AFTER)
    settings = settings_of(home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**home.env, "CXM_NOW": NOW}.items():
            patch.setenv(name, value)
        mapping = load_mapping(path)
        for source in mapping.sources:
            attempt = load_source(settings, mapping, source, datetime.fromisoformat(NOW))
            assert attempt.error is None, attempt
    plan, fingerprint = write_plan(settings, mapping)
    # what lies above staging is made anew by every build
    dbt(home, "build", "--exclude-resource-type", "test", "--select", "staging", "--full-refresh")
    record_build(settings.warehouse, fingerprint, plan["as_of"])
    return home


def tell_who_is_who(home: Home) -> None:
    """Decide on every two records that identity has mistaken, as somebody who knows could.

    How often it is mistaken is measured elsewhere; here all other figures are to be right.
    """
    settings = settings_of(home)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.warehouse}' as w (read_only)")
        decisions = connection.execute(f"""
            with record as (
                select a.record_key, a.customer_id, t.person_id
                from read_parquet('{home.path / "simulation" / "truth" / "clusters.parquet"}') as t
                inner join ({VENDORS}) as v using (vendor)
                inner join w.identity.int_identity__assignments as a
                    on a.record_key = v.source || ':' || t.external_id
                where t.kind = 'record' and t.person_id is not null
                union
                select a.record_key, a.customer_id, t.person_id  -- whom only an order names
                from read_parquet('{home.path / "simulation" / "truth" / "clusters.parquet"}') as t
                inner join w.journey.int_journey__touches as o
                    on o.order_key = 'shop:' || (4500000000 + t.external_id::bigint)
                inner join w.identity.int_identity__assignments as a
                    on o.person_ref = a.record_key
                where t.kind = 'guest_order' and t.person_id is not null
            ),
            part as (
                select person_id, customer_id, min(record_key) as record_key,
                    min(min(record_key)) over (partition by person_id) as first_key
                from record group by person_id, customer_id
            ),
            decided as (
                select 'apart' as decision, l.record_key as left_key, r.record_key as right_key
                from record as l inner join record as r using (customer_id)
                where l.person_id < r.person_id
                union all
                select 'merge', first_key, record_key from part where record_key <> first_key
            )
            select md5(left_key || right_key) as decision_id, *,
                timestamp '2026-10-01' as decided_at, 'truth' as actor, 'known' as reason
            from decided
        """).to_arrow_table()
    append_decisions(settings.lake, settings.mapping().spec.company, decisions)


@pytest.fixture(scope="session")
def simulated(first_load: Home) -> Iterator[Simulated]:
    """The company a day later, and the run that has brought the difference."""
    first_load.cxm("simulate", "--days", "1")
    outcome = first_load.run()
    assert outcome["succeeded"] and outcome["published_new"], outcome
    assert outcome["failed_sources"] == {}
    if COMPANY != SMALL:  # where there are namesakes enough to be mistaken for each other
        tell_who_is_who(first_load)
        assert first_load.run()["succeeded"]
    company = Company.open(first_load.path / "simulation")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{first_load.path / 'warehouse.duckdb'}' as w (read_only)")
        open_world(company.folder / "world", connection)
        connection.execute("create schema truth")
        for answer in (company.folder / "truth").glob("*.parquet"):
            connection.execute(f"create view truth.{answer.stem} as from '{answer}'")
        connection.execute(f"create macro clock() as timestamptz '{company.clock.isoformat()}'")
        connection.execute(WORLD)
        yield Simulated(first_load, connection)
