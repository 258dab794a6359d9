"""Homes that several tests look at, each made once; dbt parses the project once for all of them."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from ingestion.exports.mapping import load_mapping
from ingestion.lake import IDENTITY_DATASET
from orchestration.manifest import dbt_folders, put_venv_on_path
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.sources import load_source
from orchestration.warehouse import (
    commit_identity,
    project_hash,
    read_plan,
    record_build,
    staged_fingerprint,
    write_plan,
)
from tests.pipeline.company import write_batch, write_company, write_mapping
from tests.support import NOW, Home, made_once

# what builds before the last leave to it; all else is made anew by each
KEPT_BETWEEN_BUILDS = (
    "staging +bridge_customer_records +identity_ledger +int_identity__household_moves"
)


@dataclass(frozen=True)
class Homes:
    """Makes installations below one folder."""

    base: Path
    parsed: Path

    def make(self, name: str, config: Path, **env: str) -> Home:
        """An empty installation that need not parse the dbt project again."""
        home = Home(self.base / name, config, tuple(env.items()))
        shutil.copytree(self.parsed, home.path / "dbt" / "target")
        return home


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    def parse(folder: Path) -> None:
        parser = Home(folder, folder / "none.yml")
        dbt(parser, "parse")
        (settings_of(parser).dbt_target / "manifest.hash").write_text(project_hash())

    parsed = made_once(tmp_path_factory, "parsed", parse) / "dbt" / "target"
    return Homes(tmp_path_factory.mktemp("homes"), parsed)


@pytest.fixture(scope="session")
def harbor(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The company of `company.py`, loaded in one batch and run once. Do not run it again."""

    def run(folder: Path) -> None:
        home = Homes(folder, homes.parsed).make("home", write_company(folder / "company"))
        outcome = home.run()
        assert outcome["succeeded"] and outcome["published_new"], outcome

    folder = made_once(tmp_path_factory, "harbor", run)
    return Home(folder / "home", folder / "company" / "mapping.yml")


@pytest.fixture(scope="session")
def in_batches(homes: Homes, harbor: Home) -> Home:
    """The files of `harbor` in four batches out of order, the second system added on the way.

    The ids are given: those that `harbor` gave out. Nothing is published yet.
    """
    folder = homes.base / "batches"
    home = homes.make("in-batches", write_company(folder, [3], crm=False))
    shutil.copytree(
        harbor.path / "lake" / IDENTITY_DATASET / "harbor",
        home.path / "lake" / IDENTITY_DATASET / "harbor",
    )
    build(home, KEPT_BETWEEN_BUILDS)
    write_batch(folder, 1)
    build(home, KEPT_BETWEEN_BUILDS)
    write_batch(folder, 4)
    write_mapping(folder)
    build(home, KEPT_BETWEEN_BUILDS)
    write_batch(folder, 2)
    build(home)
    return home


def settings_of(home: Home) -> Settings:
    return Settings(home.path, home.config, str(home.path / "lake"), keep_versions=5)


def dbt(
    home: Home, *arguments: str, check: bool = True, warehouse: Path | None = None
) -> subprocess.CompletedProcess[str]:
    put_venv_on_path()
    settings = settings_of(home)
    settings.state.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["dbt", "--quiet", *arguments, *dbt_folders(settings)],
        env={
            **home.env,
            "CXM_PLAN": str(settings.plan),
            "CXM_WAREHOUSE": str(warehouse or settings.warehouse),
        },
        cwd=DBT_PROJECT_DIR,
        capture_output=True,
        text=True,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"dbt {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done


def build(home: Home, select: str = "*", at: str = NOW) -> None:
    """Load and build without Dagster, data tests, gates and publishing; give out ids."""
    settings, mapping = settings_of(home), load_mapping(home.config)
    for source in mapping.sources:
        attempt = load_source(settings, mapping, source, datetime.fromisoformat(at))
        assert attempt.error is None, attempt
    plan, fingerprint = write_plan(settings, mapping)
    refresh = staged_fingerprint(settings.warehouse) != fingerprint.staging
    dbt(home, "build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
        "--select", select, *(["--full-refresh"] if refresh else []))  # fmt: skip
    record_build(settings.warehouse, fingerprint, plan["as_of"])
    commit_identity(settings.warehouse, settings.lake, read_plan(settings)["company"])
