"""How fast records become customers: all of them, one more in a hundred, and Splink's share."""

import logging
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tests.benchmarks.measures import Measure, measure, timed

END = datetime(2026, 10, 1, 6, tzinfo=UTC)
DAYS = 182
RECORDS_PER_CUSTOMER = 1.45  # of half a year, at least
SIZES = (10_000, 100_000)  # records; CXM_BENCH_RECORDS adds one
_RECORDS = """
    select
        case vendor when 'segment' then 'web' else vendor end || ':' || record_id
            as person_record_key,
        case vendor when 'segment' then 'web' else vendor end as source,
        record_id::varchar as person_record_id,
        email, phone, first_name, last_name, birth_date, street, postal_code, city, country,
        company_name
    from read_parquet('{folder}/world/record/*.parquet')
    where changed_at <= timestamptz '{end}' and state = 'live'
    qualify row_number() over (partition by vendor, record_id order by version desc) = 1
    order by vendor, record_id
    limit {records}
"""


def bench_identity() -> list[Measure]:
    """Each size in a process of its own, so that its peak of memory is its own."""
    measures: list[Measure] = []
    seconds: dict[int, float] = {}
    for records in (*SIZES, *map(int, os.environ.get("CXM_BENCH_RECORDS", "").split())):
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.identity", str(records)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        full, more, scoring, splink, peak = map(float, done.stdout.split()[-5:])
        seconds[records] = full
        name = f"identity of {records:,} records"
        measures += [
            measure(f"{name}: 1 % more", more, "s", "all of them", full),
            measure(f"{name}: scored", scoring, "s", "bare Splink on the same pairs", splink),
            measure(f"{name}: peak memory", peak, "MiB", "that of half of 24 GiB", 12 * 1024),
        ]
    first = min(seconds)
    measures += [
        measure(f"identity of {n:,} records", n / s, "records/s", f"{first:,} records",
                first / seconds[first])
        for n, s in seconds.items() if n != first
    ]  # fmt: skip
    return measures


def main(records: int) -> None:
    """Print seconds of a full and of an increment's build, of scoring and of Splink; and MiB."""
    from tests.identity.resolution import Resolution, compile_models

    logging.getLogger("splink").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.identity", "make", folder, str(records)],
            check=True,
        )
        compiled = base / "compiled"
        compiled.mkdir()
        company = Resolution(
            compile_models(compiled), preset="default", file=str(base / "warehouse.duckdb")
        )
        c = company.connection
        c.execute(f"set memory_limit = '3GB'; set temp_directory = '{folder}/spill'")
        source = f"read_parquet('{base}/records.parquet')"
        c.execute(f"insert into unified.person_records by name from {source}"
                  " where hash(person_record_key) % 101 > 0")  # fmt: skip
        full = timed(company.build)
        c.execute(f"insert into unified.person_records by name from {source}"
                  " where hash(person_record_key) % 101 = 0")  # fmt: skip
        more = timed(company.build)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        scoring, splink = compare_with_splink(c)
    print(full, more, scoring, splink, peak)


def compare_with_splink(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Seconds of our training and scoring, and of Splink's own with as many comparisons."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    from dbt_project.enrichment import matching

    people = connection.table("identity.int_identity__comparable").to_arrow_table()
    model: dict[str, Any] = {}

    def ours() -> None:
        model.update(matching.train(people))
        matching.score(people, model)

    scoring = timed(ours)
    c = duckdb.connect()
    matching._number(c, people)
    matching._block(c, model["blocking"], only_new=False)
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="id",
        comparisons=[
            cl.NameComparison("first_written"), cl.NameComparison("last_written"),
            cl.EmailComparison("mailbox"), cl.DamerauLevenshteinAtThresholds("phone_tail", [1]),
            cl.DamerauLevenshteinAtThresholds("born", [1]),
            cl.JaroWinklerAtThresholds("street_key", [0.9]),
            cl.ExactMatch("city_key").configure(term_frequency_adjustments=True),
        ],
        blocking_rules_to_generate_predictions=[],
    )  # fmt: skip

    def bare() -> None:
        api = DuckDBAPI(c)
        linker = Linker(api.register("person"), settings, log_level=logging.ERROR)
        linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
        linker.training.estimate_parameters_using_expectation_maximisation(
            block_on("mailbox"), max_pairs=2e6
        )
        linker.table_management.register_blocked_pairs_for_predict(api.register("blocked"))
        linker.inference.predict(threshold_match_probability=0.01, warning_mode="never")

    return scoring, timed(bare)


def make_records(folder: str, records: int) -> None:
    """Write records.parquet: as many person records of a simulated company."""
    from ingestion.simulator.company import Company

    place = Path(folder) / "company"
    customers = int(records / RECORDS_PER_CUSTOMER)
    Company.make(place, customers=customers, seed=7, days=DAYS, end=END,
                 horizon=timedelta(days=DAYS + 14))  # fmt: skip
    query = _RECORDS.format(folder=place, end=END.isoformat(), records=records)
    made = duckdb.sql(query).to_arrow_table()
    if made.num_rows < records:
        raise SystemExit(f"{customers} customers have {made.num_rows} records, not {records}")
    duckdb.from_arrow(made).write_parquet(str(Path(folder) / "records.parquet"))


if __name__ == "__main__":
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.argv[1] == "make":
        make_records(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]))
