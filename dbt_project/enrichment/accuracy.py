"""How right an identity is, by records whose person is known: counted in sets, with intervals.

Pairwise: of the pairs of records that are called one person, how many are (precision), and of
those that are one person, how many are called so (recall). B-cubed: the same as seen from each
record, averaged, so that a large customer does not outweigh all others.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array, csr_array, hstack
from scipy.sparse.csgraph import connected_components

REPLICATES = 400
_BLOCK = 10_000  # components weighted at a time
_Z = 1.959964
# P(weight <= k) of a Poisson(1) weight
_POISSON = np.cumsum(np.exp(-1) / np.cumprod([1.0, *range(1, 16)]))

_MEASURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class _Counts:
    """Of one group of pairs, a row per component: what the measures are ratios of."""

    sums: np.ndarray  # components x 3: pairs called and right, called, right
    seen: np.ndarray | None = None  # components x 3: sums of B-cubed precision, recall; records


def measure(labels: pa.Table, clusters: pa.Table) -> pa.Table:
    """Accuracy of each way of grouping records, as a whole, by pair of sources, by kind of noise.

    Args:
        labels: record_key, source, person (text), noise (list of text, may be null), draw (a hash
            of the record, unsigned, that its weights follow from); no record twice.
        clusters: method, record_key, cluster_key; records without a label are left out, and so
            are labels without a record.

    Returns:
        One row per method, dimension (all, source pair, noise) and value: records, the pairs
        counted (called_pairs, true_pairs, right_pairs) and precision, recall, f1 and, but for
        pairs of sources, bcubed_*, each with _low and _high (95 %, Poisson bootstrap over
        components of people and clusters that share records; Wilson's where no error was seen).
    """
    rows: list[dict[str, object]] = []
    for method in sorted(pc.unique(clusters["method"]).to_pylist()):
        known = _labelled(labels, clusters.filter(pc.equal(clusters["method"], method)))
        if known.num_rows:
            rows.extend({"method": method, **row} for row in _measure(known))
    return pa.Table.from_pylist(rows, schema=_schema())


def _labelled(labels: pa.Table, clusters: pa.Table) -> pa.Table:
    """Labels with the cluster of their record, in the order of the records."""
    place = pc.index_in(labels["record_key"], clusters["record_key"])
    known = labels.filter(pc.is_valid(place))
    found = clusters["cluster_key"].take(pc.drop_null(place))
    return known.append_column("cluster_key", found).sort_by("record_key").combine_chunks()


def _schema() -> pa.Schema:
    counts = ("records", "called_pairs", "true_pairs", "right_pairs")
    shares = [
        f"{kind}{measure}{bound}"
        for kind in ("", "bcubed_")
        for measure in _MEASURES
        for bound in ("", "_low", "_high")
    ]
    return pa.schema(
        [(name, pa.string()) for name in ("method", "dimension", "dimension_value")]
        + [(name, pa.int64()) for name in counts]
        + [(name, pa.float64()) for name in shares]
    )


def _measure(known: pa.Table) -> list[dict[str, object]]:
    cluster, person = _codes(known["cluster_key"])[1], _codes(known["person"])[1]
    sources, source = _codes(known["source"])
    unit = _components(cluster, person)
    founders = _founders(unit, known["draw"])
    whole = _counts(unit, cluster, person, np.ones(len(unit), bool))
    groups = [("all", "all", len(unit), whole)]
    for (a, b), counts in _by_sources(unit, cluster, person, source, len(sources)):
        value = f"{sources[a].as_py()} - {sources[b].as_py()}"
        groups.append(("source pair", value, int(np.isin(source, [a, b]).sum()), counts))
    for kind, marked in _by_noise(known):
        counts = _counts(unit, cluster, person, marked)
        groups.append(("noise", kind, int(marked.sum()), counts))
    drawn = _drawn(founders, [counts for *_, counts in groups])
    return [_row(*group, *of_group) for group, of_group in zip(groups, drawn, strict=True)]


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Sorted distinct values, and for each row the position of its value among them."""
    values = pc.unique(column)
    values = values.take(pc.sort_indices(values))
    return values, pc.index_in(column, values).combine_chunks().to_numpy().astype(np.int64)


def _components(cluster: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Per record, the component of people and clusters that share records: what errs together."""
    clusters, people = cluster.max() + 1, person.max() + 1
    graph = coo_array(
        (np.ones(len(cluster), np.int8), (cluster, clusters + person)), (clusters + people,) * 2
    )
    component = connected_components(graph.tocsr(), directed=False)[1][cluster]
    return np.unique(component, return_inverse=True)[1]


def _founders(unit: np.ndarray, draw: pa.ChunkedArray) -> np.ndarray:
    """Smallest draw of each component: what its weights follow from, and from nothing else."""
    founders = np.full(unit.max() + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(founders, unit, pc.cast(draw, pa.uint64()).to_numpy())
    return founders


def _cells(*codes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct combinations of codes, and how often each occurs."""
    combined = np.zeros(len(codes[0]), dtype=np.int64)
    for code in codes:  # dense at each step, so that the product never overflows
        combined = np.unique(combined, return_inverse=True)[1] * (code.max(initial=0) + 1) + code
    _, first, counts = np.unique(combined, return_index=True, return_counts=True)
    return [code[first] for code in codes], counts


def _pairs(n: np.ndarray) -> np.ndarray:
    return n * (n - 1) // 2


def _counts(
    unit: np.ndarray, cluster: np.ndarray, person: np.ndarray, marked: np.ndarray
) -> _Counts:
    """Pairs of which at least one record is marked, and B-cubed over the marked records."""
    units = unit.max(initial=-1) + 1
    one = np.zeros_like(unit)
    sums = np.zeros((units, 3))
    for place, sides in enumerate(((cluster, person), (cluster, one), (one, person))):
        (of, *_), n = _cells(unit, *sides)
        sums[:, place] += np.bincount(of, _pairs(n), units)
        if not marked.all():
            (of, *_), n = _cells(unit[~marked], *(side[~marked] for side in sides))
            sums[:, place] -= np.bincount(of, _pairs(n), units)
    both = np.unique(cluster * (person.max(initial=0) + 1) + person, return_inverse=True)[1]
    shared = np.bincount(both)[both]
    seen = [shared / np.bincount(cluster)[cluster], shared / np.bincount(person)[person]]
    seen.append(np.ones(len(unit)))
    return _Counts(
        sums, np.stack([np.bincount(unit[marked], s[marked], units) for s in seen], axis=1)
    )


def _by_sources(
    unit: np.ndarray, cluster: np.ndarray, person: np.ndarray, source: np.ndarray, sources: int
) -> list[tuple[tuple[int, int], _Counts]]:
    """Pairs between two sources, and within one: products of what a cell holds of each."""
    units = unit.max() + 1
    one = np.zeros_like(unit)
    sums: dict[tuple[int, int], np.ndarray] = {
        (a, b): np.zeros((units, 3)) for a in range(sources) for b in range(a, sources)
    }
    for place, sides in enumerate(((cluster, person), (cluster, one), (one, person))):
        cell = np.unique(
            sides[0] * (sides[1].max() + 1) + sides[1], return_index=True, return_inverse=True
        )
        of = unit[cell[1]]  # a cluster, like a person, lies within one component
        held = csr_array(
            coo_array((np.ones(len(unit), np.int64), (cell[2], source)), (len(of), sources))
        ).tocsc()
        columns = [held[:, [s]] for s in range(sources)]
        for (a, b), total in sums.items():
            if a == b:
                n, where = columns[a].data, columns[a].indices
                total[:, place] = np.bincount(of[where], _pairs(n), units)
            else:
                both = columns[a].multiply(columns[b]).tocoo()
                total[:, place] = np.bincount(of[both.row], both.data, units)
    return [(pair, _Counts(total)) for pair, total in sums.items() if total[:, 1:].any()]


def _by_noise(known: pa.Table) -> list[tuple[str, np.ndarray]]:
    noise = known["noise"].combine_chunks()
    kinds = pc.list_flatten(noise)
    row = pc.list_parent_indices(noise).to_numpy()
    found = []
    for kind in sorted(set(pc.unique(kinds).drop_null().to_pylist())):
        marked = np.zeros(known.num_rows, bool)
        marked[row[pc.fill_null(pc.equal(kinds, kind), False).to_numpy(zero_copy_only=False)]] = (
            True
        )
        found.append((kind, marked))
    return found


def _drawn(
    founders: np.ndarray, groups: list[_Counts]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Per group, its sums in every replicate: of pairs, and of what records see."""
    tables = [table for g in groups for table in (g.sums, g.seen) if table is not None]
    stacked = csr_array(hstack([csr_array(table) for table in tables]))
    found = np.zeros((stacked.shape[1], REPLICATES))
    for start in range(0, len(founders), _BLOCK):
        block = slice(start, start + _BLOCK)
        found += stacked[block].T @ _poisson(founders[block]).T
    sums = iter(np.split(found.T, len(tables), axis=1))
    return [(next(sums), None if g.seen is None else next(sums)) for g in groups]


def _poisson(founders: np.ndarray) -> np.ndarray:
    """Replicates x components of weights; splitmix64 of the component's hash and the replicate."""
    step = np.arange(1, REPLICATES + 1, dtype=np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15)
    z = founders[None, :] + step
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    uniform = (z >> np.uint64(11)).astype(np.float64) / 2.0**53
    return np.searchsorted(_POISSON, uniform, side="right").astype(np.float64)


def _row(
    dimension: str,
    value: str,
    records: int,
    counts: _Counts,
    pairs_drawn: np.ndarray,
    seen_drawn: np.ndarray | None,
) -> dict[str, object]:
    right, called, true = counts.sums.sum(axis=0)
    row: dict[str, object] = {
        "dimension": dimension,
        "dimension_value": value,
        "records": records,
        "called_pairs": int(called),
        "true_pairs": int(true),
        "right_pairs": int(right),
    }
    of_pairs = [(counts.sums[:, column] > 0).sum() for column in (1, 2)]
    row |= _with_bounds(
        "", _pairwise(counts.sums.sum(axis=0)[None]), _pairwise(pairs_drawn),
        [*of_pairs, (counts.sums[:, 1:] > 0).any(axis=1).sum()],
    )  # fmt: skip
    if counts.seen is not None and seen_drawn is not None:
        units = int((counts.seen[:, 2] > 0).sum())
        row |= _with_bounds(
            "bcubed_", _bcubed(counts.seen.sum(axis=0)[None]), _bcubed(seen_drawn),
            [units] * 3,
        )  # fmt: skip
    return row


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _pairwise(sums: np.ndarray) -> list[np.ndarray]:
    right, called, true = sums.T
    return [_share(right, called), _share(right, true), _share(2 * right, called + true)]


def _bcubed(sums: np.ndarray) -> list[np.ndarray]:
    precision, recall = (_share(sums[:, column], sums[:, 2]) for column in (0, 1))
    return [precision, recall, _share(2 * precision * recall, precision + recall)]


def _with_bounds(
    prefix: str, values: list[np.ndarray], drawn: list[np.ndarray], units: list[int]
) -> dict[str, float]:
    """Each measure with its 2.5 % and 97.5 % quantiles over the replicates that have it."""
    found: dict[str, float] = {}
    for name, value, replicates, n in zip(_MEASURES, values, drawn, units, strict=True):
        point = value[0]
        if np.isnan(point):
            continue
        low, high = np.quantile(replicates[~np.isnan(replicates)], [0.025, 0.975])
        # draws from what shows no error show none; Wilson's bound of n without one does
        unseen = _Z**2 / (n + _Z**2)
        low = min(low, 1 - unseen) if point > 1 - 1e-12 else min(low, point)
        high = max(high, unseen) if point < 1e-12 else max(high, point)
        # sums of shares differ in the last digits by the order of addition
        for suffix, bound in (("", point), ("_low", low), ("_high", high)):
            found[f"{prefix}{name}{suffix}"] = round(float(bound), 10)
    return found
