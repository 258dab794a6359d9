"""The whole run with its lake in an object store, registry of ids included."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.pipeline.company import write_company
from tests.pipeline.conftest import Homes
from tests.support import Home


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_ids_outlive_the_warehouse_in_a_bucket(
    homes: Homes, harbor: Home, endpoint: str, tmp_path: Path
) -> None:
    credentials = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="test",
        aws_secret_access_key="canary-secret", region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket="warehouse")
    home = homes.make(
        "bucket",
        write_company(tmp_path / "company"),
        CXM_LAKE_URL="s3://warehouse/lake",
        **credentials,
    )
    assert home.run()["published_new"]
    assert home.mart_hashes() == harbor.mart_hashes()
    assert not (home.path / "lake").exists()
    stored = [o["Key"] for o in client.list_objects_v2(Bucket="warehouse")["Contents"]]
    assert any(k.startswith("lake/_identity/harbor/") for k in stored)

    (home.path / "warehouse.duckdb").unlink()
    shutil.rmtree(home.path / "published")
    assert home.run()["published_new"]
    assert home.mart_hashes() == harbor.mart_hashes()
    leaks = [
        path
        for path in home.path.rglob("*")
        if path.is_file() and b"canary-secret" in path.read_bytes()
    ]
    assert leaks == []
