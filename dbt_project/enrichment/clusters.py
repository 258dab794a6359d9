"""Connected components of records and the identifiers they share."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def cluster_records(identifiers: pa.Table, max_cluster_size: int) -> pa.Table:
    """Group records that are tied, directly or through others, by an identifier.

    A cluster larger than `max_cluster_size` is taken apart: its weakest kind of identifier is
    dropped, then the next, until the parts are small enough. Linear in the rows of `identifiers`.

    Args:
        identifiers: record_key, identifier_type, identifier_value (text), confidence (int; low is
            weak). Every record has at least one row.

    Returns:
        One row per record: record_key, cluster_key (smallest record key of its cluster),
        cluster_size, cut_below (confidence below which identifiers were dropped for it; null
        where none were).
    """
    if identifiers.num_rows == 0:
        return pa.table(
            {
                "record_key": pa.array([], pa.string()),
                "cluster_key": pa.array([], pa.string()),
                "cluster_size": pa.array([], pa.int64()),
                "cut_below": pa.array([], pa.int64()),
            }
        )
    keys, record = _codes(identifiers["record_key"])
    values = pc.binary_join_element_wise(
        identifiers["identifier_type"], identifiers["identifier_value"], "\x1f"
    )
    value = _codes(values)[1]
    confidence = identifiers["confidence"].to_numpy()
    # record codes ascend with the record keys, so the smallest code names a cluster
    label = _components(record, value, len(keys))
    cut_below = np.full(len(keys), -1, dtype=np.int64)
    for level in np.unique(confidence)[1:]:
        size = np.bincount(label, minlength=len(keys))
        too_large = size[label] > max_cluster_size
        if not too_large.any():
            break
        cut_below[too_large] = level
        kept = confidence >= cut_below[record]  # what was cut before stays cut
        label = _components(record[kept], value[kept], len(keys))
    size = np.bincount(label, minlength=len(keys))
    return pa.table(
        {
            "record_key": keys,
            "cluster_key": keys.take(pa.array(label)),
            "cluster_size": size[label],
            "cut_below": pa.array(cut_below, mask=cut_below < 0),
        }
    )


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Sorted distinct values, and for each row the position of its value among them."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return encoded.dictionary.take(order), rank[encoded.indices.to_numpy()]


def _components(record: np.ndarray, value: np.ndarray, records: int) -> np.ndarray:
    """Smallest record code of the component of each record."""
    nodes = records + int(value.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(record), np.int8), (record, records + value)), (nodes, nodes))
    component = connected_components(graph.tocsr(), directed=False)[1][:records]
    smallest = np.full(component.max() + 1, records, dtype=np.int64)
    np.minimum.at(smallest, component, np.arange(records))
    return smallest[component]
