"""Connected components of records and identifiers, against a naive search and known answers."""

from collections import Counter, defaultdict

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
            "strength": pa.array([e[1][1] for e in edges], pa.int32()),
        }
    )


def clusters(
    edges: list[Edge],
    max_cluster_size: int = 1000,
    apart: list[tuple[str, str]] | None = None,
    accounts: list[tuple[str, str, str]] | None = None,
) -> dict[str, str]:
    found = cluster_records(
        table(edges),
        max_cluster_size,
        apart=rows(("left_key", "right_key"), apart or []),
        accounts=rows(("record_key", "namespace", "account"), accounts or []),
    )
    return dict(zip(found["record_key"].to_pylist(), found["cluster_key"].to_pylist(), strict=True))


def rows(columns: tuple[str, ...], values: list[tuple[str, ...]]) -> pa.Table:
    return pa.table(
        {c: pa.array([v[i] for v in values], pa.string()) for i, c in enumerate(columns)}
    )


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


def test_two_people_are_parted_where_the_tie_is_weakest() -> None:
    """a1-a2 by e-mail, a2-b2 by a telephone, b2-b1 by e-mail: a1 and b1 are two people."""
    phone = ("phone", 10)
    edges = [("a1", EMAIL, "a"), ("a2", EMAIL, "a"), ("a2", phone, "p"), ("b2", phone, "p"),
             ("b1", EMAIL, "b"), ("b2", EMAIL, "b")]  # fmt: skip
    assert clusters(edges, apart=[("a1", "b1")]) == {"a1": "a1", "a2": "a1", "b1": "b1", "b2": "b1"}
    assert set(clusters(edges).values()) == {"a1"}


def test_who_has_nothing_to_do_with_the_quarrel_stays() -> None:
    """The telephone of c is as weak a tie as that of b, but only b is another person than a."""
    phone, other = ("phone", 10), ("phone", 11)
    edges = [("a", phone, "1"), ("b", phone, "1"), ("a", other, "2"), ("c", other, "2")]
    edges += [("d", phone, "3"), ("b", phone, "3")]
    found = clusters(edges, apart=[("a", "b")])
    assert found == {"a": "a", "c": "a", "b": "b", "d": "b"}


def test_one_account_each_unless_they_were_merged_there() -> None:
    edges = [("shop:1", EMAIL, "x"), ("shop:2", EMAIL, "x"), ("crm:1", EMAIL, "x")]
    edges += [("crm:1", PERSON, "p"), ("shop:1", PERSON, "p")]
    accounts = [("shop:1", "shop", "1"), ("shop:2", "shop", "2"), ("crm:1", "crm", "1")]
    found = clusters(edges, accounts=accounts)
    assert found == {"crm:1": "crm:1", "shop:1": "crm:1", "shop:2": "shop:2"}
    merged = [("shop:1", "shop", "1"), ("crm:1", "crm", "1")]
    assert set(clusters(edges, accounts=merged).values()) == {"crm:1"}


def test_a_star_of_100_000_records_is_one_cluster_or_cut_into_its_records() -> None:
    hub = [(f"r{i:06}", EMAIL, "one@x.org") for i in range(100_000)]
    alone = [(f"r{i:06}", PERSON, f"p{i}") for i in range(100_000)]
    assert set(clusters(hub + alone, max_cluster_size=100_000).values()) == {"r000000"}
    assert len(set(clusters(hub + alone, max_cluster_size=500).values())) == 100_000


def test_a_chain_of_100_000_records_is_cut_at_its_weak_links() -> None:
    """Every thousandth link is a telephone, the others are e-mail addresses."""
    links = [
        (f"r{i + step:06}", ("phone", 10) if i % 1000 == 999 else EMAIL, f"v{i}")
        for i in range(99_999)
        for step in (0, 1)
    ]
    found = clusters(links, max_cluster_size=1000)
    assert sorted(set(found.values())) == [f"r{i:06}" for i in range(0, 100_000, 1000)]


pairs = st.tuples(records, records).filter(lambda p: p[0] < p[1])


@given(
    st.lists(st.tuples(records, kinds, values), min_size=1, max_size=40),
    st.lists(pairs, max_size=6),
    st.integers(2, 8),
)
def test_limits_hold_and_only_what_is_tied_is_together(
    edges: list[Edge], apart: list[tuple[str, str]], largest: int
) -> None:
    found, tied = clusters(edges, largest, apart), naive_clusters(edges)
    sizes = Counter(found.values())
    assert max(sizes.values()) <= largest
    assert all(found[a] != found[b] for a, b in apart if a in found and b in found)
    assert all(tied[record] == tied[cluster] for record, cluster in found.items())
    for name in set(found.values()):  # each cluster holds together by its own ties
        members = {r for r, c in found.items() if c == name}
        inside = naive_clusters([e for e in edges if e[0] in members])
        assert len(set(inside.values())) == 1
    broken = {tied[a] for a, b in apart if tied.get(a) and tied.get(a) == tied.get(b)}
    broken |= {c for c, n in Counter(tied.values()).items() if n > largest}
    assert all(found[r] == tied[r] for r in found if tied[r] not in broken)
