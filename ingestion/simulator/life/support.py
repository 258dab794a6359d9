"""Tickets: why customers write, who answers when, and how it ends."""

from dataclasses import dataclass

import numpy as np

from ingestion.simulator.life import voice
from ingestion.simulator.life.cast import Cast, Hours
from ingestion.simulator.life.columns import (
    DAYS,
    HOUR,
    MINUTE,
    NONE,
    Array,
    Columns,
    Contacts,
    draw,
    join,
    pick,
)
from ingestion.simulator.life.times import spread, waits

CHANNELS = ("email", "web", "chat", "phone", "social")
PRIORITIES = ("low", "normal", "high", "urgent")
EMAIL, WEB, CHAT, PHONE, SOCIAL = range(5)
_REPLY_MINUTES = np.array([170.0, 150.0, 4.0, 1.0, 80.0])
_WORK_HOURS = np.array([5.0, 5.0, 0.4, 0.3, 3.0])
_REPLY_WITHIN = np.array([1.5, 1.0, 0.6, 0.35])  # by priority
_GROUP_OF = (  # who answers, by topic
    "delivery", "product", "billing", "billing", "billing",
    "returns", "billing", "product", "returns", "billing",
)  # fmt: skip
VENDORS = ("zendesk", "hubspot", "salesforce")
_OBJECTS = ("user", "contact", "contact")


@dataclass
class Causes:
    """Reasons to write, one a row; `gravity` in 0 (a question) to 1 (a disaster)."""

    person: Array
    at: Array
    topic: Array  # position in words.TOPICS
    order_id: Array
    gravity: Array


@dataclass
class Support:
    """What support did this week; `record` and `contact` are places in the week's needs."""

    ticket: Columns
    ticket_event: Columns
    message: Columns
    record: Array
    person: Array
    vendor: Array
    issue: Array
    solved: Array  # when each ticket was solved for good; null: merged or deleted
    ease: Array  # how easy it felt, 0 to 1
    tested: Array


def causes(parts: list[Causes]) -> Causes:
    """Reasons of several kinds under each other."""
    return Causes(**join([vars(p) for p in parts]))


def handle(
    rng: np.random.Generator,
    cast: Cast,
    hours: Hours,
    state: dict[str, Array],
    why: Causes,
    contacts: Contacts,
    ids: dict[str, int],
    start: int,
) -> Support:
    """Tickets of these causes with all that follows; moods of the people are moved by it."""
    n = len(why.person)
    order = np.argsort(why.at, kind="stable")
    why = Causes(**{c: v[order] for c, v in vars(why).items()})
    channel = draw(rng, (46, 22, 15, 13, 4), n)
    issue = ids["issue"] + np.arange(n)
    ids["issue"] += n
    # Who gets no answer in time asks again, elsewhere.
    crew = cast.agents(start, "support")
    load = max(0.8, min(3.0, n / max(1.0, len(crew) * 14.0)))
    desk = _Desk(rng, cast, hours, state, crew, load)
    one = desk.work(why, channel)
    waited = one.first_reply - one.created
    urge = 0.02 + 0.1 * waited / DAYS * (1.3 - cast.patience[why.person]) + 0.12 * one.reopened
    impatient = rng.random(n) < np.minimum(urge, 0.6)
    impatient &= ~cast.test[why.person]
    again = np.flatnonzero(impatient)
    solved_early = one.solved[again]
    second_at = why.at[again] + (
        (solved_early - why.at[again]) * rng.uniform(0.35, 1.3, len(again))
    ).astype(np.int64)  # fmt: skip
    more = Causes(
        person=why.person[again], at=second_at, topic=why.topic[again],
        order_id=why.order_id[again], gravity=np.minimum(why.gravity[again] + 0.15, 1),
    )  # fmt: skip
    other = (channel[again] + rng.integers(1, 5, len(again))) % 5
    two = desk.work(more, other)
    merged = (two.created < one.solved[again]) & (rng.random(len(again)) < 0.6)

    ticket_id = ids["ticket"] + np.arange(n + len(again))
    ids["ticket"] += len(ticket_id)
    into = np.full(len(ticket_id), NONE)
    into[n:][merged] = ticket_id[again[merged]]
    case = _join_cases(one, two)
    person, created = case.person, case.created
    vendor = np.where(cast.b2b[person], np.where(cast.enterprise[person], 2, 1), 0)
    kind = pick(_OBJECTS, vendor)
    record = contacts.need(person, pick(VENDORS, vendor), kind, created, "ticket")
    merge_at = hours.plus(created, spread(rng, 0.2, 2.5, len(person), HOUR))
    deleted = np.where((into == NONE) & (rng.random(len(person)) < 0.006),
                       after_close(case.solved, rng), NONE)  # fmt: skip

    trail = _Trail(ids)
    own = into == NONE
    desk.tell(case, own, trail, ticket_id, vendor == 0)
    late = np.flatnonzero(~own)
    trail.status(ticket_id[late], created[late], None, "new", "customer")
    trail.status(ticket_id[late], merge_at[late], "new", "closed", "agent", case.agent[late])
    trail.say(late, created[late], "customer")
    messages = _write_messages(rng, cast, case, trail, ticket_id, ids)

    label = voice.labels(rng, cast, person, 0.62 - 0.5 * case.gravity, case.topic)
    groups = cast.employee_group[case.agent]
    issues = np.append(issue, issue[again])
    ticket: Columns = {
        "ticket_id": ticket_id, "vendor": pick(VENDORS, vendor),
        "person_id": cast.person_id[person], "issue_id": issues, "created_at": created,
        "channel": pick(CHANNELS, case.channel), "topic": pick(voice.TOPICS, case.topic),
        "subject": voice.write(rng, "ticket_subject", label),
        "priority": pick(PRIORITIES, case.priority), "support_group": groups,
        "order_id": np.append(why.order_id, why.order_id[again]),
        "account_id": np.where(vendor > 0, cast.account_id[person], NONE),
        "is_test": cast.test[person], "merged_into": into, "deleted_at": deleted,
    }  # fmt: skip

    # Help costs effort and gives or takes trust.
    ease = np.clip(
        0.95 - 0.13 * (case.rounds - 1) - 0.2 * case.handed - 0.25 * case.reopened
        - 0.07 * np.clip((case.solved - created) / DAYS, 0, 5) - 0.2 * (np.arange(len(person)) >= n)
        + rng.normal(0, 0.08, len(person)), 0, 1,
    )  # fmt: skip
    np.add.at(state["effort"], person, 0.5 * (0.9 - ease))
    np.add.at(state["satisfaction"], person, 0.35 * (ease - 0.62) - 0.05 * case.gravity)
    return Support(
        ticket=ticket, ticket_event=trail.table(cast), message=messages, record=record,
        person=person, vendor=vendor, issue=issues,
        solved=np.where(own & (deleted == NONE), case.solved, NONE), ease=ease,
        tested=cast.test[person],
    )  # fmt: skip


def after_close(solved: Array, rng: np.random.Generator) -> Array:
    """When somebody cleans up: days after a ticket is closed."""
    return solved + spread(rng, 4.5, 30, len(solved))


@dataclass
class _Cases:
    person: Array
    created: Array
    topic: Array
    gravity: Array
    channel: Array
    priority: Array
    agent: Array  # position of the employee
    second: Array  # who takes over, or -1
    assigned: Array
    handed_at: Array
    hold_from: Array
    hold_until: Array
    first_reply: Array
    rounds: Array
    replies: Array  # (case, round): null where there are fewer
    answers: Array  # (case, round): what the customer writes back to each reply
    solved_first: Array
    reopened_at: Array
    solved: Array
    handed: Array
    reopened: Array
    feeling: Array


def _join_cases(one: _Cases, two: _Cases) -> _Cases:
    return _Cases(**join([vars(one), vars(two)]))


class _Desk:
    """The support team at work in business hours."""

    ROUNDS = 4

    def __init__(
        self, rng: np.random.Generator, cast: Cast, hours: Hours, state: dict[str, Array],
        crew: Array, load: float,
    ) -> None:  # fmt: skip
        self.rng, self.cast, self.hours, self.state = rng, cast, hours, state
        self.crew, self.load = crew, load
        groups = cast.employee_group[crew]
        self.groups = sorted({str(g) for g in groups})
        self.members = [crew[groups.astype(str) == g] for g in self.groups]

    def work(self, why: Causes, channel: Array) -> _Cases:
        rng, cast, hours, n = self.rng, self.cast, self.hours, len(why.person)
        live = np.isin(channel, (CHAT, PHONE))
        created = np.where(
            live, hours.plus(why.at, rng.integers(1, 40 * 60, n) * (MINUTE // 60)), why.at
        )
        priority = np.select(
            [why.gravity > 0.8, why.gravity > 0.5, why.gravity > 0.15], [3, 2, 1], 0
        )
        priority = np.where(rng.random(n) < 0.3, 1, priority)
        wanted = np.where(cast.b2b[why.person], "business", pick(_GROUP_OF, why.topic))
        group = np.array([self.groups.index(g) if g in self.groups else 0 for g in wanted], int)
        agent, second = self._member(group), self._member(rng.integers(0, len(self.groups), n))
        skill = cast.employee_skill[agent]
        pace = self.load * (1.7 - skill) * _REPLY_WITHIN[priority]
        assigned = hours.plus(created, waits(rng, np.where(live, 0.01, 0.6 * self.load), n))
        handed = (rng.random(n) < 0.08 + 0.1 * (1 - skill)) & ~live & (second != agent)
        waited = _REPLY_MINUTES[channel] * pace * rng.lognormal(0, 0.7, n)
        first = hours.plus(assigned, (waited * MINUTE).astype(np.int64) // MINUTE * MINUTE + MINUTE)
        handed_at = np.where(handed, first, NONE)
        first = np.where(handed, hours.plus(first, waits(rng, 3.0 * pace, n)), first)
        rounds = 1 + draw(rng, (0.55, 0.27, 0.12, 0.06), n)
        rounds = np.where(live, 1, np.minimum(rounds + (rng.random(n) < 0.25 * (1 - skill)), 4))
        replies = np.full((n, self.ROUNDS), NONE)
        answers = np.full((n, self.ROUNDS), NONE)
        at = first
        for k in range(self.ROUNDS):
            has = rounds > k
            replies[has, k] = at[has]
            goes_on = rounds > k + 1
            back = at + waits(rng, 16, n) + 5 * MINUTE
            answers[goes_on, k] = back[goes_on]
            at = np.where(goes_on, hours.plus(back, waits(rng, _WORK_HOURS[channel] * pace, n)), at)
        hold = ~live & (rng.random(n) < 0.09)
        hold_from = np.where(hold, at + 2 * MINUTE, NONE)
        hold_until = np.where(hold, hours.plus(at, spread(rng, 6, 30, n, HOUR)), NONE)
        at = np.where(hold, hold_until, at)
        solved = at + spread(rng, 1, 10, n, MINUTE)
        sat = self.state["satisfaction"][why.person]
        reopened = ~live & (rng.random(n) < 0.04 + 0.09 * (1 - skill) + 0.05 * why.gravity)
        reopened_at = np.where(reopened, solved + np.minimum(waits(rng, 22, n), 90 * HOUR), NONE)
        final = np.where(reopened, hours.plus(reopened_at, waits(rng, 6 * pace, n)), solved)
        feeling = np.clip(
            0.25 + 0.5 * sat + 0.35 * (skill - 0.5) - 0.25 * reopened - 0.12 * (rounds - 1)
            - 0.08 * (first - created) / DAYS - 0.15 * why.gravity, 0, 1,
        )  # fmt: skip
        return _Cases(
            person=why.person, created=created, topic=why.topic, gravity=why.gravity,
            channel=channel, priority=priority, agent=agent, second=np.where(handed, second, -1),
            assigned=assigned, handed_at=handed_at, hold_from=hold_from, hold_until=hold_until,
            first_reply=first, rounds=rounds, replies=replies, answers=answers,
            solved_first=solved, reopened_at=reopened_at, solved=final + (reopened * 3 * MINUTE),
            handed=handed, reopened=reopened, feeling=feeling,
        )  # fmt: skip

    def _member(self, group: Array) -> Array:
        drawn = np.zeros(len(group), np.int64)
        for g, members in enumerate(self.members):
            of = np.flatnonzero(group == g)
            drawn[of] = members[self.rng.integers(0, len(members), len(of))]
        return drawn

    def tell(
        self, case: _Cases, own: Array, trail: "_Trail", ticket_id: Array, rated: Array
    ) -> None:
        """Status, assignee and satisfaction as they change, and who says something when."""
        rng = self.rng
        of = np.flatnonzero(own)
        ids, who = ticket_id, case.agent
        last = np.where(case.second >= 0, case.second, case.agent)
        trail.status(ids[of], case.created[of], None, "new", "customer")
        trail.say(of, case.created[of], "customer")
        trail.assign(ids[of], case.assigned[of], np.full(len(of), -1), who[of])
        trail.status(ids[of], case.assigned[of], "new", "open", "agent", who[of])
        handed = of[case.handed[of]]
        trail.assign(ids[handed], case.handed_at[handed], who[handed], last[handed])
        trail.say(handed, case.handed_at[handed] - MINUTE, "agent", who[handed], public=False)
        raised = of[(case.priority[of] < 3) & (rng.random(len(of)) < 0.05)]
        trail.change(
            ids[raised], case.assigned[raised] + MINUTE, "priority",
            pick(PRIORITIES, case.priority[raised]), pick(PRIORITIES, case.priority[raised] + 1),
            "agent", who[raised],
        )  # fmt: skip
        groups = self.cast.employee_group
        moved = handed[groups[who[handed]] != groups[last[handed]]]
        trail.change(
            ids[moved], case.handed_at[moved], "support_group", groups[who[moved]],
            groups[last[moved]], "agent", who[moved],
        )  # fmt: skip
        for k in range(self.ROUNDS):
            goes_on = of[case.rounds[of] > k + 1]
            has = of[case.rounds[of] > k]
            trail.say(has, case.replies[has, k], "agent", last[has])
            trail.status(
                ids[goes_on], case.replies[goes_on, k] + MINUTE, "open", "pending", "agent",
                last[goes_on],
            )  # fmt: skip
            trail.status(ids[goes_on], case.answers[goes_on, k], "pending", "open", "customer")
            trail.say(goes_on, case.answers[goes_on, k], "customer")
        held = of[case.hold_from[of] != NONE]
        trail.status(ids[held], case.hold_from[held], "open", "hold", "agent", last[held])
        trail.status(ids[held], case.hold_until[held], "hold", "open", "agent", last[held])
        trail.status(ids[of], case.solved_first[of], "open", "solved", "agent", last[of])
        back = of[case.reopened[of]]
        trail.status(ids[back], case.reopened_at[back], "solved", "open", "customer")
        trail.say(back, case.reopened_at[back], "customer")
        trail.say(back, case.solved[back] - MINUTE, "agent", last[back])
        trail.status(ids[back], case.solved[back], "open", "solved", "agent", last[back])
        trail.status(ids[of], case.solved[of] + 4 * DAYS, "solved", "closed", "system")

        offered = of[rated[of] & (rng.random(len(of)) < 0.75)]
        at = case.solved[offered] + DAYS
        trail.change(ids[offered], at, "satisfaction", None, "offered", "system")
        strong = np.abs(case.feeling[offered] - 0.5) * 2
        said = rng.random(len(offered)) < 0.16 + 0.4 * strong
        rates, when = offered[said], (at + waits(rng, 9, len(at)))[said]
        good = case.feeling[rates] + rng.normal(0, 0.12, len(rates)) > 0.42
        words = np.where(good, "good", "bad").astype(object)
        trail.change(ids[rates], when, "satisfaction", "offered", words, "customer")
        flips = rng.random(len(rates)) < 0.06
        other = np.where(good, "bad", "good").astype(object)
        trail.change(
            ids[rates[flips]], when[flips] + waits(rng, 20, int(flips.sum())), "satisfaction",
            words[flips], other[flips], "customer",
        )  # fmt: skip


class _Trail:
    """Changes and messages of tickets, gathered in the order of their kinds."""

    def __init__(self, ids: dict[str, int]) -> None:
        self.ids = ids
        self.changes: list[Columns] = []
        self.said: list[Columns] = []

    def change(
        self, ticket_id: Array, at: Array, field: str, old: str | Array | None,
        new: str | Array, actor: str, employee: Array | None = None,
    ) -> None:  # fmt: skip
        n = len(ticket_id)
        self.changes.append({
            "ticket_id": ticket_id, "at": at, "field": np.full(n, field, object),
            "from_value": old if isinstance(old, np.ndarray) else np.full(n, old, object),
            "to_value": new if isinstance(new, np.ndarray) else np.full(n, new, object),
            "actor": np.full(n, actor, object),
            "employee": np.full(n, -1) if employee is None else employee,
        })  # fmt: skip

    def status(
        self, ticket_id: Array, at: Array, old: str | None, new: str, actor: str,
        employee: Array | None = None,
    ) -> None:  # fmt: skip
        self.change(ticket_id, at, "status", old, new, actor, employee)

    def assign(self, ticket_id: Array, at: Array, old: Array, new: Array) -> None:
        self.change(
            ticket_id, at, "assignee", old.astype(object), new.astype(object), "system", new
        )

    def say(
        self, case: Array, at: Array, author: str, employee: Array | None = None,
        *, public: bool = True,
    ) -> None:  # fmt: skip
        n = len(case)
        self.said.append({
            "case": case, "at": at, "author": np.full(n, author, object),
            "employee": np.full(n, -1) if employee is None else employee,
            "is_public": np.full(n, public),
        })  # fmt: skip

    def table(self, cast: Cast) -> Columns:
        """All changes by time; employees by their id."""
        every = join(self.changes)
        order = np.lexsort((every["at"], every["ticket_id"]))
        every = {c: v[order] for c, v in every.items()}
        moved = every["field"] == "assignee"
        names = np.array([*cast.employee_id.astype(str), None], object)
        for column in ("from_value", "to_value"):
            every[column] = every[column].copy()
            every[column][moved] = names[every[column][moved].astype(np.int64)]
        employee = every.pop("employee")
        n = len(order)
        every["ticket_event_id"] = self.ids["ticket_event"] + np.arange(n)
        self.ids["ticket_event"] += n
        every["employee_id"] = np.append(cast.employee_id, NONE)[employee]
        return every


def _write_messages(
    rng: np.random.Generator, cast: Cast, case: _Cases, trail: _Trail, ticket_id: Array,
    ids: dict[str, int],
) -> Columns:  # fmt: skip
    said = join(trail.said)
    order = np.lexsort((said["at"], said["case"]))
    said = {c: v[order] for c, v in said.items()}
    of, n = said.pop("case"), len(order)
    mine = said["author"] == "customer"
    feeling = np.where(mine, case.feeling[of] * 0.8 + 0.25 * (1 - case.gravity[of]), 0.55)
    label = voice.labels(rng, cast, case.person[of], feeling, case.topic[of])
    label["sentiment"][~mine], label["emotion"][~mine] = "neutral", "neutral"
    label["competitor"][~mine] = None
    body = np.full(n, None, object)
    for kind, where in (("ticket_message", mine), ("agent_reply", ~mine)):
        body[where] = voice.write(rng, kind, voice.subset(label, where))
    message_id = ids["message"] + np.arange(n)
    ids["message"] += n
    employee = said.pop("employee")
    return {
        "message_id": message_id, "ticket_id": ticket_id[of], **said, "body": body,
        "employee_id": np.append(cast.employee_id, NONE)[employee], **label,
    }  # fmt: skip
