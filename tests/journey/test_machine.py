"""The machine of the journey against a walk through each history, touch by touch."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journey.machine import AS_OF, Move, Touch, connect, moves, seed

PATH = ("awareness", "consideration", "decision", "service", "loyalty")
ONCE_PER_EXAMPLE = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def machine() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as connection:
        yield connection


@st.composite
def histories(draw: st.DrawFn) -> list[Touch]:
    """Touches of several customers: bursts, ties, silences longer than any stage allows."""
    touches: list[Touch] = []
    for customer in range(draw(st.integers(1, 12))):
        at = datetime(2023, 1, 1)
        steps = st.tuples(
            st.sampled_from(
                [0, 0, 60, 86_400, 40 * 86_400, 60 * 86_400, 90 * 86_400, 400 * 86_400]
            ),
            st.sampled_from(PATH),
            st.sampled_from(["inbound", "outbound"]),
            st.sampled_from(["entry", "entry", "activity", "none", "lost"]),
        )
        for pause, stage, direction, evidence in draw(st.lists(steps, max_size=25)):
            at += timedelta(seconds=pause)
            key = f"{customer}-{draw(st.integers(0, 999)):03d}-{len(touches):04d}"
            touches.append((key, f"c{customer}", at, stage, direction, evidence))
    return touches


def walked(touches: Sequence[Touch]) -> list[Move]:
    """The rules once more, in the plainest way there is."""
    stages = {row["stage"]: row for row in seed("journey_stages")}
    number = {stage: int(row["stage_number"]) for stage, row in stages.items()} | {"start": 0}
    allowance = {
        stage: timedelta(days=int(row["timeout_days"]))
        for stage, row in stages.items()
        if row["timeout_days"]
    }
    cause_of = {(r["from_stage"], r["to_stage"]): r["cause"] for r in seed("journey_transitions")}
    told: list[Move] = []
    by_customer = defaultdict(list)
    for touch in touches:
        by_customer[touch[1]].append(touch)
    for customer, own in by_customer.items():
        stage, seen_at = "start", datetime.min

        def times_out(now: datetime) -> bool:
            return stage in allowance and now - seen_at > allowance[stage]  # noqa: B023

        own.sort(key=lambda touch: (touch[2], number[touch[3]], touch[0]))
        for key, _, at, evident, direction, evidence in own:
            is_silent = evidence == "none" or (evidence == "activity" and direction != "inbound")
            if is_silent and stage != "start":
                continue
            if times_out(at):
                end = seen_at + allowance[stage]
                told.append((customer, end, number["inactive"], number[stage], "timeout", None))
                stage = "inactive"
            seen_at, aim = at, stage
            if stage == "start":
                aim = evident if ("start", evident) in cause_of else PATH[0]
            elif evidence == "lost":
                aim = "lost"
            elif evidence == "entry" or stage in ("inactive", "lost"):
                aim = evident
            if aim != stage and (stage == "start" or (stage, aim) in cause_of):
                cause = cause_of.get((stage, aim), "first contact")
                told.append((customer, at, number[aim], number[stage], cause, key))
                stage = aim
        if times_out(AS_OF):
            end = seen_at + allowance[stage]
            told.append((customer, end, number["inactive"], number[stage], "timeout", None))
    return sorted(told, key=lambda move: move[0])


@ONCE_PER_EXAMPLE
@given(touches=histories())
def test_the_scan_goes_where_a_walk_goes(
    machine: duckdb.DuckDBPyConnection, touches: list[Touch]
) -> None:
    assert moves(machine, touches) == walked(touches)


@ONCE_PER_EXAMPLE
@given(touches=histories())
def test_spans_tile_the_life_of_each_customer(
    machine: duckdb.DuckDBPyConnection, touches: list[Touch]
) -> None:
    """A life begins with the first touch; each move leaves what the one before entered."""
    found = moves(machine, touches)
    began = {
        customer: min(t[2] for t in touches if t[1] == customer)
        for customer in {t[1] for t in touches}
    }
    assert {m[0] for m in found} == set(began)
    for customer, of_customer in groupby(found, key=lambda move: move[0]):
        own = list(of_customer)
        assert (own[0][1], own[0][3], own[0][4]) == (began[customer], 0, "first contact")
        for earlier, later in pairwise(own):
            assert earlier[1] <= later[1]
            assert earlier[2] == later[3] != later[2]
        # with no gap and no overlap, every touch lies in exactly one span
        entries = [move[1] for move in own] + [datetime.max]
        for touch in (t for t in touches if t[1] == customer):
            assert sum(a <= touch[2] < b for a, b in pairwise(entries)) == 1


@ONCE_PER_EXAMPLE
@given(touches=histories(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    machine: duckdb.DuckDBPyConnection, touches: list[Touch], random
) -> None:
    shuffled = list(touches)
    random.shuffle(shuffled)
    assert moves(machine, shuffled) == moves(machine, touches)


@ONCE_PER_EXAMPLE
@given(touches=histories(), share=st.floats(0, 1))
def test_what_comes_later_does_not_change_what_was(
    machine: duckdb.DuckDBPyConnection, touches: list[Touch], share: float
) -> None:
    """Loaded in two parts or at once: up to the last touch of the first part nothing differs."""
    times = sorted(t[2] for t in touches)
    if not times:
        return
    until = times[int(share * (len(times) - 1))]
    first = moves(machine, [t for t in touches if t[2] <= until])
    whole = moves(machine, touches)
    assert [m for m in first if m[1] <= until] == [m for m in whole if m[1] <= until]


def test_a_history_longer_than_one_round_of_the_scan(machine: duckdb.DuckDBPyConnection) -> None:
    """Thousands of steps of one customer, none of which repeats the one before."""
    start = datetime(2025, 1, 1)
    touches = [
        (f"{n:06d}", "c", start + timedelta(minutes=n), PATH[3 + n % 2], "inbound", "entry")
        for n in range(5_000)
    ]
    found = moves(machine, touches)
    assert len(found) == 5_001  # they time out in the end
    assert found == walked(touches)
