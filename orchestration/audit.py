"""Which KPIs the connected sources can give."""

from dataclasses import dataclass

from dbt_project.kpis import load_contracts
from ingestion.exports.mapping import LoadedMapping


@dataclass(frozen=True)
class Computability:
    kpi_id: str
    name: str
    stage: str
    owner_team: str
    computable: bool
    missing: list[str]


def audit_kpis(mapping: LoadedMapping) -> list[Computability]:
    """One row per KPI, in the order of the journey; `missing` names concept fields to map."""
    filled = _filled_fields(mapping)
    rows = []
    for kpi in load_contracts(check_sql=False):
        missing = [
            need.replace("|", " or ").replace("=", " of kind ")
            for need in kpi.requires
            if not any(option in filled for option in need.split("|"))
        ]
        rows.append(
            Computability(kpi.id, kpi.name, kpi.stage, kpi.owner_team, not missing, missing)
        )
    return rows


def _filled_fields(mapping: LoadedMapping) -> set[str]:
    """`concept.field` for every mapped field, and `concept.field=kind` where the kind is known."""
    filled = set()
    for source, table, spec in mapping.tables():
        for index, record in enumerate(spec.all_records()):
            fields = mapping.expressions[source, table, index]
            filled |= {f"{record.concept}.{name}" for name in fields}
            kinds = {str(record.constants.get("kind"))} if "kind" in record.constants else set()
            if "kind" in fields and not kinds:  # the data says which
                kinds = {"nps", "csat", "ces"}
            filled |= {f"{record.concept}.{name}={kind}" for name in fields for kind in kinds}
    if "survey_answer.question_id" in filled and "survey_submission.response_id" in filled:
        given = {f for f in filled if f.startswith("survey_submission.")}  # scored by us
        scored = {f.replace("submission", "response") for f in given} | {"survey_response.score"}
        filled |= scored | {f"{f}={kind}" for f in scored for kind in ("nps", "csat", "ces")}
    return filled
