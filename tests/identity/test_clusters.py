"""Connected components of records and identifiers, against a naive search and known answers."""

from collections import defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dbt_project.enrichment.clusters import cluster_records

EMAIL, PERSON = ("email", 20), ("source_person_id", 30)
Edge = tuple[str, tuple[str, int], str]


def table(edges: list[Edge]) -> pa.Table:
    return pa.table(
        {
            "record_key": pa.array([e[0] for e in edges], pa.string()),
            "identifier_type": pa.array([e[1][0] for e in edges], pa.string()),
            "identifier_value": pa.array([e[2] for e in edges], pa.string()),
            "confidence": pa.array([e[1][1] for e in edges], pa.int32()),
        }
    )


def clusters(edges: list[Edge], max_cluster_size: int = 1000) -> dict[str, str]:
    found = cluster_records(table(edges), max_cluster_size)
    return dict(zip(found["record_key"].to_pylist(), found["cluster_key"].to_pylist(), strict=True))


def naive_clusters(edges: list[Edge]) -> dict[str, str]:
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record, (kind, _), value in edges:
        members[kind, value].add(record)
    left, found = {e[0] for e in edges}, {}
    while left:
        group, grew = {left.pop()}, True
        while grew:
            reached = set().union(*(m for m in members.values() if m & group))
            grew = not reached <= group
            group |= reached
        left -= group
        found.update(dict.fromkeys(group, min(group)))
    return found


def test_a_chain_is_one_cluster() -> None:
    edges = [
        ("crm:1", EMAIL, "a@x.org"),
        ("shop:1", EMAIL, "a@x.org"),
        ("shop:1", PERSON, "shop:7"),
        ("shop:2", PERSON, "shop:7"),
        ("shop:3", EMAIL, "b@x.org"),
    ]
    assert clusters(edges) == {
        "crm:1": "crm:1",
        "shop:1": "crm:1",
        "shop:2": "crm:1",
        "shop:3": "shop:3",
    }


def test_the_same_value_of_another_kind_ties_nobody() -> None:
    assert clusters([("a", EMAIL, "7"), ("b", PERSON, "7")]) == {"a": "a", "b": "b"}


def test_too_large_a_cluster_loses_its_weakest_ties_first() -> None:
    edges = [(f"r{i}", EMAIL, "shared@x.org") for i in range(6)]
    edges += [(f"r{i}", PERSON, f"p{i // 2}") for i in range(6)]
    found = cluster_records(table(edges), max_cluster_size=3)
    assert found["cluster_key"].to_pylist() == ["r0", "r0", "r2", "r2", "r4", "r4"]
    assert found["cluster_size"].to_pylist() == [2] * 6
    assert found["cut_below"].to_pylist() == [30] * 6


def test_a_small_cluster_keeps_its_weak_ties_while_a_large_one_is_cut() -> None:
    edges = [(f"big{i}", EMAIL, "shared@x.org") for i in range(5)]
    edges += [(f"big{i}", PERSON, f"p{i}") for i in range(5)]
    edges += [("small1", EMAIL, "two@x.org"), ("small2", EMAIL, "two@x.org")]
    found = clusters(edges, max_cluster_size=3)
    assert found["small2"] == "small1"
    assert len({found[f"big{i}"] for i in range(5)}) == 5


def test_nothing_gives_nothing() -> None:
    assert cluster_records(table([]), 10).num_rows == 0


records = st.sampled_from([f"r{i}" for i in range(12)])
kinds = st.sampled_from([EMAIL, PERSON])
values = st.sampled_from([f"v{i}" for i in range(8)])


@given(st.lists(st.tuples(records, kinds, values), min_size=1, max_size=40))
def test_any_graph_gives_its_connected_components(edges: list[Edge]) -> None:
    assert clusters(edges) == naive_clusters(edges)


@given(st.lists(st.tuples(records, kinds, values), min_size=1, max_size=40), st.randoms())
def test_the_order_of_the_rows_does_not_matter(edges: list[Edge], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(edges)
    random.shuffle(shuffled)
    assert clusters(edges) == clusters(shuffled)


def test_another_cluster_that_is_too_large_does_not_undo_a_cut() -> None:
    """A is cut at the first level; B only at the second, when A must stay cut."""
    phone = ("phone", 10)
    a = [(f"a{i}", phone, "a") for i in range(6)] + [
        (f"a{i}", EMAIL, f"a{i // 2}") for i in range(6)
    ]
    b = [(f"b{i}", EMAIL, "b") for i in range(6)] + [(f"b{i}", PERSON, f"b{i}") for i in range(6)]
    alone, beside = clusters(a, max_cluster_size=4), clusters(a + b, max_cluster_size=4)
    assert alone == {record: beside[record] for record in alone}
    assert sorted(set(alone.values())) == ["a0", "a2", "a4"]
