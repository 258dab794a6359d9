"""Credit of marketing channels: a Markov chain of their paths, and how sure any credit is."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

START, CONVERSION, NOTHING, NOBODY = "(start)", "(conversion)", "(null)", "(none)"
_QUANTILES = (0.025, 0.975)
_COUNTS = 18  # a Poisson variable of mean 1 exceeds 17 once in 10^15 draws
_FIGURES = (
    "credit_share", "credit_low", "credit_high", "revenue_share", "revenue_low", "revenue_high",
)  # fmt: skip
_SCHEMA = pa.schema(
    [
        ("conversion_kind", pa.string()),
        ("month_start", pa.date32()),
        ("model", pa.string()),
        ("channel", pa.string()),
        *((name, pa.float64()) for name in _FIGURES),
    ]
)


def attribute(credits: pa.Table, transitions: pa.Table, replicates: int) -> pa.Table:
    """Share of each channel in the conversions and the revenue of a period, with 95 % intervals.

    Intervals are percentiles of a Poisson bootstrap: each bucket of customers counts as often as a
    number drawn from the hash of bucket and replicate says, so every build draws the same. The
    chain gives no credit for what followed no touch; that stays with nobody, as in other models.

    Args:
        credits: conversion_kind, month_start, bucket (int), model, channel (text), credit and
            revenue (double): sums of a bucket of customers. One of the models is `linear`.
        transitions: conversion_kind, month_start, bucket, from_channel, to_channel, steps (int);
            from "(start)", and to "(conversion)" or "(null)" at last.
        replicates: How often to draw.

    Returns:
        One row per conversion_kind, month_start (null: all months), model and channel with the
        columns of shares and bounds, 0 to 1; `markov` is one more model. Shares are of all
        conversions; those of revenue are null where there is none.
    """
    kinds = pc.unique(credits["conversion_kind"]).sort().to_pylist() if credits.num_rows else []
    parts = [
        _attribute_kind(
            kind,
            credits.filter(pc.equal(credits["conversion_kind"], kind)),
            transitions.filter(pc.equal(transitions["conversion_kind"], kind)),
            replicates,
        )
        for kind in kinds
    ]
    return pa.concat_tables([_SCHEMA.empty_table(), *parts])


def markov_shares(steps: Floats) -> Floats:
    """Shares of channels by their removal effects.

    The effect of a channel is the share of conversions that is lost where whoever would come to it
    goes away instead: 1 - P(conversion without it) / P(conversion).

    Args:
        steps: Counts of steps, shape (..., channels + 3, channels + 3), from row to column. The
            last three states are start, conversion and null. Whoever is in a channel leaves it.

    Returns:
        Shape (..., channels); sums to 1, or all 0 where nothing is converted.
    """
    channels = steps.shape[-1] - 3
    leaving = steps[..., : channels + 1, :].copy()
    # staying where one is changes no probability of getting somewhere
    leaving[..., np.arange(channels), np.arange(channels)] = 0
    total = leaving.sum(-1, keepdims=True)
    chance = np.divide(leaving, total, out=np.zeros_like(leaving), where=total > 0)
    # expected visits of each state (column) from each state (row) before the path ends
    visits = np.linalg.inv(np.eye(channels + 1) - chance[..., : channels + 1])
    converts = (visits @ chance[..., channels + 1, None])[..., 0]
    start = visits[..., channels, :channels]
    itself = np.diagonal(visits, axis1=-2, axis2=-1)[..., :channels]
    # who ever comes to the channel, and converts from there on
    lost = start / itself * converts[..., :channels]
    effects = np.clip(lost, 0, None)
    sums = effects.sum(-1, keepdims=True)
    return np.divide(effects, sums, out=np.zeros_like(effects), where=sums > 1e-15)


def poisson_weights(buckets: int, replicates: int) -> Floats:
    """How often each bucket (row) counts in each replicate (column); in column 0 each once."""
    bucket = np.arange(buckets, dtype=np.uint64)[:, None]
    replicate = np.arange(replicates, dtype=np.uint64)[None, :]
    mixed = bucket * np.uint64(0x9E3779B97F4A7C15) + replicate * np.uint64(0xD1B54A32D192ED03)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    uniform = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    factorials = np.cumprod([1.0, *range(1, _COUNTS)])
    drawn = np.searchsorted(np.cumsum(np.exp(-1) / factorials), uniform, side="right")
    return np.hstack([np.ones((buckets, 1)), drawn.astype(np.float64)])


def _attribute_kind(
    kind: str, credits: pa.Table, transitions: pa.Table, replicates: int
) -> pa.Table:
    ends = {START, CONVERSION, NOTHING}
    channels = _codes(credits["channel"], transitions["from_channel"], transitions["to_channel"])
    names = [*(c for c in channels if c not in ends), START, CONVERSION, NOTHING]
    channel = {name: code for code, name in enumerate(names)}
    models = _codes(credits["model"])
    months = _codes(credits["month_start"], transitions["month_start"])
    weights = poisson_weights(4096, replicates)

    of_credit = (_index(credits["month_start"], months), _index(credits["model"], models),
                 _index(credits["channel"], channel))  # fmt: skip
    shape = (len(months), len(models), len(names) - 3)
    bucket = credits["bucket"].to_numpy()
    credit = _cube(credits["credit"].to_numpy(), of_credit, shape, bucket, weights)
    revenue = _cube(credits["revenue"].to_numpy(), of_credit, shape, bucket, weights)
    of_step = (_index(transitions["month_start"], months),
               _index(transitions["from_channel"], channel),
               _index(transitions["to_channel"], channel))  # fmt: skip
    steps = _cube(
        transitions["steps"].to_numpy().astype(np.float64), of_step,
        (len(months), len(names), len(names)), transitions["bucket"].to_numpy(), weights,
    )  # fmt: skip

    shares = np.moveaxis(markov_shares(np.moveaxis(steps, -1, 1)), 1, -1)
    nobody = names.index(NOBODY) if NOBODY in names else None
    figures = []
    for amounts in (credit, revenue):
        linear = amounts[:, models["linear"]]
        chain = shares * (linear.sum(1) - (0 if nobody is None else linear[:, nobody]))[:, None]
        if nobody is not None:
            chain[:, nobody] = linear[:, nobody]
        every = np.concatenate([amounts, chain[:, None]], axis=1)
        total = linear.sum(1)[:, None, None]
        part = np.divide(every, total, out=np.full_like(every, np.nan), where=total > 0)
        figures += [part[..., 0], *_bounds(part[..., 1:])]

    seen = (credit[..., 0] > 0).any(1) | (steps[:, :, :-3, 0].sum(1) > 0)
    month_at, model_at, channel_at = np.nonzero(np.repeat(seen[:, None], len(models) + 1, axis=1))
    of_month = pa.array([*months, None], pa.date32())
    columns: list[Any] = [
        pa.repeat(pa.scalar(kind), len(month_at)),
        of_month.take(pa.array(month_at)),
        pa.array([*models, "markov"]).take(pa.array(model_at)),
        pa.array(names).take(pa.array(channel_at)),
    ]
    for values in figures:
        found = np.round(values[month_at, model_at, channel_at], 12)
        columns.append(pa.array(found, mask=np.isnan(found)))
    return pa.table(columns, schema=_SCHEMA)


def _codes(*columns: pa.ChunkedArray) -> dict[Any, int]:
    """Sorted distinct values of columns, with their places."""
    chunks = [chunk for column in columns for chunk in pc.unique(column).to_pylist()]
    return {value: code for code, value in enumerate(sorted(set(chunks)))}


def _index(column: pa.ChunkedArray, codes: dict[Any, int]) -> Integers:
    values = pa.array(list(codes), column.type)
    return pc.index_in(column, values).to_numpy().astype(np.int64)


def _cube(
    values: Floats,
    place: tuple[Integers, ...],
    shape: tuple[int, ...],
    bucket: Integers,
    weights: Floats,
) -> Floats:
    """Weighted sums over buckets, shape (months + 1, ..., replicates + 1); last all months."""
    flat = np.ravel_multi_index(place, shape)
    cells = coo_array((values, (flat, bucket)), (int(np.prod(shape)), len(weights))).tocsr()
    cube = (cells @ weights).reshape(*shape, -1)
    return np.concatenate([cube, cube.sum(0, keepdims=True)])


def _bounds(drawn: Floats) -> list[Floats]:
    """Quantiles along the last axis of what is a number there."""
    ordered = np.sort(drawn, axis=-1)
    last = np.maximum((~np.isnan(drawn)).sum(-1) - 1, 0)
    bounds = []
    for quantile in _QUANTILES:
        at = quantile * last
        below = np.floor(at).astype(np.int64)
        low = np.take_along_axis(ordered, below[..., None], -1)[..., 0]
        high = np.take_along_axis(ordered, np.minimum(below + 1, last)[..., None], -1)[..., 0]
        bounds.append(low + (at - below) * (high - low))
    return bounds
