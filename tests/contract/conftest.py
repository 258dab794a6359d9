"""A running simulator over a small company, for the contract tests of the connectors."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingestion.simulator.company import Company
from ingestion.simulator.server import RunningServer, VendorApi, serving
from ingestion.simulator.server.faults import read_faults
from tests.support import made_once

END = datetime(2026, 10, 2, tzinfo=UTC)


class VirtualClock:
    """A connector's clock: what it sleeps passes at once, for the server as for itself."""

    def __init__(self, server: RunningServer) -> None:
        self._time = server.simulator.time
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._time.now()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._time.wait(seconds)


@dataclass(frozen=True)
class SimulatorUnderTest:
    """A running simulator, and what only a test may ask it."""

    server: RunningServer

    @property
    def company(self) -> Company:
        return self.server.simulator.company

    @property
    def ca(self) -> str:
        """PEM file to give to `requests` as `verify`."""
        assert self.server.authority is not None
        return str(self.server.authority)

    def url(self, vendor: str) -> str:
        """Base URL of a vendor, without a slash at its end."""
        return f"{self.server.url}/{vendor}"

    def api(self, vendor: str) -> VendorApi:
        """The vendor's own side: its settings, tokens and jobs."""
        return self.server.simulator.vendor(vendor)

    def secret(self, vendor: str, name: str) -> str:
        return self.api(vendor).secret(name)

    def now(self) -> datetime:
        return self.server.simulator.time.now()

    def clock(self) -> VirtualClock:
        """A clock for a connector; what it slept is in its `slept`."""
        return VirtualClock(self.server)

    def journal(self, vendor: str | None = None) -> list[dict[str, Any]]:
        return self.server.simulator.journal.entries(vendor)

    def clear(self) -> None:
        """Forget journal, faults, limits, jobs and revoked tokens."""
        self.server.simulator.clear()

    def fault(self, kind: str, vendor: str | None = None, **planned: Any) -> None:
        """Plan a fault: `nth=2, route="orders"`; what is no schedule is an option of the kind."""
        schedule = ("method", "route", "nth", "every", "probability", "between", "times")
        given = {name: planned.pop(name) for name in schedule if name in planned}
        options = planned.pop("options", planned)
        fault = {"kind": kind, "vendor": vendor, "options": options, **given}
        self.server.simulator.faults.add(*read_faults(fault))

    def move(self, *, days: float = 0, seconds: float = 0) -> None:
        """Let time pass, for the data too."""
        self.server.simulator.time.move(self.now() + timedelta(days=days, seconds=seconds))

    def projection(self, vendor: str, name: str) -> dict[str, dict[str, Any]]:
        """What a vendor's records are at the clock, by id, read past the server."""
        module = import_module(f"ingestion.simulator.vendors.{vendor}")
        rows = self.company.query(
            f"select id, document from {self.company.table(module.PROJECTIONS[name])}"
        )
        documents = {key: orjson.loads(document) for key, document in rows}
        assert len(documents) == len(rows), f"{vendor} {name}: an id is there twice"
        return documents

    @contextmanager
    def settings(self, vendor: str, **changed: Any) -> Iterator[None]:
        """Other settings of a vendor for a while, for example small pages."""
        settings = self.api(vendor).settings
        before = dict(settings)
        unknown = changed.keys() - before.keys()
        assert not unknown, f"{vendor} has no setting {', '.join(unknown)}"
        settings.update(changed)
        try:
            yield
        finally:
            settings.clear()
            settings.update(before)


def small_company(folder: Path, **settings: Any) -> Company:
    """120 customers over 420 days: small, with everything in it."""
    return Company.make(folder, customers=120, seed=7, days=420, end=END, settings=settings)


@pytest.fixture(scope="session")
def made_company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small company; never served itself, but copied.

    CXM_TEST_COMPANY names one that was made before.
    """
    if "CXM_TEST_COMPANY" in os.environ:
        return Path(os.environ["CXM_TEST_COMPANY"])
    return made_once(tmp_path_factory, "made_company", small_company)


@pytest.fixture(scope="session")
def running_simulator(
    made_company: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimulatorUnderTest]:
    folder = tmp_path_factory.mktemp("company") / "simulation"
    shutil.copytree(made_company, folder)
    with serving(Company.open(folder)) as server:
        yield SimulatorUnderTest(server)


@pytest.fixture
def simulator(running_simulator: SimulatorUnderTest) -> Iterator[SimulatorUnderTest]:
    """The simulator as it was made: no faults, an empty journal, its clock at END.

    A test fails where it met a defect of the server, or planned a fault that never took effect.
    What the server was asked for and cannot do is in the journal as `unsupported`.
    """
    running_simulator.clear()
    yield running_simulator
    entries = running_simulator.journal()
    planned = running_simulator.server.simulator.faults.certain()
    running_simulator.clear()
    running_simulator.server.simulator.time.move(END)
    for entry in entries:
        assert not entry["failure"], f"the simulator is defective: {entry}"
    missed = planned - {kind for entry in entries for kind in entry["faults"]}
    assert not missed, f"planned faults that never took effect: {', '.join(sorted(missed))}"
