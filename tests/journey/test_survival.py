"""Kaplan-Meier and Aalen-Johansen in SQL against the textbook formulas, added up the long way."""

from collections.abc import Iterator, Sequence
from math import exp, log, prod, sqrt

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journey.machine import macros

Z = 1.959964
ONCE_PER_EXAMPLE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Subject = tuple[int, str | None]  # time; cause of the end, None where it was not seen
SUBJECTS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([None, None, "a", "b", "c"])), max_size=40
)
VECTOR: list[Subject] = [(3, "a"), (5, "a"), (5, None), (8, "a"), (12, None), (12, None)]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table subjects (days integer, cause varchar)")
        yield connection


def ask(database: duckdb.DuckDBPyConnection, subjects: Sequence[Subject], sql: str) -> list[tuple]:
    database.execute("delete from subjects")
    if subjects:
        database.executemany("insert into subjects values (?, ?)", subjects)
    return database.execute(sql).fetchall()


def at_risk(subjects: list[Subject], t: float) -> int:
    return sum(time >= t for time, _ in subjects)


def ended(subjects: list[Subject], t: float, cause: str | None = None) -> int:
    return sum(time == t and end is not None and cause in (None, end) for time, end in subjects)


def surviving(subjects: list[Subject], until: float, *, before: bool = False) -> float:
    times = {t for t, _ in subjects if (t < until if before else t <= until)}
    return prod(1 - ended(subjects, t) / at_risk(subjects, t) for t in times)


def test_the_vector_of_the_definitions(database: duckdb.DuckDBPyConnection) -> None:
    curve = macros().kaplan_meier("subjects", [], "days", "cause is not null")
    rows = ask(database, VECTOR, f"select t, round(survival, 4) from ({curve}) order by t")
    assert rows == [(3, 0.8333), (5, 0.6667), (8, 0.4444), (12, 0.4444)]
    # as R's survfit(conf.type = "log-log") gives them
    bounds = ask(database, VECTOR, f"select ci_low, ci_high from ({curve}) where t = 3")
    assert bounds[0] == pytest.approx((0.2731, 0.9747), abs=0.00005)


@ONCE_PER_EXAMPLE
@given(subjects=SUBJECTS)
def test_kaplan_meier(database: duckdb.DuckDBPyConnection, subjects: list[Subject]) -> None:
    curve = macros().kaplan_meier("subjects", [], "days", "cause is not null")
    rows = ask(
        database, subjects, f"select t, at_risk, events, survival, ci_low, ci_high from ({curve})"
    )
    assert sorted(r[0] for r in rows) == sorted({t for t, _ in subjects})
    for t, risk, events, survival, low, high in rows:
        assert (risk, events) == (at_risk(subjects, t), ended(subjects, t))
        expected = surviving(subjects, t)
        assert survival == pytest.approx(expected, abs=1e-12)
        if survival < 1e-12:
            continue
        if expected == 1:
            assert (low, high) == (1, 1)
            continue
        variance = sum(
            ended(subjects, each)
            / (at_risk(subjects, each) * (at_risk(subjects, each) - ended(subjects, each)))
            for each in {time for time, _ in subjects if time <= t}
        )
        width = Z * sqrt(variance) / abs(log(expected))
        assert low == pytest.approx(expected ** exp(width))
        assert high == pytest.approx(expected ** exp(-width))


@ONCE_PER_EXAMPLE
@given(subjects=SUBJECTS)
def test_aalen_johansen(database: duckdb.DuckDBPyConnection, subjects: list[Subject]) -> None:
    curves = macros().aalen_johansen("subjects", [], "days", "cause")
    rows = ask(database, subjects, f"select cause, t, incidence, ci_low, ci_high from ({curves})")
    times = sorted({t for t, end in subjects if end})
    causes = {end for _, end in subjects if end}
    assert sorted((r[0], r[1]) for r in rows) == sorted((c, t) for c in causes for t in times)

    def incidence(cause: str, until: int) -> float:
        return sum(
            surviving(subjects, t, before=True) * ended(subjects, t, cause) / at_risk(subjects, t)
            for t in times
            if t <= until
        )

    for cause, t, found, low, high in rows:
        expected = incidence(cause, t)
        assert found == pytest.approx(expected, abs=1e-12)
        assert 0 <= low <= found + 1e-9 and found - 1e-9 <= high <= 1
        variance = 0.0
        for each in (time for time in times if time <= t):
            n, d, own = at_risk(subjects, each), ended(subjects, each), ended(subjects, each, cause)
            before, left = surviving(subjects, each, before=True), expected - incidence(cause, each)
            variance += left**2 * d / (n * (n - d)) if n > d else 0
            variance += before**2 * own * (n - own) / n**3 - 2 * left * before * own / n**2
        if 1e-9 < expected < 1 - 1e-9 and variance > 1e-9:
            width = Z * sqrt(variance) / abs(expected * log(expected))
            assert low == pytest.approx(expected ** exp(width), abs=1e-6)
            assert high == pytest.approx(expected ** exp(-width), abs=1e-6)
    for t in times:  # whoever has left has left for some cause
        assert sum(r[2] for r in rows if r[1] == t) == pytest.approx(1 - surviving(subjects, t))


@ONCE_PER_EXAMPLE
@given(subjects=SUBJECTS)
def test_without_anybody_waiting_shares_are_plain_shares(
    database: duckdb.DuckDBPyConnection, subjects: list[Subject]
) -> None:
    everybody = [(t, end or "a") for t, end in subjects]
    curves = macros().aalen_johansen("subjects", [], "days", "cause")
    for cause, t, found in ask(database, everybody, f"select cause, t, incidence from ({curves})"):
        gone = sum(time <= t and end == cause for time, end in everybody)
        assert found == pytest.approx(gone / len(everybody))


def test_a_share_of_all_is_one_and_not_a_rounding_error_more(
    database: duckdb.DuckDBPyConnection,
) -> None:
    curves = macros().aalen_johansen("subjects", [], "days", "cause")
    for size in range(1, 60):
        everybody = [(n, "a") for n in range(size)]
        ((last,),) = ask(database, everybody, f"select max(incidence) from ({curves})")
        assert last == 1
