"""Traps that other systems fell into."""

from pathlib import Path

import pytest

from ingestion.errors import CxmError
from ingestion.lake import Lake
from ingestion.pipeline import lake_pipeline
from tests.pipeline.conftest import dbt, settings_of
from tests.support import Home


def test_a_dataset_named_like_the_warehouse_is_refused(tmp_path: Path, harbor: Home) -> None:
    name = settings_of(harbor).warehouse.stem
    with pytest.raises(CxmError, match=f"'{name}' is the name of the warehouse file"):
        lake_pipeline(Lake(str(tmp_path / "lake")), name, tmp_path)
    assert not (tmp_path / "lake").exists()


def test_chains_are_closed(harbor: Home) -> None:
    """A and C have nothing in common, but both have something in common with B."""
    identifiers = "select identifier_type, identifier_value from identity.int_identity__identifiers"
    a, b, c = (
        set(harbor.warehouse(f"{identifiers} where record_key = '{key}'"))
        for key in ("shop:C10", "crm:K2", "shop:C11")
    )
    assert not a & c and a & b and b & c
    customers = "select count(distinct customer_id) from marts.bridge_customer_records"
    assert harbor.one(f"{customers} where record_key in ('shop:C10', 'crm:K2', 'shop:C11')") == 1


def test_a_payment_that_is_authorised_then_captured_counts_once(harbor: Home) -> None:
    kinds = "select distinct kind, status from unified.payments order by all"
    assert harbor.warehouse(kinds) == [
        ("authorization", "success"), ("capture", "failure"), ("capture", "success"),
        ("sale", "success"),
    ]  # fmt: skip
    paid = "select distinct cast(paid_amount as double) from marts.fct_orders where payments > 0"
    assert harbor.query(paid) == [(12.5,)]


def test_nps_on_another_scale_is_no_nps_and_is_told(harbor: Home) -> None:
    """Of 15 answers 7 were asked on 1-10; the other 8 have one promoter and six detractors."""
    kpi = "select value, n from marts.kpi_values where period_grain = 'all' and dimension = 'all'"
    assert harbor.one(f"{kpi} and kpi_id = 'nps'") == (-62.5, 8)
    assert harbor.one(f"{kpi} and kpi_id = 'nps_responses'") == (15, 15)
    found = [f for f in harbor.status()["findings"] if f["finding"] == "unexpected_scale"]
    assert [(f["model"], f["source"], f["records"]) for f in found] == [
        ("survey_responses", "shop", 7)
    ]


def test_unit_tests_of_the_models_hold(harbor: Home) -> None:
    done = dbt(harbor, "test", "--select", "test_type:unit", "tag:macro_vectors", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
