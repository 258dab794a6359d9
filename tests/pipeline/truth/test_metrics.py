"""The semantic layer of a company that uses all eight systems says what the marts say."""

import json

import duckdb
import pytest

from dbt_project.kpis import load_contracts
from tests.kpis.metrics import Metrics, compare_with_published
from tests.pipeline.conftest import settings_of
from tests.pipeline.truth.conftest import Simulated

KPIS = load_contracts(check_sql=False)


@pytest.mark.parametrize("grain", ["all", "month"])
def test_every_kpi_is_its_metric(simulated: Simulated, grain: str) -> None:
    manifest = settings_of(simulated.home).dbt_target / "semantic_manifest.json"
    # views know the warehouse by its own name
    warehouse = str(simulated.home.path / "warehouse.duckdb")
    with duckdb.connect(warehouse, read_only=True) as connection:
        metrics = Metrics(json.loads(manifest.read_text(encoding="utf-8")), connection)
        assert compare_with_published(KPIS, metrics, grain) >= len(KPIS) / 2
