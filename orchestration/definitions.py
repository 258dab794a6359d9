"""The code location: everything Dagster knows. Loads in seconds; nothing connects at import."""

import dagster as dg

from orchestration.assets import build_assets
from orchestration.jobs import build_jobs
from orchestration.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    settings = Settings.from_env()
    settings.prepare()
    assets, checks, resources = build_assets(settings)
    jobs, schedules = build_jobs(assets)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        resources=resources,
        executor=dg.in_process_executor,
    )
