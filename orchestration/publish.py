"""Publishing: write a new version, audit it, swap one link. Readers never see half of one."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from ingestion.errors import CxmError
from ingestion.sql import literal
from orchestration.history import keep_published
from orchestration.settings import Settings, now
from orchestration.warehouse import read_plan, recorded_build

STORAGE_VERSION = "v1.2.0"  # so that clients from DuckDB 1.2 on can open the file
PUBLISHED_SCHEMAS = ("marts", "quality")
DATABASE_NAME = "cxm.duckdb"


@dataclass(frozen=True)
class Publication:
    """One published version; `fingerprint` says what it was built from."""

    version: str
    fingerprint: str
    as_of: str | None
    published_at: str
    rows: dict[str, int]


def publish_build(settings: Settings) -> Publication:
    """Publish what the warehouse was last built to, under the time and limits of the settings.

    What was published is kept in the lake, too, for later builds to tell what changed since.
    """
    fingerprint, as_of = recorded_build(settings.warehouse)
    publication = publish(
        settings.warehouse,
        settings.published,
        fingerprint=fingerprint,
        as_of=as_of,
        at=now(),
        keep=settings.keep_versions,
    )
    company = read_plan(settings)["company"]
    keep_published(settings.warehouse, settings.lake, company, publication)
    return publication


def publish(
    warehouse: Path,
    published: Path,
    *,
    fingerprint: str,
    as_of: str | None,
    at: datetime,
    keep: int,
) -> Publication:
    """Copy the marts into a new version and make it the current one.

    Raises:
        CxmError: it could not be written (a full disk, say) or what was written differs from the
            warehouse. The current version is then what it was.
    """
    versions = published / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    for leftover in versions.glob(".draft-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    version = _next_version(versions, at)
    draft = versions / f".draft-{version}"
    try:
        draft.mkdir()
        rows = _write(warehouse, draft, version, as_of)
        publication = Publication(version, fingerprint, as_of, at.isoformat(), rows)
        (draft / "manifest.json").write_text(json.dumps(asdict(publication), indent=1))
        _sync(draft)
        draft.replace(versions / version)
        _point_to(published, version)
    except (duckdb.Error, OSError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise CxmError(
            f"publishing failed, the version before stays current: {error}. "
            f"Check the space left on the disk of {published} and run again."
        ) from error
    _retire(published, keep)
    return publication


def rollback(published: Path, to: str | None = None) -> Publication:
    """Make an earlier version current: the one before, or the one named.

    Raises:
        CxmError: there is no such version.
    """
    current = current_publication(published)
    versions = [p.version for p in publications(published)]
    if current is None:
        raise CxmError("nothing has been published yet")
    if to is None:
        earlier = [v for v in versions if v < current.version]
        if not earlier:
            raise CxmError(f"{current.version} is the oldest version kept; there is none before it")
        to = earlier[-1]
    elif to not in versions:
        raise CxmError(f"no version {to!r}; kept are {', '.join(versions)}")
    _point_to(published, to)
    return _read(published / "versions" / to)


def publications(published: Path) -> list[Publication]:
    """All versions kept, oldest first."""
    folders = sorted((published / "versions").glob("[!.]*"))
    return [_read(folder) for folder in folders if (folder / "manifest.json").exists()]


def current_publication(published: Path) -> Publication | None:
    """The version that readers see, if there is one."""
    link = published / "current"
    return _read(link) if (link / "manifest.json").exists() else None


def is_done(published: Path, reports: Path, fingerprint: str) -> bool:
    """Whether the newest version has this fingerprint and the run that made it came to its end.

    The report is the last thing a run writes: one that died before it, perhaps between naming the
    version and pointing to it, is to be repeated. A version that was rolled back is done.
    """
    newest = publications(published)[-1:]
    latest = (reports / "latest.html").resolve()
    return (
        bool(newest)
        and newest[0].fingerprint == fingerprint
        and latest.parent.name == newest[0].version
        and latest.exists()
        and (published / "current").exists()
    )


def _write(warehouse: Path, draft: Path, version: str, as_of: str | None) -> dict[str, int]:
    target = draft / DATABASE_NAME
    rows: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach {literal(warehouse)} as warehouse (read_only)")
        connection.execute(
            f"attach {literal(target)} as target (storage_version '{STORAGE_VERSION}')"
        )
        connection.execute("use warehouse")
        tables = connection.execute(
            "select schema_name, table_name, comment from duckdb_tables()"
            " where schema_name in (select unnest(?)) and database_name = 'warehouse' order by all",
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
        if not any(schema == "marts" for schema, _, _ in tables):
            raise CxmError("the warehouse has no marts yet; run `cxm run` first")
        for schema in PUBLISHED_SCHEMAS:
            connection.execute(f"create schema if not exists target.{schema}")
        for schema, table, _ in tables:
            name = f'"{schema}"."{table}"'
            connection.execute(f"create table target.{name} as select * from {name} order by all")
            (draft / "parquet" / schema).mkdir(parents=True, exist_ok=True)
            file = draft / "parquet" / schema / f"{table}.parquet"
            connection.execute(
                f"copy target.{name} to {literal(file)} (format parquet, compression zstd)"
            )
            counts = connection.execute(
                f"select (select count(*) from {name}), (select count(*) from target.{name}),"
                f" (select count(*) from read_parquet({literal(file)}))"
            ).fetchone()
            assert counts is not None
            if len(set(counts)) != 1:
                raise CxmError(f"{schema}.{table}: warehouse, file and Parquet have {counts} rows")
            rows[f"{schema}.{table}"] = counts[0]
        _copy_descriptions(connection)
        connection.execute(
            "create table target.quality.publication as"
            " select ? as version, cast(? as timestamp) as as_of",
            [version, as_of],
        )
        connection.execute("checkpoint target")
        connection.execute("detach target")
    return rows


def _copy_descriptions(connection: duckdb.DuckDBPyConnection) -> None:
    """What BI tools show beside a table and a column; copying the rows leaves it behind."""
    described = connection.execute(
        "select * from ("
        " select 'table' as kind, database_name, schema_name, table_name, null, comment"
        " from duckdb_tables() union all"
        " select 'column', database_name, schema_name, table_name, column_name, comment"
        " from duckdb_columns()"
        ") where database_name = 'warehouse' and comment is not null"
        " and schema_name in (select unnest(?))",
        [list(PUBLISHED_SCHEMAS)],
    ).fetchall()
    for kind, _, schema, table, column, comment in described:
        name = f'target."{schema}"."{table}"' + (f'."{column}"' if column else "")
        connection.execute(f"comment on {kind} {name} is {literal(comment)}")


def _next_version(versions: Path, at: datetime) -> str:
    """Versions sort by time; a second one in the same second gets a suffix."""
    base = at.strftime("%Y%m%dT%H%M%SZ")
    existing = {p.name for p in versions.iterdir()}
    newest = max(existing, default="")
    if newest < base:
        return base
    stem, _, count = newest.partition("-")
    return f"{stem}-{int(count or 0) + 1:04d}"


def _point_to(published: Path, version: str) -> None:
    link, draft = published / "current", published / ".current-draft"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("versions") / version, target_is_directory=True)
    draft.replace(link)


def _retire(published: Path, keep: int) -> None:
    current = (published / "current").readlink().name
    for publication in publications(published)[:-keep]:
        if publication.version != current:
            shutil.rmtree(published / "versions" / publication.version, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Bytes on the disk before the name: a power cut leaves the old version or the new one."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())


def _read(folder: Path) -> Publication:
    return Publication(**json.loads((folder / "manifest.json").read_text()))
