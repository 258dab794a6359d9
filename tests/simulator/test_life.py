"""The story holds together: money, times, stages, and going on from where it stopped."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.simulator.life import Life, surveys
from ingestion.simulator.life.cast import Hours, microseconds
from ingestion.simulator.life.columns import HOUR, MINUTE, NONE, rank_in, rows
from ingestion.simulator.life.times import season
from ingestion.simulator.people import found
from ingestion.simulator.world import SCHEMAS, TIME

START = datetime(2024, 3, 4, tzinfo=UTC)
WEEKS = 44
BERLIN = Hours(
    START, pa.table({"day": pa.array([START.date()]), "country": ["DE"], "name": ["Holiday"]})
)
EVENTS = (
    "web_event", "orders", "order_line", "payment", "refund", "refund_line", "cart", "cart_line",
    "ticket", "ticket_event", "message", "activity", "survey_invitation", "survey_response",
    "review", "referral", "email_send", "email_event", "opportunity", "opportunity_stage",
    "stage", "mood", "churn", "record",
)  # fmt: skip


def _founding(customers: int) -> dict[str, pa.Table]:
    return found(
        seed=11, customers=customers, started_at=START, ended_at=START + timedelta(weeks=WEEKS)
    )


@pytest.fixture(scope="module")
def world() -> duckdb.DuckDBPyConnection:
    founding = _founding(300)
    life = Life(11, founding, started_at=START)
    weeks = [life.week(n) for n in range(WEEKS)]
    tables = dict(founding)
    for name in {n for week in weeks for n in week}:
        tables[name] = pa.concat_tables([w[name] for w in weeks if name in w])
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for name, table in tables.items():
        connection.register(name, table)
    return connection


def _none(world: duckdb.DuckDBPyConnection, query: str) -> None:
    """The query finds no row: each would break a rule."""
    assert world.execute(query).fetchall() == []


def test_every_week_gives_every_table_with_its_columns() -> None:
    life = Life(11, _founding(60), started_at=START)
    for number in range(2):
        week = life.week(number)
        assert set(week) == {*EVENTS, *(("survey",) if number == 0 else ())}
        for name, table in week.items():
            assert table.schema.equals(SCHEMAS[name]), name


def test_weeks_are_written_in_order() -> None:
    life = Life(11, _founding(60), started_at=START)
    with pytest.raises(ValueError, match="goes on with week 0, not 3"):
        life.week(3)


def test_going_on_from_saved_state_is_the_same_story() -> None:
    founding = _founding(150)
    whole = Life(5, founding, started_at=START)
    expected = [whole.week(n) for n in range(14)]

    first = Life(5, founding, started_at=START)
    for n in range(7):
        first.week(n)
    file = BytesIO()
    np.savez(file, **first.state)  # type: ignore[arg-type]
    file.seek(0)
    second = Life(5, founding, dict(np.load(file, allow_pickle=False)), started_at=START)
    for n in range(7, 14):
        for name, table in second.week(n).items():
            assert table.equals(expected[n][name]), (n, name)


def test_a_week_tells_of_nothing_before_it() -> None:
    """What was published of earlier weeks stays as it was."""
    life = Life(11, _founding(150), started_at=START)
    earlier = {("stage", "entered_at"), ("churn", "churned_at"), ("record", "created_at")}
    earlier |= {("record", "consent_changed_at")}
    for number in range(12):
        begin = START + timedelta(weeks=number)
        for name, table in life.week(number).items():
            for field in table.schema:
                if field.type == TIME and (name, field.name) not in earlier:
                    first = pc.min(table[field.name]).as_py()
                    assert first is None or first >= begin, (number, name, field.name)


@pytest.mark.parametrize("customers", [8, 15])
def test_weeks_in_which_nothing_happens(customers: int) -> None:
    life = Life(3, _founding(customers), started_at=START)
    for number in range(20):
        week = life.week(number)
        assert set(EVENTS) <= set(week)


def test_another_seed_is_another_story() -> None:
    founding = _founding(60)
    one = Life(1, founding, started_at=START).week(0)
    again = Life(1, founding, started_at=START).week(0)
    other = Life(2, founding, started_at=START).week(0)
    assert all(one[n].equals(again[n]) for n in one)
    assert not one["web_event"].equals(other["web_event"])


def test_order_total_is_the_sum_of_its_parts(world: duckdb.DuckDBPyConnection) -> None:
    _none(world, """
        select order_id from orders
        where total <> subtotal - discount + shipping + tax or total <= 0 or discount > subtotal
    """)  # fmt: skip
    _none(world, """
        select o.order_id from orders o left join (
            select order_id, sum(quantity * unit_price) as subtotal, sum(discount) as discount,
                   sum(tax) as tax
            from order_line group by all
        ) l using (order_id)
        where (l.subtotal, l.discount, l.tax) is distinct from (o.subtotal, o.discount, o.tax)
    """)  # fmt: skip


def test_what_is_paid_is_the_total(world: duckdb.DuckDBPyConnection) -> None:
    _none(world, """
        select o.order_id from orders o left join (
            select order_id, min("at") as at_first, sum(amount) as amount, count(*) as times
            from payment where kind in ('capture', 'sale') and status = 'success' group by all
        ) p using (order_id)
        where o.paid_at is distinct from p.at_first
           or (o.paid_at is not null and (p.amount <> o.total or p.times <> 1))
    """)  # fmt: skip
    _none(world, """
        select c.payment_id from payment c left join payment a
            on a.payment_id = c.parent_payment_id and a.order_id = c.order_id
            and a.kind = 'authorization' and a.status = 'success' and a.amount = c.amount
            and a.currency = c.currency and a."at" <= c."at"
        where c.kind in ('capture', 'void') and a.payment_id is null
    """)  # fmt: skip


def test_refunds_are_their_lines_and_never_more_than_was_paid(
    world: duckdb.DuckDBPyConnection,
) -> None:
    assert world.execute("select count(*) > 20 from refund").fetchone() == (True,)
    _none(world, """
        select order_id from refund r join orders o using (order_id) group by order_id
        having sum(r.amount) > any_value(o.total) or min(r."at") < any_value(paid_at)
    """)  # fmt: skip
    _none(world, """
        select r.refund_id from refund r join orders o using (order_id) left join (
            select refund_id, sum(subtotal) as lines from refund_line group by all
        ) l using (refund_id)
        where r.amount <= 0 or (r.reason <> 'goodwill'
          and r.amount - coalesce(l.lines, 0) not in (0, o.shipping))
    """)  # fmt: skip
    _none(world, """
        select line_id from refund_line r join order_line l using (line_id)
        group by line_id having sum(r.quantity) > any_value(l.quantity)
            or sum(r.subtotal) > any_value(l.quantity * l.unit_price - l.discount + l.tax)
    """)  # fmt: skip
    _none(world, """
        select r.refund_id from refund r left join payment p
            on p.payment_id = r.payment_id and p.kind = 'refund' and p.amount = r.amount
            and p.order_id = r.order_id and p."at" = r."at" and p.parent_payment_id is not null
        where p.payment_id is null
    """)  # fmt: skip


def test_delivery_follows_payment_and_faults_say_what_went_wrong(
    world: duckdb.DuckDBPyConnection,
) -> None:
    _none(world, """
        select order_id from orders
        where shipped_at < placed_at or delivered_at < shipped_at or canceled_at < placed_at
           or (canceled_at is not null and coalesce(shipped_at, delivered_at) is not null)
           or (delivery_fault = 'lost' and delivered_at is not null)
           or (delivery_fault = 'late' and delivered_at <= promised_at)
    """)  # fmt: skip
    counted = world.execute("""
        select count(*) filter (delivered_at > promised_at) > 0,
               bool_and(delivery_fault = 'late') filter (delivered_at > promised_at)
        from orders
    """).fetchone()
    assert counted == (True, True)


def test_nobody_does_anything_before_they_enter(world: duckdb.DuckDBPyConnection) -> None:
    moments = {
        "web_event": "at", "orders": "placed_at", "cart": "created_at", "ticket": "created_at",
        "survey_invitation": "sent_at", "email_send": "sent_at", "review": "at", "referral": "at",
        "opportunity": "created_at", "activity": "at", "stage": "entered_at", "churn": "churned_at",
    }  # fmt: skip
    for table, column in moments.items():
        _none(world, f"""
            select * from {table} e join person p using (person_id)
            where e."{column}" < p.entered_at
        """)  # fmt: skip


def test_erased_people_are_heard_of_no_more(world: duckdb.DuckDBPyConnection) -> None:
    moments = {
        "web_event": "at", "orders": "placed_at", "ticket": "created_at", "cart": "created_at",
        "survey_invitation": "sent_at", "email_send": "sent_at",
    }  # fmt: skip
    for table, column in moments.items():
        _none(world, f"""
            select * from {table} e join erasure x using (person_id)
            where e."{column}" > x.erased_at
        """)  # fmt: skip


def test_ids_are_unique(world: duckdb.DuckDBPyConnection) -> None:
    for table, column in {
        "web_event": "event_id", "orders": "order_id", "order_line": "line_id",
        "payment": "payment_id", "refund": "refund_id", "cart": "cart_id", "ticket": "ticket_id",
        "ticket_event": "ticket_event_id", "message": "message_id", "activity": "activity_id",
        "survey_invitation": "invitation_id", "survey_response": "response_id",
        "review": "review_id", "referral": "referral_id", "email_send": "send_id",
        "email_event": "event_id", "opportunity": "opportunity_id",
        "opportunity_stage": "stage_event_id",
    }.items():  # fmt: skip
        _none(
            world,
            f"select {column} from {table} group by 1 having count(*) > 1 or {column} is null",
        )


def test_records_are_those_of_the_person_in_that_system(world: duckdb.DuckDBPyConnection) -> None:
    for table, vendor, person in (
        ("orders", "'shopify'", "person_id"), ("cart", "'shopify'", "person_id"),
        ("web_event", "'shopify'", "person_id"), ("ticket", "e.vendor", "person_id"),
        ("opportunity", "e.vendor", "person_id"), ("activity", "e.vendor", "person_id"),
        ("email_send", "'mailchimp'", "person_id"),
    ):  # fmt: skip
        _none(world, f"""
            select e.* from {table} e left join (
                select distinct record_id, vendor, person_id from record
            ) r on r.record_id = e.record_id and r.vendor = {vendor} and r.person_id = e.{person}
            where e.record_id is not null and r.record_id is null
        """)  # fmt: skip
    _none(world, "select * from ticket where record_id is null")


def test_a_web_order_is_placed_in_its_cart_on_its_last_page(
    world: duckdb.DuckDBPyConnection,
) -> None:
    _none(world, """
        select o.order_id from orders o
        left join web_event e on e.order_id = o.order_id and e.kind = 'order_completed'
        left join cart c on c.order_id = o.order_id
        where o.cart_id is not null and (e."at", c.cart_id, c.completed_at, c.currency)
            is distinct from (o.placed_at, o.cart_id, o.placed_at, o.currency)
    """)  # fmt: skip
    _none(world, """
        select c.cart_id from cart c join (
            select cart_id, sum(quantity) as pieces from cart_line group by all
        ) l using (cart_id) join (
            select order_id, sum(quantity) as pieces from order_line group by all
        ) o using (order_id) where o.pieces <> l.pieces
    """)  # fmt: skip
    _none(world, 'select * from web_event where device_id is null or received_at < "at"')


def test_true_stages_do_not_overlap_and_every_open_span_is_known(
    world: duckdb.DuckDBPyConnection,
) -> None:
    newest = """
        select person_id, stage, entered_at, max(left_at) as left_at, count(*) as versions,
               count(left_at) as ends
        from stage group by all
    """
    _none(world, f"""
        select * from ({newest}) where versions > 2 or ends > 1 or left_at <= entered_at
    """)  # fmt: skip
    _none(world, f"""
        select * from (
            select *, lead(entered_at) over (partition by person_id order by entered_at) as next_at
            from ({newest})
        ) where next_at is not null and (left_at is null or left_at > next_at)
    """)  # fmt: skip
    _none(world, """
        select person_id from person where kind in ('b2c', 'b2b')
        and entered_at < (select max("at") from mood)
        and person_id not in (select person_id from stage where stage = 'awareness')
    """)  # fmt: skip


def test_status_of_tickets_goes_from_one_to_the_next(world: duckdb.DuckDBPyConnection) -> None:
    _none(world, """
        select * from (
            select *, lag(to_value) over (
                partition by ticket_id, field order by "at", ticket_event_id) as before
            from ticket_event where field in ('status', 'satisfaction', 'assignee')
        ) where before is distinct from from_value
    """)  # fmt: skip
    _none(world, """
        select t.ticket_id from ticket t left join ticket_event e
            on e.ticket_id = t.ticket_id and e.field = 'status' and e.to_value = 'new'
        where e."at" is distinct from t.created_at
    """)  # fmt: skip
    _none(world, """
        select t.ticket_id from ticket t join ticket_event e using (ticket_id)
        where (e.field = 'priority' and e.from_value <> t.priority)
           or (e.field = 'support_group' and e.from_value <> t.support_group)
    """)  # fmt: skip
    _none(world, """
        select t.ticket_id from ticket t left join ticket w on w.ticket_id = t.merged_into
        where t.merged_into is not null
          and (w.issue_id is distinct from t.issue_id or w.merged_into is not null)
    """)  # fmt: skip


def test_scores_lie_on_the_scale_and_are_what_was_felt(world: duckdb.DuckDBPyConnection) -> None:
    _none(world, """
        select * from survey_invitation join survey using (survey_id)
        where felt_score not between scale_min and scale_max or felt_score is null
    """)  # fmt: skip
    _none(world, """
        select * from survey_response r join survey_invitation i using (invitation_id)
        where r.score <> i.felt_score or i.status not in ('partial', 'completed')
           or r.recorded_at < i.opened_at or r.completed_at < r.recorded_at
           or (i.status = 'completed') <> (r.completed_at is not null)
           or (r.comment is null) <> (r.sentiment is null)
    """)  # fmt: skip


def test_who_unsubscribes_gets_no_more_mail(world: duckdb.DuckDBPyConnection) -> None:
    _none(world, """
        select s.send_id from email_event e join email_send u using (send_id)
        join email_send s on s.person_id = u.person_id and s.sent_at > e."at"
            and s.sent_at < e."at" + interval 14 days
        where e.kind = 'unsubscribe'
    """)  # fmt: skip


def test_the_company_is_plausible(world: duckdb.DuckDBPyConnection) -> None:
    def one(query: str) -> float:
        found = world.execute(query).fetchone()
        assert found is not None
        return float(found[0])

    assert 0.5 < one("select count(*) / 300 from orders") < 5
    assert 0.03 < one("select avg((delivery_fault is not null)::int) from orders") < 0.13
    assert (
        0.04
        < one("select count(distinct order_id) / (select count(*) from orders) from refund")
        < 0.25
    )
    assert 0.3 < one("select avg((order_id is null)::int) from cart") < 0.6
    assert 0.1 < one("select count(*) / (select count(*) from orders) from ticket") < 0.5
    assert (
        0.15
        < one("select count(*) / (select count(*) from survey_invitation) from survey_response")
        < 0.5
    )
    felt = """
        select avg(felt_score) from survey_invitation join orders using (order_id)
        where delivery_fault is {}
    """
    unhappy, happy = one(felt.format("not null")), one(felt.format("null"))
    assert unhappy < happy


def test_business_hours_know_weekends_and_holidays() -> None:
    holiday = pa.table({
        "day": pa.array([datetime(2024, 5, 1).date()]), "country": ["DE"], "name": ["Labour Day"],
    })  # fmt: skip
    hours = Hours(START, holiday)

    def plus(text: str, work: int) -> datetime:
        at = np.array([microseconds(datetime.fromisoformat(text))])
        moment = hours.plus(at, work * HOUR)[0]
        return datetime.fromtimestamp(int(moment) / 1e6, UTC)

    assert plus("2024-03-08T15:00+00:00", 4) == datetime(2024, 3, 11, 9, tzinfo=UTC)
    assert plus("2024-03-09T12:00+00:00", 1) == datetime(2024, 3, 11, 8, tzinfo=UTC)
    assert plus("2024-04-30T15:00+00:00", 2) == datetime(2024, 5, 2, 7, tzinfo=UTC)


@given(
    minutes=st.integers(0, 3 * 365 * 24 * 60),
    work=st.integers(0, 200 * 60),
    more=st.integers(1, 90),
)
def test_business_time_adds_up(minutes: int, work: int, more: int) -> None:
    at = np.array([microseconds(START) + minutes * MINUTE])
    until = BERLIN.plus(at, work * MINUTE)
    assert until[0] >= at[0]
    assert BERLIN.worked(until)[0] == BERLIN.worked(at)[0] + work * MINUTE
    assert BERLIN.plus(until, more * MINUTE)[0] == BERLIN.plus(at, (work + more) * MINUTE)[0]


def test_black_friday_is_the_fourth_friday_of_november_or_near() -> None:
    factor, day = season(microseconds(datetime(2024, 11, 25, tzinfo=UTC)))
    assert day == 4
    assert factor > 2
    assert season(microseconds(datetime(2024, 11, 18, tzinfo=UTC)))[1] == -1


def test_columns_are_exact() -> None:
    table = rows("refund", {
        "refund_id": np.array([1, 2]), "amount": np.array([123456789012345, NONE]),
        "at": np.array([NONE, 1_700_000_000_000_000]),
    })  # fmt: skip
    assert [str(a) for a in table["amount"].to_pylist()] == ["1234567890123.45", "None"]
    assert table["at"].to_pylist() == [None, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)]
    assert rank_in(np.array([4, 4, 7, 4])).tolist() == [0, 1, 0, 0]
    with pytest.raises(KeyError, match="refund: no such columns in the world: nothing"):
        rows("refund", {"nothing": np.array([1])})


def test_who_has_left_does_not_buy_until_they_return(world: duckdb.DuckDBPyConnection) -> None:
    world.execute("""
        create or replace temp view parting as
        select person_id, churned_at, max(returned_at) as returned_at from churn group by all
    """)
    assert world.execute("select count(*) > 5 from parting").fetchone() == (True,)
    _none(world, """
        select o.order_id from orders o join parting p using (person_id)
        where o.placed_at > p.churned_at and o.placed_at < coalesce(p.returned_at, 'infinity')
    """)  # fmt: skip
    _none(world, """
        select p.* from parting p left join stage s
            on s.person_id = p.person_id and s.left_at = p.churned_at and s.cause = 'churned'
        where s.person_id is null
    """)  # fmt: skip


def test_silence_is_mostly_what_a_company_can_see() -> None:
    """Who is close to the company answers, who had trouble does not; the feeling does less."""
    week = 7 * 86400 * 10**6

    def ready(value: float = 0.7, weeks: int = 4, orders: int = 3, effort: float = 0.2) -> float:
        cast: Any = SimpleNamespace(loyalty=np.array([0.6]), expressiveness=np.array([0.45]))
        state = {
            "last_active": np.array([0]), "orders": np.array([orders]), "alive": np.array([True]),
            "effort": np.array([effort]), "intent": np.array([0.2]),
        }  # fmt: skip
        who, kind = np.array([0]), np.array([surveys.NPS])
        (share,) = surveys._readiness(
            cast, state, kind, who, np.array([weeks * week]), np.array([value])
        )
        return float(share)

    assert 0.1 < ready() < 0.5
    assert ready(weeks=0) > 1.5 * ready(weeks=26)
    assert ready(orders=5) > 1.5 * ready(orders=1)
    assert ready(effort=0.2) > 1.5 * ready(effort=0.5)
    assert 1.02 < ready(value=1) / ready(value=0.4) < 1.15
