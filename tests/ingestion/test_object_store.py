"""The same loads in a bucket; the server is local, the clients are the real ones."""

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import boto3
import duckdb
import pytest
from moto.server import ThreadedMotoServer

from ingestion.exports.mapping import load_mapping
from ingestion.exports.plan import build_plan
from ingestion.lake import Lake
from tests.ingestion.conftest import HEADER, MAPPING, Company, order_rows

SECRET = "the-secret-of-the-bucket"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def company(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Company:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"cxm-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    made = Company(tmp_path, Lake(f"s3://{bucket}/some/lake"))
    made.write("mapping.yml", MAPPING)
    return made


def test_load_again_crash_and_repeat(company: Company) -> None:
    company.write("orders_1.csv", HEADER + order_rows(1, 2))
    assert company.load().result.documents == {"orders": 2}
    assert company.load().result.load_id is None
    assert company.loaded_keys() == ["1", "2"]

    company.write("orders_2.csv", HEADER + order_rows(3))
    load_id = company.load().result.load_id
    assert load_id
    (mark,) = [p for p in company.lake.files("acme_shop", "_dlt_loads") if load_id in p]
    company.lake.fs.rm_file(mark)
    assert company.loaded_keys() == ["1", "2"]
    assert company.lake.discard_incomplete("acme_shop") == 2  # documents and state
    assert company.lake.discard_incomplete("acme_shop") == 0
    assert company.load().result.documents["orders"] == 1
    assert company.loaded_keys() == ["1", "2", "3"]


def test_a_plan_of_a_bucket_holds_no_secret_and_opens_it(company: Company) -> None:
    mapping = load_mapping(company.root / "mapping.yml")
    company.write("orders_1.csv", HEADER + order_rows(1))
    company.load()
    company.write("orders_2.csv", HEADER + order_rows(2))
    company.load()
    first, _ = company.lake.complete_loads("acme_shop")
    known_at = datetime.fromisoformat(first.inserted_at)
    plan = build_plan(mapping, company.lake, known_at=known_at)
    assert SECRET not in json.dumps(plan)
    assert plan["as_of"] == "2026-05-01 12:00:00.000000"
    (entry,) = plan["concepts"]["order"]
    assert [load["load_id"] for load in entry["loads"]] == [first.load_id]

    # as the build does: the statements on one cursor, the reading on another
    with duckdb.connect() as connection:
        for statement in plan["lake_setup"]:
            connection.cursor().execute(statement)
        documents = connection.cursor().execute(
            "select document from read_parquet(?)", [entry["loads"][0]["files"]]
        )
        assert [json.loads(text)["id"] for (text,) in documents.fetchall()] == ["1"]


def test_amazon_itself_needs_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert len(Lake("s3://bucket/lake").duckdb_setup()) == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://user:pw@store.example:9000/base/")
    assert Lake("s3://bucket/lake").duckdb_setup()[1:] == [
        "set global s3_endpoint = 'store.example:9000/base'",
        "set global s3_url_style = 'path'",
        "set global s3_use_ssl = true",
    ]
