"""The code location: it loads, the graph is the one we mean, nothing phones home."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dbt_project.kpis import load_contracts
from orchestration.kpis import newest_figures
from orchestration.settings import EXAMPLE_CONFIG, Settings
from tests.reports.published import small_company, value, write


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("CXM_CONFIG", str(EXAMPLE_CONFIG))
        for name in ("CXM_PLAN", "CXM_WAREHOUSE", "DAGSTER_HOME", "DBT_TARGET_PATH", "PATH"):
            patch.setenv(name, os.environ.get(name, ""))
        from orchestration.definitions import defs

        yield defs()


def key(path: str) -> dg.AssetKey:
    return dg.AssetKey(path.split("/"))


def test_data_travels_one_way_from_lake_to_report(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    upstream = graph.get(key("staging/stg__orders")).parent_keys
    assert upstream == {key("lake/nordlicht_shop/orders")}
    assert key("unified/orders") in graph.get(key("marts/fct_orders")).parent_keys
    published = graph.get(key("published/marts"))
    assert key("lake/identity_registry") in published.parent_keys
    assert {k for k in published.parent_keys if k.path[0] == "marts"} == {
        k for k in graph.get_all_asset_keys() if k.path[0] == "marts"
    }
    assert graph.get(key("reports/monthly")).parent_keys == {key("published/marts")}


def test_gates_stand_between_the_marts_and_the_readers(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for asset, name in (("quality/load_accounts", "landed_data"), ("marts/customer_360", "marts")):
        check = graph.get(dg.AssetCheckKey(key(asset), name))
        assert check.blocking, name


def test_whatever_writes_the_warehouse_takes_its_pool(definitions: dg.Definitions) -> None:
    pools = {
        node.name: node.pool
        for job in [definitions.resolve_job_def("daily")]
        for node in job.all_node_defs
        if isinstance(node, dg.OpDefinition)
    }
    writers = ["build_warehouse", "gates", "lake__identity_registry", "published__marts"]
    assert {pools[name] for name in writers} == {"warehouse"}
    assert pools["load_nordlicht_shop"] == "source_shop"


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners and spec.group_name and spec.kinds, spec.key


def test_the_schedules_run_daily_and_hourly(definitions: dg.Definitions) -> None:
    found = {s.name: s.cron_schedule for s in definitions.schedules or []}
    assert found == {"every_day": "0 5 * * *", "every_hour": "20 * * * *"}
    loads = definitions.resolve_job_def("hourly_ingestion").asset_layer.selected_asset_keys
    assert {k.path[0] for k in loads} == {"lake"}
    assert key("lake/identity_registry") not in loads


def test_dagster_itself_accepts_the_code_location(tmp_path: Path) -> None:
    settings = Settings(tmp_path, EXAMPLE_CONFIG, str(tmp_path / "lake"), 5)
    environment = {
        **os.environ,
        "CXM_HOME": str(settings.home),
        "CXM_CONFIG": str(settings.config),
        "DAGSTER_HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["dagster", "definitions", "validate", "-m", "orchestration.definitions"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_telemetry_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CXM_HOME", "CXM_CONFIG", "CXM_PLAN", "CXM_WAREHOUSE", "DAGSTER_HOME",
                 "DBT_TARGET_PATH", "DO_NOT_TRACK", "GX_ANALYTICS_ENABLED"):  # fmt: skip
        monkeypatch.setenv(name, "")
    Settings(tmp_path, EXAMPLE_CONFIG, str(tmp_path / "lake"), 5).prepare()
    environment = os.environ
    assert environment["RUNTIME__DLTHUB_TELEMETRY"] == "false"
    assert environment["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert environment["GX_ANALYTICS_ENABLED"] == "false"
    assert "telemetry:\n  enabled: false" in (tmp_path / "dagster" / "dagster.yaml").read_text()


def test_a_kpi_is_traced_to_what_it_is_read_from(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nps = key("kpi/nps")
    assert graph.get(nps).parent_keys == {key("marts/fct_survey_responses")}
    above, found = [nps], set()
    while above:
        parents = graph.get(above.pop()).parent_keys - found
        found |= parents
        above += parents
    assert key("unified/survey_responses") in found
    assert {k.to_user_string() for k in found if k.path[0] == "lake"} >= {
        "lake/nordlicht_survey/responses"
    }
    spec = next(s for s in definitions.resolve_all_asset_specs() if s.key == nps)
    assert spec.group_name == "kpi_loyalty" and "share of 9-10" in (spec.description or "")
    assert "survey.responses" in spec.metadata["source objects"]
    assert spec.code_version


def test_every_kpi_is_an_asset_that_no_job_runs(definitions: dg.Definitions) -> None:
    kpis = {k for k in definitions.resolve_asset_graph().get_all_asset_keys() if k.path[0] == "kpi"}
    assert {k.path[-1] for k in kpis} == {c.id for c in load_contracts(check_sql=False)}
    daily = definitions.resolve_job_def("daily").asset_layer.selected_asset_keys
    assert not kpis & daily and key("marts/kpi_values") in daily


def test_of_each_kpi_the_newest_month_that_has_ended_is_shown(tmp_path: Path) -> None:
    tables = small_company()
    tables["marts.kpi_values"].append(
        value("ltv_simple", None, 12.5) | {"period_grain": "all", "n": 3}
    )
    figures = {
        event.asset_key.path[-1]: {k: v.value for k, v in event.metadata.items()}
        for event in newest_figures(write(tmp_path / "cxm.duckdb", tables))
    }
    assert figures["orders"] == {"value": 16.0, "period": "2024-09", "n": 16}
    assert figures["csat"]["period"] == "2024-09" and figures["csat"]["ci_low"] < 0.75
    assert figures["ltv_simple"] == {"value": 12.5, "period": "all", "n": 3}
    assert "cohort_retention" not in figures, "it has no figure over all cohorts"
