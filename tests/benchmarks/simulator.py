"""How fast a simulated company is made, and its records written past the vendors' APIs."""

import os
import resource
import tempfile
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from ingestion.lake import Lake
from ingestion.simulator.company import Company
from ingestion.simulator.credentials import environment
from ingestion.simulator.lake_writer import write_lake
from ingestion.sources.registry import connector_class
from tests.benchmarks.connectors import END, another_process_serving, load_once, settings_of
from tests.benchmarks.measures import Measure, measure, timed

DAYS = 182
HORIZON = timedelta(days=DAYS + 14)  # nobody is founded who never comes
FEW, MANY = 2_000, 20_000
WRITTEN = ("shopify", "zendesk")


def bench_simulator() -> list[Measure]:
    """Customers made per second, few and many; documents per second past HTTP and through it."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        make(base / "warm", 50)
        few = FEW / timed(lambda: make(base / "few", FEW))
        before = memory()
        many = MANY / timed(lambda: make(base / "many", MANY))
        peak = memory()
        measures = [
            measure(f"simulator: {MANY:,} customers made", many, "customers/s",
                    f"{FEW:,} customers made", few),
            measure(f"simulator: peak memory for {MANY:,} customers", peak, "MiB",
                    "before them", before),
        ]  # fmt: skip
        for vendor in WRITTEN:
            measures.append(bench_writer(vendor, base))
    return measures


def bench_writer(vendor: str, base: Path) -> Measure:
    """Both from a company whose tables nobody has asked for yet."""
    company = Company.open(base / "few")
    os.environ.update(environment(company.seed, {vendor: vendor}))
    written = 0

    def write() -> None:
        nonlocal written
        lake = Lake(str(base / vendor / "direct"))
        module = import_module(f"ingestion.simulator.vendors.{vendor}")
        result = write_lake(company, module, connector_class(vendor), lake, f"bench_{vendor}")
        written = sum(result.documents.values())

    with another_process_serving(company.folder) as (url, authority):
        settings = settings_of(vendor, url, authority, company)
        seconds, loaded = load_once(vendor, settings, base / vendor / "http")
    direct = timed(write)
    assert written, vendor
    return measure(
        f"{vendor}: direct writer", written / direct, "documents/s", "its connector over HTTP",
        loaded / seconds,
    )  # fmt: skip


def make(folder: Path, customers: int) -> None:
    Company.make(folder, customers=customers, seed=7, days=DAYS, end=END, horizon=HORIZON)


def memory() -> float:
    """The most that this process has ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
