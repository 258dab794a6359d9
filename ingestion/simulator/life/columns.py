"""Columns of the world's tables from numpy arrays: whole numbers with `NONE` for null.

Times are microseconds since 1970 (UTC), money is whole cents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ingestion.simulator.world import DAY, MONEY, NUMBER, SCHEMAS, TIME

NONE = int(np.iinfo(np.int64).min)  # also what numpy calls NaT
SECOND = 1_000_000
MINUTE, HOUR, DAYS = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
WEEK = 7 * DAYS

_NOTHING = np.array([None], dtype=object)
Array = np.ndarray[Any, np.dtype[Any]]
Columns = dict[str, Any]


def after(times: Array, more: Array | int) -> Array:
    """Times moved by a duration; null stays null."""
    return np.where(times == NONE, NONE, times + more)


def pick(labels: Any, codes: Array) -> Array:
    """Labels by their position, `None` where the position is negative."""
    table = np.concatenate([np.asarray(labels, dtype=object), _NOTHING])
    return table[np.where(codes < 0, len(labels), codes)]


def draw(rng: np.random.Generator, weights: Any, size: int) -> Array:
    """Positions drawn with the given weights (they need not add up to 1)."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    drawn = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return np.minimum(drawn, len(edges) - 1)


def draw_rows(rng: np.random.Generator, weights: Array) -> Array:
    """One position a row, drawn with the weights of that row."""
    edges = np.cumsum(weights, axis=1)
    return (edges < rng.random(len(weights))[:, None] * edges[:, -1:]).sum(axis=1)


def rank_in(groups: Array) -> Array:
    """Position of each row among the rows of its group; equal groups must stand together."""
    n = len(groups)
    if n == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    return np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))


def running_any(groups: Array, flags: Array) -> Array:
    """Whether the flag was set in this or an earlier row of the group (groups stand together)."""
    total = np.cumsum(flags)
    before = (total - flags)[np.arange(len(groups)) - rank_in(groups)]
    return np.asarray(total > before)


def sum_by(groups: Array, values: Array, n: int) -> Array:
    """Sum of whole numbers a group, exact."""
    total = np.zeros(n, np.int64)
    np.add.at(total, groups, values)
    return total


def join(parts: list[Columns]) -> Columns:
    """Several parts of one table under each other; all have the same columns."""
    return {c: np.concatenate([p[c] for p in parts]) for c in parts[0]} if parts else {}


def rows(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """A table of the world; columns that are not given are null."""
    schema = SCHEMAS[name]
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise KeyError(f"{name}: no such columns in the world: {', '.join(sorted(unknown))}")
    n = len(next(iter(columns.values()))) if columns else 0
    return pa.table(
        {
            f.name: _column(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type)
            for f in schema
        },
        schema=schema,
    )


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    if kind == TIME:
        return pa.array(values.astype(np.int64).view("datetime64[us]"), TIME)
    if kind == MONEY:
        return _money(values)
    if kind == NUMBER and values.dtype != object:
        values = values.astype(np.int64)
        return pa.array(values, NUMBER, mask=values == NONE)
    if kind == DAY and values.dtype == np.int64:
        return pa.array(values.astype(np.int32), pa.int32(), mask=values == NONE).cast(DAY)
    return pa.array(values, kind, from_pandas=True)


def _money(cents: Array) -> pa.Array:
    """Decimals are 128-bit whole numbers of the smallest unit: low and high half of each."""
    cents = cents.astype(np.int64)
    known = cents != NONE
    halves = np.stack([cents, cents >> 63], axis=1)
    bits = np.packbits(known, bitorder="little") if not known.all() else None
    return pa.Array.from_buffers(
        MONEY, len(cents), [None if bits is None else pa.py_buffer(bits), pa.py_buffer(halves)]
    )


@dataclass
class Contacts:
    """Who needs a record in which system, gathered over a week and answered at once."""

    persons: list[Array] = field(default_factory=list)
    vendors: list[Array] = field(default_factory=list)
    objects: list[Array] = field(default_factory=list)
    times: list[Array] = field(default_factory=list)
    reasons: list[Array] = field(default_factory=list)
    count: int = 0

    def need(
        self, person: Array, vendor: str | Array, kind: str | Array, at: Array, via: str
    ) -> Array:
        """Ask for records (`person` holds positions); gives each need's place in the answer."""
        n = len(person)
        self.persons.append(person)
        self.vendors.append(np.full(n, vendor, object) if isinstance(vendor, str) else vendor)
        self.objects.append(np.full(n, kind, object) if isinstance(kind, str) else kind)
        self.times.append(at)
        self.reasons.append(np.full(n, via, object))
        places = np.arange(self.count, self.count + n)
        self.count += n
        return places

    def table(self, person_id: Array, latest: int) -> pa.Table:
        """All needs: person_id, vendor, object, at, via.

        A record that something of a later week needs is there by the `latest` time, so that what
        comes in between finds it.
        """
        if not self.persons:
            self.need(np.zeros(0, np.int64), "", "", np.zeros(0, np.int64), "")
        at = np.minimum(np.concatenate(self.times).astype(np.int64), latest).view("datetime64[us]")
        return pa.table(
            {
                "person_id": person_id[np.concatenate(self.persons).astype(np.int64)],
                "vendor": pa.array(np.concatenate(self.vendors), pa.string()),
                "object": pa.array(np.concatenate(self.objects), pa.string()),
                "at": pa.array(at, TIME),
                "via": pa.array(np.concatenate(self.reasons), pa.string()),
            }
        )
