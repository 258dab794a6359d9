"""How fast records become customers: all of them, one more in a hundred, and Splink's share."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from orchestration.settings import PROJECT_ROOT
from tests.benchmarks.measures import Measure, measure, timed

END = datetime(2026, 10, 1, 6, tzinfo=UTC)
DAYS = 182
RECORDS_PER_CUSTOMER = 1.45  # of half a year, at least
SIZES = (10_000, 100_000)  # records; CXM_BENCH_RECORDS adds others, 1000000 takes minutes
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
            measure(f"{name}: peak memory", peak, "MiB", "6 GiB", 6 * 1024),
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
        peak = memory()
        scoring, splink = compare_with_splink(c, folder)
    print(full, more, scoring, splink, peak)


def compare_with_splink(connection: duckdb.DuckDBPyConnection, folder: str) -> tuple[float, float]:
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
    c.execute(f"set memory_limit = '4GB'; set temp_directory = '{folder}/spill of Splink'")
    c.register("given", people)
    matching._number(c, model["frequencies"])
    matching._block(c, model["blocking"], only_new=False)
    c.execute(
        "create view pairs as"
        " select l as join_key_l, r as join_key_r, '0' as match_key from blocked"
    )
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
        linker = Linker(api.register("people"), settings, log_level=logging.ERROR)
        linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
        linker.training.estimate_parameters_using_expectation_maximisation(
            block_on("mailbox"), max_pairs=2e6
        )
        linker.table_management.register_blocked_pairs_for_predict(api.register("pairs"))
        linker.inference.predict(threshold_match_probability=0.01, warning_mode="never")

    return scoring, timed(bare)


def memory() -> float:
    """The most that this process has ever held, in MiB: without what held who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def draw(measured: Path, target: Path) -> None:
    """Chart of the cost by size, from what `bench_identity` has written down."""
    import altair as alt

    from orchestration.reports.charts import ACCENT, SECOND, svg

    points = []
    for m in json.loads(measured.read_text()):
        if "1 % more" in m["name"]:
            records = int(m["name"].split()[2].replace(",", ""))
            points += [
                {"records": records, "seconds": m["baseline_value"], "what": "all of them"},
                {"records": records, "seconds": m["value"], "what": "1 % more"},
            ]
    scale = alt.Scale(type="log")
    chart = (
        alt.Chart(alt.Data(values=points), width=460, height=260)
        .mark_line(point={"size": 60, "filled": True}, strokeWidth=2)
        .encode(
            x=alt.X("records:Q", scale=scale, title="person records",
                    axis=alt.Axis(values=[p["records"] for p in points], format="~s")),
            y=alt.Y("seconds:Q", scale=scale, title="seconds, 2 cores"),
            color=alt.Color("what:N", title=None, sort=["all of them", "1 % more"],
                            scale=alt.Scale(range=[ACCENT, SECOND])),
        )
    )  # fmt: skip
    drawn = svg(chart, "cost", "Seconds of identity resolution by number of person records")
    # a file of its own has its colours, and says what it is
    opening = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" '
    drawn = drawn.replace('style="', 'style="background:#fff;', 1)
    target.write_text(drawn.replace("<svg ", opening, 1) + "\n")


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
    if sys.argv[1] == "chart":  # after `make bench`
        draw(PROJECT_ROOT / "bench.json", PROJECT_ROOT / "docs" / "images" / "identity-cost.svg")
    elif sys.argv[1] == "make":
        make_records(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]))
