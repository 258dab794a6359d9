"""The dbt manifest that Dagster reads, made anew only when the dbt project has changed."""

import os
import subprocess
import sys
from pathlib import Path

from ingestion.errors import CxmError
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.warehouse import project_hash


def put_venv_on_path() -> None:
    """dagster-dbt looks for `dbt` on PATH; a venv's python run by its path is not enough."""
    folder = str(Path(sys.executable).parent)
    if folder not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]


def parse(settings: Settings) -> None:
    """See to it that there is a manifest of the dbt project as it is now.

    Raises:
        CxmError: dbt cannot parse the project.
    """
    put_venv_on_path()
    stamp = settings.dbt_target / "manifest.hash"
    wanted = project_hash()
    manifest = settings.dbt_target / "manifest.json"
    if manifest.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    done = subprocess.run(
        ["dbt", "--quiet", "parse", *dbt_folders(settings)],
        cwd=DBT_PROJECT_DIR,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise CxmError(f"dbt cannot parse the project:\n{done.stdout}{done.stderr}")
    stamp.write_text(wanted)


def dbt_folders(settings: Settings, target: str | None = None) -> list[str]:
    """Options that keep dbt's own files out of the source tree."""
    return [
        "--project-dir", str(DBT_PROJECT_DIR),
        "--profiles-dir", str(DBT_PROJECT_DIR),
        "--target-path", target or str(settings.dbt_target),
        "--log-path", str(settings.home / "dbt" / "logs"),
        # the console log tells what matters; a second one takes its time
        "--log-level-file", "none",
    ]  # fmt: skip
