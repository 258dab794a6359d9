"""Records that are one person: what ties connect, within what keeps people apart."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_ROUNDS = 40  # of tying again what was cut; a hub that takes in more parts than this stays cut


@dataclass(frozen=True)
class _Limits:
    """What no cluster may hold, by the codes of its records."""

    max_size: int
    apart: np.ndarray  # two rows: codes of records that are two people
    accounts: np.ndarray  # three rows: record, namespace, account within it; one account each

    def broken(self, label: np.ndarray) -> np.ndarray:
        """Per label, whether its records break a limit; -1 is the label of those left out."""
        size = np.bincount(label[label >= 0], minlength=len(label))
        broken = size > self.max_size
        left, right = label[self.apart]
        broken[left[(left == right) & (left >= 0)]] = True
        owner = label[self.accounts[0]]
        known = owner >= 0
        held = np.unique(np.stack([owner[known], *self.accounts[1:, known]]), axis=1)
        first = np.unique(held[:2], axis=1, return_counts=True)
        broken[first[0][0, first[1] > 1]] = True
        return broken


def cluster_records(
    ties: pa.Table,
    max_cluster_size: int,
    *,
    apart: pa.Table | None = None,
    accounts: pa.Table | None = None,
) -> pa.Table:
    """Group records that are tied, directly or through others, by an identifier or a scored pair.

    A cluster that is too large, holds two records that were told apart, or two accounts where a
    person has one, is taken apart: its weakest ties are dropped, then the next, until nothing is
    broken. Then, but for what was too large, ties are taken back, strongest first, wherever they
    break nothing. Near linear in the rows of `ties`; only the broken clusters are gone through
    again.

    Args:
        ties: record_key, identifier_type, identifier_value (text), strength (int; low is weak).
            Every record has at least one row.
        max_cluster_size: records of one cluster at most.
        apart: left_key, right_key: pairs of records that are two people.
        accounts: record_key, namespace, account (text): of one namespace a person has one account.

    Returns:
        One row per record: record_key, cluster_key (smallest record key of its cluster),
        cluster_size, cut_below (strength below which ties of its cluster were dropped at first;
        null where none were), whole_key and whole_size (of all that is tied, whatever limits).
        What becomes of a record depends on the rows of its whole alone.
    """
    keys, record = _codes(ties["record_key"])
    value = _values(ties)
    strength = ties["strength"].to_numpy().astype(np.int64)
    limits = _Limits(max_cluster_size, _pairs(apart, keys), _accounts(accounts, keys))
    # record codes ascend with the record keys, so the smallest code names a cluster
    label = whole = components(record, value, len(keys))
    cut_below = np.full(len(keys), -1, dtype=np.int64)
    broken = limits.broken(label)[label]
    if broken.any():
        inside = broken[record]
        record, value, strength = record[inside], value[inside], strength[inside]
        parts = _cut(label, cut_below, record, value, strength, limits)
        # of what was too large, any two parts would do: which ones would be chance
        size = np.bincount(label, minlength=len(keys))
        small = (size[label] <= max_cluster_size)[record]
        label = _mend(parts, cut_below, record[small], value[small], strength[small], limits)
    size = np.bincount(label, minlength=len(keys))
    return pa.table(
        {
            "record_key": keys,
            "cluster_key": keys.take(pa.array(label)),
            "cluster_size": size[label],
            "cut_below": pa.array(cut_below, mask=cut_below < 0),
            "whole_key": keys.take(pa.array(whole)),
            "whole_size": np.bincount(whole, minlength=len(keys))[whole],
        }
    )


def _cut(
    label: np.ndarray,
    cut_below: np.ndarray,
    record: np.ndarray,
    value: np.ndarray,
    strength: np.ndarray,
    limits: _Limits,
) -> np.ndarray:
    """Drop the ties of the broken clusters, level by level, until none is; fills `cut_below`."""
    label = label.copy()
    levels = np.append(np.unique(strength), strength.max() + 1)
    for level in levels[1:]:
        broken = limits.broken(label)[label]
        if not broken.any():
            break
        inside = broken[record]
        record, value, strength = record[inside], value[inside], strength[inside]
        kept = strength >= level
        cut_below[broken] = _next_strength(label, record, strength, level)[label[broken]]
        codes = np.flatnonzero(broken)
        place = np.empty(len(label), dtype=np.int64)
        place[codes] = np.arange(len(codes))
        parts = components(place[record[kept]], value[kept], len(codes))
        label[codes] = codes[parts]
    return label


def _next_strength(
    label: np.ndarray, record: np.ndarray, strength: np.ndarray, level: int
) -> np.ndarray:
    """Per label, its own weakest tie of the level at least, or what is stronger than all it has."""
    weakest = np.full(len(label), np.iinfo(np.int64).max)
    kept = strength >= level
    np.minimum.at(weakest, label[record[kept]], strength[kept])
    strongest = np.full(len(label), -1, dtype=np.int64)
    np.maximum.at(strongest, label[record], strength)
    return np.where(weakest < np.iinfo(np.int64).max, weakest, strongest + 1)


def _mend(
    label: np.ndarray,
    cut_below: np.ndarray,
    record: np.ndarray,
    value: np.ndarray,
    strength: np.ndarray,
    limits: _Limits,
) -> np.ndarray:
    """Tie parts again that break nothing together: each with its strongest neighbour, in rounds."""
    cut = strength < cut_below[record]
    left, right, weight = _neighbours(record[cut], value[cut], strength[cut])
    label = label.copy()
    for _ in range(_ROUNDS):
        a, b = label[left], label[right]
        open_ties = a != b
        left, right, weight = left[open_ties], right[open_ties], weight[open_ties]
        if not len(left):
            break
        low, high = np.minimum(label[left], label[right]), np.maximum(label[left], label[right])
        best = np.lexsort((high, low, -weight))
        rank = np.empty(len(best), dtype=np.int64)
        rank[best] = np.arange(len(best))
        choice = np.full(len(label), len(best), dtype=np.int64)
        np.minimum.at(choice, low, rank)
        np.minimum.at(choice, high, rank)
        mutual = (choice[low] == rank) & (choice[high] == rank)
        joined = np.full(len(label), -1, dtype=np.int64)
        joined[low[mutual]] = low[mutual]
        joined[high[mutual]] = low[mutual]
        tried = np.where(joined[label] >= 0, joined[label], -1)
        fits = ~limits.broken(tried)[low] & mutual
        into = np.arange(len(label))
        into[high[fits]] = low[fits]
        label = into[label]
        # what does not fit now never will: parts only grow
        refused = mutual & ~fits
        no = np.isin(_joint(low, high), _joint(low[refused], high[refused]))
        left, right, weight = left[~no], right[~no], weight[~no]
    return label


def _joint(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return low << 32 | high


def _neighbours(
    record: np.ndarray, value: np.ndarray, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of records that share a value: each with the next one, and with the first one."""
    order = np.lexsort((record, value))
    record, value, strength = record[order], value[order], strength[order]
    same = value[1:] == value[:-1]
    first = record[np.searchsorted(value, value)]
    left = np.concatenate([record[:-1][same], first[1:][same]])
    right = np.concatenate([record[1:][same], record[1:][same]])
    return left, right, np.concatenate([strength[1:][same]] * 2)


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Sorted distinct values, and for each row the position of its value among them."""
    values, code = encode(column)
    order = pc.sort_indices(values)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return values.take(order), rank[code]


def encode(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Distinct values in any order, and for each row the position of its value among them."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):  # of no chunk at all
        encoded = encoded.combine_chunks()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def _values(ties: pa.Table) -> np.ndarray:
    """A number for each identifier; the same text of another kind is another one."""
    kinds, kind = encode(ties["identifier_type"])
    return encode(ties["identifier_value"])[1] * len(kinds) + kind


def _pairs(apart: pa.Table | None, keys: pa.Array) -> np.ndarray:
    """Codes of pairs of records, as two rows; pairs of which a record is gone are left out."""
    if apart is None:
        return np.empty((2, 0), dtype=np.int64)
    sides = [pc.index_in(apart[c], keys).combine_chunks() for c in ("left_key", "right_key")]
    codes = np.stack([pc.fill_null(s, -1).to_numpy() for s in sides]).astype(np.int64)
    return codes[:, (codes >= 0).all(axis=0)]


def _accounts(accounts: pa.Table | None, keys: pa.Array) -> np.ndarray:
    if accounts is None:
        return np.empty((3, 0), dtype=np.int64)
    code = pc.fill_null(pc.index_in(accounts["record_key"], keys), -1).combine_chunks().to_numpy()
    rows = [code, *(_codes(accounts[c])[1] for c in ("namespace", "account"))]
    found = np.stack(rows).astype(np.int64)
    return found[:, code >= 0]


def components(record: np.ndarray, value: np.ndarray, records: int) -> np.ndarray:
    """Smallest record code of the component of each record."""
    if records == 0:
        return np.empty(0, dtype=np.int64)
    nodes = records + int(value.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(record), np.int8), (record, records + value)), (nodes, nodes))
    component = connected_components(graph.tocsr(), directed=False)[1][:records]
    smallest = np.full(component.max() + 1, records, dtype=np.int64)
    np.minimum.at(smallest, component, np.arange(records))
    return smallest[component]
