import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from ingestion.errors import SourceError
from ingestion.exports.reader import check_header, read_documents, read_header
from tests.ingestion.conftest import NOW, file_spec

Read = Callable[..., list[dict[str, Any]]]


def test_broken_lines_become_documents_and_keep_their_place(read: Read) -> None:
    content = b'\n{"id":1,"n":1.10}\n{bad\n[1]\n"s"\n\n{"id":2} x\n{"id":"\x00"}\n {"id":"3"} \r\n'
    rows = read(content, "x.ndjson")
    assert [(row["_row"], row["_key"], row["document"], row["_problem"]) for row in rows] == [
        (2, "1", '{"id":1,"n":1.10}', None),
        (3, None, '"{bad"', "not a JSON object"),
        (4, None, '"[1]"', "not a JSON object"),
        (5, None, '"\\"s\\""', "not a JSON object"),
        (7, None, '"{\\"id\\":2} x"', "not a JSON object"),
        (8, None, '"{\\"id\\":\\"\\u0000\\"}"', "not a JSON object"),
        (9, "3", '{"id":"3"}', None),
    ]


def test_nested_keys_and_cursors(read: Read) -> None:
    content = '{"customer":{"id":"ä|1","geo":{"at":"2026"}},"line":2}\n{"line":3}\n{"x":null}\n'
    rows = read(
        content.encode("utf-16"), "x.jsonl", key=["customer.id", "line"], cursor="customer.geo.at"
    )
    assert [(row["_key"], row["_cursor"]) for row in rows] == [
        ("ä|1|2", "2026"),
        ("|3", None),
        (None, None),
    ]


def test_line_separators_inside_a_record_do_not_split_it(read: Read) -> None:
    rows = read('{"id":"a\u2028b\x85c"}\n'.encode(), "x.ndjson")
    assert [row["_key"] for row in rows] == ["a\u2028b\x85c"]


def test_a_wrong_encoding_of_json_lines_is_refused(read: Read) -> None:
    with pytest.raises(SourceError, match=r"x\.ndjson: is not UTF-8"):
        read('{"id":1}\n{"id":"é"}\n'.encode("latin-1"), "x.ndjson")


def test_a_missing_key_of_json_lines_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text('\n{"order":{"id":1}}\n')
    spec = file_spec(path="x.ndjson", key="order.idd")
    with pytest.raises(SourceError, match=r"no column 'order\.idd' \(.* 'order\.id'\)"):
        check_header(path, spec, ["order.idd", "absent"])
    check_header(path, file_spec(path="x.ndjson", key="order.id"), ["order.id", "absent"])
    path.write_text("{broken\n" + "[" * 100_000)
    assert read_header(path, spec) == []


def test_parquet_values_and_nested_members(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    moment = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    pa.parquet.write_table(
        pa.table(
            {
                "id": pa.array([2**63 - 1, None], pa.int64()),
                "ID": pa.array(["x", "y"]).dictionary_encode(),
                "amount": pa.array([Decimal("12345678901234567890.1200"), None]),
                "at": pa.array([moment, None], pa.timestamp("ns", "America/Sao_Paulo")),
                "local": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("ms")),
                "day": pa.array([date(2026, 1, 2), None]),
                "buyer": pa.array([{"id": "b", "geo": {"city": "Köln"}}, None]),
                "tags": pa.array([["a", 'b"'], []]),
                "a.b": pa.array([True, False]),
            }
        ),
        path,
    )
    spec = file_spec(path="x.parquet", key=["id", "a.b"], cursor="buyer.geo.city")
    check_header(path, spec, ["id", "buyer.geo.city", "a.b"])
    with pytest.raises(SourceError, match=r"no column 'buyer\.geo\.town'"):
        check_header(path, spec, ["buyer.geo.town"])
    (batch,) = read_documents(path, spec, extracted_at=NOW)
    first, second = batch.to_pylist()
    assert json.loads(first["document"], parse_float=Decimal) == {
        "id": 2**63 - 1,
        "ID": "x",
        "amount": Decimal("12345678901234567890.1200"),
        "at": "2026-01-02 03:04:05.0006+00",
        "local": "2026-01-02 03:04:05",
        "day": "2026-01-02",
        "buyer": {"id": "b", "geo": {"city": "Köln"}},
        "tags": ["a", 'b"'],
        "a.b": True,
    }
    assert (first["_key"], first["_cursor"], first["_row"]) == (f"{2**63 - 1}|true", "Köln", 1)
    assert (second["_key"], second["_cursor"], second["_row"]) == ("|false", None, 2)


def test_what_is_no_parquet_or_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match=r"x\.parquet: not a Parquet file"):
        read_header(path, file_spec(path="x.parquet"))
    wide = pa.table({"id": pa.array([Decimal("1.5")], pa.decimal256(50, 4))})
    pa.parquet.write_table(wide, path)
    with pytest.raises(SourceError, match=r"x\.parquet: has a column of an unknown type"):
        list(read_documents(path, file_spec(path="x.parquet"), extracted_at=NOW))
