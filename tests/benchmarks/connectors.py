"""Each connector against the simulated company, beside dlt's default path on the same pages."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests

from ingestion.errors import SettingError
from ingestion.lake import Lake
from ingestion.simulator.company import Company
from ingestion.simulator.credentials import environment
from ingestion.simulator.server import serving
from ingestion.simulator.vendors.segment import push
from ingestion.sources.connector import Connector, Window, load_connector, make_connector
from ingestion.sources.registry import VENDORS, connector_class
from tests.benchmarks.measures import Measure, measure, timed

CUSTOMERS, DAYS = 2_000, 730
END = datetime(2026, 10, 2, tzinfo=UTC)


def bench_connectors() -> list[Measure]:
    """Documents per second of each vendor and of all, and how much of it is waiting for replies."""
    measures, ours, theirs, waited, documents = [], 0.0, 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        company = Company.make(
            Path(folder) / "company", customers=CUSTOMERS, seed=7, days=DAYS, end=END
        )
        push(company, company.folder / "pushed")
        os.environ.update(environment(company.seed, {vendor: vendor for vendor in VENDORS}))
        for vendor in VENDORS:
            with another_process_serving(company.folder) as (url, authority):
                base = Path(folder) / vendor
                settings = settings_of(vendor, url, authority, company)
                load_once(vendor, settings, base / "warm")  # the server makes its tables
                clock = HttpClock()
                seconds, count = load_once(vendor, settings, base / "ours", clock)
                default = timed(lambda: load_with_dlt(vendor, settings, base))  # noqa: B023
            measures += [
                measure(f"{vendor}: connector", count / seconds, "documents/s",
                        "dlt's default path on the same pages", count / default),
                measure(f"{vendor}: waiting for the server", clock.seconds, "s",
                        "the whole load", seconds),
            ]  # fmt: skip
            ours, theirs = ours + seconds, theirs + default
            waited, documents = waited + clock.seconds, documents + count
    return [
        *measures,
        measure("all vendors: connectors", documents / ours, "documents/s",
                "dlt's default path on the same pages", documents / theirs),
        measure("all vendors: waiting for the server", waited, "s", "the whole load", ours),
    ]  # fmt: skip


def settings_of(vendor: str, url: str, authority: str, company: Company) -> dict[str, Any]:
    if vendor == "segment":
        return {"folder": str(company.folder / "pushed")}
    return {"base_url": f"{url}/{vendor}", "ca_bundle": authority}


class HttpClock:
    """Seconds between sending a request and having its reply, over all sessions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        send = requests.Session.send

        def timed_send(*args: Any, **kwargs: Any) -> requests.Response:
            start = time.perf_counter()
            try:
                return send(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        requests.Session.send = timed_send  # type: ignore[method-assign]
        try:
            yield
        finally:
            requests.Session.send = send  # type: ignore[method-assign]


class Unhurried:
    """A clock whose waits pass at once: limits are the vendors', not what is measured."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(END.timestamp() + self._ahead, UTC)

    def sleep(self, seconds: float) -> None:
        self._ahead += seconds


def load_once(
    vendor: str, settings: dict[str, Any], base: Path, http: HttpClock | None = None
) -> tuple[float, int]:
    """Seconds and documents of a first load into a lake of its own.

    Refresh tokens are beside the lakes: the one that was renewed is dead.
    """
    start = time.perf_counter()
    with (http or HttpClock()).running():
        done = load_connector(
            connector_class(vendor), settings, source=vendor, company="bench",
            lake=Lake(str(base / "lake")), state_dir=base.parent / "state", now=END,
            clock=Unhurried(),
        )  # fmt: skip
    return time.perf_counter() - start, sum(done.result.documents.values())


def load_with_dlt(vendor: str, settings: dict[str, Any], base: Path) -> None:
    """The same pages as Python records, unnested and typed by dlt, into DuckDB."""
    import dlt
    import orjson
    import pyarrow as pa

    connector: Connector = make_connector(
        connector_class(vendor), settings, source=vendor, state_dir=base / "state",
        clock=Unhurried(),
    )  # fmt: skip

    def records(name: str) -> Iterator[Any]:
        (obj,) = [o for o in connector.objects if o.name == name]
        for page in connector.read(obj, {}, Window()):
            if page.documents is None:
                yield list(page.records)
            else:
                texts = pa.array(page.documents, pa.string()).to_pylist()
                yield [orjson.loads(text) for text in texts]

    pipeline = dlt.pipeline(
        f"bench_{vendor}",
        destination=dlt.destinations.duckdb(str(base / "default.db")),
        dataset_name="raw",
        pipelines_dir=str(base / "pipelines"),
    )
    pipeline.run([dlt.resource(records(obj.name), name=obj.name) for obj in connector.objects])


@contextmanager
def another_process_serving(folder: Path) -> Iterator[tuple[str, str]]:
    """URL and authority of a server that has a core of its own."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, its))
    process.start()
    try:
        if not ours.poll(300):
            raise SettingError("the simulator did not start")
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(20)
        process.kill()


def _serve(folder: Path, pipe: Connection) -> None:
    # so fast that no limit is ever reached, yet not so fast that a token ends before its first use
    with serving(Company.open(folder), ticking=True, speed=2e3) as server:
        pipe.send((server.url, str(server.authority)))
        pipe.recv()
