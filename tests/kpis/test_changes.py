"""Changes of KPIs split into terms: the SQL against the formulas in fractions."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_project.kpis.contracts import MODELS

FIGURES = (
    "kpi_id varchar, kpi_version integer, period_grain varchar, period_start date,"
    " dimension varchar, dimension_value varchar, value double, numerator double,"
    " denominator double"
)
BEFORE, AFTER = "2026-04-01", "2026-05-01"
Group = tuple[int, int]  # numerator, denominator


def sql_of(model: str) -> str:
    """A model's SQL with tables of this test for its refs, and mid June for now."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string((MODELS / "kpis" / f"{model}.sql").read_text()).render(
        ref=lambda name: name,
        as_of=lambda: "timestamp '2026-06-15'",
        reporting_date=lambda column: f"cast({column} as date)",
    )


PERIOD_CHANGES = sql_of("int_kpis__period_changes")
PUBLICATION_CHANGES = sql_of("int_kpis__publication_changes")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple]) -> None:
    for row in rows:
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into {table} values ({marks})", list(row))


def kpis(connection: duckdb.DuckDBPyConnection, interval: str | None, **said: Any) -> None:
    given = {
        "version": 1, "hash": "h", "level": "customer", "adds_up": True, "unit": "share",
        "is_additive": interval is None,
    } | said  # fmt: skip
    connection.execute(
        "create table kpis (kpi_id varchar, kpi_version integer, unit varchar, interval varchar,"
        " level varchar, definition_hash varchar, adds_up_customers boolean, is_additive boolean)"
    )
    insert(connection, "kpis", [
        ("k", given["version"], given["unit"], interval, given["level"], given["hash"],
         given["adds_up"], given["is_additive"])
    ])  # fmt: skip


def split(
    interval: str | None,
    before: dict[str, Group],
    after: dict[str, Group],
    shown: int | None = 1,
    unit: str = "share",
) -> dict[str, dict[str, Any]]:
    """The changes that the model finds, by the dimension they are split by."""
    scale = 100 if unit == "points" else 1
    with duckdb.connect() as connection:
        connection.execute(f"create table kpi_values ({FIGURES})")
        kpis(connection, interval, unit=unit)
        for month, groups in ((BEFORE, before), (AFTER, after)):
            total = (sum(g[0] for g in groups.values()), sum(g[1] for g in groups.values()))
            rows = [("all", "all", total)] + [("source", name, g) for name, g in groups.items()]
            for dimension, name, (numerator, denominator) in rows:
                value = scale * numerator / denominator if interval else numerator
                insert(connection, "kpi_values", [
                    ("k", 1, "month", month, dimension, name, value, numerator,
                     denominator * shown if interval and shown else None)
                ])  # fmt: skip
        found = connection.execute(PERIOD_CHANGES)
        names = [column[0] for column in found.description]
        rows_found = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row["split_by"]: row for row in rows_found}


groups = st.dictionaries(
    st.sampled_from(["app", "shop", "store", "web"]),
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(-n, n), st.just(n))),
    min_size=1,
)


@settings(deadline=None, max_examples=60)
@given(
    groups,
    groups,
    # a net score is made of its rows, or by a model with an interval of its own
    st.sampled_from([("wilson", "share"), ("mean", "hours"), ("net score", "points"),
                     ("own", "points"), ("own", "share")]),
)  # fmt: skip
def test_mix_and_rate_are_what_the_formulas_say_and_add_up(
    before: dict[str, Group], after: dict[str, Group], kind: tuple[str, str]
) -> None:
    interval, unit = kind
    found = split(interval, before, after, unit=unit)
    scale = 100 if unit == "points" else 1
    weights = [sum(w for _, w in groups.values()) for groups in (before, after)]
    overall = Fraction(sum(n for n, _ in before.values()), weights[0])
    mix = rate = Fraction(0)
    for name in {*before, *after}:
        n0, w0 = before.get(name, (0, 0))
        n1, w1 = after.get(name, (0, 0))
        rate_0 = Fraction(n0, w0) if w0 else overall
        share_0, share_1 = Fraction(w0, weights[0]), Fraction(w1, weights[1])
        mix += scale * (share_1 - share_0) * rate_0
        if w1:
            rate += scale * share_1 * (Fraction(n1, w1) - rate_0)
    row = found["source"]
    assert row["mix"] == pytest.approx(float(mix), abs=1e-9)
    assert row["rate"] == pytest.approx(float(rate), abs=1e-9)
    assert row["remainder"] == row["volume"] == 0
    assert row["mix"] + row["rate"] == pytest.approx(row["change"], abs=1e-12)
    assert (found["all"]["mix"], found["all"]["rate"]) == (0, found["all"]["change"])


@settings(deadline=None, max_examples=20)
@given(groups, groups)
def test_what_is_added_up_changes_by_volume(
    before: dict[str, Group], after: dict[str, Group]
) -> None:
    found = split(None, before, after)
    change = sum(n for n, _ in after.values()) - sum(n for n, _ in before.values())
    assert set(found) == {"all"}
    assert (found["all"]["volume"], found["all"]["change"]) == (change, change)


def test_a_known_split() -> None:
    """The web goes from a tenth to half of the answers, with the rates as they were: all is mix."""
    row = split("wilson", {"shop": (72, 90), "web": (2, 10)}, {"shop": (40, 50), "web": (10, 50)})
    assert row["source"]["change"] == pytest.approx(-0.24)
    assert row["source"]["mix"] == pytest.approx(-0.24)
    assert row["source"]["rate"] == pytest.approx(0)


@pytest.mark.parametrize("shown", [3, None])
def test_a_value_that_is_no_ratio_of_sums_is_left_whole(shown: int | None) -> None:
    """As of a median: numerator and denominator are not what it is made of, or there are none."""
    found = split("own", {"a": (1, 2)}, {"a": (3, 4)}, shown=shown)
    assert set(found) == {"all"}
    assert found["all"]["remainder"] == found["all"]["change"] == 0.25
    assert found["all"]["volume"] == 0


# ---- between publications ----------------------------------------------------------------------

RECORDS = [f"r{n}" for n in range(6)]
assignments = st.lists(st.sampled_from(["c1", "c2", "c3", "c4"]), min_size=6, max_size=6)
orders = st.lists(st.integers(0, 3), min_size=6, max_size=6)  # of each record


def buyers(of_record: list[str], placed: list[int]) -> dict[str, Group]:
    """Per customer with an order: whether there are two or more, and one."""
    sums: dict[str, int] = {}
    for customer, count in zip(of_record, placed, strict=True):
        sums[customer] = sums.get(customer, 0) + count
    return {c: (int(n >= 2), 1) for c, n in sums.items() if n}


def between(
    then: tuple[list[str], list[int]],
    now: tuple[list[str], list[int]],
    interval: str | None = "wilson",
    **said: Any,
) -> dict[str, Any] | None:
    before, after = buyers(*then), buyers(*now)
    with duckdb.connect() as connection:
        connection.execute(
            f"create table kpi_values ({FIGURES});"
            "create table int_kpis__published (version varchar, as_of timestamp,"
            " registry_sequence bigint, kpi_id varchar, kpi_version integer,"
            " definition_hash varchar, period_start date, dimension varchar, value double,"
            " numerator double, denominator double);"
            "create table int_kpis__published_customers (kpi_id varchar, period_start date,"
            " customer_id varchar, numerator double, denominator double);"
            "create table int_kpis__customer_figures as from int_kpis__published_customers;"
            "create table int_identity__registry (record_key varchar, customer_id varchar,"
            " sequence bigint);"
            "create table int_identity__assignments (record_key varchar, customer_id varchar)"
        )
        kpis(connection, interval, **said)

        scale = 100 if said.get("unit") == "points" else 1

        def total(of: dict[str, Group]) -> tuple[float | None, int, int]:
            numerator = sum(n for n, _ in of.values())
            return (scale * numerator / len(of) if of else None), numerator, len(of)

        if before:
            insert(connection, "int_kpis__published", [
                ("v1", "2026-06-01", 1, "k", 1, "h", AFTER, "all", *total(before))
            ])  # fmt: skip
        if after:
            insert(connection, "kpi_values", [
                ("k", 1, "month", AFTER, "all", "all", *total(after))
            ])  # fmt: skip
        for table, of in (("published_customers", before), ("customer_figures", after)):
            insert(connection, f"int_kpis__{table}",
                   [("k", AFTER, c, n, w) for c, (n, w) in of.items()])  # fmt: skip
        insert(connection, "int_identity__registry",
               [(r, c, 1) for r, c in zip(RECORDS, then[0], strict=True)]
               + [(r, c, 2) for r, c in zip(RECORDS, now[0], strict=True)])  # fmt: skip
        insert(connection, "int_identity__assignments", zip(RECORDS, now[0], strict=True))
        found = connection.execute(PUBLICATION_CHANGES)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return rows[0] if rows else None


@settings(deadline=None, max_examples=60)
@given(assignments, orders, assignments, orders)
def test_identity_and_late_data_add_up_to_the_change(
    then: list[str], placed_then: list[int], now: list[str], placed_now: list[int]
) -> None:
    row = between((then, placed_then), (now, placed_now))
    before, after = buyers(then, placed_then), buyers(now, placed_now)
    if not before or not after:
        assert row is None
        return
    assert row is not None
    moved = {c for a, b in zip(then, now, strict=True) if a != b for c in (a, b)}
    between_them = {c: g for c, g in before.items() if c not in moved} | {
        c: g for c, g in after.items() if c in moved
    }
    old = Fraction(sum(n for n, _ in before.values()), len(before))
    identity = Fraction(0)
    if between_them:
        identity = Fraction(sum(n for n, _ in between_them.values()), len(between_them)) - old
    assert row["identity"] == pytest.approx(float(identity), abs=1e-12)
    assert row["identity"] + row["late_data"] == pytest.approx(row["change"], abs=1e-12)
    assert row["definition"] == row["remainder"] == 0
    points = between((then, placed_then), (now, placed_now), "own", unit="points")
    assert points and points["identity"] == pytest.approx(100 * float(identity), abs=1e-10)


@settings(deadline=None, max_examples=40)
@given(assignments, assignments, orders)
def test_with_nothing_late_all_is_identity(
    then: list[str], now: list[str], placed: list[int]
) -> None:
    row = between((then, placed), (now, placed))
    if row is not None:
        assert row["late_data"] == pytest.approx(0, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(assignments, orders, orders)
def test_with_nobody_moved_all_is_late_data(
    of_record: list[str], placed_then: list[int], placed_now: list[int]
) -> None:
    row = between((of_record, placed_then), (of_record, placed_now))
    if row is not None:
        assert (row["identity"], row["late_data"]) == (0, row["change"])


STORY = ((["c1", "c2", *["c3"] * 4], [1] * 6), (["c1", "c1", *["c3"] * 4], [1, 1, 0, 0, 0, 0]))


@pytest.mark.parametrize("said", [{"version": 2}, {"hash": "other"}])
def test_a_new_version_or_other_sql_is_definition(said: dict[str, Any]) -> None:
    row = between(*STORY, **said)
    assert row and row["definition"] == row["change"] != 0
    assert (row["identity"], row["late_data"], row["remainder"]) == (0, 0, 0)


def test_what_cannot_be_told_apart_is_the_remainder() -> None:
    row = between(*STORY, adds_up=False)
    assert row and row["remainder"] == row["change"] != 0
    assert (row["identity"], row["late_data"], row["definition"]) == (0, 0, 0)


def test_a_kpi_that_counts_no_identities_has_late_data_only() -> None:
    row = between(*STORY, level="none")
    assert row and row["late_data"] == row["change"] != 0


@pytest.mark.parametrize(("is_additive", "change"), [(True, -1.0), (False, None)])
def test_a_sum_is_0_where_there_is_nothing_and_a_ratio_is_not(
    is_additive: bool, change: float | None
) -> None:
    """As of a retention of revenue that gives no interval and has nobody left to retain."""
    everybody = ["c1"] * 6
    row = between(
        (everybody, [2] * 6), (everybody, [0] * 6), interval=None, is_additive=is_additive
    )
    assert (row and row["change"]) == change
