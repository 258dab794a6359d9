"""Pages for stakeholders, made from the published marts alone."""

from typing import TYPE_CHECKING

from ingestion.errors import CxmError
from ingestion.exports.mapping import load_mapping
from orchestration.publish import DATABASE_NAME, current_publication
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.reports.monthly import ReportInfo


def write_report(settings: Settings) -> "ReportInfo":
    """Write the monthly report and the journey map on the current version; make them the latest."""
    from orchestration.reports.journey import build_journey_map
    from orchestration.reports.monthly import build_report

    current = current_publication(settings.published)
    if current is None:
        raise CxmError("nothing is published, so there is nothing to report")
    folder = settings.reports / current.version
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "monthly.html"
    spec = load_mapping(settings.config).spec
    info = build_report(
        settings.published / "current" / DATABASE_NAME,
        target,
        title=f"What {spec.name} looks like to its customers",
        currency=spec.reporting_currency,
        published_version=current.version,
    )
    journey_map = build_journey_map(
        settings.published / "current" / DATABASE_NAME,
        folder / "journey_map.html",
        title=f"The journey of {spec.name}'s customers",
        currency=spec.reporting_currency,
        published_version=current.version,
    )
    for page, name in ((target, "latest.html"), (journey_map, "journey_map.html")):
        draft = settings.reports / f".{name}-draft"
        draft.unlink(missing_ok=True)
        draft.symlink_to(page.relative_to(settings.reports))
        draft.replace(settings.reports / name)
    return info
