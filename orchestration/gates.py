"""Running the gates and writing the page that says how they went."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ingestion.exports.mapping import LoadedMapping
from orchestration.settings import Settings, now
from orchestration.warehouse import read_plan

if TYPE_CHECKING:
    from expectations.runner import SuiteResult

Layer = Literal["landed", "marts"]


@dataclass(frozen=True)
class GateOutcome:
    results: "dict[Layer, list[SuiteResult]]"
    page: Path

    def failures(self, layer: Layer) -> list[str]:
        return [
            f"{check.severity}: {check.description}"
            for suite in self.results[layer]
            for check in suite.checks
            if not check.passed
        ]

    def blocks(self, layer: Layer) -> bool:
        return any(suite.blocks for suite in self.results[layer])

    def count(self, layer: Layer) -> int:
        return sum(len(suite.checks) for suite in self.results[layer])


def run_gates(settings: Settings, mapping: LoadedMapping, run_id: str) -> GateOutcome:
    """Check landed data and marts; the page is written whatever the outcome."""
    from expectations.page import render_page
    from expectations.runner import validate

    plan = read_plan(settings)
    as_of = datetime.fromisoformat(plan["as_of"])
    layers: tuple[Layer, ...] = ("landed", "marts")
    results = {
        layer: validate(
            settings.warehouse,
            layer,
            as_of=as_of,
            stale_after_days=plan["stale_after_days"],
        )
        for layer in layers
    }
    page = settings.reports / "validation" / f"{run_id}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    render_page(
        [suite for suites in results.values() for suite in suites],
        page,
        title=f"{mapping.spec.name}: validation",
        generated_at=now(),
    )
    latest, draft = settings.reports / "validation.html", settings.reports / ".validation-draft"
    draft.unlink(missing_ok=True)
    draft.symlink_to(page.relative_to(settings.reports))
    draft.replace(latest)
    return GateOutcome(results, page)
