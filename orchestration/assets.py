"""The assets from lake to report, in the order in which data travels."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from ingestion.errors import CxmError
from ingestion.exports.mapping import LoadedMapping
from orchestration import progress
from orchestration.alerts import leave_alert
from orchestration.gates import Layer
from orchestration.kpis import kpi_assets, newest_figures
from orchestration.lineage import column_lineage
from orchestration.manifest import parse
from orchestration.publish import DATABASE_NAME, is_done, publish_build
from orchestration.reports import write_report
from orchestration.settings import DBT_PROJECT_DIR, Settings, now
from orchestration.sources import lake_tables, load_source
from orchestration.warehouse import (
    begin_build,
    commit_identity,
    read_plan,
    record_build,
    staged_fingerprint,
    tables,
    write_plan,
)

WAREHOUSE_POOL = "warehouse"  # size 1: DuckDB has one writer
OWNERS = ["team:analytics_engineering"]
REGISTRY = dg.AssetKey(["lake", "identity_registry"])
PUBLISHED = dg.AssetKey(["published", "marts"])


def build_assets(
    settings: Settings,
) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition], dict[str, Any]]:
    mapping = settings.mapping()
    parse(settings)
    project = DbtProject(project_dir=DBT_PROJECT_DIR, target_path=settings.dbt_target)
    models = _dbt_models(settings, mapping, project)
    marts = [key for key in models.keys if key.path[0] == "marts"]
    assets = [
        *[_source_assets(settings, mapping, source) for source in mapping.sources],
        models,
        _identity_registry(settings, marts),
        _published_marts(settings, marts),
        _monthly_report(settings),
        kpi_assets(mapping, list(models.keys)),
    ]
    return assets, [_gates(settings)], {"dbt": DbtCliResource(project_dir=project)}


def lake_key(mapping: LoadedMapping, source: str, table: str) -> dg.AssetKey:
    return dg.AssetKey(["lake", mapping.spec.dataset(source), table])


def _source_assets(settings: Settings, mapping: LoadedMapping, source: str) -> dg.AssetsDefinition:
    fed = {
        table: list(dict.fromkeys(record.concept for record in spec.all_records()))
        for owner, table, spec in mapping.tables()
        if owner == source
    }
    specs = [
        dg.AssetSpec(
            lake_key(mapping, source, table),
            group_name=f"lake_{source}",
            kinds={"dlt", "parquet"},
            owners=OWNERS,
            description=f"Documents of {origin}, every version as received: "
            + (", ".join(fed.get(table, [])) or "no concept reads them"),
        )
        for table, origin in lake_tables(mapping, source).items()
    ]
    first = specs[0].key

    @dg.multi_asset(
        name=f"load_{mapping.spec.dataset(source)}",
        specs=specs,
        check_specs=[
            dg.AssetCheckSpec(
                f"{source}_loaded",
                asset=first,
                description="The last attempt to load this source came to its end.",
            )
        ],
        pool=f"source_{source}",
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[Any]:
        # A source that fails must not keep the others from being built, so this step succeeds
        # and a failed check says what is wrong; `cxm run` ends with a code that tells.
        with progress.step(f"loading {source}"):
            attempt = load_source(settings, settings.mapping(), source, now())
        for spec in specs:
            table = spec.key.path[-1]
            documents = attempt.documents.get(table, 0)
            yield dg.MaterializeResult(
                asset_key=spec.key,
                metadata={
                    "documents": documents,
                    "load_id": attempt.load_id or "nothing new",
                    **({"requests": asked} if (asked := attempt.requests.get(table)) else {}),
                    **({"error": attempt.error} if attempt.error else {}),
                },
            )
        if attempt.error:
            context.log.error(attempt.error)
            leave_alert(
                settings,
                run_id=context.run.run_id,
                job=context.run.job_name,
                step=context.op.name,
                error=attempt.error,
            )
        yield dg.AssetCheckResult(
            asset_key=first,
            check_name=f"{source}_loaded",
            passed=attempt.error is None,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "error": attempt.error or "none",
                "notes": "\n".join(attempt.notes) or "none",
            },
        )

    return load


class Translator(DagsterDbtTranslator):
    """dbt models as assets: grouped by layer, tied to the lake tables that feed their concept."""

    def __init__(self, mapping: LoadedMapping) -> None:
        super().__init__()
        self._lake: dict[str, list[dg.AssetKey]] = {}
        for source, table, spec in mapping.tables():
            for record in spec.all_records():
                model = mapping.concepts[record.concept].model
                self._lake.setdefault(model, []).append(lake_key(mapping, source, table))

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        layer = props["fqn"][1] if props["resource_type"] == "model" else "reference"
        spec = spec.replace_attributes(group_name=layer, owners=OWNERS)
        feeds = self._lake.get(props["name"].removeprefix("stg__"), [])
        if layer == "staging" and feeds:
            spec = spec.merge_attributes(deps=list(dict.fromkeys(feeds)))
        return spec


def _dbt_models(
    settings: Settings, mapping: LoadedMapping, project: DbtProject
) -> dg.AssetsDefinition:
    translator = Translator(mapping)

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        name="build_warehouse",
        dagster_dbt_translator=translator,
        pool=WAREHOUSE_POOL,
    )
    def build_warehouse(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        plan, fingerprint = write_plan(settings, settings.mapping(), context.run.run_id)
        if not plan["concepts"]:
            raise CxmError("no source has been loaded yet, so there is nothing to build")
        forced = context.run.tags.get("cxm/full_refresh") == "true"
        if is_done(settings.published, settings.reports, fingerprint.build) and not forced:
            progress.say("nothing new: the published version is up to date")
            context.log.info("nothing new since the last publication; nothing is built")
            return
        command = [
            "build",
            "--exclude-resource-type",
            "unit_test",
            "--exclude",
            "tag:macro_vectors",
            "--log-level-file",
            "none",
        ]
        full_refresh = forced or staged_fingerprint(settings.warehouse) != fingerprint.staging
        if full_refresh:
            command.append("--full-refresh")
        with (
            progress.step("building the warehouse with dbt"),
            settings.warehouse_lock(),
        ):
            begin_build(settings.warehouse, full_refresh=full_refresh)
            # events are kept back until dbt has let go of the file and rows can be counted
            with (
                closing(
                    progress.DbtOutput(settings.home / "dbt" / "logs" / "console.log")
                ) as output,
                redirect_stdout(output),
            ):
                invocation = dbt.cli(command, context=context)
                events = list(invocation.stream())
            record_build(settings.warehouse, fingerprint, plan["as_of"])
            built = tables(settings.warehouse)
            lineage = column_lineage(
                settings,
                Path(invocation.target_path) / "compiled",
                {name: table.columns for name, table in built.items()},
            )
            shutil.rmtree(invocation.target_path, ignore_errors=True)
        for event in events:
            if isinstance(event, dg.Output):
                key = context.asset_key_for_output(event.output_name)
                name = (key.path[0], key.path[-1])
                metadata: dict[str, Any] = {**event.metadata}
                if name in built:
                    metadata["dagster/row_count"] = built[name].rows
                if name in lineage:
                    metadata["dagster/column_lineage"] = lineage[name]
                event = event.with_metadata(metadata)
            yield event

    return build_warehouse


def _gates(settings: Settings) -> dg.AssetChecksDefinition:
    landed = dg.AssetKey(["quality", "load_accounts"])
    customer_360 = dg.AssetKey(["marts", "customer_360"])

    @dg.multi_asset_check(
        name="gates",
        specs=[
            dg.AssetCheckSpec(
                "landed_data",
                asset=landed,
                blocking=True,
                description="Volume, freshness and drift of what the last loads brought.",
            ),
            dg.AssetCheckSpec(
                "marts",
                asset=customer_360,
                blocking=True,
                description="What must hold of the marts before anybody reads them.",
            ),
        ],
        pool=WAREHOUSE_POOL,
    )
    def gates(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from orchestration.gates import run_gates

        with (
            progress.step("checking the gates"),
            settings.warehouse_lock(),
        ):
            outcome = run_gates(settings, settings.mapping(), context.run.run_id)
        gates: list[tuple[Layer, dg.AssetKey, str]] = [
            ("landed", landed, "landed_data"),
            ("marts", customer_360, "marts"),
        ]
        for layer, key, check in gates:
            failures = outcome.failures(layer)
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=check,
                passed=not failures,
                severity=dg.AssetCheckSeverity.ERROR
                if outcome.blocks(layer)
                else dg.AssetCheckSeverity.WARN,
                metadata={
                    "page": dg.MetadataValue.path(str(outcome.page)),
                    "checks": outcome.count(layer),
                    "failures": "\n".join(failures) or "none",
                },
            )

    return gates


def _identity_registry(settings: Settings, marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=REGISTRY,
        deps=marts,
        group_name="identity",
        kinds={"parquet"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description="Customer ids given out, append-only, in the lake: they outlive the warehouse.",
    )
    def identity_registry() -> dg.MaterializeResult:
        with settings.warehouse_lock():
            added = commit_identity(
                settings.warehouse, settings.lake, read_plan(settings)["company"]
            )
        progress.say(f"identity registry: {added:,} new assignments")
        return dg.MaterializeResult(metadata={"assignments_added": added})

    return identity_registry


def _published_marts(settings: Settings, marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=PUBLISHED,
        deps=[REGISTRY, *marts],
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        # loads are attempted whether or not a source has news; publishing means news
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=7), warn_window=timedelta(days=2)
        ),
        description="The marts as BI tools read them: published/current, swapped in one step.",
    )
    def published_marts(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with (
            progress.step("publishing"),
            settings.warehouse_lock(),
        ):
            publication = publish_build(settings)
        for figure in newest_figures(settings.published / "current" / DATABASE_NAME):
            context.log_event(figure)
        return dg.MaterializeResult(
            metadata={
                "version": publication.version,
                "dagster/row_count": sum(publication.rows.values()),
                "path": dg.MetadataValue.path(str(settings.published / "current")),
            }
        )

    return published_marts


def _monthly_report(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["reports", "monthly"]),
        deps=[PUBLISHED],
        group_name="reports",
        kinds={"html"},
        owners=OWNERS,
        description="What the company looks like to its customers, this month against last.",
    )
    def monthly_report() -> dg.MaterializeResult:
        with progress.step("writing the report"):
            info = write_report(settings)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(info.path)),
                "month": str(info.month or "none"),
                "changed": ", ".join(info.changed) or "none",
                "not computable": ", ".join(info.missing) or "none",
            }
        )

    return monthly_report
