"""When things happen: seasons, weekdays and hours of customers where they live."""

from datetime import UTC, date, datetime, timedelta

import numpy as np

from ingestion.simulator.life.columns import DAYS, HOUR, SECOND, WEEK, Array, draw

_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 13, 12, 11, 11, 12, 14, 16, 19, 22, 20, 13, 6)
_WEEKDAYS = (1.0, 0.95, 0.95, 1.0, 0.95, 1.05, 1.25)
_MONTHS = (0.75, 0.75, 0.95, 1.05, 1.2, 1.15, 1.0, 0.95, 1.0, 0.95, 1.15, 1.35)


def season(start: int) -> tuple[float, int]:
    """How much is bought in the week that begins then, and its day of Black Friday (or -1)."""
    first = datetime.fromtimestamp(start // SECOND, UTC).date()
    factor = float(np.mean([_MONTHS[(first + timedelta(days=d)).month - 1] for d in range(7)]))
    november = date(first.year, 11, 1)
    friday = november + timedelta(days=(3 - november.weekday()) % 7 + 21 + 1)
    black = (friday - first).days
    if 0 <= black < 7:
        return factor * 2.1, black
    return factor, -1


def moments(
    rng: np.random.Generator, start: int, ahead: Array, *, black: int = -1, floor: Array
) -> Array:
    """One moment a row within the week, by local weekday and hour, none before its floor.

    `ahead` is how far local time is ahead of UTC, `floor` when the person enters the story.
    """
    n = len(ahead)
    first = (start // DAYS + 3) % 7
    weights = [_WEEKDAYS[(first + d) % 7] * (3.5 if d == black else 1) for d in range(7)]
    local = draw(rng, weights, n) * DAYS + draw(rng, _HOURS, n) * HOUR
    local = local + rng.integers(0, HOUR // 1000, n) * 1000
    at = start + (start // DAYS * DAYS + local - ahead - start) % WEEK
    rest = floor + (rng.random(n) * np.maximum(start + WEEK - floor, SECOND)).astype(np.int64)
    return np.where(at < floor, rest // 1000 * 1000, at)


def spread(rng: np.random.Generator, low: float, high: float, n: int, unit: int = DAYS) -> Array:
    """Durations of `low` to `high` units, to the second."""
    return (rng.uniform(low, high, n) * (unit // SECOND)).astype(np.int64) * SECOND


def waits(rng: np.random.Generator, mean: Array | float, n: int, unit: int = HOUR) -> Array:
    """Waiting times with that mean (in units), to the second, at least one second."""
    return (
        np.maximum(rng.exponential(1.0, n) * mean * (unit // SECOND), 1).astype(np.int64) * SECOND
    )
