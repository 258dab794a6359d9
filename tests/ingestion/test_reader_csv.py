import codecs
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.errors import SourceError
from ingestion.exports import reader
from ingestion.exports.reader import check_header, read_documents, read_header
from tests.ingestion.conftest import NOW, file_spec

Read = Callable[..., list[dict[str, Any]]]


def records(rows: list[dict[str, Any]]) -> list[Any]:
    return [json.loads(row["document"]) for row in rows]


@pytest.mark.parametrize(
    ("encoding", "setting", "text"),
    [
        ("utf-8", None, "Zoë 😀 \u2028 é"),
        ("utf-8-sig", None, "Zoë 😀"),
        ("utf-16", None, "Zoë 😀"),
        ("utf-32", None, "Zoë 😀"),
        ("cp1252", "cp1252", "Zoë – 5 €"),
        ("latin-1", "latin-1", "Zoë ½"),
        ("koi8-r", "koi8-r", "Привет"),
        ("utf-16-le", "utf-16-le", "Zoë 😀"),
    ],
)
def test_every_encoding_gives_the_same_text(
    read: Read, encoding: str, setting: str | None, text: str
) -> None:
    content = f'id;"name"\r\n1;"{text}"\r\n2;b\r\n'.encode(encoding)
    rows = read(content, encoding=setting)
    assert records(rows) == [{"id": "1", "name": text}, {"id": "2", "name": "b"}]
    assert [row["_key"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("bom", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")]
)
def test_a_byte_order_mark_beats_the_mapping(read: Read, bom: bytes, encoding: str) -> None:
    content = bom + "id,name\n1,Zoë\n".encode(encoding)
    assert records(read(content, encoding="cp1252")) == [{"id": "1", "name": "Zoë"}]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_read_off_the_header(read: Read, delimiter: str) -> None:
    content = f'id{delimiter}"a;,\t|;,\t|"\n1{delimiter}2\n'.encode()
    assert records(read(content)) == [{"id": "1", "a;,\t|;,\t|": "2"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'id,a\n1,"x\ny"\n2,"x\r\ny"\n', ["x\ny", "x\r\ny"]),
        (b'id,a\n1,"say ""hi"""\n2,5" disc\n', ['say "hi"', '5" disc']),
        (b"id,a\r\n1,x\r\n2,y\r\n", ["x", "y"]),
        (b"id,a\r1,x\r2,y\r", ["x", "y"]),
        (b"id,a\n1,x\n2,y", ["x", "y"]),
        (b"\n\nid,a\n\n1,x\n\n2,y\n\n", ["x", "y"]),
        (b"id,a\n1, x \n2,\n", [" x ", ""]),
        (b"id,a\n1,x\x00y\n2,007\n", ["x\x00y", "007"]),
        (b'id, a \n1,"break at end\n"\n2,"here too\n"\n', ["break at end\n", "here too\n"]),
    ],
)  # fmt: skip
def test_values_arrive_as_written(read: Read, content: bytes, expected: list[str]) -> None:
    rows = read(content)
    assert [record["a"] for record in records(rows)] == expected
    assert [row["_row"] for row in rows] == [1, 2]
    assert [row["_problem"] for row in rows] == [None, None]


def test_a_header_may_hold_a_line_break(read: Read) -> None:
    rows = read(b'id,"a\nb",c\n1,2,3\n4,5\n6,7,8\n')
    assert records(rows) == [
        {"id": "1", "a\nb": "2", "c": "3"},
        {"id": "6", "a\nb": "7", "c": "8"},
        "4,5",
    ]
    assert [row["_row"] for row in rows] == [1, 3, 2]


def test_names_that_sql_cannot_tell_apart_or_does_not_know(read: Read) -> None:
    rows = read(b'id,ID,order,a.b,"q""x",it\'s,\n1,2,3,4,5,6,7\n')
    assert records(rows) == [
        {"id": "1", "ID": "2", "order": "3", "a.b": "4", 'q"x': "5", "it's": "6", "column_7": "7"}
    ]
    assert rows[0]["_key"] == "1"


def test_a_key_of_several_columns_with_such_names(read: Read) -> None:
    rows = read(b'Order No.,"x ""y"""\n1,2\n,\n', key=["Order No.", 'x "y"'])
    assert [row["_key"] for row in rows] == ["1|2", None]


def test_rows_that_do_not_fit_become_documents_and_shift_no_number(read: Read) -> None:
    rows = read(b"id,a\nx\n1,2\n\n3\n4,5,6\n7,8\ny,z,w")
    assert {row["_row"]: json.loads(row["document"]) for row in rows} == {
        1: "x",
        2: {"id": "1", "a": "2"},
        3: "3",
        4: "4,5,6",
        5: {"id": "7", "a": "8"},
        6: "y,z,w",
    }
    assert {row["_row"]: row["_problem"] for row in rows if row["_problem"]} == {
        1: "row has 1 fields, the header has 2",
        3: "row has 1 fields, the header has 2",
        4: "row has 3 fields, the header has 2",
        6: "row has 3 fields, the header has 2",
    }
    assert all(row["_key"] is None for row in rows if row["_problem"])


def test_row_numbers_hold_across_blocks(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 64)
    lines = [f"{n}" if n % 3 == 0 else f'{n},"x\n\ny"' for n in range(1, 200)]
    rows = read(("id,a\n" + "\n".join(lines) + "\n").encode())
    assert sorted(row["_row"] for row in rows) == list(range(1, 200))
    assert all(row["_key"] == str(row["_row"]) for row in rows if row["_row"] % 3)
    assert all(row["document"] == f'"{row["_row"]}"' for row in rows if row["_row"] % 3 == 0)


def test_a_megabyte_in_one_field(read: Read) -> None:
    rows = read(b"id,a\n1," + b"x" * (1 << 20) + b"\n2,y\n")
    assert [len(record["a"]) for record in records(rows)] == [1 << 20, 1]


@pytest.mark.parametrize("content", [b"id,a\n", b"id,a", b"id,a\n\n\n", b"", b"\n\n"])
def test_a_file_without_rows(read: Read, tmp_path: Path, content: bytes) -> None:
    assert read(content) == []
    header = read_header(tmp_path / "x.csv", file_spec())
    assert header == (["id", "a"] if content.strip() else None)


def gz(content: bytes) -> bytes:
    """Without the second it is made in: tests are named after it, and both workers must agree."""
    return gzip.compress(content, mtime=0)


def test_gz_is_read_by_its_name(read: Read) -> None:
    rows = read(gz("id,a\n1,é\n".encode()), "X.CSV.GZ")
    assert records(rows) == [{"id": "1", "a": "é"}]
    assert rows[0]["_origin"] == "X.CSV.GZ"


@pytest.mark.parametrize(
    ("content", "name", "settings", "message"),
    [
        (b"id,a,a\n1,2,3\n", "x.csv", {}, r"x\.csv: the header names a twice"),
        (b"id,a\n1,\xe9\n", "x.csv", {}, r"x\.csv: is not UTF-8; it looks like .*Set `encoding`"),
        (b"id,\xe9\n1,2\n", "x.csv", {}, r"x\.csv: is not UTF-8"),
        (b"id,a\n1,\xe9,3\n", "x.csv", {}, r"x\.csv: is not UTF-8"),
        (b"id\n1\n2,x\xe9\n", "x.csv", {}, r"x\.csv: is not UTF-8"),
        (b"id,a\n1,\x81\n", "x.csv", {"encoding": "cp1252"}, r"x\.csv: is not cp1252"),
        (b'id,a\n1,"cut off\n2,x\n3,y\n', "x.csv", {}, r"a quote opens in row 1 and never closes"),
        (b'id,a\n1,x\n"cut off\n2,x\n3,y\n', "x.csv", {}, r"opens in row 2 and never closes"),
        (b"id,a\n1,2\n", "x.csv.gz", {}, r"x\.csv\.gz: cannot be read"),
        (gz(b"id,a\n" + b"1,2\n" * 9999)[:-20], "x.csv.gz", {}, "cannot be read"),
        (gz(b"id,a\n1,2\n")[:-12] + b"abcdefghijkl", "x.csv.gz", {}, r"x\.csv\.gz: "),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    read: Read, content: bytes, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read(content, name, **settings)


def test_the_hint_is_the_encoding_of_a_usual_text(read: Read) -> None:
    text = (
        "Ihre Lieferung war sehr schnell; aber die Größe passt überhaupt nicht – schön ist sie.\n"
    )
    with pytest.raises(SourceError, match=r"it looks like cp125[02]"):
        read(("id\n" + "ascii first\n" * 50_000 + text * 20).encode("cp1252"))


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order_id,total\n1,2\n")
    with pytest.raises(SourceError, match=r"orders\.csv: no column 'oder_id' \(.* 'order_id'\)"):
        check_header(path, file_spec(), ["oder_id", "total"])
    check_header(path, file_spec(), ["order_id", "total"])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=8)
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=TABLES,
    delimiter=st.sampled_from([";", ",", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "koi8-r"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_comes_back_as_written(
    tmp_path: Path, table: list[list[str]], delimiter: str, encoding: str, ending: str
) -> None:
    if encoding in ("cp1252", "latin-1", "koi8-r"):  # what they cannot write is left out
        table = [[v.encode(encoding, "ignore").decode(encoding) for v in row] for row in table]
    names = [f"n{i}" for i in range(len(table[0]))]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *table])
    path = tmp_path / "x.csv"
    path.write_bytes(buffer.getvalue().encode(encoding))
    spec = file_spec(key="n0", encoding=encoding, delimiter=delimiter)
    rows = [
        row
        for batch in read_documents(path, spec, extracted_at=NOW)
        for row in batch.to_pylist()
    ]  # fmt: skip
    assert records(rows) == [dict(zip(names, row, strict=True)) for row in table]
    assert [row["_row"] for row in rows] == list(range(1, len(table) + 1))
    assert [row["_key"] for row in rows] == [row[0] or None for row in table]
