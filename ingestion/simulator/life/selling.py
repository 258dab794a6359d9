"""Selling to companies: leads, opportunities, what sellers do, and what is won."""

from dataclasses import dataclass

import numpy as np

from ingestion.simulator.life.cast import CURRENCIES, Cast, Hours
from ingestion.simulator.life.columns import (
    DAYS,
    HOUR,
    MINUTE,
    NONE,
    WEEK,
    Array,
    Columns,
    Contacts,
    draw,
    join,
    pick,
)
from ingestion.simulator.life.times import spread, waits

STAGES = ("new", "qualified", "proposal", "negotiation", "won", "lost")
_PROBABILITY = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 0.0])
_REASONS = ("price", "competitor", "no_budget", "timing", "no_decision")
_KINDS = ("call", "email", "meeting", "task")
_SUBJECTS = ("Call about the offer", "Follow-up", "Meeting on requirements", "Prepare the offer")
_OUTCOMES = ("reached", "no_answer", "sent", "held", "done")
_NAMES = ("team jackets", "hiking equipment", "event outfit", "rental tents", "winter gear")


@dataclass
class Sales:
    """Tables of selling; places in the week's needs; who decides when; what was won."""

    opportunity: Columns
    opportunity_stage: Columns
    activity: Columns
    record: Array
    activity_record: Array
    person: Array
    created: Array
    won_person: Array
    won_at: Array
    won_value: Array  # cents, in their currency


def sell(
    rng: np.random.Generator,
    cast: Cast,
    hours: Hours,
    state: dict[str, Array],
    start: int,
    end: int,
    contacts: Contacts,
    ids: dict[str, int],
) -> Sales:
    """Leads of companies that are new, opportunities of these and of known ones."""
    here = cast.b2b & state["alive"] & (cast.entered < end) & (cast.erased > end + 2 * WEEK)
    here &= cast.account_id != NONE
    fresh = np.flatnonzero(here & (cast.entered >= start) & (rng.random(cast.n) < 0.7))
    known = here & (cast.entered < start)
    wish = 0.008 * (0.3 + 1.2 * state["satisfaction"]) * (0.4 + state["intent"])
    known = np.flatnonzero(known & (rng.random(cast.n) < wish))
    sellers = cast.agents(start, "sales")

    # A lead is looked at within days and becomes an opportunity, or nothing.
    lead_at = hours.plus(cast.entered[fresh], waits(rng, 5, len(fresh)))
    looked = hours.plus(lead_at, waits(rng, 12, len(fresh)))
    decided = hours.plus(looked, waits(rng, 25, len(fresh)))
    good = rng.random(len(fresh)) < 0.55
    person = np.concatenate([fresh[good], known])
    thought = start + rng.integers(0, (end - start) // MINUTE, len(known)) * MINUTE
    asked = hours.plus(thought, spread(rng, 0, 4, len(known), HOUR))
    created = np.append(decided[good], asked)
    n, leads = len(person), len(fresh)

    won = rng.random(n) < np.clip(0.18 + 0.3 * state["satisfaction"][person], 0, 1)
    ends_after = np.where(won, 4, 1 + draw(rng, (3, 3, 2), n))
    worth = (rng.lognormal(7.6, 0.8, n) * np.where(cast.enterprise[person], 4.0, 1.0)) * 100
    value = worth.astype(np.int64) // 5000 * 5000 + 5000
    pace = np.where(cast.enterprise[person], 60.0, 30.0)
    stage_parts: list[Columns] = []
    at = created
    closed = np.full(n, NONE)
    for k in range(5):
        reaches = (ends_after >= k) if k < 4 else won
        of = np.flatnonzero(reaches)
        stage_parts.append(_stage(of, at, k, value))
        closed = np.where(reaches & (k == 4), at, closed)
        at = np.where(reaches, hours.plus(at, waits(rng, pace, n) + HOUR), at)
        if k in (1, 2):
            value = (value * rng.uniform(0.8, 1.15, n)).astype(np.int64) // 100 * 100
    lost = np.flatnonzero(~won)
    stage_parts.append(_stage(lost, at, 5, value))
    closed = np.where(won, closed, at)

    opportunity_id = ids["opportunity"] + np.arange(leads + n)
    ids["opportunity"] += leads + n
    lead_id, deal_id = opportunity_id[:leads], opportunity_id[leads:]
    source = np.full(n, NONE)
    source[: int(good.sum())] = lead_id[good]
    stages = join(stage_parts)
    stages["opportunity_id"] = deal_id[stages.pop("of")]
    lead_stages = [
        _stage(np.arange(leads), lead_at, 0, None), _stage(np.arange(leads), looked, 1, None)
    ]  # fmt: skip
    lead_stages.append(_stage(np.flatnonzero(~good), decided, 5, None))
    lead_stage = join(lead_stages)
    lead_stage["opportunity_id"] = lead_id[lead_stage.pop("of")]
    every_stage = join([lead_stage, stages])
    order = np.lexsort((every_stage["at"], every_stage["opportunity_id"]))
    every_stage = {c: v[order] for c, v in every_stage.items()}
    every_stage["stage_event_id"] = ids["opportunity_stage"] + np.arange(len(order))
    ids["opportunity_stage"] += len(order)

    everyone = np.append(fresh, person)
    is_lead = np.arange(leads + n) < leads
    enterprise = cast.enterprise[everyone]
    seller = sellers[cast.taste[everyone] % len(sellers)]
    vendor = np.where(enterprise, "salesforce", "hubspot").astype(object)
    kind = np.where(enterprise & is_lead, "lead", "contact").astype(object)
    begin = np.append(lead_at, created)
    record = contacts.need(everyone, vendor, kind, begin, "selling")
    lost_reason = np.full(leads + n, -1)
    lost_reason[leads:] = np.where(won, -1, draw(rng, (4, 3, 2, 2, 3), n))
    lost_reason[:leads] = np.where(good, -1, 2 + rng.integers(0, 3, leads))
    name = cast.account_name[everyone] + " - " + pick(_NAMES, rng.integers(0, 5, leads + n))
    expected = created + spread(rng, 20, 70, n)
    opportunity: Columns = {
        "opportunity_id": opportunity_id, "vendor": vendor,
        "kind": np.where(is_lead, "lead", "opportunity").astype(object),
        "person_id": cast.person_id[everyone], "account_id": cast.account_id[everyone],
        "employee_id": cast.employee_id[seller],
        "campaign_id": np.where(begin < cast.entered[everyone] + 90 * DAYS,
                                cast.first_campaign[everyone], NONE),
        "name": name, "currency": pick(CURRENCIES, cast.currency[everyone]),
        "created_at": begin,
        "expected_close": np.append(np.full(leads, NONE), expected // DAYS),
        "lost_reason": pick(_REASONS, lost_reason),
        "from_opportunity_id": np.append(np.full(leads, NONE), source),
    }  # fmt: skip

    ends = np.append(decided, closed)
    activity, activity_record = _activities(
        rng, cast, hours, everyone, begin, ends, opportunity_id, seller, vendor, kind, contacts, ids
    )
    return Sales(
        opportunity=opportunity, opportunity_stage=every_stage, activity=activity, record=record,
        activity_record=activity_record, person=person, created=created,
        won_person=person[won], won_at=closed[won], won_value=value[won],
    )  # fmt: skip


def _stage(of: Array, at: Array, stage: int, value: Array | None) -> Columns:
    return {
        "of": of, "at": at[of], "stage": np.full(len(of), STAGES[stage], object),
        "amount": np.full(len(of), NONE) if value is None else value[of],
        "probability": np.full(len(of), _PROBABILITY[stage]),
    }  # fmt: skip


def _activities(
    rng: np.random.Generator, cast: Cast, hours: Hours, person: Array, begin: Array, end: Array,
    opportunity_id: Array, seller: Array, vendor: Array, kind: Array, contacts: Contacts,
    ids: dict[str, int],
) -> tuple[Columns, Array]:  # fmt: skip
    of = np.repeat(np.arange(len(person)), rng.poisson(4.0, len(person)))
    n = len(of)
    at = begin[of] + ((end - begin)[of] * rng.random(n)).astype(np.int64) // MINUTE * MINUTE
    at = hours.plus(at, spread(rng, 0.02, 3, n, HOUR))
    what = draw(rng, (4, 5, 2, 2), n)
    outcome = np.select([what == 0, what == 1, what == 2], [draw(rng, (6, 4), n), 2, 3], 4)
    seconds = np.select(
        [(what == 0) & (outcome == 0), (what == 0), what == 2],
        [rng.integers(60, 1800, n), rng.integers(5, 40, n), rng.integers(2, 8, n) * 900], NONE,
    )  # fmt: skip
    incoming = (what < 2) & (rng.random(n) < 0.3)
    direction = pick(("outbound", "inbound"), np.where(what < 2, incoming * 1, -1))
    activity_id = ids["activity"] + np.arange(n)
    ids["activity"] += n
    record = contacts.need(person[of], vendor[of], kind[of], at, "selling")
    return {
        "activity_id": activity_id, "vendor": vendor[of], "kind": pick(_KINDS, what),
        "person_id": cast.person_id[person[of]], "opportunity_id": opportunity_id[of],
        "employee_id": cast.employee_id[seller[of]], "at": at, "duration_seconds": seconds,
        "direction": direction, "subject": pick(_SUBJECTS, what),
        "outcome": pick(_OUTCOMES, outcome),
    }, record  # fmt: skip
