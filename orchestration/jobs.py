"""What runs when."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from orchestration.alerts import leave_alert
from orchestration.settings import Settings

DAILY_JOB = "daily"


@dg.failure_hook
def alert(context: dg.HookContext) -> None:
    """A step that failed; a source that fails leaves its alert itself, its step does not fail."""
    leave_alert(
        Settings.from_env(),
        run_id=context.run_id,
        job=context.job_name,
        step=context.op.name,
        error=str(context.op_exception),
    )
    context.log.error(f"{context.op.name} failed: {context.op_exception}")


def build_jobs(
    assets: Sequence[dg.AssetsDefinition],
) -> tuple[list[Any], list[dg.ScheduleDefinition]]:
    loads = dg.AssetSelection.groups(
        *sorted({g for a in assets for g in a.group_names_by_key.values() if g.startswith("lake")})
    )
    daily = dg.define_asset_job(
        DAILY_JOB,
        selection=dg.AssetSelection.all(),
        hooks={alert},
        description="Load every source, build, gate, publish, report.",
    )
    hourly = dg.define_asset_job(
        "hourly_ingestion",
        selection=loads,
        hooks={alert},
        description="Bring new and changed records into the lake; the daily job builds from them.",
    )
    schedules = [
        dg.ScheduleDefinition(
            name="every_day", job=daily, cron_schedule="0 5 * * *", execution_timezone="UTC"
        ),
        dg.ScheduleDefinition(
            name="every_hour", job=hourly, cron_schedule="20 * * * *", execution_timezone="UTC"
        ),
    ]
    return [daily, hourly], schedules
