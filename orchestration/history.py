"""What was published, kept in the lake: only so can a later build tell what changed since."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import duckdb

from ingestion.errors import CxmError
from ingestion.exports.plan import identity_files
from ingestion.lake import PUBLISHED_DATASET, Lake
from ingestion.sql import literal

if TYPE_CHECKING:
    from orchestration.publish import Publication

KINDS = ("kpi_values", "kpi_customers", "customers")
MOST_FILES = 30  # of customers; more are written into one


@dataclass(frozen=True)
class _Kept:
    """A file that one publication left; the name says which, and what it was built from.

    Of several written into one the name has the first and the last: `<version>..<version>__all`.
    """

    path: str

    @property
    def version(self) -> str:
        """Of the publication; of several, the first."""
        return PurePosixPath(self.path).stem.partition("__")[0].partition("..")[0]

    @property
    def last_version(self) -> str:
        return PurePosixPath(self.path).stem.partition("__")[0].rpartition("..")[2]

    @property
    def fingerprint(self) -> str:
        return PurePosixPath(self.path).stem.partition("__")[2]


def published_before(lake: Lake, company: str, fingerprint: str) -> dict[str, list[str]]:
    """Files of the publications before this build, by kind and oldest first.

    A build that is repeated does not see its own publication, nor later ones: it gives the same
    marts again.
    """
    own = published_until(lake, company, fingerprint)
    whole = {file.version for file in _kept(lake, company, "kpi_values")}
    return {
        kind: [
            lake.readable(file.path)
            for file in _kept(lake, company, kind)
            # one that died half-way has left customers only, which count
            if (own is None or file.version < own)
            and (kind == "customers" or file.version in whole)
        ]
        for kind in KINDS
    }


def published_until(lake: Lake, company: str, fingerprint: str) -> str | None:
    """The publication of this very build: neither it nor later ones are there for it. None: all."""
    return min(
        (f.version for f in _kept(lake, company, "kpi_values") if f.fingerprint == fingerprint),
        default=None,
    )


def keep_published(warehouse: Path, lake: Lake, company: str, publication: "Publication") -> bool:
    """Keep what was published, unless the same was kept last; returns whether it was.

    Customers are kept as rows that changed since the last time. Who is gone from the sources for
    good goes from here, too.

    Raises:
        CxmError: the lake could not be written. What is published stays so.
    """
    try:
        return _keep(warehouse, lake, company, publication)
    except (duckdb.Error, OSError) as error:
        raise CxmError(
            f"version {publication.version} is published, but could not be kept in the lake to tell"
            f" later what changed: {error}. Check that {lake.url} can be written and run again."
        ) from error


def _keep(warehouse: Path, lake: Lake, company: str, publication: "Publication") -> bool:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in lake.duckdb_setup():
            connection.execute(statement)
        connection.execute(f"attach {literal(warehouse)} as warehouse (read_only)")
        known = connection.execute(
            "select count(*) from duckdb_tables() where database_name = 'warehouse'"
            " and schema_name = 'history' and table_name = 'int_history__customers'"
        ).fetchone()
        if known != (1,):  # a warehouse of marts only
            return False
        keeper = _Keeper(connection, lake, company, warehouse.parent / "state", publication)
        keeper.forget_erased()
        last = _kept(lake, company, "kpi_values")[-1:]
        if last and last[0].fingerprint == publication.fingerprint:
            return False
        keeper.keep_customers()
        keeper.keep_kpi_customers()
        keeper.keep_kpi_values()  # last: it tells that all are there
        keeper.write_into_one()
    return True


@dataclass(frozen=True)
class _Keeper:
    connection: duckdb.DuckDBPyConnection
    lake: Lake
    company: str
    scratch: Path
    publication: "Publication"

    def keep_kpi_values(self) -> None:
        """Of months and of all groups together: nothing else is asked of what was published."""
        registry = identity_files(self.lake, self.company, "registry")
        sequence = max((int(PurePosixPath(p).stem) for p in registry), default=0)
        self._write(
            "kpi_values",
            f"""
            select
                {literal(self.publication.version)} as version,
                cast({literal(self.publication.as_of or "")} as timestamp) as as_of,
                cast({sequence} as bigint) as registry_sequence,
                figures.* exclude (period_grain, unit, stage, owner_team, level, better),
                kpis.definition_hash
            from warehouse.marts.kpi_values as figures
            inner join warehouse.marts.dim_kpis as kpis using (kpi_id, kpi_version)
            where figures.period_grain = 'month' and figures.dimension = 'all'
            order by all
            """,
        )

    def keep_kpi_customers(self) -> None:
        """Of this publication and the last: it is large, and nothing else is asked of it."""
        last = {file.version for file in _kept(self.lake, self.company, "kpi_values")[-1:]}
        earlier = _kept(self.lake, self.company, "kpi_customers")
        self._write(
            "kpi_customers",
            "select * from warehouse.kpis.int_kpis__customer_figures order by all",
        )
        for file in earlier:
            if file.version not in last:
                self.lake.fs.rm_file(file.path)

    def keep_customers(self) -> None:
        """Rows that are new or changed, and marks of those that went into another customer."""
        self._write(
            "customers",
            f"""
            with latest as (
                select
                    customer_id,
                    arg_max(content_hash, (known_from, version)) as content_hash,
                    arg_max(is_gone, (known_from, version)) as is_gone
                from {self._read("customers")}
                group by customer_id
            ),
            current as (from warehouse.history.int_history__customers)
            select
                {literal(self.publication.version)} as version,
                cast({literal(self.publication.as_of or "")} as timestamp) as known_from,
                * exclude (changed)
            from (
                select false as is_gone, current.*, true as changed
                from current
                left join latest on current.customer_id = latest.customer_id
                where latest.is_gone is not false or latest.content_hash <> current.content_hash
                union all by name
                select true as is_gone, customer_id, '' as content_hash, true as changed
                from latest
                where not is_gone and customer_id not in (select customer_id from current)
            )
            order by customer_id
            """,
        )

    def write_into_one(self) -> None:
        """Many small files of customers as one; rows know which publication they are of."""
        files = _kept(self.lake, self.company, "customers")
        if len(files) <= MOST_FILES:
            return
        name = f"{files[0].version}..{max(f.last_version for f in files)}__all.parquet"
        target = self.lake.path(PUBLISHED_DATASET, self.company, "customers", name)
        # one that has died before the others were removed has left rows twice
        self._put(target, f"select distinct * from {self._read('customers')} order by all")
        for file in files:
            if file.path != target:
                self.lake.fs.rm_file(file.path)

    def forget_erased(self) -> None:
        """Take those whom no source knows any more out of every file."""
        paths = {
            self.lake.readable(file.path): file.path
            for kind in ("customers", "kpi_customers")
            for file in _kept(self.lake, self.company, kind)
        }
        if not paths:
            return
        erased = (
            "customer_id not in (select customer_id from warehouse.history.int_history__living)"
            " and customer_id is not null"
        )
        listed = ", ".join(map(literal, paths))
        for (path,) in self.connection.execute(
            f"select distinct filename from read_parquet([{listed}], filename = true,"
            f" union_by_name = true) where {erased}"
        ).fetchall():
            source = f"read_parquet({literal(path)})"
            self._put(paths[path], f"select * from {source} where not ({erased})")

    def _read(self, kind: str) -> str:
        """The files of a kind as a relation; without rows where there are none."""
        nothing = (
            "select null::varchar as customer_id, null::varchar as content_hash,"
            " null::boolean as is_gone, null::timestamp as known_from, null::varchar as version"
            " limit 0"
        )
        files = ", ".join(
            literal(self.lake.readable(f.path)) for f in _kept(self.lake, self.company, kind)
        )
        if not files:
            return f"({nothing})"
        return f"read_parquet([{files}], union_by_name = true)"

    def _write(self, kind: str, query: str) -> None:
        name = f"{self.publication.version}__{self.publication.fingerprint}.parquet"
        self._put(self.lake.path(PUBLISHED_DATASET, self.company, kind, name), query)

    def _put(self, target: str, query: str) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        local = self.scratch / "published.parquet"
        self.connection.execute(
            f"copy ({query}) to {literal(local)} (format parquet, compression zstd)"
        )
        self.lake.write(local.read_bytes(), target)
        local.unlink()


def _kept(lake: Lake, company: str, kind: str) -> list[_Kept]:
    """Oldest first: versions sort by time, names of files do not where one has a suffix."""
    paths = lake.files(PUBLISHED_DATASET, company, kind)
    kept = [_Kept(path) for path in paths if path.endswith(".parquet")]
    return sorted(kept, key=lambda file: (file.last_version, file.path))
