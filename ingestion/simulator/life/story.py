"""What happens in the simulated company, week by week."""

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ingestion.simulator.life import (
    journey,
    marketing,
    orders,
    selling,
    shopping,
    support,
    surveys,
    voice,
)
from ingestion.simulator.life.cast import CURRENCIES, Cast, Hours, microseconds
from ingestion.simulator.life.columns import (
    DAYS,
    HOUR,
    MINUTE,
    NONE,
    SECOND,
    WEEK,
    Array,
    Columns,
    Contacts,
    join,
    pick,
    rank_in,
    rows,
    running_any,
    sum_by,
)
from ingestion.simulator.life.support import Causes
from ingestion.simulator.life.times import moments, season, spread
from ingestion.simulator.records import Records

_IDS = (
    "web_event", "session", "orders", "order_line", "payment", "refund", "cart", "ticket",
    "ticket_event", "issue", "message", "activity", "survey_invitation", "survey_response",
    "review", "referral", "email_send", "email_event", "opportunity", "opportunity_stage",
)  # fmt: skip
_TOPIC = {name: i for i, name in enumerate(voice.TOPICS)}
_QUESTIONS = np.array([1.5, 2, 2, 2, 1.5, 2, 0.5, 2, 2.5, 2])  # weights of topics, as in TOPICS
_FAULT_TOPIC = np.array([_TOPIC["delivery"]] * 3 + [_TOPIC["assortment"]])
_FAULT_TOPIC[orders.DAMAGED] = _TOPIC["product_quality"]
_FAULT_GRAVITY = np.array([0.45, 0.85, 0.75, 0.7])
_RECORDS = "records."  # prefix of what of the state belongs to the records


class Life:
    """The story of a company's people, written one week at a time.

    Args:
        seed: equal seeds give equal stories.
        founding: the tables of `people.found`.
        state: `state` of an earlier `Life` of the same company, to go on from there.
        started_at: when week 0 begins.

    `state` holds arrays only, so that `np.savez` keeps it. A story gone on with is the same as
    one written in one go.
    """

    def __init__(
        self,
        seed: int,
        founding: dict[str, pa.Table],
        state: dict[str, np.ndarray] | None = None,
        *,
        started_at: datetime,
    ) -> None:
        self._seed = seed
        self._start = microseconds(started_at)
        self._cast = Cast(seed, founding)
        self._hours = Hours(started_at, founding["holiday"])
        given = state or {}
        theirs = {k[len(_RECORDS) :]: v for k, v in given.items() if k.startswith(_RECORDS)}
        mine = {k: v.copy() for k, v in given.items() if not k.startswith(_RECORDS)}
        self._state: dict[str, Array] = mine or self._beginning()
        self._records = Records(seed, founding, theirs or None)
        self._ids = {n: int(i) for n, i in zip(_IDS, self._state["ids"], strict=True)}

    @property
    def state(self) -> dict[str, np.ndarray]:
        """All that the next week builds on, as arrays by name."""
        self._state["ids"] = np.array([self._ids[n] for n in _IDS], np.int64)
        return {**self._state, **{_RECORDS + k: v for k, v in self._records.state.items()}}

    def _beginning(self) -> dict[str, Array]:
        n = self._cast.n
        rng = np.random.default_rng([self._seed, 41])
        nobody = np.zeros(0, np.int64)
        return {
            "ids": np.ones(len(_IDS), np.int64),
            "satisfaction": np.clip(self._cast.outlook + rng.normal(0, 0.05, n), 0, 1),
            "effort": np.clip(rng.normal(0.2, 0.06, n), 0, 1),
            "intent": np.clip(rng.normal(0.55, 0.15, n), 0, 1),
            "alive": np.ones(n, bool), "orders": np.zeros(n, np.int64),
            "has_account": np.zeros(n, bool), "subscribed": np.zeros(n, bool),
            "unsubscribed_at": np.full(n, NONE), "mail_dead": np.zeros(n, bool),
            "opted_out": np.zeros(n, bool), "last_active": self._cast.entered.copy(),
            "churned_at": np.full(n, NONE), "churn_cause": np.full(n, -1),
            "stage": np.full(n, journey.NOWHERE), "stage_at": np.full(n, NONE),
            "step_person": nobody, "step_at": nobody, "step_to": nobody,
            "next_week": np.zeros(1, np.int64),
        }  # fmt: skip

    def week(self, number: int) -> dict[str, pa.Table]:
        """Write the week `number` (from 0): its tables by name.

        What it sets going (a delivery, a reply, a refund) is in it too, though it comes later.

        Raises:
            ValueError: it is not the next week of this story.
        """
        if number != int(self._state["next_week"][0]):
            raise ValueError(
                f"the story goes on with week {int(self._state['next_week'][0])}, not {number}: "
                "weeks build on each other, write them in order"
            )
        written = _Week(self, number).write()
        self._state["next_week"][0] = number + 1
        return written


class _Week:
    """One week of the story: who does what, in the order in which one thing leads to another."""

    def __init__(self, life: Life, number: int) -> None:
        self.seed, self.number = life._seed, number
        self.cast, self.hours, self.records = life._cast, life._hours, life._records
        self.state, self.ids = life._state, life._ids
        self.start = life._start + number * WEEK
        self.end = self.start + WEEK
        self.season, self.black = season(self.start)
        self.ahead = self.cast.offsets(self.start + WEEK // 2)
        self.contacts = Contacts()
        self.cast.sold = (self.cast.launched <= self.start) & (self.cast.withdrawn >= self.end)
        self.prices = self.cast.prices(self.start)

    def rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, 50 + stream, self.number])

    def write(self) -> dict[str, pa.Table]:
        cast, state, contacts, ids = self.cast, self.state, self.contacts, self.ids
        start, end = self.start, self.end
        self._drift(self.rng(0))
        send, mail_event, send_record, clicked, quits = marketing.send(
            self.rng(1), cast, state, start, end, contacts, ids
        )
        contacts.need(quits[0], "mailchimp", "member", quits[1], "unsubscribe")
        sales = selling.sell(self.rng(2), cast, self.hours, state, start, end, contacts, ids)

        rng = self.rng(3)
        referral, buyers = self._referrals(rng)
        visit, carts = shopping.visits(
            rng, cast, state, start, end, season=self.season, black=self.black, ahead=self.ahead,
            clicked=clicked, referred=buyers,
        )  # fmt: skip
        self._sign(rng, visit)
        n_orders = int(carts.order.max(initial=-1)) + 1
        web = shopping.events(rng, cast, visit, carts, n_orders, ids)
        placed = self._place(rng, visit, carts, web, n_orders, sales)
        done = orders.fulfil(
            self.rng(4), cast, self.hours, placed, self.prices, ids, peak=self.season
        )
        order_id = done.orders["order_id"]
        known = np.flatnonzero(~placed.guest)
        order_record = np.full(placed.count, -1)
        order_record[known] = contacts.need(
            placed.person[known], "shopify", "customer", placed.at[known], "order"
        )
        self._convert(referral, placed, order_id)
        self._newsletter(rng, visit, web, placed)
        repeat = self._react(placed, done)

        help_rng = self.rng(5)
        helped = support.handle(
            help_rng, cast, self.hours, state, self._troubles(help_rng, placed, done), contacts,
            ids, start,
        )  # fmt: skip
        self._settle()
        asked, answered, asked_record, promoters = self._ask(self.rng(6), placed, done, helped)
        review, review_person = self._reviews(self.rng(7), placed, done)

        extra_rng = self.rng(8)
        extra = self._extra_visits(extra_rng, review, review_person, referral, helped)
        web_extra = shopping.events(extra_rng, cast, extra, _NO_CARTS, 0, ids)
        _write_when_sent(extra, web_extra, review, referral)
        event, event_record = self._web(visit, web, extra, web_extra, carts, order_id)
        cart, cart_line, cart_record = self._carts(visit, web, carts, order_id, n_orders)

        steps = self._steps(web, placed, done, repeat, sales, helped, promoters)
        gone, partings = journey.partings(self.rng(9), cast, state, start, end)
        stage = journey.turn(cast, state, steps + partings, end)

        record, assigned, address = self._assign()
        done.orders["record_id"] = _at(assigned, order_record)
        done.orders["email"] = np.where(
            order_record < 0, cast.email_at(placed.person, placed.at), _at(address, order_record)
        )
        unknown = done.orders["email"] == None  # noqa: E711  (typed at the checkout then)
        done.orders["email"][unknown] = cast.email_at(placed.person, placed.at)[unknown]
        done.orders["cart_id"] = shopping.pick_id(cart["cart_id"], placed.cart)
        cart["record_id"] = _at(assigned, cart_record)
        cart["email"] = np.where(cart_record < 0, cart["email"], _at(address, cart_record))
        event["record_id"] = _at(assigned, event_record)
        event["cart_id"] = shopping.pick_id(cart["cart_id"], event["cart_id"])
        helped.ticket["record_id"] = assigned[helped.record]
        asked["record_id"], asked["email"] = assigned[asked_record], address[asked_record]
        unknown = asked["email"] == None  # noqa: E711
        invited = cast.position(asked["person_id"][unknown])
        asked["email"][unknown] = cast.email_at(invited, asked["sent_at"][unknown])
        send["record_id"], send["email"] = assigned[send_record], address[send_record]
        sales.opportunity["record_id"] = assigned[sales.record]
        sales.activity["record_id"] = assigned[sales.activity_record]
        tables = {
            "web_event": event, "orders": done.orders, "order_line": done.order_line,
            "payment": done.payment, "refund": done.refund, "refund_line": done.refund_line,
            "cart": cart, "cart_line": cart_line, "ticket": helped.ticket,
            "ticket_event": helped.ticket_event, "message": helped.message,
            "activity": sales.activity, "survey_invitation": asked, "survey_response": answered,
            "review": review, "referral": referral, "email_send": send, "email_event": mail_event,
            "opportunity": sales.opportunity, "opportunity_stage": sales.opportunity_stage,
            "stage": stage, "mood": self._moods(), "churn": gone,
        }  # fmt: skip
        if self.number == 0:
            tables["survey"] = surveys.survey_table(start)
        return {**{name: rows(name, of) for name, of in tables.items()}, "record": record}

    def _assign(self) -> tuple[pa.Table, Array, Array]:
        """Records of all who were in touch with a system this week, with the e-mail they hold."""
        record, assignment = self.records.week(
            self.number, _moment(self.start), _moment(self.end),
            self.contacts.table(self.cast.person_id, self.end - SECOND),
        )  # fmt: skip
        ids = assignment["record_id"].to_numpy().astype(np.int64)
        return record, ids, assignment["email"].to_numpy().astype(object)

    def _drift(self, rng: np.random.Generator) -> None:
        """Moods go back to what is usual for a person, with some chance."""
        cast, state, n = self.cast, self.state, self.cast.n
        wish = 0.22 + 0.25 * cast.loyalty + 0.1 * (self.season - 1)
        for name, goal, pull, noise in (
            ("satisfaction", cast.outlook, 0.035, 0.02), ("effort", 0.2, 0.06, 0.006),
            ("intent", wish, 0.12, 0.03),
        ):  # fmt: skip
            mood = state[name]
            state[name] = np.clip(mood + pull * (goal - mood) + rng.normal(0, noise, n), 0, 1)

    def _settle(self) -> None:
        for name in ("satisfaction", "effort", "intent"):
            np.clip(self.state[name], 0, 1, out=self.state[name])

    def _referrals(self, rng: np.random.Generator) -> tuple[Columns, Array]:
        """Friends who were sent here come this week; others are invited in vain."""
        cast, state = self.cast, self.state
        came = (cast.entered >= self.start) & (cast.entered < self.end) & (cast.kind <= 1)
        friend = np.flatnonzero(came & (cast.referred_by >= 0))
        sender = cast.referred_by[friend]
        stays = cast.erased[sender] > self.end
        friend, sender = friend[stays], sender[stays]
        since = np.maximum(self.start, cast.entered[sender])
        friend, sender, since = (v[since < cast.entered[friend]] for v in (friend, sender, since))
        at = since + ((cast.entered[friend] - since) * rng.uniform(0, 0.9, len(friend))).astype(int)
        happy = state["alive"] & (cast.entered < self.start) & (cast.kind == 0)
        happy &= (state["orders"] > 0) & (state["satisfaction"] > 0.7) & (cast.erased > self.end)
        vain = np.flatnonzero(happy & (rng.random(cast.n) < 0.004))
        person = np.append(sender, vain)
        n = len(person)
        at = np.append(at, moments(rng, self.start, self.ahead[vain], floor=cast.entered[vain]))
        referral_id = self.ids["referral"] + np.arange(n)
        self.ids["referral"] += n
        table: Columns = {
            "referral_id": referral_id, "person_id": cast.person_id[person],
            "referred_person_id": np.append(cast.person_id[friend], np.full(len(vain), NONE)),
            "at": at, "code": np.array([f"FRIEND{i:07d}" for i in referral_id], object),
            "order_id": np.full(n, NONE), "converted_at": np.full(n, NONE),
        }  # fmt: skip
        return table, friend[rng.random(len(friend)) < 0.7]

    def _convert(self, referral: Columns, placed: orders.Placed, order_id: Array) -> None:
        """The first order of a friend who was sent here makes the referral a success."""
        order = np.argsort(placed.at, kind="stable")
        buyer = self.cast.person_id[placed.person[order]]
        who, first = np.unique(buyer, return_index=True)
        friend = referral["referred_person_id"]
        if not len(who):
            return
        place = np.minimum(np.searchsorted(who, friend), len(who) - 1)
        bought = who[place] == friend
        which = order[first[place[bought]]]
        referral["order_id"][bought] = order_id[which]
        referral["converted_at"][bought] = placed.at[which]

    def _sign(self, rng: np.random.Generator, visit: shopping.Sessions) -> None:
        """Who signs up, who signs in: an account, once made, is used most of the time."""
        cast, has = self.cast, self.state["has_account"]
        order = np.lexsort((visit.at, visit.person))
        for name, values in vars(visit).items():
            setattr(visit, name, values[order])
        who, n = visit.person, visit.count
        buys = visit.order >= 0
        bot = visit.kind == shopping.BOT
        wish = np.where(buys, np.where(cast.account_wish[who] > 0.3, 0.8, 0.1), 0.02)
        joins = ~has[who] & ~bot & (rng.random(n) < wish)
        # Each joins once, in the earliest of these visits; in later ones they sign in.
        first = np.zeros(n, bool)
        first[np.unique(np.where(joins, who, -1), return_index=True)[1]] = True
        visit.signs_up = joins & first
        member = has[who] | (running_any(who, visit.signs_up) & ~visit.signs_up)
        usual = np.where(buys, 0.9, np.where(visit.kind == shopping.CART, 0.4, 0.28))
        visit.signs_in = member & ~bot & (rng.random(n) < usual)
        has[who[visit.signs_up]] = True

    def _place(
        self, rng: np.random.Generator, visit: shopping.Sessions, carts: shopping.Carts,
        web: shopping.Web, n_orders: int, sales: selling.Sales,
    ) -> orders.Placed:  # fmt: skip
        """Orders of the web and the app, of the store, and of companies that were won."""
        cast, state, start = self.cast, self.state, self.start
        where = np.zeros(n_orders, np.int64)
        with_order = np.flatnonzero(visit.order >= 0)
        where[visit.order[with_order]] = with_order
        cart_of = np.zeros(n_orders, np.int64)
        cart_of[carts.order[carts.order >= 0]] = np.flatnonzero(carts.order >= 0)
        app = cast.device_kind[web.device[where]] == "app"

        near = state["alive"] & (cast.erased > self.end) & (cast.entered < start)
        near &= (cast.kind == 0) & (cast.country == "DE")
        store = np.flatnonzero(near & (rng.random(cast.n) < 0.012 * cast.appetite * self.season))
        day = rng.integers(0, 7, len(store))
        day = np.where((start // DAYS + 3 + day) % 7 == 6, (day + 1) % 7, day)
        opening = start // DAYS * DAYS + day * DAYS + 9 * HOUR - self.ahead[store]
        store_at = opening + rng.integers(0, 10 * 3600, len(store)) * SECOND
        store_at = np.clip(store_at, start, self.end - SECOND)
        team_at = sales.won_at + spread(rng, 0.1, 3, len(sales.won_at))
        stays = team_at < cast.erased[sales.won_person]
        team, team_at = sales.won_person[stays], team_at[stays]

        lines = carts.order[carts.line_cart] >= 0
        n_store, n_team = len(store), len(team)
        more = np.append(rng.integers(1, 4, n_store), rng.integers(1, 5, n_team))
        more_order = np.repeat(n_orders + np.arange(n_store + n_team), more)
        more_person = np.append(store, team)[more_order - n_orders]
        more_product = shopping.products(rng, cast, more_person)
        # A company orders about as much as it was offered.
        worth = np.append(np.zeros(n_store, np.int64), sales.won_value[stays] // more[n_store:])
        price = np.maximum(self.prices[more_product, cast.currency[more_person]], 1)
        more_quantity = np.maximum(1, worth[more_order - n_orders] // price)
        line_order = np.append(carts.order[carts.line_cart[lines]], more_order)
        line_product = np.append(carts.line_product[lines], more_product)
        line_quantity = np.append(carts.line_quantity[lines], more_quantity)
        order = np.argsort(line_order, kind="stable")
        person = np.concatenate([visit.person[where], store, team])
        rest = n_store + n_team
        percent = orders.discounts(
            rng, cast.price_sensitivity[person], sale=self.black >= 0, n=len(person)
        )
        return orders.Placed(
            person=person, at=np.concatenate([web.ordered_at, store_at, team_at]),
            channel=np.concatenate([app * 1, np.full(n_store, 2), np.zeros(n_team, np.int64)]),
            guest=np.concatenate([
                ~(visit.signs_in | visit.signs_up)[where],
                ~(state["has_account"][store] & (rng.random(n_store) < 0.6)),
                np.zeros(n_team, bool),
            ]),
            team=np.arange(len(person)) >= n_orders + n_store,
            line_order=line_order[order], line_product=line_product[order],
            line_quantity=line_quantity[order], discount_percent=percent,
            campaign_id=np.append(visit.campaign_id[where], np.full(rest, NONE)),
            cart=np.append(cart_of, np.full(rest, -1)),
        )  # fmt: skip

    def _newsletter(
        self, rng: np.random.Generator, visit: shopping.Sessions, web: shopping.Web,
        placed: orders.Placed,
    ) -> None:  # fmt: skip
        """Who joins the newsletter: while signing up, while buying, or from a banner."""
        state, cast = self.state, self.cast
        banner = (visit.kind == shopping.BROWSE) & (rng.random(visit.count) < 0.035)
        signs = visit.signs_up & (rng.random(visit.count) < 0.4)
        visits = np.flatnonzero(banner | signs)
        at = np.where(signs[visits], web.sign_at[visits], visit.at[visits] + 40 * SECOND)
        ticks = np.flatnonzero((rng.random(placed.count) < 0.17) & (placed.channel < 2))
        person = np.append(visit.person[visits], placed.person[ticks])
        at = np.append(at, placed.at[ticks])
        gone = state["unsubscribed_at"][person] != NONE
        free = ~state["subscribed"][person] & ~state["mail_dead"][person] & ~cast.bot[person]
        free &= ~gone | (rng.random(len(person)) < 0.1)
        person, at = person[free], at[free]
        order = np.lexsort((at, person))
        person, at = person[order], at[order]
        first = rank_in(person) == 0
        person, at = person[first], at[first]
        state["subscribed"][person] = True
        state["unsubscribed_at"][person] = NONE
        self.contacts.need(person, "mailchimp", "member", at, "newsletter")
        lead = (rng.random(len(person)) < 0.5) & ~cast.enterprise[person]
        self.contacts.need(person[lead], "hubspot", "contact", at[lead], "newsletter")

    def _react(self, placed: orders.Placed, done: orders.Fulfilled) -> Array:
        """What orders do to moods; tells which orders are not the first of their person."""
        state, who = self.state, placed.person
        bad = np.append(np.array([-0.18, -0.36, -0.28, -0.25]), 0.0)[done.fault]
        met = np.where(done.delivered != NONE, 0.2 * (done.quality - 0.58), 0.0)
        np.add.at(state["satisfaction"], who, bad + np.clip(met, -0.14, 0.07))
        np.add.at(state["effort"], who, -0.25 * bad)
        np.add.at(state["intent"], who, -0.18)
        counts = (done.canceled == NONE) & ~self.cast.test[who]
        order = np.lexsort((placed.at, who))
        turn = np.zeros(len(who), np.int64)
        valid = counts[order]
        turn[order[valid]] = rank_in(who[order[valid]])
        repeat = counts & (state["orders"][who] + turn > 0)
        np.add.at(state["orders"], who, counts.astype(np.int64))
        self._settle()
        return repeat

    def _troubles(
        self, rng: np.random.Generator, placed: orders.Placed, done: orders.Fulfilled
    ) -> Causes:
        """Why people write to support this week and in the days after."""
        cast, state, n = self.cast, self.state, placed.count
        who, fault, promised = placed.person, done.fault, done.orders["promised_at"]
        order_id = done.orders["order_id"]
        noticed = np.select(
            [fault == orders.LATE, fault == orders.LOST],
            [promised + spread(rng, 0.2, 2.5, n), promised + spread(rng, 2, 7, n)],
            done.delivered + spread(rng, 0.05, 2, n),
        )
        hurt = (fault >= 0) & (rng.random(n) < np.append([0.45, 0.9, 0.75, 0.8], 0)[fault])
        sound = (done.delivered != NONE) & (fault < 0)
        broken = sound & (rng.random(n) < 0.14 * (1 - done.quality))
        sends_back = (done.returned_at != NONE) & (rng.random(n) < 0.28)
        stuck = done.payment_failed & (rng.random(n) < 0.2)
        waits_for = (done.canceled == NONE) & (placed.channel < 2) & (rng.random(n) < 0.025)

        def of(where: Array, at: Array, topic: Array | int, gravity: Array | float) -> Causes:
            rows_of = np.flatnonzero(where)
            m = len(rows_of)
            return Causes(
                person=who[rows_of], at=at[rows_of],
                topic=np.broadcast_to(topic, n)[rows_of], order_id=order_id[rows_of],
                gravity=np.clip(np.broadcast_to(gravity, n)[rows_of] + rng.normal(0, 0.1, m), 0, 1),
            )  # fmt: skip

        here = state["alive"] & (cast.entered < self.end) & ~cast.bot & (cast.erased > self.end)
        rate = np.where(state["orders"] > 0, 0.006, 0.0035) * np.where(cast.b2b, 1.6, 1.0)
        rate = np.where(cast.kind == 2, 0, rate)
        asks = np.flatnonzero(here & (rng.random(cast.n) < rate))
        m = len(asks)
        topic = np.searchsorted(np.cumsum(_QUESTIONS), rng.random(m) * _QUESTIONS.sum())
        question = Causes(
            person=asks, topic=topic, order_id=np.full(m, NONE), gravity=rng.uniform(0, 0.45, m),
            at=moments(rng, self.start, self.ahead[asks], floor=cast.entered[asks] + MINUTE),
        )  # fmt: skip
        why = support.causes([
            of(hurt, noticed, _FAULT_TOPIC[fault], np.append(_FAULT_GRAVITY, 0)[fault]),
            of(broken, done.delivered + spread(rng, 1, 40, n), _TOPIC["product_quality"], 0.55),
            of(sends_back, done.returned_at - HOUR, _TOPIC["returns"], 0.3),
            of(stuck, placed.at + spread(rng, 0.01, 0.3, n), _TOPIC["payment"], 0.4),
            of(waits_for, placed.at + spread(rng, 0.5, 3, n), _TOPIC["delivery"], 0.15),
            question,
        ])  # fmt: skip
        stays = why.at < cast.erased[why.person] - WEEK
        return Causes(**{c: v[stays] for c, v in vars(why).items()})

    def _ask(
        self, rng: np.random.Generator, placed: orders.Placed, done: orders.Fulfilled,
        helped: support.Support,
    ) -> tuple[Columns, Columns, Array, tuple[Array, Array]]:  # fmt: skip
        """Survey invitations and answers, and who turns out to be a promoter when."""
        cast, state = self.cast, self.state
        sat, effort = state["satisfaction"], state["effort"]
        who, at = surveys.relationship(rng, cast, state, self.number, self.start, self.end)
        loves = 0.63 + 1.35 * (sat[who] - 0.6) + 0.1 * (cast.loyalty[who] - 0.5)
        loves = loves - 0.4 * (effort[who] - 0.2) + 0.06

        real = ~cast.test[placed.person] & (cast.kind[placed.person] != 2)
        bought = np.flatnonzero(
            (done.delivered != NONE)
            & real
            & (done.delivered < cast.erased[placed.person] - WEEK)
            & (rng.random(placed.count) < surveys.CSAT_SHARE)
        )
        buyer, fault = placed.person[bought], done.fault[bought]
        likes = 0.25 + 0.75 * sat[buyer] + 0.7 * (done.quality[bought] - 0.6)
        likes = likes - np.append([0.25, 0.5, 0.4, 0.35], 0)[fault]
        topic = np.where(fault >= 0, _FAULT_TOPIC[fault], -1)

        solved = np.flatnonzero(
            (helped.solved != NONE) & ~helped.tested
            & (rng.random(len(helped.solved)) < surveys.CES_SHARE)
        )  # fmt: skip
        kind = np.repeat([surveys.NPS, surveys.CSAT, surveys.CES],
                         [len(who), len(bought), len(solved)])  # fmt: skip
        none = np.full(len(who), NONE)
        person = np.concatenate([who, buyer, helped.person[solved]])
        asked, answered, record, score = surveys.ask(
            rng, cast, state, kind=kind, person=person,
            at=np.concatenate([
                at, done.delivered[bought] + 5 * DAYS + spread(rng, 0, 4, len(bought), HOUR),
                helped.solved[solved] + DAYS,
            ]),
            felt=np.concatenate([loves, likes, helped.ease[solved]]),
            topic=np.concatenate([
                np.full(len(who), -1), topic, np.full(len(solved), _TOPIC["support"])
            ]),
            order_id=np.concatenate([
                none, done.orders["order_id"][bought], np.full(len(solved), NONE)
            ]),
            ticket_id=np.concatenate([
                none, np.full(len(bought), NONE), helped.ticket["ticket_id"][solved]
            ]),
            contacts=self.contacts, ids=self.ids,
        )  # fmt: skip
        fans = (kind == surveys.NPS) & (score >= 9)
        return asked, answered, record, (person[fans], asked["sent_at"][fans])

    def _reviews(
        self, rng: np.random.Generator, placed: orders.Placed, done: orders.Fulfilled
    ) -> tuple[Columns, Array]:
        """What customers write of what they bought: the happy and the angry more than others."""
        cast = self.cast
        met = 0.5 * self.state["satisfaction"][placed.person] + 0.9 * (done.quality - 0.6)
        met = met - np.append([0.2, 0, 0.4, 0.35], 0)[done.fault] + 0.33
        value = np.clip(met + rng.normal(0, 0.14, placed.count), 0, 1)
        keen = 0.05 + 0.16 * cast.expressiveness[placed.person] * np.abs(value - 0.55) * 2
        real = ~cast.test[placed.person] & (done.delivered != NONE) & ~placed.team
        of = np.flatnonzero(real & (rng.random(placed.count) < keen))
        at = done.delivered[of] + spread(rng, 3, 30, len(of))
        stays = at < cast.erased[placed.person[of]] - HOUR
        of, at = of[stays], at[stays]
        n = len(of)
        lines = np.searchsorted(placed.line_order, of)
        topic = np.where(rng.random(n) < 0.7, _TOPIC["product_quality"], _TOPIC["size_fit"])
        topic = np.where(done.fault[of] == orders.LATE, _TOPIC["delivery"], topic)
        label = voice.labels(rng, cast, placed.person[of], value[of], topic)
        review_id = self.ids["review"] + np.arange(n)
        self.ids["review"] += n
        return {
            "review_id": review_id, "person_id": cast.person_id[placed.person[of]],
            "product_id": cast.product_id[placed.line_product[lines]],
            "order_id": done.orders["order_id"][of], "at": at,
            "rating": np.clip(np.rint(1 + 4 * value[of]), 1, 5).astype(np.int64),
            "title": voice.write(rng, "review_title", label),
            "body": voice.write(rng, "review_body", label), **label,
        }, placed.person[of]  # fmt: skip

    def _extra_visits(
        self, rng: np.random.Generator, review: Columns, reviewer: Array, referral: Columns,
        helped: support.Support,
    ) -> shopping.Sessions:  # fmt: skip
        """Visits to write a review, to invite a friend, and to look for help before asking."""
        has = self.state["has_account"]
        sender = self.cast.position(referral["person_id"])
        looks = np.flatnonzero(rng.random(len(helped.person)) < 0.35)
        seeker = helped.person[looks]
        at = helped.ticket["created_at"][looks] - spread(rng, 4, 90, len(looks), MINUTE)
        at = np.maximum(at, np.maximum(self.start, self.cast.entered[seeker]))
        return shopping.together([
            shopping.sessions(reviewer, review["at"], shopping.REVIEW,
                              signs_in=has[reviewer], note_id=review["review_id"]),
            shopping.sessions(sender, referral["at"], shopping.REFER,
                              signs_in=has[sender], note_id=referral["referral_id"]),
            shopping.sessions(seeker, at, shopping.HELP,
                              signs_in=has[seeker] & (rng.random(len(seeker)) < 0.4)),
        ])  # fmt: skip

    def _web(
        self, visit: shopping.Sessions, web: shopping.Web, extra: shopping.Sessions,
        web_extra: shopping.Web, carts: shopping.Carts, order_id: Array,
    ) -> tuple[Columns, Array]:  # fmt: skip
        """All web events by time, with the places of the accounts they were signed in with."""
        records = []
        for its, of in ((web, visit), (web_extra, extra)):
            signed = np.flatnonzero(its.sign_at != NONE)
            places = np.full(of.count, -1)
            up = of.signs_up[signed]
            for rows_of, via in ((signed[up], "checkout"), (signed[~up], "sign_in")):
                places[rows_of] = self.contacts.need(
                    of.person[rows_of], "shopify", "customer", its.sign_at[rows_of], via
                )
            records.append(np.where(its.signed, places[its.session], -1))
        event = join([web.columns, web_extra.columns])
        record = np.concatenate(records)
        order = np.argsort(event["at"], kind="stable")
        event = {c: v[order] for c, v in event.items()}
        event["order_id"] = shopping.pick_id(order_id, event["order_id"])
        event["event_id"] = self.ids["web_event"] + np.arange(len(order))
        self.ids["web_event"] += len(order)
        return event, record[order]

    def _carts(
        self, visit: shopping.Sessions, web: shopping.Web, carts: shopping.Carts, order_id: Array,
        n_orders: int,
    ) -> tuple[Columns, Columns, Array]:  # fmt: skip
        """Carts with what lies in them; an e-mail is known after signing in or at the checkout."""
        cast, n = self.cast, len(carts.person)
        cart_id = self.ids["cart"] + np.arange(n)
        self.ids["cart"] += n
        currency = cast.currency[carts.person]
        worth = self.prices[carts.line_product, currency[carts.line_cart]] * carts.line_quantity
        completed = shopping.pick_id(web.ordered_at, carts.order)
        updated = np.maximum(web.cart_at, np.maximum(web.checkout_at, completed))
        where = shopping.cart_visit(visit, carts)
        signed = np.flatnonzero(web.sign_at[where] != NONE)
        record = np.full(n, -1)
        record[signed] = self.contacts.need(
            carts.person[signed], "shopify", "customer", web.sign_at[where[signed]], "cart"
        )
        email = cast.email_at(carts.person, updated)
        email[web.checkout_at == NONE] = None
        return {
            "cart_id": cart_id, "person_id": cast.person_id[carts.person], "email": email,
            "device_id": pick(cast.device_id, web.device[where]),
            "currency": pick(CURRENCIES, currency), "amount": sum_by(carts.line_cart, worth, n),
            "created_at": web.cart_at, "updated_at": updated, "completed_at": completed,
            "order_id": shopping.pick_id(order_id[:n_orders], carts.order),
        }, {
            "cart_id": cart_id[carts.line_cart],
            "product_id": cast.product_id[carts.line_product], "quantity": carts.line_quantity,
        }, record  # fmt: skip

    def _steps(
        self, web: shopping.Web, placed: orders.Placed, done: orders.Fulfilled, repeat: Array,
        sales: selling.Sales, helped: support.Support, promoters: tuple[Array, Array],
    ) -> list[tuple[Array, Array, int]]:  # fmt: skip
        """What moves people on in their journey, and notes when they were last active."""
        cast, state = self.cast, self.state
        real = cast.kind <= 1
        came = np.flatnonzero(real & (cast.entered >= self.start) & (cast.entered < self.end))
        # The page somebody lands on is not looking around yet; what follows is.
        looks = (web.columns["at"] > cast.entered[web.person]) & real[web.person]
        first = np.full(cast.n, np.iinfo(np.int64).max)
        np.minimum.at(first, web.person[looks], web.columns["at"][looks])
        looking = np.flatnonzero(first < np.iinfo(np.int64).max)
        fills = np.flatnonzero((web.kind == shopping.ADD) & real[web.person])
        buys, due = real[placed.person], real[helped.person]
        counts = buys & (done.canceled == NONE)
        steps = [
            (came, cast.entered[came], journey.AWARENESS),
            (looking, first[looking], journey.CONSIDERATION),
            (web.person[fills], web.columns["at"][fills], journey.DECISION),
            (sales.person, sales.created, journey.DECISION),
            (placed.person[buys], placed.at[buys], journey.DECISION),
            (placed.person[counts & ~repeat], done.delivered[counts & ~repeat], journey.SERVICE),
            (helped.person[due], helped.ticket["created_at"][due], journey.SERVICE),
            (placed.person[repeat & buys], placed.at[repeat & buys], journey.LOYALTY),
            (*promoters, journey.LOYALTY),
        ]  # fmt: skip
        last = state["last_active"]
        np.maximum.at(last, web.person, web.columns["at"])
        for person, at, _ in steps[3:]:
            np.maximum.at(last, person, at)
        return steps

    def _moods(self) -> Columns:
        cast, state = self.cast, self.state
        of = np.flatnonzero((cast.entered < self.end) & ~cast.bot)
        return {
            "person_id": cast.person_id[of], "at": np.full(len(of), self.end),
            **{m: np.round(state[m][of], 4) for m in ("satisfaction", "effort", "intent")},
            "is_alive": state["alive"][of],
        }  # fmt: skip


def _write_when_sent(
    extra: shopping.Sessions, web: shopping.Web, review: Columns, referral: Columns
) -> None:
    """A review or an invitation is written when its page is sent."""
    review["at"] = web.note_at[extra.kind == shopping.REVIEW]
    referral["at"] = web.note_at[extra.kind == shopping.REFER]


def _at(values: Array, places: Array) -> Array:
    """Values at places of the week's needs; null where the place is negative."""
    nothing: Any = None if values.dtype == object else NONE
    return np.append(values, nothing)[np.where(places < 0, len(values), places)]


def _moment(at: int) -> datetime:
    return pa.scalar(at, pa.timestamp("us", tz="UTC")).as_py()


_NOBODY = np.zeros(0, np.int64)
_NO_CARTS = shopping.Carts(
    person=_NOBODY, order=_NOBODY, line_cart=_NOBODY, line_product=_NOBODY,
    line_quantity=_NOBODY, reaches_checkout=np.zeros(0, bool),
)  # fmt: skip
