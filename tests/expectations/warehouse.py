"""A small warehouse file whose tables have the columns that the dbt contracts state."""

from pathlib import Path
from typing import Any

import duckdb
import yaml

MODELS = Path(__file__).parents[2] / "dbt_project" / "models"
MARTS = [
    "customer_360",
    "bridge_customer_records",
    "fct_orders",
    "fct_order_lines",
    "fct_interactions",
    "fct_journey_stage_spans",
    "dim_kpis",
    "kpi_values",
]
CONCEPTS = [
    "orders",
    "order_lines",
    "payments",
    "person_records",
    "survey_responses",
    "tickets",
    "opportunities",
]
STAGING_COLUMNS = {
    "source_table": "varchar",
    "document_key": "varchar",
    "is_deleted": "boolean",
    "load_id": "varchar",
    "element": "bigint",
    "rejections": "struct(column_name varchar, value varchar, reason varchar)[]",
}
QUALITY = {
    "load_accounts": {
        "source": "varchar",
        "source_table": "varchar",
        "model": "varchar",
        "load_id": "varchar",
        "extracted_at": "timestamp",
        "received": "bigint",
        "accepted": "bigint",
        "quarantined": "bigint",
    },
    "quarantine": {
        "source": "varchar",
        "source_table": "varchar",
        "model": "varchar",
        "load_id": "varchar",
        "column_name": "varchar",
        "reason": "varchar",
    },
}
DOCUMENTS = 200  # of each load


def build(path: Path) -> Path:
    """Three customers (one of them a test), four orders, and three loads that look alike."""
    with duckdb.connect(str(path)) as db:
        for schema in ("staging", "quality", "marts"):
            db.execute(f"create schema {schema}")
        contracts = _contracts()
        for mart in MARTS:
            _create(db, f"marts.{mart}", contracts[mart])
        for concept in CONCEPTS:
            _create(db, f"staging.stg__{concept}", contracts[concept] | STAGING_COLUMNS)
        for table, columns in QUALITY.items():
            _create(db, f"quality.{table}", columns)
        _fill_marts(db)
        for number in (1, 2, 3):
            add_load(db, number)
    return path


def add_load(
    db: duckdb.DuckDBPyConnection,
    number: int,
    *,
    status: str = "case when i % 10 = 0 then 'canceled' else 'delivered' end",
    amount: str = "50 + i % 7",
    person: str = "'shop:p' || i",
    documents: int = DOCUMENTS,
) -> None:
    """A load of orders from the shop; its fields as SQL over the number `i` of the document."""
    db.execute(
        f"""insert into staging.stg__orders by name
        select 'shop:' || i as order_key, 'shop' as source, 'orders' as source_table,
            '{number}.5' as load_id, false as is_deleted, [] as rejections,
            {status} as status, {amount} as total_amount, {person} as person_record_key
        from range({documents}) as numbers(i)"""
    )
    insert(
        db,
        "quality.load_accounts",
        source="shop",
        source_table="orders",
        model="orders",
        load_id=f"{number}.5",
        extracted_at=f"2026-03-{number:02} 06:00:00",
        received=documents,
        accepted=documents,
        quarantined=0,
    )


def insert(db: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    marks = ", ".join("?" for _ in row)
    db.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))


def _contracts() -> dict[str, dict[str, str]]:
    """Columns and their types by model, of those models that state them."""
    return {
        model["name"]: {
            column["name"]: column["data_type"]
            for column in model.get("columns", [])
            if "data_type" in column
        }
        for path in sorted(MODELS.rglob("*.yml"))
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }


def _create(db: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str]) -> None:
    listed = ", ".join(f'"{name}" {data_type}' for name, data_type in columns.items())
    db.execute(f"create table {table} ({listed})")


def _fill_marts(db: duckdb.DuckDBPyConnection) -> None:
    as_of = "2026-03-03 06:00:00"
    for customer, revenue, is_test in [("c1", 30, False), ("c2", 20, False), ("c3", 99, True)]:
        insert(
            db,
            "marts.customer_360",
            customer_id=customer,
            revenue_reporting=revenue,
            is_test=is_test,
            is_employee=False,
            as_of=as_of,
        )
        insert(
            db, "marts.bridge_customer_records", record_key=f"shop:{customer}", customer_id=customer
        )
    for order, customer, revenue, is_valid in [
        ("o1", "c1", 30, True),
        ("o2", "c2", 20, True),
        ("o3", "c2", 70, False),
        ("o4", "c3", 99, True),
        ("o5", None, 5, True),
    ]:
        insert(
            db,
            "marts.fct_orders",
            order_key=order,
            customer_id=customer,
            revenue_reporting=revenue,
            item_amount=revenue,
            is_valid=is_valid,
            ordered_at="2026-02-01 10:00:00",
        )
        insert(
            db,
            "marts.fct_order_lines",
            order_line_key=f"{order}-1",
            order_key=order,
            item_amount=revenue,
        )
        insert(
            db,
            "marts.fct_interactions",
            interaction_key=f"order:{order}",
            customer_id=customer,
            occurred_at="2026-02-01 10:00:00",
        )
    for number, entered, exited in [
        (1, "2026-01-01 00:00:00", "2026-02-01 10:00:00"),
        (2, "2026-02-01 10:00:00", "2026-02-01 10:00:00"),
        (3, "2026-02-01 10:00:00", None),
    ]:
        insert(
            db,
            "marts.fct_journey_stage_spans",
            span_key=f"c1:{number}",
            customer_id="c1",
            span_number=number,
            entered_at=entered,
            exited_at=exited,
        )
    for kpi, unit, value, low, high, of_sources in [
        ("orders", "count", 4, None, None, {"shop": 3, "web": 1}),
        ("revenue", "currency", 55, None, None, {"shop": 50, "web": 5}),
        ("csat", "share", 0, 0, 0.3, {"shop": 0}),
        ("nps", "points", -100, -100, -60, {"shop": -100}),
        # people who bought at both shops count once in the total
        ("repeat_customers", "people", 1, None, None, {"shop": 1, "web": 1}),
    ]:
        rows = [("all", "all", value)] + [("source", s, v) for s, v in of_sources.items()]
        for dimension, dimension_value, figure in rows:
            insert(
                db,
                "marts.kpi_values",
                kpi_id=kpi,
                period_grain="all",
                dimension=dimension,
                dimension_value=dimension_value,
                value=figure,
                denominator=None if low is None else 4,
                n=4,
                ci_low=low,
                ci_high=high,
                unit=unit,
            )
