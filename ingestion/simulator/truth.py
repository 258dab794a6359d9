"""Known answers: what is true of the simulated company as of a date, counted from the world alone.

Nothing here knows how vendors show the world or how the warehouse reads them. The questions are
asked in `truth.sql`; this writes the answers as one Parquet file each.
"""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ingestion.simulator.world import open_world

_QUESTIONS = Path(__file__).with_suffix(".sql")
_ORDER = {  # the file of each answer, and how its rows are sorted
    "clusters": "kind, vendor, object, external_id",
    "stages": "person_id, entered_at, stage",
    "kpis": "kpi_id, dimension, period",
    "voices": "source_kind, id",
    "churn": "person_id",
}


def write_truth(world: Path, out: Path, *, as_of: datetime, timezone: str = "UTC") -> None:
    """Write clusters, stages, kpis, voices and churn to `out`, as `<name>.parquet`.

    Days and months are those of `timezone`; `as_of` is an aware time, and what happened later is
    not known. `kpis` has one row per KPI, period ("2026-03" or "all") and dimension: shares lie in
    0 to 1, NPS in -100 to 100, amounts are EUR, times are calendar minutes or hours.

    Raises:
        ValueError: `as_of` has no time zone, or there is no exchange rate for an amount.
    """
    if as_of.tzinfo is None:
        raise ValueError(f"truth: as_of {as_of} has no time zone; give an aware time")
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set temp_directory = '{out / 'spill'}'")
        open_world(world, connection)
        at = as_of.astimezone(UTC).isoformat()
        connection.execute("set variable as_of = ?::timestamptz", [at])
        connection.execute("set variable timezone = ?", [timezone])
        connection.execute(_QUESTIONS.read_text(encoding="utf-8"))
        _check_rates(connection)
        for name, order in _ORDER.items():
            target = out / f"{name}.parquet"
            connection.execute(f"copy (from {name} order by {order}) to '{target}'")


def _check_rates(connection: duckdb.DuckDBPyConnection) -> None:
    """An amount without a rate would silently be missing from every sum."""
    row = connection.execute(
        "select count(*), min(currency) from ("
        " select currency from sale where to_eur is null"
        " union all select currency from refunded where amount is null"
        " union all select currency from deal where lacks_rate)"
    ).fetchone()
    if row and row[0]:
        raise ValueError(
            f"truth: {row[0]} amounts in {row[1]} and others lie before the first row of "
            "world.exchange_rate for their currency; write rates from the first day of the story on"
        )
