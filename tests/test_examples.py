"""The example exports: what is committed is what the generator writes, and the mapping reads it."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.make_exports import make_exports
from ingestion.concepts import load_concepts
from ingestion.exports.mapping import FileMapping, load_mapping
from ingestion.exports.reader import check_header, read_documents
from ingestion.sources.exports import find_files

EXAMPLES = Path(__file__).parent.parent / "examples"
EXPORTS = EXAMPLES / "exports"
MAPPING = load_mapping(EXAMPLES / "mapping.yml")
TABLES = {f"{source}.{table}": (source, table, spec) for source, table, spec in MAPPING.tables()}
ENCODINGS = {"shop": "utf-8-sig", "crm": "cp1252", "support": "utf-8", "survey": "utf-16"}


def content(path: Path) -> bytes | pa.Table:
    """What a file says; how it is compressed depends on the version of a library."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def count_records(path: Path, source: str) -> int:
    """Records of a file, counted without the reader under test."""
    data = content(path)
    if isinstance(data, pa.Table):
        return data.num_rows
    lines = data.decode(ENCODINGS[source]).splitlines()
    return len(lines) if "ndjson" in path.name else len(list(csv.reader(lines))) - 1


def documents(path: Path, spec: FileMapping) -> pa.Table:
    return pa.concat_tables(
        read_documents(path, spec, extracted_at=datetime(2026, 10, 1, tzinfo=UTC))
    )


def shop_orders() -> pd.DataFrame:
    frames = [
        pd.read_csv(p, dtype=str, encoding="utf-8-sig") for p in EXPORTS.glob("shop/orders_*")
    ]
    orders = pd.concat(frames).set_index("Order No.")
    return orders[orders["Ordered At"] < "2026-10"]  # without the one of month 13


def cents(amounts: pd.Series) -> pd.Series:
    return amounts.astype(float).mul(100).round().astype(int)


def test_generator_writes_the_committed_files(tmp_path: Path) -> None:
    make_exports(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert made == sorted(p.relative_to(EXPORTS) for p in EXPORTS.rglob("*") if p.is_file())
    different = [name for name in made if content(tmp_path / name) != content(EXPORTS / name)]
    assert different == []


def test_mapping_fills_every_concept_from_every_file() -> None:
    filled = {r.concept for _, _, spec in TABLES.values() for r in spec.all_records()}
    # the answers of survey tools, each apart, and the clocks of help desks are for connectors
    told_by_connectors = {
        "survey_question", "survey_choice", "survey_submission", "survey_answer",
        "schedule", "schedule_interval", "schedule_holiday", "sla_target", "sla_event",
        "ticket_metric_set",
    }  # fmt: skip
    assert filled == set(load_concepts()) - told_by_connectors
    read = {
        path for source, table, _ in TABLES.values() for path in find_files(MAPPING, source, table)
    }
    assert read == {p.resolve() for p in EXPORTS.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", TABLES)
def test_every_record_becomes_a_document(name: str) -> None:
    source, table, spec = TABLES[name]
    for path in find_files(MAPPING, source, table):
        check_header(path, spec, MAPPING.columns(source, table))
        assert documents(path, spec).num_rows == count_records(path, source), path.name


def test_exactly_two_rows_cannot_be_shaped() -> None:
    problems = {
        (path.name, problem.as_py())
        for source, table, spec in TABLES.values()
        for path in find_files(MAPPING, source, table)
        for problem in documents(path, spec)["_problem"].drop_null()
    }
    assert problems == {
        ("order_lines.csv", "row has 3 fields, the header has 5"),
        ("tickets.ndjson", "not a JSON object"),
    }


def test_total_is_lines_and_tax_and_shipping_less_discount() -> None:
    orders = shop_orders()
    lines = pd.read_csv(EXPORTS / "shop/order_lines.csv", dtype=str, encoding="utf-8-sig")
    lines = lines[lines["Unit Price"].notna() & ~lines["Unit Price"].str.startswith("-", na=False)]
    goods = (cents(lines["Unit Price"]) * lines.Qty.astype(int)).groupby(lines["Order No."]).sum()
    stated = cents(orders.Total) + cents(orders.Discount)
    assert (stated == goods[orders.index] + cents(orders.Tax) + cents(orders.Shipping)).all()


def test_september_is_late_and_unhappy_as_august_is_not() -> None:
    orders = shop_orders()
    delivered = orders[orders["Delivered At"].notna()]
    late = (delivered["Delivered At"].str[:10] > delivered["Promised By"]).groupby(
        delivered["Delivered At"].str[:7]
    )
    assert late.mean()["2026-08"] < 0.1
    assert late.mean()["2026-09"] > 0.4
    answers = pq.read_table(EXPORTS / "survey/responses.parquet").to_pandas()
    csat = answers[(answers.survey == "CSAT") & (answers.score <= 5)]
    score = csat.score.groupby(csat.answered_at.dt.strftime("%Y-%m")).mean()
    assert score["2026-08"] - score["2026-09"] > 0.5
