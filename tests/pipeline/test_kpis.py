"""KPIs of a company that was built: what the warehouse says is what its metrics say."""

import json
from collections.abc import Iterator

import duckdb
import pytest

from dbt_project.kpis import load_contracts
from tests.kpis.metrics import Metrics
from tests.pipeline.conftest import settings_of
from tests.support import Home

KPIS = load_contracts(check_sql=False)
FIGURES = [kpi for kpi in KPIS if kpi.computed is None or kpi.computed.dimension == "all"]


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
def test_every_kpi_is_its_metric(
    metrics: Metrics, connection: duckdb.DuckDBPyConnection, grain: str
) -> None:
    compared = 0
    for kpi in FIGURES:
        if kpi.computed and grain == "all":
            continue  # its metric is of months: what is counted afresh can't be added up
        published = dict(
            connection.execute(
                "select period_start, value from marts.kpi_values where kpi_id = ?"
                " and period_grain = ? and dimension = 'all' and value is not null",
                [kpi.id, grain],
            ).fetchall()
        )
        assert metrics.values(kpi.id, grain) == pytest.approx(published, rel=1e-12), kpi.id
        compared += len(published)
    assert compared >= len(FIGURES) / 2
