"""Small published databases: the columns come from the dbt contracts, the rows from each test."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from math import sqrt
from pathlib import Path
from typing import Any

import duckdb
import yaml

MODELS = Path(__file__).parents[2] / "dbt_project" / "models"
QUALITY = {
    "load_accounts": {
        **dict.fromkeys(("source", "source_table", "model", "load_id"), "varchar"),
        "extracted_at": "timestamp",
        **dict.fromkeys(("received", "accepted", "quarantined"), "bigint"),
    },
    "quarantine": {
        **dict.fromkeys(
            ("source", "source_table", "model", "load_id", "origin", "column_name"), "varchar"
        ),
        **dict.fromkeys(("value", "reason", "document_hash"), "varchar"),
        "origin_row": "bigint",
    },
    "findings": {
        **dict.fromkeys(("model", "source", "finding", "explanation", "example"), "varchar"),
        "records": "bigint",
    },
}
AS_OF = datetime(2024, 10, 10, 6)
Rows = Iterable[Mapping[str, Any]]


def write(path: Path, tables: Mapping[str, Rows]) -> Path:
    """Every published table, empty but for these rows; columns not named are null."""
    contracts = [
        model
        for file in sorted((MODELS / "marts").glob("_marts*__models.yml"))
        for model in yaml.safe_load(file.read_text())["models"]
    ]
    columns = {
        f"marts.{model['name']}": {c["name"]: c["data_type"] for c in model["columns"]}
        for model in contracts
    } | {f"quality.{name}": types for name, types in QUALITY.items()}
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema quality")
        for table, types in columns.items():
            body = ", ".join(f'"{name}" {data_type}' for name, data_type in types.items())
            connection.execute(f"create table {table} ({body})")
        for table, rows in tables.items():
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" * len(row))
                connection.execute(
                    f"insert into {table} ({names}) values ({marks})", list(row.values())
                )
    return path


def kpi(kpi_id: str, name: str, unit: str, stage: str, interval: str | None) -> dict[str, Any]:
    return {
        "kpi_id": kpi_id,
        "kpi_version": 1,
        "name": name,
        "unit": unit,
        "stage": stage,
        "owner_team": f"team of {kpi_id}",
        "level": "customer" if kpi_id in ("nps", "csat", "revenue") else "none",
        "better": "higher",
        "is_headline": kpi_id != "csat_per_order",
        "interval": interval,
        "definition": f"What {name} means.",
        "source": "a book",
    }


KPIS = [
    kpi("orders", "Orders placed", "count", "decision", None),
    kpi("revenue", "Revenue", "currency", "decision", None),
    kpi("survey_responses", "Survey responses", "count", "loyalty", None),
    kpi("csat", "CSAT", "share", "loyalty", "wilson"),
    kpi("nps", "NPS", "points", "loyalty", "net score"),
    kpi("cohort_retention", "Cohort retention", "share", "loyalty", "wilson"),
    kpi("ces", "CES 2.0", "share", "service", "wilson"),
]


def value(kpi_id: str, month: date, value: float, **others: Any) -> dict[str, Any]:
    return {
        "kpi_id": kpi_id,
        "period_grain": "month",
        "period_start": month,
        "dimension": "all",
        "dimension_value": "all",
        "value": value,
        "n": int(value),
        **others,
    }


def csat(month: date, satisfied: int, n: int) -> dict[str, Any]:
    z = 1.959964
    share = satisfied / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return value("csat", month, share, n=n, ci_low=centre - half, ci_high=centre + half)


def nps(month: date, promoters: int, passives: int, detractors: int) -> dict[str, Any]:
    n = promoters + passives + detractors
    net = (promoters - detractors) / n
    half = 1.959964 * sqrt(((promoters + detractors) / n - net * net) / n)
    return value(
        "nps", month, 100 * net, n=n, ci_low=100 * (net - half), ci_high=100 * (net + half)
    )


def small_company() -> dict[str, list[dict[str, Any]]]:
    """A year of months; August is worth a report, September has 16 orders."""
    months = [date(2023, month, 1) for month in (9, 10, 11, 12)]
    months += [date(2024, month, 1) for month in range(1, 7)]
    july, august, september = date(2024, 7, 1), date(2024, 8, 1), date(2024, 9, 1)
    values = [value("orders", month, 1000) for month in months]
    values += [csat(month, 160, 200) for month in months]
    values += [
        value("orders", july, 1000),
        value("orders", august, 1100),
        value("orders", september, 16),
        value("revenue", july, 13_600_000.5),
        value("revenue", august, 13_500_000.25),
        value("survey_responses", july, 100),
        value("survey_responses", august, 50),
        value("survey_responses", september, 400),
        csat(july, 190, 200),
        csat(august, 42, 50),
        nps(july, 50, 30, 20),
        nps(august, 60, 25, 15),
        csat(september, 300, 400),
    ]
    for cohort, size, share in (("2024-06", 400, 0.025), ("2024-05", 29, 0.5)):
        values.append(
            value("cohort_retention", july, share, n=size)
            | {"dimension": "cohort", "dimension_value": cohort}
        )
    customers = [
        {"customer_id": f"c{number}", "completeness": 0.5, "as_of": AS_OF} for number in range(1, 5)
    ]
    customers[0]["email"] = "ana@example.com"
    customers[3]["is_employee"] = True
    spans = [("c1", "service", 4), ("c2", "service", 4), ("c3", "loyalty", 5)]
    answers = [
        ("r1", "c1", 1, "<script>alert(1)</script> mail ana.b@example.com or +55 11 98765-4321"),
        ("r2", "c2", 5, "wonderful"),
        ("r3", "c4", 1, "written by an employee"),
        ("r4", "c3", 2, "slow " * 100),
    ]
    return {
        "marts.dim_kpis": KPIS,
        "marts.kpi_values": values,
        "marts.customer_360": customers,
        "marts.identity_sensitivity": [
            {"kpi_id": kpi_id, "period": period, "identity": identity, "value": figure}
            for kpi_id, figures in {"nps": (44.0, 45.0, 47.5), "csat": (0.84, 0.84, 0.8401)}.items()
            for period, off in (("2024-08", 0), ("2024-07", 1), ("all", 9))
            for identity, figure in zip(
                ("strict", "default", "loose"), (f + off for f in figures), strict=True
            )
        ],
        "marts.identity_accuracy": [
            {
                "method": method,
                "dimension": dimension,
                "dimension_value": "all",
                "measure": measure,
                "value": share,
                "ci_low": share - 0.01,
                "ci_high": share + 0.005,
                "records": 14117,
            }
            for method, dimension, off in (
                ("default", "all", 0),
                ("identifiers", "all", 0.1),
                ("default", "noise", 0.2),
            )
            for measure, share in (("precision", 0.99 - off), ("recall", 0.957 - off))
        ],
        "marts.fct_journey_stage_spans": [
            {
                "customer_id": customer,
                "journey_stage": stage,
                "stage_number": number,
                "days_in_stage": 10.0,
                "is_open": True,
            }
            for customer, stage, number in spans
        ],
        "marts.fct_survey_responses": [
            {
                "response_key": key,
                "customer_id": customer,
                "source": "survey",
                "kind": "csat",
                "score": score,
                "scale_min": 1,
                "scale_max": 5,
                "is_satisfied": score >= 4,
                "comment": comment,
                "responded_at": datetime(2024, 8, 20, 12),
                "responded_on": date(2024, 8, 20),
            }
            for key, customer, score, comment in answers
        ],
        "marts.fct_interactions": [
            {"source": "shop", "occurred_at": datetime(2024, 10, 7)},
            {"source": "shop", "occurred_at": datetime(2024, 12, 24)},
        ],
        "quality.load_accounts": [
            {
                "source": "shop",
                "extracted_at": AS_OF,
                "received": 1234,
                "accepted": 1230,
                "quarantined": 4,
            }
        ],
        "quality.quarantine": [
            {
                "source": "shop",
                "model": "orders",
                "document_hash": f"h{number}",
                "origin": "orders.csv",
                "origin_row": number,
                "column_name": "ordered_at",
                "reason": "not a time",
            }
            for number in range(4)
        ],
        "quality.findings": [
            {
                "source": "shop",
                "model": "orders",
                "explanation": "the order has no line",
                "records": 7,
            }
        ],
    }
