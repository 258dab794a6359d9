"""The known answers, on worlds small enough to count by hand."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.simulator.truth import write_truth
from ingestion.simulator.world import table_of, write_block

Row = dict[str, Any]
Answers = Callable[..., "Truth"]
PEOPLE = [
    {"person_id": 1, "kind": "b2c"},
    {"person_id": 2, "kind": "b2c"},
    {"person_id": 3, "kind": "b2b"},
    {"person_id": 8, "kind": "employee"},
    {"person_id": 9, "kind": "test"},
]
RATES = [
    {"day": date(2026, 1, 1), "currency": "USD", "to_eur": 0.5},
    {"day": date(2026, 2, 1), "currency": "USD", "to_eur": 0.8},
]


def at(text: str) -> datetime:
    """A time of 2026 by "month-day" or "month-day hour:minute", UTC."""
    day, _, time = text.partition(" ")
    return datetime.fromisoformat(f"2026-{day}T{time or '12:00'}+00:00").astimezone(UTC)


END = at("04-01 00:00")


class Truth:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, name: str, columns: str = "*", order: str = "all") -> list[tuple[Any, ...]]:
        with duckdb.connect() as c:
            c.execute("set TimeZone = 'UTC'")
            return c.execute(
                f"select {columns} from '{self.folder / name}.parquet' order by {order}"
            ).fetchall()

    def kpi(self, kpi_id: str, period: str = "all", dimension: str = "all") -> float | None:
        return next((r[0] for r in self._kpi(kpi_id, period, dimension)), None)

    def parts(self, kpi_id: str, period: str = "all", dimension: str = "all") -> tuple[Any, ...]:
        return self._kpi(kpi_id, period, dimension)[0][1:]

    def _kpi(self, *key: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as c:
            rows = c.execute(
                f"select value, numerator, denominator, n from '{self.folder}/kpis.parquet'"
                " where kpi_id = ? and period = ? and dimension = ?",
                key,
            ).fetchall()
        assert len(rows) <= 1, rows
        return rows


@pytest.fixture
def truth(tmp_path: Path) -> Answers:
    """Writes a world from lists of rows and gives its answers."""
    worlds = iter(range(100))

    def of(tables: dict[str, list[Row]], as_of: datetime = END, **more: str) -> Truth:
        world = tmp_path / f"world{next(worlds)}"
        tables = {"person": PEOPLE, "exchange_rate": RATES, **tables}
        write_block(
            world,
            "all",
            {
                name: table_of(name, {c: [r.get(c) for r in rows] for c in rows[0]})
                for name, rows in tables.items()
                if rows
            },
        )
        out = world / "truth"
        write_truth(world, out, as_of=as_of, **more)
        return Truth(out)

    return of


def order(order_id: int, person_id: int, placed: str, total: int = 119, **more: Any) -> Row:
    """100 of goods, 10 of it discounted, the rest of the total is shipping and tax."""
    return {
        "order_id": order_id, "person_id": person_id, "placed_at": at(placed), "currency": "EUR",
        "subtotal": Decimal(100), "discount": Decimal(10), "total": Decimal(total),
        "is_test": False, "record_id": 1, "canceled_at": None, "delivered_at": None,
        "promised_at": None, **more,
    }  # fmt: skip


def test_orders_count_by_state_at_the_date(truth: Answers) -> None:
    orders = [
        order(1, 1, "01-10"),
        order(2, 1, "02-10"),
        order(3, 2, "02-11", canceled_at=at("03-05")),
        order(4, 8, "02-12"),  # an employee
        order(5, 9, "02-13"),  # a test person
        order(6, 3, "02-14", is_test=True),
        order(7, 3, "04-02"),  # has not happened
    ]
    t = truth({"orders": orders})
    assert (t.kpi("orders"), t.kpi("valid_orders"), t.kpi("customers")) == (3, 2, 1)
    assert t.kpi("revenue") == 180 and t.kpi("average_order_value") == 90
    assert t.kpi("gross_revenue") == 238 and t.kpi("gross_order_value") == 119
    assert t.kpi("orders", "2026-02") == 2 and t.kpi("valid_orders", "2026-02") == 1
    assert t.parts("average_order_value") == (180, 2, 2)
    # before the cancellation the same order was valid
    before = truth({"orders": orders}, at("03-01"))
    assert (before.kpi("valid_orders"), before.kpi("customers")) == (3, 2)


def test_amounts_are_in_euros_at_the_rate_of_their_day(truth: Answers) -> None:
    orders = [
        order(1, 1, "01-10", currency="USD"),
        order(2, 1, "02-01 00:00", currency="USD"),
        order(3, 2, "03-10"),
    ]
    t = truth({"orders": orders})
    assert t.kpi("revenue", "2026-01") == 45  # the rate of January holds until the next one
    assert t.kpi("revenue", "2026-02") == 72
    assert t.kpi("revenue") == 45 + 72 + 90


def test_refunds_by_their_own_date_and_by_that_of_the_order(truth: Answers) -> None:
    orders = [
        order(1, 1, "01-10", total=200, currency="USD"),
        order(2, 2, "01-20", total=100),
        order(3, 3, "01-21", total=50, canceled_at=at("01-22")),
    ]
    refunds = [
        {"refund_id": 1, "order_id": 1, "at": at("02-15"), "amount": Decimal(200)},
        {"refund_id": 2, "order_id": 2, "at": at("03-20"), "amount": Decimal(40)},
        {"refund_id": 3, "order_id": 3, "at": at("01-22"), "amount": Decimal(50)},
    ]
    world = {"orders": orders, "refund": refunds}
    t = truth(world)
    # USD 200 were worth EUR 100 when ordered and EUR 160 when given back
    assert t.kpi("refunds", "2026-02", "by_refund_date") == 160
    assert t.kpi("refunds", "2026-01", "by_order_date") == 100 + 40 + 50
    assert t.kpi("net_revenue", "all", "by_order_date") == 100 + 100 - 100 - 40
    assert t.kpi("net_revenue", "2026-01", "by_refund_date") == 200
    assert t.kpi("net_revenue", "2026-02", "by_refund_date") == -160
    # a refund after the date does not count
    before = truth(world, at("03-20 11:59"))
    assert before.kpi("net_revenue", "all", "by_order_date") == 100
    assert before.kpi("refunds", "2026-03", "by_refund_date") is None
    assert truth(world, at("03-20 12:00")).kpi("refunds", "2026-03", "by_refund_date") == 40


def test_a_missing_rate_is_an_error(truth: Answers) -> None:
    with pytest.raises(ValueError, match=r"1 amounts in BRL .* world\.exchange_rate"):
        truth({"orders": [order(1, 1, "01-10", currency="BRL")]})


def test_new_active_and_repeat_customers(truth: Answers) -> None:
    placed = [(1, "01-05"), (1, "01-25"), (1, "03-03"), (2, "01-07"), (2, "02-02"), (3, "03-04")]
    t = truth({"orders": [order(i, p, when) for i, (p, when) in enumerate(placed)]})
    assert [t.kpi("new_customers", m) for m in ("2026-01", "2026-02", "2026-03")] == [2, None, 1]
    assert [t.kpi("active_customers", m) for m in ("2026-01", "2026-02", "2026-03")] == [2, 1, 2]
    assert [t.kpi("customers", m) for m in ("2026-01", "2026-02", "2026-03")] == [2, 2, 3]
    assert [t.kpi("repeat_customers", m) for m in ("2026-01", "2026-02")] == [1, 1]
    assert t.kpi("repeat_customers") == 2 and t.parts("repeat_purchase_rate") == (2, 3, 3)
    assert t.kpi("repeat_purchase_rate", "2026-01") == 0.5  # within the period
    assert t.kpi("repeat_purchase_rate", "2026-03") == 0


def test_active_customers_of_a_year_forget_older_orders(truth: Answers) -> None:
    old = {**order(1, 1, "01-05"), "placed_at": at("01-05") - timedelta(days=366)}
    t = truth({"orders": [old, order(2, 2, "01-06")]})
    assert t.kpi("active_customers", "all", "last_365_days") == 1
    assert t.kpi("customers") == 2


def test_late_deliveries_are_those_that_have_arrived(truth: Answers) -> None:
    promised = at("01-20")
    orders = [
        order(1, 1, "01-10", promised_at=promised, delivered_at=at("01-19")),
        order(2, 1, "01-10", promised_at=promised, delivered_at=at("02-02")),
        order(3, 1, "01-10", promised_at=promised, delivered_at=at("04-02")),
    ]
    assert truth({"orders": orders}).parts("late_delivery_rate") == (1, 2, 2)
    assert truth({"orders": orders}).kpi("late_delivery_rate", "2026-02") == 1


def test_months_are_those_of_the_time_zone(truth: Answers) -> None:
    world = {"orders": [order(1, 1, "01-31 23:30")]}
    assert truth(world).kpi("orders", "2026-01") == 1
    berlin = truth(world, timezone="Europe/Berlin")
    assert berlin.kpi("orders", "2026-02") == 1 and berlin.kpi("customers", "2026-02") == 1


def test_carts_are_judged_when_their_time_is_over(truth: Answers) -> None:
    bought_after = [timedelta(minutes=30), timedelta(hours=20), timedelta(days=10), None]
    carts = [
        {"cart_id": i, "person_id": 1, "created_at": at("01-10"),
         "completed_at": None if after is None else at("01-10") + after}
        for i, after in enumerate(bought_after)
    ]  # fmt: skip
    carts.append({"cart_id": 9, "person_id": 2, "created_at": at("03-31"), "completed_at": None})
    t = truth({"cart": carts})
    rate = {d: t.parts("cart_abandonment_rate", "all", d)[:2] for d in ("1h", "24h", "72h", "30d")}
    # the youngest cart is half a day old: ripe for one hour only
    assert rate == {"1h": (4, 5), "24h": (2, 4), "72h": (2, 4), "30d": (1, 4)}
    assert t.parts("cart_recovery_rate", "all", "30d")[:2] == (2, 3)
    early = truth({"cart": carts}, at("01-15"))
    assert early.parts("cart_abandonment_rate", "all", "72h")[:2] == (2, 4)
    assert early.kpi("cart_abandonment_rate", "all", "30d") is None


def test_win_rate_pipeline_and_conversion_of_leads(truth: Answers) -> None:
    deals = [(1, "lead", None), (2, "opportunity", 1), (3, "opportunity", None), (4, "lead", None),
             (5, "opportunity", None)]  # fmt: skip
    steps = [
        (1, "01-05", "new", None), (2, "01-20", "new", 100), (2, "02-20", "won", 120),
        (3, "01-21", "proposal", 300), (3, "03-01", "lost", 300), (4, "02-01", "lost", None),
        (5, "03-01", "proposal", 1000), (5, "03-10", "negotiation", None),
        (5, "04-05", "won", 2000),
    ]  # fmt: skip
    chance = {"new": 0.1, "proposal": 0.5, "negotiation": 0.75, "won": 1.0, "lost": 0.0}
    world = {
        "opportunity": [
            {"opportunity_id": i, "kind": k, "person_id": 3, "from_opportunity_id": source,
             "currency": "USD", "created_at": at("01-05")}
            for i, k, source in deals
        ],
        "opportunity_stage": [
            {"stage_event_id": n, "opportunity_id": i, "at": at(when), "stage": stage,
             "amount": amount and Decimal(amount), "probability": chance[stage]}
            for n, (i, when, stage, amount) in enumerate(steps)
        ],
    }  # fmt: skip
    t = truth(world)
    assert t.parts("win_rate") == (1, 2, 2) and t.kpi("win_rate", "2026-02") == 1
    assert t.kpi("pipeline_value") == 800  # USD 1000 at the rate of the date
    assert t.kpi("pipeline_value", "all", "weighted") == 600
    assert t.kpi("leads") == 4  # the opportunity of a lead is no further lead
    assert t.parts("lead_to_deal_conversion") == (1, 4, 4)
    early = truth(world, at("02-10"))
    assert early.kpi("win_rate") is None
    assert early.kpi("pipeline_value") == (100 + 300) * 0.8


def ticket(ticket_id: int, created: str = "01-10 00:00", person_id: int = 1, **more: Any) -> Row:
    return {
        "ticket_id": ticket_id, "vendor": "zendesk", "person_id": person_id, "is_test": False,
        "created_at": at(created), "merged_into": None, "deleted_at": None, **more,
    }  # fmt: skip


def events(*rows: tuple[int, datetime, str, str]) -> list[Row]:
    """Changes of status: (ticket, when, from, to)."""
    return [
        {"ticket_event_id": n, "ticket_id": i, "at": when, "field": "status",
         "from_value": old, "to_value": new}
        for n, (i, when, old, new) in enumerate(rows)
    ]  # fmt: skip


def test_time_to_full_resolution_is_that_of_kaplan_and_meier(truth: Answers) -> None:
    """(time, event) 3,1 5,1 5,0 8,1 12,0 12,0: median 8, not the 5.33 of the solved ones."""
    start = at("01-10 00:00")
    created = {1: 0, 2: 0, 3: 7, 4: 0, 5: 0, 6: 0}  # days after the start; the date is day 12
    solved = {1: 3, 2: 5, 4: 8}
    tickets = [{**ticket(i), "created_at": start + timedelta(days=d)} for i, d in created.items()]
    changes = events(*((i, start + timedelta(days=d), "open", "solved") for i, d in solved.items()))
    t = truth({"ticket": tickets, "ticket_event": changes}, start + timedelta(days=12))
    assert t.kpi("full_resolution_minutes", "all", "median") == 8 * 24 * 60
    assert t.parts("full_resolution_minutes", "all", "median") == (3, None, 6)


def test_a_median_that_is_not_reached_is_null(truth: Answers) -> None:
    changes = events((1, at("01-12"), "open", "solved"))
    t = truth({"ticket": [ticket(1), ticket(2), ticket(3)], "ticket_event": changes})
    assert t.kpi("full_resolution_minutes", "all", "median") is None


def test_reopened_tickets_wait_on(truth: Answers) -> None:
    changes = events(
        (1, at("01-11 00:00"), "open", "solved"), (1, at("01-12 00:00"), "solved", "open"),
        (1, at("01-15 00:00"), "open", "solved"), (2, at("01-11 00:00"), "open", "solved"),
        (2, at("01-20 00:00"), "solved", "closed"),
    )  # fmt: skip
    world = {"ticket": [ticket(1), ticket(2)], "ticket_event": changes}
    t = truth(world)
    assert t.parts("reopen_rate") == (1, 2, 2)
    assert t.kpi("full_resolution_minutes", "all", "median") == 24 * 60
    only = {"ticket": [ticket(1)], "ticket_event": changes[:3]}
    assert truth(only).kpi("full_resolution_minutes", "all", "median") == 5 * 24 * 60
    # between the two solutions it is open again
    assert truth(only, at("01-13")).kpi("full_resolution_minutes", "all", "median") is None
    assert truth(only, at("01-11 12:00")).kpi("reopen_rate") == 0


def test_first_replies_are_public_ones_of_agents(truth: Answers) -> None:
    said = [  # ticket, minutes after, author, public
        (1, 5, "bot", True), (1, 8, "agent", False), (1, 60, "agent", True), (1, 90, "agent", True),
        (2, 120, "agent", True), (3, 180, "agent", True), (4, 240, "agent", True),
        (5, 1, "customer", True), (6, 10, "agent", True),
    ]  # fmt: skip
    world = {
        "ticket": [
            *(ticket(i) for i in range(1, 6)),
            ticket(6, deleted_at=at("01-11")),
            ticket(7, is_test=True),
            ticket(8, person_id=8),
        ],
        "message": [
            {"message_id": n, "ticket_id": i, "at": at("01-10 00:00") + timedelta(minutes=m),
             "author": author, "is_public": public}
            for n, (i, m, author, public) in enumerate(said)
        ],
        "ticket_event": events(
            (1, at("01-11"), "open", "solved"), (2, at("01-11"), "open", "solved")
        ),
    }  # fmt: skip
    t = truth(world)
    assert t.kpi("tickets") == 5
    assert t.kpi("first_reply_minutes", "all", "median") == 150
    assert t.kpi("first_reply_minutes", "all", "p90") == pytest.approx(222)
    assert t.parts("first_reply_hours") == (10, 4, 4)
    assert t.parts("one_touch_rate") == (1, 2, 2)
    # before the later replies and the deletion
    early = truth(world, at("01-10 02:00"))
    assert early.kpi("first_reply_minutes", "all", "median") == 60 and early.kpi("tickets") == 6


def test_merged_tickets_are_requests_but_no_cases(truth: Answers) -> None:
    world = {
        "ticket": [ticket(1), ticket(2, merged_into=1)],
        "ticket_event": events(
            (1, at("01-12 00:00"), "open", "solved"), (2, at("01-10 12:00"), "new", "closed")
        ),
    }
    t = truth(world)
    assert t.kpi("tickets") == 2
    assert t.parts("full_resolution_minutes", "all", "median") == (1, None, 1)
    assert t.kpi("one_touch_rate") == 0 and t.parts("one_touch_rate")[2] == 1


def test_the_newest_rating_of_a_ticket_counts(truth: Answers) -> None:
    ratings = [(1, "01-12", "good"), (1, "02-12", "bad"), (2, "01-13", "offered")]
    world = {
        "ticket": [ticket(1), ticket(2)],
        "ticket_event": [
            {"ticket_event_id": n, "ticket_id": i, "at": at(when), "field": "satisfaction",
             "to_value": value}
            for n, (i, when, value) in enumerate(ratings)
        ],
    }  # fmt: skip
    assert truth(world).parts("ticket_satisfaction") == (0, 1, 1)
    assert truth(world, at("02-01")).kpi("ticket_satisfaction") == 1


SURVEYS = [
    {"survey_id": 1, "kind": "nps", "scale_min": 0, "scale_max": 10},
    {"survey_id": 2, "kind": "csat", "scale_min": 1, "scale_max": 5},
    {"survey_id": 3, "kind": "ces", "scale_min": 1, "scale_max": 7},
    {"survey_id": 4, "kind": "nps", "scale_min": 1, "scale_max": 10},  # no NPS can be had of this
]


def response(response_id: int, survey_id: int, score: int | None, **more: Any) -> Row:
    return {
        "response_id": response_id, "invitation_id": response_id, "survey_id": survey_id,
        "person_id": 1, "recorded_at": at("02-01"), "completed_at": at("02-01"),
        "is_partial": False, "score": score, "deleted_at": None, "comment": None, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("promoters", "passives", "detractors", "nps"),
    [(50, 30, 20, 30.0), (250, 150, 100, 30.0), (9, 3, 2, 50.0)],
)
def test_nps(truth: Answers, promoters: int, passives: int, detractors: int, nps: float) -> None:
    scores = [9, 10] * promoters + [7, 8] * passives + [0, 6] * detractors
    t = truth({
        "survey": SURVEYS,
        "survey_response": [response(i, 1, s) for i, s in enumerate(scores)]
        + [response(10_000, 4, 1)],
    })  # fmt: skip
    assert t.kpi("nps", "all", "answered") == pytest.approx(nps)
    assert t.parts("nps", "all", "answered")[1:] == (len(scores), len(scores))


def test_scores_of_other_surveys_and_what_does_not_count(truth: Answers) -> None:
    responses = [
        *(response(i, 2, s) for i, s in enumerate([5, 4, 3, 1])),
        *(response(10 + i, 3, s) for i, s in enumerate([7, 5, 4])),
        response(20, 2, 1, deleted_at=at("02-20")),
        response(21, 2, 1, person_id=8),
        response(22, 2, 1, recorded_at=at("04-02"), completed_at=at("04-02")),
        response(23, 2, None, is_partial=True, completed_at=None),
    ]
    t = truth({"survey": SURVEYS, "survey_response": responses})
    assert t.parts("csat", "all", "answered") == (2, 4, 4)
    assert t.parts("ces", "all", "answered") == (2, 3, 3)
    assert (t.kpi("survey_responses"), t.kpi("csat_responses")) == (7, 4)
    before = truth({"survey": SURVEYS, "survey_response": responses}, at("02-10"))
    assert before.parts("csat", "all", "answered") == (2, 5, 5)  # not deleted yet


def test_response_rates_and_what_the_silent_felt(truth: Answers) -> None:
    invited = [  # status, what is felt
        ("completed", 10), ("completed", 9), ("partial", 8), ("delivered", 2), ("opened", 3),
        ("opted_out", 0), ("bounced", 1), ("completed", 10), ("completed", 10),
    ]  # fmt: skip
    world = {
        "survey": SURVEYS,
        "survey_invitation": [
            {"invitation_id": i, "survey_id": 1, "person_id": 1, "status": status,
             "felt_score": felt, "sent_at": at("01-31")}
            for i, (status, felt) in enumerate(invited)
        ],
        "survey_response": [
            response(0, 1, 10),
            response(1, 1, 9, is_partial=True, completed_at=at("02-05")),  # finished later
            response(2, 1, 8, is_partial=True, completed_at=None),
            response(7, 1, 10, deleted_at=at("02-10")),
            response(8, 1, 10, recorded_at=at("05-01"), completed_at=at("05-01")),
        ],
    }  # fmt: skip
    t = truth(world)
    assert t.parts("response_rate_1") == (2, 9, 9)
    assert t.parts("response_rate_2", "all", "nps") == (3, 9, 9)
    assert t.parts("response_rate_5") == (2, 8, 8) and t.parts("response_rate_6") == (3, 8, 8)
    assert t.kpi("nps", "all", "answered") == pytest.approx(100 * 2 / 3)
    assert t.kpi("nps", "all", "felt") == pytest.approx(100 * (4 - 4) / 9)
    assert t.kpi("nps", "2026-02", "answered") and not t.kpi("nps", "2026-02", "felt")
    assert truth(world, at("02-03")).parts("response_rate_1") == (2, 9, 9)  # 0 and 7


def test_mail_with_and_without_machines(truth: Answers) -> None:
    sends = [(1, "sent"), (2, "sent"), (3, "sent"), (4, "sent"), (5, "hard")]
    done = [  # send, when, what, by a machine
        (1, "02-02", "open", False), (1, "02-02", "open", False), (1, "02-02", "click", False),
        (2, "02-02", "open", True), (2, "02-02", "click", True), (3, "02-02", "open", True),
        (3, "02-20", "open", False), (1, "02-21", "unsubscribe", False),
        (4, "04-02", "open", False),
    ]  # fmt: skip
    world = {
        "email_send": [
            *({"send_id": i, "person_id": 1, "sent_at": at("02-01"), "outcome": outcome}
              for i, outcome in sends),
            {"send_id": 6, "person_id": 8, "sent_at": at("02-01"), "outcome": "sent"},
        ],
        "email_event": [
            {"event_id": n, "send_id": i, "at": at(when), "kind": kind, "is_machine": machine}
            for n, (i, when, kind, machine) in enumerate(done)
        ],
    }  # fmt: skip
    t = truth(world)
    assert t.kpi("emails_sent") == 5 and t.kpi("email_delivery_rate") == 0.8
    assert t.parts("email_open_rate", "all", "people") == (2, 4, 4)
    assert t.parts("email_open_rate", "all", "with_machines") == (3, 4, 4)
    assert t.parts("email_click_rate", "2026-02", "people") == (1, 4, 4)
    assert t.parts("email_click_to_open_rate", "all", "people") == (1, 2, 2)
    assert t.parts("email_click_to_open_rate", "all", "with_machines") == (2, 3, 3)
    assert t.kpi("email_unsubscribe_rate") == 0.25
    early = truth(world, at("02-10"))
    assert early.kpi("email_open_rate", "all", "people") == 0.25
    assert early.kpi("email_unsubscribe_rate") == 0


def gone(person_id: int, when: str, returned: str | None = None) -> Row:
    return {
        "person_id": person_id, "churned_at": at(when), "cause": "price",
        "returned_at": returned and at(returned),
    }  # fmt: skip


def test_who_has_churned_and_who_will(truth: Answers) -> None:
    world = {
        "person": [*PEOPLE, {"person_id": 4, "kind": "b2c"}, {"person_id": 5, "kind": "b2c"}],
        "orders": [order(i, i, "01-10") for i in (1, 2, 3, 4)],
        # told twice, as the story tells it: when one goes, and again when one returns
        "churn": [gone(1, "02-10"), gone(2, "02-11"), gone(2, "02-11", "03-05"),
                  gone(3, "05-10"), gone(4, "07-10"), gone(5, "02-10")],
        "mood": [{"person_id": 1, "at": at("08-01"), "satisfaction": 0.5, "is_alive": False}],
    }  # fmt: skip
    columns = "person_id, has_churned, will_churn, churned_at, cause"
    assert truth(world).rows("churn", columns) == [
        (1, True, None, at("02-10"), "price"),
        (2, False, False, None, None),  # came back
        (3, False, True, None, None),
        (4, False, False, None, None),  # but later than 90 days from now
    ]
    february = truth(world, at("03-01 00:00"))
    assert [r[1] for r in february.rows("churn", columns)] == [True, True, False, False]
    assert february.parts("churn_rate", "2026-02") == (2, 4, 4)
    assert february.kpi("churn_rate") == 0.5
    assert truth(world, at("08-01")).parts("churn_rate", "2026-02") == (2, 4, 4)
    # in March nobody goes of those who are still there at its start
    assert truth(world).parts("churn_rate", "2026-03") == (0, 2, 2)
    assert truth(world).kpi("churn_rate") == 0.25


def test_who_will_churn_is_unknown_where_the_story_ends(truth: Answers) -> None:
    world = {"orders": [order(1, 1, "01-10"), order(2, 2, "01-10")], "churn": [gone(1, "04-10")]}
    assert truth(world).rows("churn", "person_id, will_churn") == [(1, True), (2, None)]


def test_satisfaction_is_that_of_customers_at_the_end_of_the_period(truth: Answers) -> None:
    def mood(person_id: int, when: str, value: float, alive: bool = True) -> Row:
        return {
            "person_id": person_id, "at": at(when), "satisfaction": value, "is_alive": alive
        }  # fmt: skip

    world = {
        "orders": [order(1, 1, "01-10"), order(2, 2, "02-10")],
        "mood": [
            mood(1, "01-24", 0.1), mood(1, "01-31", 0.5), mood(2, "01-31", 0.9),
            mood(1, "02-28", 0.6), mood(2, "02-28", 0.8, alive=False), mood(3, "02-28", 0.0),
            mood(1, "04-02", 1.0),
        ],
    }  # fmt: skip
    t = truth(world)
    assert t.kpi("satisfaction", "2026-01") == 0.5  # person 2 has not bought yet
    assert t.kpi("satisfaction", "2026-02") == pytest.approx(0.7)
    assert t.kpi("satisfaction", "2026-02", "alive") == 0.6
    assert t.kpi("satisfaction") == pytest.approx(0.7)


def test_reviews_have_a_mean_rating(truth: Answers) -> None:
    ratings = [(1, "01-10", 5), (2, "02-10", 2), (8, "02-11", 1), (1, "04-10", 1)]
    reviews = [
        {"review_id": i, "person_id": p, "at": at(when), "rating": r}
        for i, (p, when, r) in enumerate(ratings)
    ]
    assert truth({"review": reviews}).parts("review_rating") == (7, 2, 2)


def test_stages_are_closed_only_when_they_have_ended(truth: Answers) -> None:
    def span(entered: str, left: str | None, cause: str | None, stage: str) -> Row:
        return {
            "person_id": 1, "stage": stage, "entered_at": at(entered),
            "left_at": left and at(left), "cause": cause,
        }  # fmt: skip

    world = {"stage": [
        span("01-01", None, None, "awareness"), span("01-01", "02-01", "next", "awareness"),
        span("02-01", None, None, "decision"), span("02-01", "04-05", "churned", "decision"),
        span("05-01", None, None, "loyalty"),
    ]}  # fmt: skip
    assert truth(world).rows("stages", "stage, entered_at, left_at, cause") == [
        ("awareness", at("01-01"), at("02-01"), "next"),
        ("decision", at("02-01"), None, None),
    ]


def test_clusters_hold_every_record_in_its_newest_state(truth: Answers) -> None:
    def version(record_id: int, version: int, when: str, state: str, **more: Any) -> Row:
        return {
            "vendor": "hubspot", "object": "contact", "record_id": record_id,
            "external_id": str(500 + record_id), "version": version, "changed_at": at(when),
            "person_id": 1, "noise": ["typo"], "state": state, "merged_into": None, **more,
        }  # fmt: skip

    world = {
        "record": [
            version(1, 1, "01-01", "live"), version(2, 1, "01-02", "live"),
            version(2, 2, "02-01", "merged", merged_into=1), version(1, 2, "04-02", "erased"),
            version(3, 1, "01-03", "live", person_id=9), version(4, 1, "04-03", "live"),
        ],
        "device": [
            {"device_id": "d1", "person_id": 2, "first_seen_at": at("01-01"), "is_shared": True},
            {"device_id": "d2", "person_id": 2, "first_seen_at": at("04-02"), "is_shared": False},
        ],
        "orders": [order(7, 2, "01-10", record_id=None), order(8, 1, "01-10")],
    }  # fmt: skip
    columns = "kind, external_id, person_id, person_kind, noise, state, merged_into"
    assert truth(world).rows("clusters", columns) == [
        ("device", "d1", 2, "b2c", ["shared_device"], "live", None),
        ("guest_order", "7", 2, "b2c", [], "live", None),
        ("record", "501", 1, "b2c", ["typo"], "live", None),
        ("record", "502", 1, "b2c", ["typo"], "merged", "501"),
        ("record", "503", 9, "test", ["typo"], "live", None),
    ]


def test_voices_are_what_customers_have_said(truth: Answers) -> None:
    labels = {"sentiment": "mixed", "topic": "price", "emotion": "worry", "language": "de",
              "competitor": None}  # fmt: skip
    said = {**labels, "body": "..."}
    world = {
        "message": [
            {"message_id": 1, "at": at("01-01"), "author": "customer", **said},
            {"message_id": 2, "at": at("01-01"), "author": "agent", **said},
            {"message_id": 3, "at": at("04-02"), "author": "customer", **said},
        ],
        "review": [{"review_id": 4, "at": at("01-01"), **said, "competitor": "Gipfelwerk"}],
        "survey": SURVEYS,
        "survey_response": [
            {**response(5, 1, 9), **labels, "comment": "..."},
            {**response(6, 1, 9), **labels, "comment": None},
            {**response(7, 1, 9, deleted_at=at("03-01")), **labels, "comment": "..."},
        ],
    }
    columns = "source_kind, id, sentiment, topic, emotion, competitor, language"
    assert truth(world).rows("voices", columns) == [
        ("message", 1, "mixed", "price", "worry", None, "de"),
        ("review", 4, "mixed", "price", "worry", "Gipfelwerk", "de"),
        ("survey_comment", 5, "mixed", "price", "worry", None, "de"),
    ]


def test_an_empty_world_has_no_answers(truth: Answers) -> None:
    t = truth({})
    assert t.rows("clusters") == t.rows("stages") == t.rows("voices") == t.rows("churn") == []
    assert t.kpi("customers") == 0 and t.kpi("orders") is None


def test_a_date_without_a_time_zone_is_refused(truth: Answers) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        truth({}, datetime(2026, 4, 1))


def test_equal_worlds_have_equal_answers(truth: Answers) -> None:
    world = {"orders": [order(i, 1 + i % 3, f"0{1 + i % 3}-1{i % 9}") for i in range(60)]}
    assert truth(world).rows("kpis") == truth(world).rows("kpis")
