"""How an installation meets its simulated company: made when absent, served while it is asked."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import pandas  # noqa: F401  # DuckDB would import it in a thread, and dlt see half of it

from ingestion.simulator.company import Company
from ingestion.simulator.credentials import environment
from ingestion.simulator.server import RunningServer, serving
from ingestion.simulator.server.engine import VendorApi
from ingestion.simulator.truth import write_truth
from ingestion.simulator.vendors.salesforce_objects import sql_id
from ingestion.simulator.vendors.segment import push
from ingestion.sources.api import Clock

_BACKGROUND = ThreadPoolExecutor(max_workers=1)
_pushing: dict[Path, Future[int]] = {}

TIMEZONE = "Europe/Berlin"  # whose days and months the truth is told in


class VirtualClock:
    """A connector's clock: what it sleeps passes at once, for the server as for itself."""

    def __init__(self, server: RunningServer) -> None:
        self._time = server.simulator.time

    def now(self) -> datetime:
        return self._time.now()

    def sleep(self, seconds: float) -> None:
        self._time.wait(seconds)


@dataclass(frozen=True)
class Connection:
    """What a connector needs beside its own settings to read the simulated account."""

    settings: Mapping[str, Any]
    clock: Clock


def make_company(folder: Path, *, customers: int, seed: int, days: float, end: datetime) -> Company:
    """A new company and, beside it, the truth about it."""
    company = Company.make(folder, customers=customers, seed=seed, days=days, end=end)
    settle(company)
    return company


def settle(company: Company) -> None:
    """Write what goes with the company's clock: the known answers, and the files of others.

    Those are the bank's rates and what the platforms of advertising report of each day that is
    over; their campaigns are labelled with the number that the system of sales gives them.
    """
    write_truth(
        company.folder / "world", company.folder / "truth", as_of=company.clock, timezone=TIMEZONE
    )
    files = {
        "exchange_rates": "from world.exchange_rate where day <= clock()::date"
        " order by day, currency",
        "ad_spend": f"""
            select s.day, c.utm_source as platform, c.utm_campaign as campaign, c.channel,
                {sql_id("701", "s.campaign_id")} as crm_campaign, s.amount as spend, s.currency,
                s.impressions, s.clicks
            from world.ad_spend as s inner join world.campaign as c using (campaign_id)
            where s.day < timezone('{TIMEZONE}', clock())::date order by all
        """,
    }
    (company.folder / "reference").mkdir(exist_ok=True)
    for name, query in files.items():
        path = company.folder / "reference" / f"{name}.csv"
        company.query(f"copy ({query}) to '{path}' (format csv, header)")


def write_known_people(folder: Path, sources: Sequence[tuple[str, str]]) -> None:
    """Whose the records in the systems are, for those (source, vendor) that the company loads.

    Of the records that are still there; one that is nobody's, such as a test, is left out.
    """
    target = folder / "reference" / "known_people.parquet"
    target.parent.mkdir(exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}.tmp")  # sources may be loaded side by side
    with duckdb.connect() as session:
        session.execute("create table sources (source varchar, vendor varchar)")
        session.executemany("insert into sources values (?, ?)", [list(pair) for pair in sources])
        session.execute(
            "copy (select source, external_id as record_id, 'p' || person_id as person, noise"
            f" from read_parquet('{folder / 'truth' / 'clusters.parquet'}')"
            " inner join sources using (vendor)"
            " where kind = 'record' and state = 'live' and person_id is not null"
            f" order by all) to '{fresh}' (format parquet)"
        )
    fresh.replace(target)


def begin_push(folder: Path) -> None:
    """Let Segment write its files while others are asked; `connected` waits for it."""
    _pushing[folder] = _BACKGROUND.submit(lambda: push(Company.open(folder), folder / "pushed"))


@contextmanager
def _foreseeing(api: VendorApi) -> Iterator[None]:
    """Make a vendor's tables ahead of the requests for them."""
    ended = Event()

    def make() -> None:
        for name in api.module.PROJECTIONS:
            if not ended.is_set() and not name.endswith("_in_lake"):
                api.table(name)

    thread = Thread(target=make)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def connected(folder: Path, source: str, vendor: str) -> Iterator[Connection]:
    """A vendor's API over the company in a folder, its secrets in the environment meanwhile."""
    company = Company.open(folder)
    secrets = environment(company.seed, {source: vendor})
    before = {name: os.environ.get(name) for name in secrets}
    os.environ.update(secrets)
    try:
        with serving(company) as server:
            clock = VirtualClock(server)
            if vendor == "segment":  # it pushes; nobody can ask it
                if begun := _pushing.pop(folder, None):
                    begun.result()
                push(company, folder / "pushed")
                yield Connection({"folder": str(folder / "pushed")}, clock)
                return
            with _foreseeing(server.simulator.vendor(vendor)):
                address = {"base_url": f"{server.url}/{vendor}"}
                yield Connection({**address, "ca_bundle": str(server.authority)}, clock)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
