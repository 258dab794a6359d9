"""What a build costs as a company grows, model by model, beside what DuckDB needs at least.

    python -m tests.benchmarks.scale 10000 20000     customers; two years each, past HTTP

The least is to read what a model reads and to write down what it gives, with the same settings.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import yaml

from ingestion.exports.mapping import LoadedMapping, load_mapping
from ingestion.simulator.company import Company
from ingestion.simulator.connection import settle
from ingestion.simulator.lake_writer import write_lake
from ingestion.sources.registry import connector_class
from orchestration.manifest import dbt_folders, put_venv_on_path
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, TELEMETRY_OFF, Settings
from orchestration.sources import load_source
from orchestration.warehouse import write_plan
from tests.benchmarks.measures import timed, timed_process

END = datetime(2026, 10, 2, tzinfo=UTC)
CONFIG = PROJECT_ROOT / "examples" / "simulated.yml"
DAYS = 730
DEAREST = 25  # models shown


@dataclass(frozen=True)
class Cost:
    """Of one model: seconds of its build, seconds of the least, rows that it gives."""

    model: str
    seconds: float
    floor: float
    rows: int


@dataclass(frozen=True)
class Build:
    """Of one company: seconds, and MiB of the largest process."""

    customers: int
    documents: int
    interactions: int
    making: float
    writing: float
    seconds: float
    peak: float
    costs: dict[str, Cost]


def main(sizes: list[int]) -> None:
    builds = []
    for customers in sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("CXM_BENCH_FOLDER")) as folder:
            builds.append(measure_build(Path(folder), customers))
        show(builds[-1], builds[-2] if len(builds) > 1 else None)


def measure_build(home: Path, customers: int) -> Build:
    """A company of so many customers is made, written into its lake and built from nothing."""
    settings, mapping = installation(home, customers)
    making = timed(lambda: make_company(home / "simulation", customers))
    start = time.perf_counter()
    documents = fill_lake(settings, mapping)
    writing = time.perf_counter() - start
    write_plan(settings, mapping)
    seconds, peak = dbt_build(settings)
    costs = {cost.model: cost for cost in model_costs(settings)}
    interactions = costs["fct_interactions"].rows
    return Build(customers, documents, interactions, making, writing, seconds, peak, costs)


def installation(home: Path, customers: int) -> tuple[Settings, LoadedMapping]:
    os.environ.update(TELEMETRY_OFF | {"CXM_HOME": str(home), "CXM_NOW": END.isoformat()})
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["simulation"] |= {"customers": customers, "days": DAYS}
    path = home / "simulated.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return Settings(home, path, str(home / "lake"), keep_versions=1), load_mapping(path)


def make_company(folder: Path, customers: int) -> None:
    horizon = timedelta(days=DAYS + 14)  # nobody is founded who never comes
    settle(Company.make(folder, customers=customers, seed=7, days=DAYS, end=END, horizon=horizon))


def fill_lake(settings: Settings, mapping: LoadedMapping) -> int:
    """All that the sources have, in one load each; returns the number of documents."""
    company, documents = Company.open(settings.simulation), 0
    for source, spec in mapping.sources.items():
        if spec.connector is None:
            attempt = load_source(settings, mapping, source, END)
            assert attempt.error is None, attempt.error
            written = attempt.documents
        else:
            vendor = import_module(f"ingestion.simulator.vendors.{spec.connector}")
            written = write_lake(
                company, vendor, connector_class(spec.connector), settings.lake,
                mapping.spec.dataset(source),
            ).documents  # fmt: skip
        documents += sum(written.values())
        print(f"  {source}: {sum(written.values()):,} documents", flush=True)
    return documents


def dbt_build(settings: Settings) -> tuple[float, float]:
    """Build what is to be built; returns seconds, and MiB at the most."""
    put_venv_on_path()
    return timed_process(
        ["dbt", "--quiet", "build", "--exclude-resource-type", "test",
         "--exclude-resource-type", "unit_test", *dbt_folders(settings)],
        cwd=DBT_PROJECT_DIR,
        env={
            **os.environ, "CXM_PLAN": str(settings.plan), "CXM_WAREHOUSE": str(settings.warehouse)
        },
    )  # fmt: skip


def model_costs(settings: Settings) -> Iterator[Cost]:
    """What the last build's models took, dearest first."""
    manifest = json.loads((settings.dbt_target / "manifest.json").read_text())["nodes"]
    results = json.loads((settings.dbt_target / "run_results.json").read_text())["results"]
    floor = settings.home / "floor.duckdb"
    with duckdb.connect(str(floor)) as connection:
        connection.execute("set memory_limit = '3GB'; set threads = 2; set TimeZone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        for result in sorted(results, key=lambda r: -r["execution_time"]):
            node = manifest[result["unique_id"]]
            if node["resource_type"] == "model":
                yield _cost(connection, node, result["execution_time"], manifest)
    floor.unlink()


def _cost(
    connection: duckdb.DuckDBPyConnection, node: dict[str, Any], seconds: float,
    manifest: dict[str, Any],
) -> Cost:  # fmt: skip
    def relation(unique_id: str) -> str:
        return f"warehouse.{manifest[unique_id]['schema']}.{manifest[unique_id]['alias']}"

    read = [relation(name) for name in node["depends_on"]["nodes"] if name in manifest]
    made = relation(node["unique_id"])

    def least() -> None:
        for one in read:
            connection.execute(f"select max(columns(*)) from {one}").fetchall()
        connection.execute(f"create table made as from {made}")

    floor = timed(least)
    connection.execute("drop table made")
    [rows] = connection.execute(f"select count(*) from {made}").fetchone() or (0,)
    return Cost(node["name"], seconds, floor, rows)


def show(build: Build, smaller: Build | None) -> None:
    """The dearest models, and by which power of the company's size each has grown."""
    print(
        f"\n{build.customers:,} customers, {build.documents:,} documents,"
        f" {build.interactions:,} interactions: made in {build.making:.0f} s, written in"
        f" {build.writing:.0f} s, built in {build.seconds:.0f} s, {build.peak:,.0f} MiB"
    )
    print(f"{'model':45}{'rows':>14}{'seconds':>9}{'least':>8}{'ratio':>7}{'growth':>8}")
    for cost in list(build.costs.values())[:DEAREST]:
        growth = ""
        if smaller and smaller.costs[cost.model].seconds > 0.5:
            times = cost.seconds / smaller.costs[cost.model].seconds
            growth = f"{times / (build.customers / smaller.customers):.2f}"
        print(
            f"{cost.model:45}{cost.rows:>14,}{cost.seconds:>9.1f}{cost.floor:>8.2f}"
            f"{cost.seconds / max(cost.floor, 0.001):>7.1f}{growth:>8}"
        )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
