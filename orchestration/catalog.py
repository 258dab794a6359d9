"""The page of the warehouse's models: what each is, made of, tested by and built from."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from ingestion.errors import CxmError
from orchestration.manifest import dbt_folders, parse
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.warehouse import recorded_build

# dbt's page looks for an icon, and would load a tracker if telemetry were on: nothing leaves it
CLOSED = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    " script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';"
    ' img-src data:; font-src data:">'
)


def write_docs(settings: Settings, *, compiled: bool = True) -> Path:
    """dbt's docs of the warehouse as it was last built, as one file that needs no server.

    Args:
        compiled: with the SQL of each model as it runs, beside that as it is written.

    Raises:
        CxmError: nothing was built yet, or dbt cannot make them.
    """
    target = settings.reports / "dbt_docs.html"
    # a folder of its own: Dagster reads the manifest in the other one
    with (
        settings.warehouse_lock(),
        tempfile.TemporaryDirectory(prefix="docs-", dir=settings.dbt_target.parent) as folder,
    ):
        recorded_build(settings.warehouse)
        parse(settings)
        for name in ("manifest.json", "partial_parse.msgpack"):
            shutil.copy(settings.dbt_target / name, folder)
        options = ["--static", "--compile" if compiled else "--no-compile"]
        done = subprocess.run(
            ["dbt", "--quiet", "docs", "generate", *options, *dbt_folders(settings, folder)],
            cwd=DBT_PROJECT_DIR,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise CxmError(f"dbt cannot write its docs:\n{done.stdout}{done.stderr}")
        page = (Path(folder) / "static_index.html").read_text(encoding="utf-8")
    draft = target.with_name(f".{target.name}.part")
    draft.write_text(page.replace("<head>", f"<head>{CLOSED}", 1), encoding="utf-8")
    draft.replace(target)
    return target
