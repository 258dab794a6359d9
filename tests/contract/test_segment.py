"""Segment: files and signed webhooks become the messages that were sent, each of them once."""

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ingestion.lake import Lake
from ingestion.simulator.vendors.segment import push, signature
from ingestion.sources.connector import ConnectorLoad, load_connector
from ingestion.sources.segment import TYPES, Segment
from ingestion.sources.segment_webhook import is_signed, receiver
from tests.contract.conftest import END, SimulatorUnderTest

Load = Callable[[], ConnectorLoad]
NOW = datetime(2026, 10, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def load(folder: Path, lake: Lake, tmp_path: Path) -> Load:
    def run() -> ConnectorLoad:
        return load_connector(
            Segment,
            {"folder": str(folder)},
            source="web",
            company="n",
            lake=lake,
            state_dir=tmp_path / "state",
            now=NOW,
        )

    return run


def landed(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """Of every table: key, deleted, problem, document."""
    loads = lake.complete_loads("n_web")
    tables = {}
    with lake.connect() as connection:
        for table in TYPES:
            if files := [f for load in loads for f in load.files.get(table, ())]:
                tables[table] = connection.execute(
                    "select _key, _deleted, _problem, document from read_parquet(?)", [files]
                ).fetchall()
    return tables


def write(folder: Path, name: str, lines: list[bytes], *, written: datetime = NOW) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    os.utime(path, (written.timestamp(), written.timestamp()))


def message(key: str, kind: str = "track", **more: Any) -> bytes:
    return orjson.dumps(
        {"type": kind, "messageId": key, "receivedAt": "2026-10-01T00:00:00Z"} | more
    )


def test_every_message_that_was_pushed_lands_in_the_table_of_its_type(
    simulator: SimulatorUnderTest, folder: Path, lake: Lake, load: Load
) -> None:
    push(simulator.company, folder)
    load()
    expected = simulator.projection("segment", "messages")
    tables = landed(lake)
    documents = {key: document for rows in tables.values() for key, _, _, document in rows}
    assert {k: orjson.loads(d) for k, d in documents.items()} == expected
    for table, rows in tables.items():
        assert {orjson.loads(document)["type"] for *_, document in rows} == {TYPES[table]}
    assert sum(map(len, tables.values())) > len(expected), "some messages are sent twice"


def test_days_later_only_the_new_files_are_read(
    simulator: SimulatorUnderTest, folder: Path, lake: Lake, load: Load
) -> None:
    simulator.move(days=-5)
    push(simulator.company, folder)
    load()
    simulator.move(days=5)
    assert simulator.company.clock == END
    files = push(simulator.company, folder)
    done = load()
    assert done.requests == files == 5
    expected = simulator.projection("segment", "messages")
    assert {row[0] for rows in landed(lake).values() for row in rows} == expected.keys()
    assert load().result.documents == {}


def test_a_file_that_appears_late_is_read(folder: Path, lake: Lake, load: Load) -> None:
    write(folder, "b.gz", [message("2")])
    load()
    write(folder, "a.gz", [message("1")], written=NOW - timedelta(days=2))
    load()
    assert sorted(row[0] for row in landed(lake)["tracks"]) == ["1", "2"]


def test_concatenated_members_and_broken_lines(folder: Path, lake: Lake, load: Load) -> None:
    write(folder, "a.gz", [message("1"), b'{"cut', message("2", "page", context={"type": "x"})])
    with (folder / "a.gz").open("ab") as handle:
        handle.write(gzip.compress(message("3", "nonsense") + b"\n"))
    load()
    tables = landed(lake)
    assert [row[0] for row in tables["pages"]] == ["2"]
    assert sorted((row[0] or "", row[2] or "") for row in tables["tracks"]) == [
        ("", "not a JSON object"),
        ("1", ""),
        ("3", "is no call that Segment knows"),
    ]


def test_the_type_is_the_messages_own(folder: Path, lake: Lake, load: Load) -> None:
    line = b'{"context":{"device":{"type":"page"}},"type":"track","messageId":"1"}'
    write(folder, "a.gz", [line])
    load()
    assert list(landed(lake)) == ["tracks"]


def test_only_a_newline_ends_a_message(folder: Path, lake: Lake, load: Load) -> None:
    titles = ["a\u2028b", "c\x85d", "e\u2029f"]  # valid within a JSON text as they are
    lines = [
        f'{{"type":"page","messageId":"{n}","name":"{title}"}}'.encode()
        for n, title in enumerate(titles)
    ]
    write(folder, "a.gz", [lines[0] + b"\r", b"", lines[1], b" ", lines[2]])
    load()
    found = landed(lake)
    assert list(found) == ["pages"]
    assert [orjson.loads(row[3])["name"] for row in found["pages"]] == titles


def test_a_request_to_forget_lands_as_a_deletion(folder: Path, lake: Lake, load: Load) -> None:
    write(folder, "a.gz", [message("1", "delete", userId="7")])
    load()
    assert [(row[0], row[1]) for row in landed(lake)["deletes"]] == [("1", True)]


# ---- the webhook


def post(folder: Path, body: bytes, sign: bytes, *, secret: str = "s3cret") -> int:
    with TestClient(receiver(folder, "s3cret", wait_seconds=0.01)) as client:
        headers = {"x-signature": signature(sign, secret)}
        return client.post("/segment", content=body, headers=headers).status_code


def test_what_is_answered_with_success_is_on_disk_and_loads(
    folder: Path, lake: Lake, load: Load
) -> None:
    assert post(folder, message("1"), message("1")) == 200
    load()
    assert [row[0] for row in landed(lake)["tracks"]] == ["1"]


def test_of_a_batch_the_first_message_is_signed(folder: Path, lake: Lake, load: Load) -> None:
    batch = b"[" + message("1") + b"," + message("2", "page") + b"]"
    assert post(folder, batch, message("1")) == 200
    load()
    assert {table: rows[0][0] for table, rows in landed(lake).items()} == {
        "tracks": "1",
        "pages": "2",
    }


@pytest.mark.parametrize(
    ("body", "signed", "secret", "status"),
    [
        (message("1"), message("1"), "wrong", 401),
        (message("1"), message("2"), "s3cret", 401),
        (b"[]", b"[]", "s3cret", 400),
        (b'"text"', b'"text"', "s3cret", 400),
        (b"{", b"{", "s3cret", 400),
        (b'{"type":"track"}', b'{"type":"track"}', "s3cret", 400),
    ],
)
def test_what_is_not_signed_or_no_message_is_refused(
    folder: Path, body: bytes, signed: bytes, secret: str, status: int
) -> None:
    assert post(folder, body, signed, secret=secret) == status
    assert not folder.exists()


def test_requests_that_arrive_together_share_a_file(folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with TestClient(receiver(folder, "s3cret", wait_seconds=0.3)) as client:

        def send(number: int) -> int:
            body = message(str(number))
            headers = {"x-signature": signature(body, "s3cret")}
            return client.post("/segment", content=body, headers=headers).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(send, range(8))) == {200}
    files = list(folder.rglob("*.gz"))
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert len(lines) == 8
    assert len(files) < 8


@given(body=st.binary(max_size=50), header=st.text(max_size=50))
def test_no_body_and_no_header_passes_for_signed(body: bytes, header: str) -> None:
    assert not is_signed(body, [], header, "s3cret")


def test_a_full_disk_is_answered_so_that_segment_repeats(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert post(folder, message("1"), message("1")) == 503
    assert not list(folder.rglob("*.gz"))
