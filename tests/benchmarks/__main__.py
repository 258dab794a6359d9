"""Run every benchmark, print a table, write bench.json."""

import json
import os
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestration.settings import EXAMPLE_CONFIG, PROJECT_ROOT, TELEMETRY_OFF
from tests.benchmarks.connectors import bench_connectors
from tests.benchmarks.identity import bench_identity
from tests.benchmarks.measures import Measure, measure, timed, timed_process
from tests.benchmarks.simulator import bench_simulator

ORDERS = 100_000
OLIST = PROJECT_ROOT / "tests" / "olist" / "mapping.yml"
OLIST_DATA = PROJECT_ROOT.parent / "shared" / "data" / "olist"


def main() -> None:
    os.environ.update(TELEMETRY_OFF)
    parts = (bench_ingestion, bench_simulator, bench_connectors, bench_identity, bench_run)
    measures = [measure for part in parts for measure in part()]
    table = Table("what", "value", "unit", "baseline", "baseline value", "ratio", box=None)
    for m in measures:
        table.add_row(
            m.name, f"{m.value:,.1f}", m.unit, m.baseline, f"{m.baseline_value:,.1f}",
            f"{m.ratio:.2f}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    target = PROJECT_ROOT / "bench.json"
    target.write_text(json.dumps([asdict(m) for m in measures], indent=1) + "\n")
    print(f"written to {target.name}")


def bench_ingestion() -> list[Measure]:
    """The same nested orders from the same file, into a destination of their own each."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_orders(base / "orders.ndjson", ORDERS)
        import_everything()  # so that nobody pays for it within a measure
        ours = ORDERS / timed(lambda: load_documents(base))
        default = ORDERS / timed(lambda: load_with_dlt(base, "duckdb"))
        tuned = ORDERS / timed(lambda: load_with_dlt(base, "filesystem"))
    return [
        measure("ingestion", ours, "orders/s", "dlt's default path into DuckDB", default),
        measure("ingestion", ours, "orders/s", "dlt tuned to Parquet", tuned),
    ]


def import_everything() -> None:

    import ingestion.sources.exports  # noqa: F401


def write_orders(path: Path, count: int) -> None:
    with path.open("w") as handle:
        for i in range(count):
            order = {
                "id": f"o{i}", "status": "delivered", "at": f"2026-01-{i % 28 + 1:02d}T10:00:00",
                "customer": {"id": f"c{i % 9000}", "email": f"c{i % 9000}@shop.test"},
                "lines": [
                    {"sku": f"p{(i + n) % 500}", "quantity": n + 1, "price": 19.9 + n}
                    for n in range(2)
                ],
                "note": "please leave the parcel with the neighbour " * 6,
            }  # fmt: skip
            handle.write(json.dumps(order) + "\n")


def load_documents(base: Path) -> None:
    from ingestion.exports.mapping import load_mapping
    from ingestion.lake import Lake
    from ingestion.sources.exports import load_exports

    mapping = base / "mapping.yml"
    mapping.write_text(
        "version: 1\ncompany: bench\nreporting_currency: EUR\nsources:\n  shop:\n    files:\n"
        "      orders:\n        path: orders.ndjson\n        key: id\n        concept: order\n"
        "        fields: {order_id: id, status: status, ordered_at: at}\n"
    )
    load = load_exports(
        load_mapping(mapping), "shop",
        lake=Lake(str(base / "lake")), state_dir=base / "state", now=datetime.now(UTC),
    )  # fmt: skip
    assert load.result.documents["orders"] == ORDERS


def load_with_dlt(base: Path, destination: str) -> None:
    import dlt

    def orders():
        with (base / "orders.ndjson").open() as handle:
            for line in handle:
                yield json.loads(line)

    pipeline = dlt.pipeline(
        f"bench_{destination}",
        destination=dlt.destinations.duckdb(str(base / "default.db"))
        if destination == "duckdb"
        else dlt.destinations.filesystem(str(base / "tuned")),
        dataset_name="raw",
        pipelines_dir=str(base / f"pipelines_{destination}"),
    )
    resource_of = dlt.resource(orders, name="orders", primary_key="id")
    if destination == "duckdb":
        pipeline.run(resource_of)
    else:
        pipeline.run(resource_of, loader_file_format="parquet")


def bench_run() -> list[Measure]:
    """From nothing to report, then again with nothing new."""
    config = OLIST if OLIST_DATA.exists() else EXAMPLE_CONFIG
    name = "Olist" if OLIST_DATA.exists() else "example"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        floor = timed(lambda: copy_with_duckdb(config, home / "floor.duckdb"))
        first, peak = run(config, home)
        second, _ = run(config, home)
    return [
        measure(f"{name}: nothing to report", first, "s", "DuckDB copying its CSV files", floor),
        measure(f"{name}: second run, nothing new", second, "s", "the first run", first),
        measure(f"{name}: peak memory of one process", peak, "MiB", "4 GiB", 4096),
    ]


def copy_with_duckdb(config: Path, target: Path) -> None:
    """The least anybody could do with the same files: read them once and write them down."""
    import duckdb

    from ingestion.exports.mapping import load_mapping
    from ingestion.sources.exports import find_files

    mapping = load_mapping(config)
    with duckdb.connect(str(target)) as connection:
        for source, table, spec in mapping.files():
            for number, path in enumerate(find_files(mapping, source, table)):
                if spec.file_format(path.name) == "csv" and not spec.encoding:
                    connection.execute(
                        f"create table {source}_{table}_{number} as"
                        f" select * from read_csv('{path}', all_varchar = true)"
                    )


def run(config: Path, home: Path) -> tuple[float, float]:
    """Seconds of a run, and MiB at the most."""
    environment = {**os.environ, "CXM_HOME": str(home), "CXM_CONFIG": str(config)}
    environment["CXM_PROGRESS"] = "1"
    command = [sys.executable, "-m", "orchestration.cli", "run"]
    return timed_process(command, env=environment, cwd=PROJECT_ROOT)


if __name__ == "__main__":
    main()
