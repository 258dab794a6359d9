"""Pages for stakeholders, made from the published marts alone."""

from typing import TYPE_CHECKING

from ingestion.errors import CxmError
from ingestion.exports.mapping import load_mapping
from orchestration.publish import DATABASE_NAME, current_publication
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.reports.monthly import ReportInfo


def write_report(settings: Settings) -> "ReportInfo":
    """Write the monthly report on the current version and make it the latest."""
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
    latest, draft = settings.reports / "latest.html", settings.reports / ".latest-draft"
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.relative_to(settings.reports))
    draft.replace(latest)
    return info
