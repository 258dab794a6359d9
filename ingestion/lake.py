"""What is in the lake: complete loads and their files. This alone decides what is readable."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import duckdb
import fsspec

from ingestion.errors import CxmError

IDENTITY_DATASET = "_identity"  # the registry of customer ids; written by the warehouse side
PUBLISHED_DATASET = "_published"  # what was published, kept to tell changes; likewise


@dataclass(frozen=True)
class Load:
    """A load that dlt marked complete; `files` by table, absolute paths or URLs."""

    load_id: str
    inserted_at: str
    files: dict[str, list[str]] = field(default_factory=dict)


class Lake:
    """A folder or bucket with one dataset per source: `<dataset>/<table>/<load id>.<n>.parquet`."""

    def __init__(self, url: str) -> None:
        if "://" not in url:
            url = Path(url).resolve().as_uri()
        self.url = url.rstrip("/")
        self.is_local = self.url.startswith("file://")
        # in a file URL a blank is %20, in a path it is not
        place = url2pathname(urlsplit(self.url).path) if self.is_local else self.url
        self.fs, self.root = fsspec.core.url_to_fs(place)
        # dlt and we write behind fsspec's back, so its listings must not be cached
        self.fs.use_listings_cache = False

    def path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    def readable(self, path: str) -> str:
        """The form of a path that DuckDB reads."""
        return path if self.is_local else f"{self.url.split('://')[0]}://{path}"

    def files(self, *parts: str) -> list[str]:
        """Paths of all files below a folder; empty where the folder is absent."""
        self.fs.invalidate_cache()
        try:
            return sorted(self.fs.find(self.path(*parts)))
        except FileNotFoundError:
            return []

    def complete_loads(self, dataset: str) -> list[Load]:
        """Loads of a dataset that dlt finished, oldest first. Half-written ones do not show."""
        marks: dict[str, str] = {}
        for path in self.files(dataset, "_dlt_loads"):
            mark = self._read_mark(path)
            if mark is not None and mark.get("status") == 0:
                marks[str(mark["load_id"])] = str(mark["inserted_at"])
        files: dict[str, dict[str, list[str]]] = {load_id: {} for load_id in marks}
        for path in self.files(dataset):
            table, name = path.rsplit("/", 2)[-2:]
            if not name.endswith(".parquet") or table.startswith("_dlt"):
                continue
            load_id = ".".join(name.split(".")[:2])
            if load_id in files:
                files[load_id].setdefault(table, []).append(self.readable(path))
        return [Load(i, marks[i], files[i]) for i in sorted(marks, key=float)]

    def discard_incomplete(self, dataset: str) -> int:
        """Remove what a load that died left behind; returns the number of files.

        dlt stores the incremental state before it marks the load complete. Were such a state kept,
        the next run would go on from there and the records of the dead load would never arrive.
        """
        complete = {load.load_id for load in self.complete_loads(dataset)}
        doomed = []
        for path in self.files(dataset):
            table, name = path.rsplit("/", 2)[-2:]
            if table in ("_dlt_loads", "_dlt_pipeline_state"):
                # <schema or pipeline>__<load id>[__<hash>].jsonl
                load_id = name.removesuffix(".jsonl").split("__")[1 if "_state" in table else -1]
            elif name.endswith(".parquet") and not table.startswith("_dlt"):
                load_id = ".".join(name.split(".")[:2])
            else:
                continue
            if load_id not in complete:
                doomed.append(path)
        for path in doomed:
            self.fs.rm_file(path)
        return len(doomed)

    def write(self, content: bytes, target: str) -> None:
        """Write a file into the lake so that it appears whole: by rename, or one upload."""
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            draft = Path(target).with_suffix(".tmp")
            draft.write_bytes(content)
            draft.replace(target)
        else:
            self.fs.pipe_file(target, content)

    def duckdb_setup(self) -> list[str]:
        """Statements after which every cursor of a DuckDB can read the lake; no secrets in them.

        The extension takes keys and region from the AWS_* variables itself when it is loaded, but
        not the endpoint of a store that is not Amazon's.
        """
        if self.is_local:
            return []
        import duckdb_extension_httpfs

        extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_*"))
        statements = [f"load '{extension}'"]
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            parts = urlsplit(endpoint)
            host = parts.netloc.rsplit("@")[-1] + parts.path.rstrip("/")
            statements += [  # global: dbt builds on several cursors of one connection
                f"set global s3_endpoint = '{host}'",
                "set global s3_url_style = 'path'",
                f"set global s3_use_ssl = {str(parts.scheme == 'https').lower()}",
            ]
        return statements

    def connect(self) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB that can read the lake."""
        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'")
        for statement in self.duckdb_setup():
            connection.execute(statement)
        return connection

    def newest_extraction(self, files: list[str]) -> str | None:
        """Latest `_extracted_at` in some files, from their footers alone; ISO 8601, UTC."""
        if not files:
            return None
        with self.connect() as connection:
            newest = connection.execute(
                "select max(cast(coalesce(stats_max_value, stats_max) as timestamptz))"
                " from parquet_metadata(?) where path_in_schema = '_extracted_at'",
                [files],
            ).fetchone()
        return newest[0].strftime("%Y-%m-%d %H:%M:%S.%f") if newest and newest[0] else None

    def _read_mark(self, path: str) -> dict[str, Any] | None:
        try:
            return json.loads(self.fs.cat_file(path))
        except ValueError:  # cut short by a crash: not complete
            return None


def check_dataset_name(dataset: str, warehouse_name: str = "warehouse") -> None:
    """Refuse a dataset named like the warehouse file: DuckDB cannot tell the two apart."""
    if dataset == warehouse_name:
        raise CxmError(
            f"the source name {dataset!r} is the name of the warehouse file: DuckDB would find "
            "every reference to it ambiguous; give the source another name"
        )
