"""Where people truly are in their journey, and when they leave the company or come back."""

import numpy as np

from ingestion.simulator.life.cast import Cast
from ingestion.simulator.life.columns import NONE, WEEK, Array, Columns, join, pick, rank_in
from ingestion.simulator.life.times import spread

STAGES = ("awareness", "consideration", "decision", "service", "loyalty")
NOWHERE, AWARENESS, CONSIDERATION, DECISION, SERVICE, LOYALTY, CHURNED, LOST = range(-1, 7)
# May a person go on from a stage (row, NOWHERE first) to a stage (column, CHURNED and LOST last)?
_MAY = np.array([
    [1, 0, 0, 0, 0, 0, 0],
    [0, 1, 1, 1, 0, 1, 1],
    [0, 0, 1, 1, 1, 1, 1],
    [0, 0, 0, 1, 1, 1, 1],
    [0, 0, 0, 0, 1, 1, 1],
    [0, 0, 0, 1, 0, 1, 1],
    [0, 1, 0, 0, 0, 0, 0],
    [0, 1, 0, 0, 0, 0, 0],
], bool)  # fmt: skip
_CAUSES = ("next", "churned", "lost_interest")


def turn(
    cast: Cast, state: dict[str, Array], steps: list[tuple[Array, Array, int]], end: int
) -> Columns:
    """Move people through their stages by what happened up to `end`; the rest waits in `state`.

    `steps` are (person, time, stage). Gives rows of `stage`: one when a span begins, and the same
    with `left_at` when it ends.
    """
    person = np.concatenate([state["step_person"], *(s[0] for s in steps)])
    at = np.concatenate([state["step_at"], *(s[1] for s in steps)])
    to = np.concatenate([state["step_to"], *(np.full(len(s[0]), s[2]) for s in steps)])
    known = at != NONE
    person, at, to = person[known], at[known], to[known]
    due = at < end
    for name, values in (("step_person", person), ("step_at", at), ("step_to", to)):
        state[name] = values[~due]
    person, at, to = person[due], at[due], to[due]
    order = np.lexsort((to, at, person))
    person, at, to = person[order], at[order], to[order]
    turns = rank_in(person)
    stage, since = state["stage"], state["stage_at"]
    parts: list[Columns] = []
    for k in range(int(turns.max(initial=-1)) + 1):
        of = turns == k
        who, when, goal = person[of], at[of], to[of]
        goes = _MAY[stage[who] + 1, goal] & (when > since[who])
        who, when, goal = who[goes], when[goes], goal[goes]
        was = stage[who]
        ends = (was >= 0) & (was <= LOYALTY)
        cause = np.select([goal == CHURNED, goal == LOST], [1, 2], 0)
        parts.append(_rows(cast, who[ends], was[ends], since[who[ends]], when[ends], cause[ends]))
        enters = goal <= LOYALTY
        nothing = np.full(int(enters.sum()), NONE)
        parts.append(_rows(cast, who[enters], goal[enters], when[enters], nothing, nothing))
        stage[who], since[who] = goal, when
    if not parts:
        nobody = np.zeros(0, np.int64)
        parts = [_rows(cast, nobody, nobody, nobody, nobody, nobody)]
    return join(parts)


def _rows(
    cast: Cast, who: Array, stage: Array, entered: Array, left: Array, cause: Array
) -> Columns:
    return {
        "person_id": cast.person_id[who], "stage": pick(STAGES, stage), "entered_at": entered,
        "left_at": left, "cause": pick(_CAUSES, np.where(left == NONE, -1, cause)),
    }  # fmt: skip


def partings(
    rng: np.random.Generator, cast: Cast, state: dict[str, Array], start: int, end: int
) -> tuple[Columns, list[tuple[Array, Array, int]]]:
    """Who leaves or comes back this week: rows of `churn`, and steps of the journey.

    Only those leave who have done nothing lately and expect nothing; prospects lose interest.
    """
    here = (cast.entered < start) & ~cast.bot & (cast.kind != 2)
    idle = state["last_active"] < start - 3 * WEEK
    customer = state["orders"] > 0
    sat, effort = state["satisfaction"], state["effort"]
    leaves = 0.004 + 0.1 * np.clip(0.7 - sat, 0, 1) ** 1.3 + 0.04 * np.clip(effort - 0.3, 0, 1)
    leaves = leaves * (1.7 - cast.loyalty)
    luck = rng.random(cast.n)
    moment = spread(rng, 0, 6.9, cast.n)
    churns = np.flatnonzero(here & state["alive"] & customer & idle & (luck < leaves))
    fades = 0.012 + 0.03 * np.clip(0.4 - state["intent"], 0, 1)
    loses = np.flatnonzero(here & state["alive"] & ~customer & idle & (luck < fades))
    away = here & ~state["alive"] & (cast.erased > end)
    tempted = 0.002 + 0.01 * state["intent"] * cast.loyalty + 0.003 * state["subscribed"]
    returns = np.flatnonzero(away & (luck < tempted) & (state["last_active"] < start - 6 * WEEK))

    at = start + moment
    cause = np.select(
        [sat < 0.42, effort > 0.36, cast.price_sensitivity > 0.65],
        ["dissatisfied", "effort", "price"], "no_need",
    ).astype(object)  # fmt: skip
    back = returns[state["churned_at"][returns] != NONE]
    columns: Columns = {
        "person_id": cast.person_id[np.append(churns, back)],
        "churned_at": np.append(at[churns], state["churned_at"][back]),
        "returned_at": np.append(np.full(len(churns), NONE), at[back]),
        "cause": np.append(cause[churns], pick(_CHURN_CAUSES, state["churn_cause"][back])),
    }
    state["churned_at"][churns] = at[churns]
    state["churn_cause"][churns] = [_CHURN_CAUSES.index(c) for c in cause[churns]]
    state["churned_at"][back] = NONE
    state["alive"][churns] = state["alive"][loses] = False
    state["alive"][returns] = True
    state["intent"][returns] = 0.6
    state["satisfaction"][returns] = np.maximum(state["satisfaction"][returns], 0.6)
    state["last_active"][returns] = at[returns]
    steps = [
        (churns, at[churns], CHURNED), (loses, at[loses], LOST),
        (returns, at[returns], CONSIDERATION),
    ]  # fmt: skip
    return columns, steps


_CHURN_CAUSES = ("dissatisfied", "effort", "price", "no_need")
