"""KPIs as assets: what each is, which model makes it, what that is read from, its newest figure."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import duckdb

from ingestion.exports.mapping import LoadedMapping
from orchestration.settings import DBT_PROJECT_DIR

# answers that a survey system gives question by question are scored here
SCORED = {"survey_response": ("survey_response", "survey_submission", "survey_answer")}
SEED = DBT_PROJECT_DIR / "seeds" / "kpis.csv"


def kpi_key(kpi_id: str) -> dg.AssetKey:
    return dg.AssetKey(["kpi", kpi_id])


def kpi_assets(mapping: LoadedMapping, models: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """One asset per KPI, below the model that makes its figures. Nothing runs for them.

    Args:
        models: keys of all dbt models.
    """
    by_name = {key.path[-1]: key for key in models}
    feeds: dict[str, list[str]] = {}
    for source, table, spec in mapping.tables():
        for record in spec.all_records():
            feeds.setdefault(record.concept, []).append(f"{source}.{table}")
    with SEED.open(newline="", encoding="utf-8") as rows:
        return dg.AssetsDefinition(
            specs=[_spec(row, by_name[row["model"]], feeds) for row in csv.DictReader(rows)]
        )


def _spec(kpi: dict[str, str], model: dg.AssetKey, feeds: dict[str, list[str]]) -> dg.AssetSpec:
    needs = kpi["requires"].split()
    concepts = [option.split(".")[0] for need in needs for option in need.split("|")]
    read = {part for concept in concepts for part in SCORED.get(concept, (concept,))}
    objects = sorted({name for concept in read for name in feeds.get(concept, [])})
    return dg.AssetSpec(
        kpi_key(kpi["kpi_id"]),
        deps=[model],
        group_name=f"kpi_{kpi['stage']}",
        kinds={"kpi"},
        owners=[f"team:{kpi['owner_team'].replace(' ', '_')}"],
        description=f"**{kpi['name']}**: {kpi['definition']}",
        code_version=kpi["definition_hash"],
        tags={"level": kpi["level"], "headline": kpi["is_headline"]},
        metadata={
            "unit": kpi["unit"],
            "version": int(kpi["kpi_version"]),
            "defined in": kpi["source"],
            "interval": kpi["interval"] or "none",
            "better": kpi["better"],
            "fields needed": ", ".join(needs).replace("|", " or "),
            "source objects": ", ".join(objects) or "none is connected",
            "figures": f"from marts.kpi_values where kpi_id = '{kpi['kpi_id']}'",
        },
    )


def newest_figures(database: Path) -> Iterator[dg.AssetMaterialization]:
    """Each KPI's figure of the last month that has ended, or of all time where it has no months."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute("""
            with today as (
                select coalesce(max(as_of_on), cast(max(as_of) as date)) as today
                from marts.customer_360
            )

            select kpi_id, coalesce(strftime(period_start, '%Y-%m'), 'all') as period,
                value, n, ci_low, ci_high
            from marts.kpi_values cross join today
            where dimension = 'all' and value is not null and (
                period_grain = 'all'
                or period_grain = 'month' and period_start < date_trunc('month', today)
            )
            qualify row_number() over (
                partition by kpi_id order by period_start desc nulls last
            ) = 1
            order by kpi_id
        """).fetchall()  # fmt: skip
    for kpi_id, period, value, n, low, high in found:
        interval = {} if low is None or high is None else {"ci_low": low, "ci_high": high}
        yield dg.AssetMaterialization(
            kpi_key(kpi_id), metadata={"value": value, "period": period, "n": n, **interval}
        )
