"""KPIs of a company that was built: what the warehouse says is what its metrics say."""

import json
from collections.abc import Iterator

import duckdb
import pytest

from dbt_project.kpis import load_contracts
from tests.kpis.metrics import Metrics, compare_with_published
from tests.pipeline.conftest import settings_of
from tests.support import Home

KPIS = load_contracts(check_sql=False)


@pytest.fixture(scope="module")
def connection(harbor: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    # not attached: views know the warehouse by its own name
    with duckdb.connect(str(harbor.path / "warehouse.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def metrics(harbor: Home, connection: duckdb.DuckDBPyConnection) -> Metrics:
    manifest = settings_of(harbor).dbt_target / "semantic_manifest.json"
    return Metrics(json.loads(manifest.read_text(encoding="utf-8")), connection)


@pytest.mark.parametrize("grain", ["all", "month"])
def test_every_kpi_is_its_metric(metrics: Metrics, grain: str) -> None:
    # of a company with few systems; one that uses all is compared in truth/test_metrics.py
    assert compare_with_published(KPIS, metrics, grain) >= 20
