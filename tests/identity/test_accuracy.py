"""Accuracy counted in sets, against pairs counted one by one and figures worked out by hand."""

import hashlib
from itertools import combinations
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbt_project.enrichment import accuracy

Record = tuple[str, str, str, list[str]]  # source, person, cluster, noise


def draws(keys: list[str]) -> pa.Array:
    digests = [hashlib.md5(key.encode(), usedforsecurity=False).digest() for key in keys]
    return pa.array([int.from_bytes(d[:8], "little") for d in digests], pa.uint64())


def measured(records: list[Record]) -> dict[tuple[str, str], dict[str, float]]:
    keys = [f"{source}:{place:04d}" for place, (source, *_) in enumerate(records)]
    labels = pa.table(
        {
            "record_key": pa.array(keys, pa.string()),
            "source": pa.array([r[0] for r in records], pa.string()),
            "person": pa.array([r[1] for r in records], pa.string()),
            "noise": pa.array([r[3] for r in records], pa.list_(pa.string())),
            "draw": draws(keys),
        }
    )
    clusters = pa.table(
        {
            "method": pa.array(["default"] * len(records), pa.string()),
            "record_key": pa.array(keys, pa.string()),
            "cluster_key": pa.array([r[2] for r in records], pa.string()),
        }
    )
    rows = accuracy.measure(labels, clusters).to_pylist()
    assert len({(r["dimension"], r["dimension_value"]) for r in rows}) == len(rows)
    return {(r["dimension"], r["dimension_value"]): r for r in rows}


def counted(records: list[Record]) -> dict[tuple[str, str], list[int]]:
    """Called, true and right pairs of every group, pair by pair."""
    found: dict[tuple[str, str], list[int]] = {}
    for a, b in combinations(records, 2):
        groups = {("all", "all"), ("source pair", " - ".join(sorted((a[0], b[0]))))}
        groups |= {("noise", kind) for kind in {*a[3], *b[3]}}
        called, true = a[2] == b[2], a[1] == b[1]
        for group in groups:
            of = found.setdefault(group, [0, 0, 0])
            for place, counts in enumerate((called, true, called and true)):
                of[place] += counts
    return found


def test_known_answers() -> None:
    """Person p has three records, q two; p's third is called q: of 4 pairs called, 2 are right."""
    records: list[Record] = [
        ("crm", "p", "c1", []), ("shop", "p", "c1", ["typo"]), ("shop", "p", "c2", ["typo"]),
        ("crm", "q", "c2", []), ("shop", "q", "c2", []),
    ]  # fmt: skip
    found = measured(records)
    of_all = found["all", "all"]
    assert (of_all["called_pairs"], of_all["true_pairs"], of_all["right_pairs"]) == (4, 4, 2)
    assert of_all["precision"] == of_all["recall"] == of_all["f1"] == 0.5
    # precision per record: 1, 1, 1/3, 2/3, 2/3; recall: 2/3, 2/3, 1/3, 1, 1
    assert of_all["bcubed_precision"] == pytest.approx(11 / 15)
    assert of_all["bcubed_recall"] == pytest.approx(11 / 15)
    typos = found["noise", "typo"]
    assert typos["records"] == 2
    assert (typos["called_pairs"], typos["true_pairs"], typos["right_pairs"]) == (3, 3, 1)
    assert typos["bcubed_precision"] == pytest.approx(2 / 3)
    between = found["source pair", "crm - shop"]
    assert (between["called_pairs"], between["true_pairs"], between["right_pairs"]) == (3, 3, 2)
    assert between["bcubed_precision"] is None


def test_no_error_seen_is_no_certainty() -> None:
    """Twenty people of two records each, all found: Wilson's bound of 20 of 20 is 0.839."""
    records: list[Record] = [("s", f"p{n // 2}", f"c{n // 2}", []) for n in range(40)]
    of_all = measured(records)["all", "all"]
    assert (of_all["precision"], of_all["precision_high"]) == (1, 1)
    assert of_all["precision_low"] == pytest.approx(0.8389, abs=1e-4)
    # nobody has a pair: nothing to be right about, and each record is right by itself
    alone = measured([("s", f"p{n}", f"c{n}", []) for n in range(5)])["all", "all"]
    assert alone["precision"] is None and alone["bcubed_recall"] == 1


def test_the_interval_covers_what_a_share_of_independent_pairs_has() -> None:
    """400 people of two records, 80 % of them found: the bootstrap agrees with the binomial."""
    records: list[Record] = []
    for n in range(400):
        records += [("s", f"p{n}", f"c{n}", []), ("s", f"p{n}", f"c{n}" if n % 5 else f"d{n}", [])]
    of_all = measured(records)["all", "all"]
    assert of_all["recall"] == pytest.approx(0.8)
    assert of_all["recall_low"] == pytest.approx(0.8 - 1.96 * 0.02, abs=0.01)
    assert of_all["recall_high"] == pytest.approx(0.8 + 1.96 * 0.02, abs=0.01)


def test_labels_without_record_and_records_without_label_are_left_out() -> None:
    text = pa.string()
    labels = pa.table(
        {
            "record_key": pa.array(["s:1", "s:2", "s:gone"]),
            "source": pa.array(["s"] * 3),
            "person": pa.array(["p"] * 3),
            "noise": pa.array([None, ["typo"], None], pa.list_(text)),
            "draw": draws(["s:1", "s:2", "s:gone"]),
        }
    )
    clusters = pa.table(
        {
            "method": pa.array(["default"] * 3),
            "record_key": pa.array(["s:2", "s:1", "s:unknown"]),
            "cluster_key": pa.array(["c"] * 3),
        }
    )
    first = accuracy.measure(labels, clusters).to_pylist()[0]
    assert (first["records"], first["called_pairs"], first["right_pairs"]) == (2, 1, 1)
    assert accuracy.measure(labels.slice(0, 0), clusters).num_rows == 0


records = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from("pqrs"),
        st.sampled_from("wxyz"),
        st.lists(st.sampled_from(["typo", "moved"]), unique=True),
    ),
    min_size=1,
    max_size=14,
)


@given(records)
def test_sets_count_what_pairs_count(given_records: list[Record]) -> None:
    found, expected = measured(given_records), counted(given_records)
    for group, counts in expected.items():
        if group in found:
            row = found[group]
            assert [row["called_pairs"], row["true_pairs"], row["right_pairs"]] == counts, group
        else:
            assert counts[:2] == [0, 0], group
    of_all = found["all", "all"]
    precisions, recalls = [], []
    for _, person, cluster, _ in given_records:
        both = sum(r[1] == person and r[2] == cluster for r in given_records)
        precisions.append(both / sum(r[2] == cluster for r in given_records))
        recalls.append(both / sum(r[1] == person for r in given_records))
    assert of_all["bcubed_precision"] == pytest.approx(sum(precisions) / len(precisions))
    assert of_all["bcubed_recall"] == pytest.approx(sum(recalls) / len(recalls))
    for row in found.values():
        for name in ("precision", "recall", "f1", "bcubed_precision", "bcubed_recall", "bcubed_f1"):
            if row[name] is not None:
                assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1


@given(records, st.randoms(use_true_random=False))
def test_names_of_clusters_and_order_of_rows_do_not_matter(
    given_records: list[Record], random: Random
) -> None:
    keys = [f"s:{place:04d}" for place in range(len(given_records))]
    order = list(range(len(keys)))
    random.shuffle(order)

    def table(places: list[int], rename: dict[str, str]) -> pa.Table:
        labels = pa.table(
            {
                "record_key": [keys[p] for p in places],
                "source": [given_records[p][0] for p in places],
                "person": [given_records[p][1] for p in places],
                "noise": pa.array([given_records[p][3] for p in places], pa.list_(pa.string())),
                "draw": draws([keys[p] for p in places]),
            }
        )
        clusters = pa.table(
            {
                "method": ["m"] * len(places),
                "record_key": [keys[p] for p in places],
                "cluster_key": [rename.get(c, c) for c in (given_records[p][2] for p in places)],
            }
        )
        return accuracy.measure(labels, clusters)

    straight = table(list(range(len(keys))), {})
    assert table(order, {"w": "z", "z": "w"}).equals(straight)
