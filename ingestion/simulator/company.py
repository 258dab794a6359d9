"""A simulated company in a folder: its story in weekly blocks, its clock, and views of both."""

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import CxmError, SettingError
from ingestion.simulator.projection import COLUMNS, Projection
from ingestion.simulator.world import SCHEMAS, open_world, write_block

WEEK = timedelta(weeks=1)
LONGEST = timedelta(days=4 * 365)  # the founding holds people and prices for so long
WEEKS_IN_BLOCK, ROWS_IN_BLOCK = 26, 3_000_000
CLOCKS_KEPT = 3  # a reply begun before the clock moved still finds its tables

# rows that become visible after later-stamped ones: how many, and by how much
SETTINGS: dict[str, Any] = {"late_share": 0.002, "late_seconds": 120}

_MACROS = """
create or replace macro clock() as timestamptz '{clock}';
create or replace macro in_part(number) as true;
create or replace macro happened(happens_at, happens_to) as
    happens_at <= timestamptz '{clock}' and (
        happens_at <= timestamptz '{late_clock}'
        or hash(happens_to::varchar, {seed}) % 1000000 >= {late}
    );
"""


class Company:
    """A company, its story so far, and the time it is there.

    Attributes:
        folder: holds company.json, world/, tls/ and the state that the story goes on from.
        clock: aware UTC time; what happens later nobody sees.
        settings: knobs, by vendor (`settings["shopify"]["bucket"]`), `late_share`, `late_seconds`.
    """

    clock: datetime
    settings: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        self._weeks = 0  # of the story that are written
        self._tables: dict[datetime, dict[str, str]] = {}  # by clock, oldest use first
        self._database = duckdb.connect()
        self._database.execute("set TimeZone = 'UTC'")
        self._database.execute("set enable_progress_bar = false")
        spill = self.folder / f"spill-{uuid4().hex}"  # two databases must not share one
        self._database.execute(f"set temp_directory = '{spill}'")
        self._database.execute("create schema simulated")
        self._read()

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        customers: int,
        seed: int,
        days: float,
        end: datetime,
        horizon: timedelta = LONGEST,
        settings: dict[str, Any] | None = None,
    ) -> Self:
        """Write the story of a new company from `days` before `end` up to it; its clock is `end`.

        Args:
            horizon: from its beginning the company can live so long. All who will come by then
                are founded with it: a short one is for measurements with very many customers.

        Raises:
            SettingError: the folder holds a company, or the story would be too long or empty.
        """
        from ingestion.simulator.people import found

        folder = Path(folder)
        if (folder / "company.json").exists():
            raise SettingError(f"{folder} holds a company; remove the folder to make another")
        longest = min(horizon, LONGEST)
        if not 0 < days <= longest.days or customers < 1 or end.tzinfo is None:
            raise SettingError(
                f"{customers} customers over {days} days up to {end} cannot be simulated; give at "
                f"least 1 customer, 1 to {longest.days} days and an end with a time zone"
            )
        end = end.astimezone(UTC)
        started_at = end - timedelta(days=days)
        founding = found(
            seed=seed, customers=customers, started_at=started_at, ended_at=end, horizon=longest
        )
        draft = folder.with_name(f".{folder.name}.draft")  # a making that is cut short leaves none
        shutil.rmtree(draft, ignore_errors=True)
        write_block(draft / "world", "founding", founding)
        _save(draft, {
            "seed": seed, "customers": customers, "started_at": started_at.isoformat(),
            "horizon_days": longest / timedelta(days=1), "clock": end.isoformat(), "weeks": 0,
            "settings": settings or {},
        })  # fmt: skip
        del founding
        cls(draft).move_clock(end)
        draft.rename(folder)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The company in a folder.

        Raises:
            SettingError: there is none.
        """
        if not (Path(folder) / "company.json").exists():
            raise SettingError(f"{folder} holds no company; make one with `cxm simulate`")
        return cls(folder)

    def advance(self, *, days: float) -> None:
        """Let time pass; the story is written on where that is needed."""
        self.move_clock(self.clock + timedelta(days=days))

    def move_clock(self, to: datetime) -> None:
        """Set the clock, forwards or backwards; the story itself never changes.

        Raises:
            SettingError: `to` lies outside of the time that the company was founded for.
        """
        to = to.astimezone(UTC)
        if not self.started_at <= to <= self.started_at + self._horizon:
            raise SettingError(
                f"the clock of {self.folder} cannot be {to}: the story goes from "
                f"{self.started_at} for {self._horizon.days} days"
            )
        with self._lock:
            needed = (to + WEEK - self.started_at) // WEEK + 1
            if needed > self._weeks:
                self._write_weeks(needed)
            self.clock = to
            self._save()
            self._show_clock()

    def refresh(self) -> None:
        """See what another process has made of the company since it was read."""
        if self._stamp != (self.folder / "company.json").stat().st_mtime_ns:
            with self._lock:
                self._read()

    def table(self, projection: Projection) -> str:
        """Name of a DuckDB table that holds the projection at the clock; made on first use.

        Raises:
            CxmError: the projection lacks a column that every one of them has.
        """
        # a table that is there is not waited for while another one is made
        if name := self._tables.get(self.clock, {}).get(projection.name):
            return name
        with self._lock:
            tables = self._tables[self.clock]
            if projection.name not in tables:
                name = f"simulated.{projection.name}_{self.clock:%Y%m%d%H%M%S%f}"
                with self._database.cursor() as cursor:
                    try:
                        cursor.execute(
                            f"create or replace table {name} as"
                            f" select * from (\n{projection.sql}\n) order by updated_at, id"
                        )
                    except duckdb.BinderException:  # perhaps for lack of what it is ordered by
                        self._check(projection, f"(\n{projection.sql}\n)", cursor)
                        raise
                    self._check(projection, name, cursor)
                tables[projection.name] = name
            return tables[projection.name]

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query over `world.*`, projections' tables and the macros; thread-safe."""
        with self._database.cursor() as cursor:
            return cursor.execute(sql, list(params)).fetchall()

    def pages(self, sql: str, params: Sequence[Any], rows: int) -> Iterator[list[tuple[Any, ...]]]:
        """A query's rows, up to `rows` at a time; thread-safe."""
        with self._database.cursor() as cursor:
            found = cursor.execute(sql, list(params))
            while page := found.fetchmany(rows):
                yield page

    def batches(self, sql: str, rows: int, part: str = "true") -> Iterator[pa.RecordBatch]:
        """A query as a stream of Arrow batches of up to `rows` rows; thread-safe.

        Args:
            part: what `in_part(number)` means in it.
        """
        with self._database.cursor() as cursor:
            cursor.execute(f"create temp macro in_part(number) as {part}")
            yield from cursor.execute(sql).to_arrow_reader(rows)

    def _read(self) -> None:
        self._stamp = (self.folder / "company.json").stat().st_mtime_ns
        kept = json.loads((self.folder / "company.json").read_text())
        self.seed, self.customers = int(kept["seed"]), int(kept["customers"])
        self.started_at = datetime.fromisoformat(kept["started_at"])
        self._horizon = timedelta(days=kept.get("horizon_days", LONGEST.days))
        self.clock = datetime.fromisoformat(kept["clock"])
        self.settings = {**SETTINGS, **kept["settings"]}
        self._weeks = int(kept["weeks"])
        open_world(self.folder / "world", self._database)
        self._show_clock()

    def _save(self) -> None:
        _save(self.folder, {
            "seed": self.seed, "customers": self.customers,
            "started_at": self.started_at.isoformat(),
            "horizon_days": self._horizon / timedelta(days=1), "clock": self.clock.isoformat(),
            "weeks": self._weeks, "settings": self.settings,
        })  # fmt: skip
        self._stamp = (self.folder / "company.json").stat().st_mtime_ns

    def _show_clock(self) -> None:
        """Tell DuckDB the time, and forget what it was long ago."""
        self._tables[self.clock] = self._tables.pop(self.clock, {})
        with self._database.cursor() as cursor:
            while len(self._tables) > CLOCKS_KEPT:
                for name in self._tables.pop(next(iter(self._tables))).values():
                    cursor.execute(f"drop table if exists {name}")
            late = timedelta(seconds=self.settings["late_seconds"])
            cursor.execute(
                _MACROS.format(
                    clock=self.clock.isoformat(),
                    late_clock=(self.clock - late).isoformat(),
                    seed=self.seed,
                    late=int(self.settings["late_share"] * 1_000_000),
                )
            )

    def _write_weeks(self, until: int) -> None:
        """Write the story up to a week (not included), then say so.

        What a process that died has written of later weeks is written anew, to the same effect.
        """
        from ingestion.simulator.life import Life

        world = self.folder / "world"
        for path in world.glob("*/week*.parquet"):
            if int(path.stem.removeprefix("week")) >= self._weeks:
                path.unlink()
        founding = {
            name: _read_block(world, name, "founding")
            for name in SCHEMAS
            if (world / name / "founding.parquet").exists()
        }
        state_path = self.folder / f"state-{self._weeks}.npz"
        state = dict(np.load(state_path, allow_pickle=False)) if self._weeks else None
        life = Life(self.seed, founding, state, started_at=self.started_at)
        del founding, state
        block: dict[str, list[pa.Table]] = {}
        first, rows = self._weeks, 0
        for week in range(self._weeks, until):
            for name, table in life.week(week).items():
                if table.num_rows:
                    block.setdefault(name, []).append(table)
                    rows += table.num_rows
            if week + 1 - first == WEEKS_IN_BLOCK or rows > ROWS_IN_BLOCK or week + 1 == until:
                tables = {name: pa.concat_tables(parts) for name, parts in block.items()}
                write_block(world, f"week{first:04d}", tables)
                block, first, rows = {}, week + 1, 0
        with (self.folder / f"state-{until}.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **life.state)
        self._weeks = until
        self._save()
        for path in self.folder.glob("state-*.npz"):
            if path.name != f"state-{until}.npz":
                path.unlink()
        open_world(world, self._database)

    @staticmethod
    def _check(projection: Projection, given: str, cursor: duckdb.DuckDBPyConnection) -> None:
        empty = cursor.execute(f"select * from {given} limit 0")
        found = {column[0] for column in empty.description or ()}
        if missing := [name for name in COLUMNS if name not in found]:
            raise CxmError(
                f"projection {projection.name} lacks {', '.join(missing)}; "
                f"its query must give {', '.join(COLUMNS)}"
            )


def _read_block(world: Path, name: str, block: str) -> pa.Table:
    return pq.read_table(world / name / f"{block}.parquet", schema=SCHEMAS[name])


def _save(folder: Path, kept: dict[str, Any]) -> None:
    draft = folder / "company.json.tmp"
    draft.write_text(json.dumps(kept, indent=1))
    draft.replace(folder / "company.json")
