"""No model compares everything with everything: what DuckDB would do for each of them."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from tests.pipeline.conftest import dbt, settings_of
from tests.support import Home

# An outer join with a condition on its outer side alone is done pair by pair, whatever keys it has
# beside: such a condition belongs into the key (`case when ... then key end = other.key`).
PAIR_BY_PAIR = {
    "customer_attributes": "with the rules of survivorship, of which there are some dozen",
    "int_journey__moves": "with the possible moves between six stages",
    "int_kpis__journey": "with the causes of an end",
    "int_kpis__voice": "with the kinds of surveys",
    "int_marketing__arrivals": "distinct arrivals with the rules of channels",
    "int_marketing__conversions": "with the kinds of conversions",
    "kpi_values": "with the grains of periods",
    "survey_score_changes": "with what a score is compared to",
}


def test_nothing_is_joined_pair_by_pair(harbor: Home) -> None:
    dbt(harbor, "compile", "--select", "resource_type:model")
    settings = settings_of(harbor)
    compiled = settings.dbt_target / "compiled" / "cxm"
    manifest = json.loads((settings.dbt_target / "manifest.json").read_text())["nodes"]
    found = set()
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for node in manifest.values():
            if node["resource_type"] != "model" or node["language"] != "sql":
                continue
            path = compiled / node["original_file_path"]
            assert path.exists(), path.relative_to(compiled)
            plans = connection.execute(f"explain (format json) {path.read_text()}").fetchall()
            for _, plan in plans:
                if any(step["name"].strip() == "BLOCKWISE_NL_JOIN" for step in steps(plan)):
                    found.add(node["name"])
    assert found == PAIR_BY_PAIR.keys()


def steps(plan: str) -> Iterator[dict[str, Any]]:
    """All operators of a plan."""
    open_ones = json.loads(plan)
    while open_ones:
        step = open_ones.pop()
        yield step
        open_ones.extend(step["children"])
