"""Surveys: who is asked, what they feel, who answers and what they write."""

import numpy as np

from ingestion.simulator.life import marketing, voice
from ingestion.simulator.life.cast import Cast
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
    draw,
    pick,
)
from ingestion.simulator.life.times import spread, waits

NPS, CSAT, CES = range(3)
_VENDORS = ("surveymonkey", "qualtrics", "hubspot")
_SCALE_MIN, _SCALE_MAX = np.array([0, 1, 1]), np.array([10, 5, 7])
STATUSES = ("delivered", "opened", "partial", "completed", "bounced", "opted_out")
_READY = np.array([0.47, 0.35, 0.55])
NPS_SHARE, CSAT_SHARE, CES_SHARE = 0.42, 0.14, 0.3
_TOPIC_WEIGHTS = (3, 4, 3, 2, 1, 2, 2, 2, 2, 1)


def survey_table(started: int) -> Columns:
    """The three surveys of the company, there from the beginning."""
    return {
        "survey_id": np.array([1, 2, 3]), "vendor": np.array(_VENDORS, object),
        "name": np.array(["Half-yearly relationship survey", "After your purchase",
                          "After your request"], object),
        "kind": np.array(["nps", "csat", "ces"], object),
        "relation": np.array(["relationship", "transactional", "transactional"], object),
        "question": np.array([
            "How likely is it that you would recommend Nordlicht Outdoor to a friend?",
            "How satisfied are you with your purchase?",
            "How easy was it to get your request handled?"], object),
        "comment_question": np.array([
            "What is the main reason for your answer?", "What could we do better?",
            "What would have made it easier?"], object),
        "scale_min": _SCALE_MIN, "scale_max": _SCALE_MAX, "created_at": np.full(3, started),
    }  # fmt: skip


def relationship(
    rng: np.random.Generator, cast: Cast, state: dict[str, Array], week: int, start: int, end: int
) -> tuple[Array, Array]:
    """Whom the half-yearly survey reaches this week, and when: customers of half a year's phase."""
    due = (state["orders"] > 0) & ~cast.bot & ~cast.test & ~state["opted_out"]
    due &= (cast.entered < start) & (cast.erased > end + 7 * DAYS) & (cast.phase == week % 26)
    luck = rng.random(cast.n)
    due &= luck < np.where(state["alive"], NPS_SHARE, 0.3 * NPS_SHARE)
    who = np.flatnonzero(due)
    # Sent together on a working morning.
    day = (8 - (start // DAYS + 3) % 7) % 7
    at = (start // DAYS + day) * DAYS + 9 * HOUR + rng.integers(0, 1800, len(who)) * SECOND
    return who, np.where(at < start, at + 7 * DAYS, at)


def _readiness(
    cast: Cast, state: dict[str, Array], kind: Array, person: Array, at: Array, value: Array
) -> Array:
    """How likely each answers.

    Most of it the company can see as well: who buys, visits and reads mails is close to it, and
    who had trouble lately has had enough. A smaller part is what they feel and nobody sees.
    """
    weeks = np.maximum(at - state["last_active"][person], 0) / WEEK
    lately = np.where(kind == NPS, 0.2 + 0.8 * np.exp(-weeks / 8), 1)
    loyal = 0.5 + 0.2 * np.minimum(state["orders"][person], 5)
    close = lately * loyal * marketing.interest(cast, state, person) ** 0.3
    close = np.where(state["alive"][person], close, 0.4 * close)
    weary = np.exp(-4 * np.clip(state["effort"][person] - 0.22, 0, 0.5))
    # The far ends speak up; in the relationship survey the unhappy have often given up on us.
    moved = 0.95 + 0.05 * np.abs(value - 0.55) * 2
    moved = np.where((kind == NPS) & (value < 0.55), 0.97 * moved, moved)
    keen = 0.6 + 0.8 * cast.expressiveness[person]
    return np.minimum(_READY[kind] * close * weary * moved * keen, 0.95)


def ask(
    rng: np.random.Generator,
    cast: Cast,
    state: dict[str, Array],
    *,
    kind: Array,
    person: Array,
    at: Array,
    felt: Array,
    topic: Array,
    order_id: Array,
    ticket_id: Array,
    contacts: Contacts,
    ids: dict[str, int],
) -> tuple[Columns, Columns, Array, Array]:
    """Invitations and answers.

    `felt` is how they feel in 0 to 1, `topic` a position or -1 where anything may come up.
    Gives both tables, the invitations' needs of records and the felt scores.
    """
    n = len(person)
    low, high = _SCALE_MIN[kind], _SCALE_MAX[kind]
    swing = np.where(kind == NPS, 0.13, 0.12)
    value = np.clip(felt + rng.normal(0, 1, n) * swing, 0, 1)
    score = np.clip(np.rint(low + value * (high - low)), low, high).astype(np.int64)
    strong = np.abs(value - 0.55) * 2
    answers = _readiness(cast, state, kind, person, at, value)
    luck = rng.random(n)
    opens = rng.random(n) < 0.5
    status = np.where(opens, 1, 0)
    half = rng.random(n) < 0.11
    status = np.where(luck < answers, np.where(half, 2, 3), status)
    finishes = (status == 2) & (rng.random(n) < 0.4)
    status = np.where(finishes, 3, status)
    status = np.where(rng.random(n) < 0.006, 5, status)
    status = np.where(state["mail_dead"][person] | (rng.random(n) < 0.012), 4, status)
    state["opted_out"][person[status == 5]] = True

    opened = np.where(status == 4, NONE, at + waits(rng, 14, n))
    opened = np.where(status == 0, NONE, opened)
    invitation_id = ids["survey_invitation"] + np.arange(n)
    ids["survey_invitation"] += n
    record = contacts.need(person, pick(_VENDORS, kind), "contact", at, "survey")
    invitation: Columns = {
        "invitation_id": invitation_id, "survey_id": kind + 1,
        "person_id": cast.person_id[person], "sent_at": at, "opened_at": opened,
        "status": pick(STATUSES, status), "order_id": order_id, "ticket_id": ticket_id,
        "felt_score": score,
    }  # fmt: skip

    of = np.flatnonzero((status == 2) | (status == 3))
    m, partial = len(of), half[of]
    started = opened[of] + spread(rng, 0.2, 3, m, MINUTE)
    seconds = np.maximum(12, rng.lognormal(np.log(70), 0.7, m)).astype(np.int64)
    recorded = started + seconds * SECOND
    completed = np.where(
        ~partial, recorded, np.where(finishes[of], recorded + spread(rng, 0.1, 6, m), NONE)
    )
    known = ~partial | finishes[of] | (rng.random(m) < 0.6)
    about = np.where(topic[of] < 0, draw(rng, _TOPIC_WEIGHTS, m), topic[of])
    label = voice.labels(rng, cast, person[of], value[of], about)
    wordy = (completed != NONE) & (
        rng.random(m) < 0.25 + 0.45 * cast.expressiveness[person[of]] + 0.2 * strong[of]
    )
    comment = np.full(m, None, object)
    comment[wordy] = voice.write(rng, "survey_comment", voice.subset(label, wordy))
    for column in label.values():
        column[~wordy] = None
    deleted = np.where(rng.random(m) < 0.008, recorded + spread(rng, 1, 60, m), NONE)
    response_id = ids["survey_response"] + np.arange(m)
    ids["survey_response"] += m
    response: Columns = {
        "response_id": response_id, "invitation_id": invitation_id[of], "survey_id": kind[of] + 1,
        "person_id": cast.person_id[person[of]], "started_at": started, "recorded_at": recorded,
        "completed_at": completed, "is_partial": partial,
        "score": np.where(known, score[of], NONE), "comment": comment,
        "duration_seconds": seconds, "deleted_at": deleted, **label,
    }  # fmt: skip
    return invitation, response, record, score
