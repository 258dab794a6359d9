"""Where everything is. One folder holds all state; the environment may move it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ingestion.errors import CxmError, SettingError
from ingestion.lake import Lake

if TYPE_CHECKING:
    from ingestion.exports.mapping import LoadedMapping

PROJECT_ROOT = Path(__file__).parent.parent
DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
EXAMPLE_CONFIG = PROJECT_ROOT / "examples" / "mapping.yml"
SIMULATED_CONFIG = PROJECT_ROOT / "examples" / "simulated.yml"

TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
}

DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1
  runs:
    max_concurrent_runs: 1
"""


@dataclass(frozen=True)
class Settings:
    """Paths and knobs of one installation, read from the environment once."""

    home: Path
    config: Path
    lake_url: str
    keep_versions: int
    sources: frozenset[str] | None = None  # those to use; all that are enabled by default

    @classmethod
    def from_env(cls) -> "Settings":
        """`CXM_HOME`, `_CONFIG`, `_LAKE_URL`, `_KEEP_VERSIONS`, `_SOURCES`, or their defaults."""
        home = Path(os.environ.get("CXM_HOME") or PROJECT_ROOT / "data").resolve()
        keep = os.environ.get("CXM_KEEP_VERSIONS") or "5"
        if not keep.isdecimal() or int(keep) < 1:
            raise SettingError(
                f"CXM_KEEP_VERSIONS is {keep!r}; it must be a whole number from 1 on"
            )
        named = [name.strip() for name in os.environ.get("CXM_SOURCES", "").split(",")]
        return cls(
            home=home,
            config=Path(os.environ.get("CXM_CONFIG") or SIMULATED_CONFIG).resolve(),
            lake_url=os.environ.get("CXM_LAKE_URL") or str(home / "lake"),
            keep_versions=int(keep),
            sources=frozenset(filter(None, named)) or None,
        )

    def mapping(self) -> "LoadedMapping":
        """The mapping of the company, read anew, with the sources that are switched on."""
        from ingestion.exports.mapping import load_mapping

        return load_mapping(self.config, only=self.sources)

    @property
    def lake(self) -> Lake:
        return Lake(self.lake_url)

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def plan(self) -> Path:
        return self.state / "plan.json"

    @property
    def simulation(self) -> Path:
        """Where the company is, if it is a simulated one."""
        return self.home / "simulation"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        return self.home / "dbt" / "target"

    def warehouse_lock(self) -> AbstractContextManager[None]:
        """One process at a time writes the warehouse, or copies from it."""
        return exclusive(self.state / "warehouse.lock", "the warehouse")

    def prepare(self) -> None:
        """Make the folders and set the environment that the tools read."""
        try:
            for folder in (self.state, self.dagster_home, self.dbt_target, self.reports):
                folder.mkdir(parents=True, exist_ok=True)
            config = self.dagster_home / "dagster.yaml"
            if not config.exists() or config.read_text() != DAGSTER_YAML:
                config.write_text(DAGSTER_YAML)
        except OSError as error:
            raise SettingError(f"CXM_HOME {self.home} cannot be written: {error}") from None
        os.environ.update(TELEMETRY_OFF)
        os.environ["CXM_HOME"] = str(self.home)
        os.environ["CXM_CONFIG"] = str(self.config)
        os.environ["CXM_PLAN"] = str(self.plan)
        os.environ["CXM_WAREHOUSE"] = str(self.warehouse)
        os.environ["DBT_TARGET_PATH"] = str(self.dbt_target)
        os.environ["DAGSTER_HOME"] = str(self.dagster_home)
        os.environ["CXM_SIMULATION"] = str(self.simulation) if self._is_simulated() else ""

    def _is_simulated(self) -> bool:
        """Whether the configuration says so; what else is wrong with it is said elsewhere."""
        with suppress(OSError, yaml.YAMLError, UnicodeDecodeError):
            found = yaml.safe_load(self.config.read_text(encoding="utf-8-sig"))
            return isinstance(found, dict) and found.get("simulation") is not None
        return False


def now() -> datetime:
    """The time of the run: `CXM_NOW` (ISO 8601) to repeat one, else the clock.

    A company that is simulated has a clock of its own.
    """
    given = os.environ.get("CXM_NOW")
    simulated = Path(os.environ.get("CXM_SIMULATION") or "/") / "company.json"
    if not given and simulated.exists():
        given = str(json.loads(simulated.read_text())["clock"])
    if not given:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise SettingError(f"CXM_NOW is {given!r}; write it as 2026-01-31T08:00:00+00:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def exclusive(path: Path, what: str, wait_seconds: float = 600) -> Iterator[None]:
    """One process at a time; the lock falls with the process, so kill -9 leaves none behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CxmError(f"another process holds {what}; wait for it to end") from None
                time.sleep(0.2)
        yield
