"""A small company with one table of orders, whose files the tests write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.exports.mapping import FileMapping, load_mapping
from ingestion.exports.reader import read_documents
from ingestion.lake import Lake
from ingestion.sources.exports import ExportLoad, load_exports

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEADER = "id,state,at,buyer\n"
MAPPING = """\
version: 1
company: acme
reporting_currency: EUR
sources:
  shop:
    files:
      orders:
        path: "orders*.csv"
        key: id
        concept: order
        fields: {order_id: id, status: state, ordered_at: at, person_record_id: buyer}
"""


def order_rows(*numbers: int) -> str:
    return "".join(f"{n},paid,2026-01-01,b{n}\n" for n in numbers)


def file_spec(**settings: Any) -> FileMapping:
    return FileMapping(**{"path": "x.csv", "key": "id", "concept": "order", **settings})


@dataclass
class Company:
    """Its folder, its lake, and one run of a source into that lake."""

    root: Path
    lake: Lake

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, source: str = "shop") -> ExportLoad:
        return load_exports(
            load_mapping(self.root / "mapping.yml"),
            source,
            lake=self.lake,
            state_dir=self.root / "state",
            now=NOW,
        )

    def loaded_keys(self, source: str = "shop", table: str = "orders") -> list[str]:
        """Keys of all documents in complete loads, in the order in which they arrived."""
        loads = self.lake.complete_loads(f"acme_{source}")
        files = [load.files[table] for load in loads if table in load.files]
        with self.lake.connect() as connection:
            return [
                key
                for names in files
                for (key,) in connection.execute(
                    "select _key from read_parquet(?) order by _origin, _row", [names]
                ).fetchall()
            ]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    made = Company(tmp_path, Lake(str(tmp_path / "lake")))
    made.write("mapping.yml", MAPPING)
    return made


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """All documents of a file with that content, as rows."""

    def read_content(content: bytes, name: str = "x.csv", **settings: Any) -> list[dict[str, Any]]:
        path = tmp_path / name
        path.write_bytes(content)
        batches = read_documents(path, file_spec(**settings), extracted_at=NOW)
        return [row for batch in batches for row in batch.to_pylist()]

    yield read_content
