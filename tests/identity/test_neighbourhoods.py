"""What is made of neighbourhoods that changed, and kept of the others, is what all of it gives."""

from types import SimpleNamespace

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_project.enrichment.clusters import cluster_records
from dbt_project.enrichment.neighbourhoods import neighbourhoods, rest

Tie = tuple[str, str, str, int]  # record, kind, value, strength
Pair = tuple[str, str]


records = st.sampled_from([f"r{i}" for i in range(14)])
ties = st.tuples(
    records, st.just("email"), st.sampled_from([f"v{i}" for i in range(9)]), st.integers(10, 14)
)
pairs = st.tuples(records, records).filter(lambda p: p[0] < p[1])
state = st.tuples(st.lists(ties, max_size=30), st.lists(pairs, max_size=4))

_TIES = pa.schema(
    {"record_key": pa.string(), "identifier_type": pa.string(),
     "identifier_value": pa.string(), "strength": pa.int64()}
)  # fmt: skip
_APART = pa.schema({"left_key": pa.string(), "right_key": pa.string()})


class _This(SimpleNamespace):
    def __str__(self) -> str:
        return str(self.identifier)


def tables(own: list[Tie], apart: list[Pair]) -> tuple[pa.Table, pa.Table]:
    """Ties and pairs told apart; every record that is there is tied to itself."""
    rows = [*own, *((r, "record", r, 40) for r in sorted({tie[0] for tie in own}))]
    return (
        pa.Table.from_pylist([dict(zip(_TIES.names, row, strict=True)) for row in rows], _TIES),
        pa.Table.from_pylist(
            [dict(zip(_APART.names, pair, strict=True)) for pair in apart], _APART
        ),
    )


def facts(connection: duckdb.DuckDBPyConnection, tied: pa.Table, apart: pa.Table) -> pa.Table:
    connection.register("tied", tied)
    connection.register("apart", apart)
    return connection.execute("""
        select hash(record_key) as record, hash(identifier_type, identifier_value) as node,
            hash(identifier_type, identifier_value, strength) as content
        from tied
        union all
        select unnest([hash(left_key), hash(right_key)]), hash(left_key, right_key),
            hash(left_key, right_key)
        from apart
    """).to_arrow_table()


@settings(max_examples=30, deadline=None)
@given(st.lists(state, min_size=2, max_size=4))
def test_clusters_of_what_changed_and_those_kept_are_those_of_all(
    versions: list[tuple[list[Tie], list[Pair]]],
) -> None:
    connection, this = duckdb.connect(), _This(schema="main", identifier="clusters")
    for own, told_apart in versions:
        tied, apart = tables(own, told_apart)
        connection.register("found", neighbourhoods(facts(connection, tied, apart)))
        connection.execute("""
            create or replace table now as
            select record_key, neighbourhood
            from (select distinct record_key from tied)
            inner join found on hash(record_key) = record
        """)
        left = rest(connection, this, connection.table("now"))
        made = cluster_records(
            left.of(connection.from_arrow(tied)).to_arrow_table(), 5,
            apart=left.of(connection.from_arrow(apart), "left_key").to_arrow_table(),
        )  # fmt: skip
        left.and_kept(connection, made).create("clusters_new")
        connection.execute("drop table if exists clusters")
        connection.execute("alter table clusters_new rename to clusters")
        step_by_step = connection.table("clusters").order("record_key").to_arrow_table()
        at_once = cluster_records(tied, 5, apart=apart)
        assert step_by_step.drop_columns("neighbourhood").to_pylist() == at_once.to_pylist()


@settings(max_examples=30, deadline=None)
@given(state, state)
def test_a_neighbourhood_that_nothing_reaches_stays_and_one_that_changes_goes(
    here: tuple[list[Tie], list[Pair]], elsewhere: tuple[list[Tie], list[Pair]]
) -> None:
    connection = duckdb.connect()

    def found(own: list[Tie], apart: list[Pair]) -> dict[int, int]:
        made = neighbourhoods(facts(connection, *tables(own, apart)))
        return dict(zip(made["record"].to_pylist(), made["neighbourhood"].to_pylist(), strict=True))

    far = (
        [(f"x{r}", kind, f"x{v}", s) for r, kind, v, s in elsewhere[0]],
        [(f"x{a}", f"x{b}") for a, b in elsewhere[1]],
    )
    alone = found(*here)
    assert alone.items() <= found(here[0] + far[0], here[1] + far[1]).items()
    backwards = found(here[0][::-1], here[1][::-1])
    assert backwards == alone
    if here[0]:
        record, kind, value, strength = here[0][0]
        changed = found([(record, kind, value, strength + 10), *here[0][1:]], here[1])
        key = connection.execute("select hash(?)", [record]).fetchone()
        assert key is not None and changed[key[0]] != alone[key[0]]
