"""The SQL of the journey's machine and of the survival macros, without dbt."""

import csv
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import duckdb
from jinja2 import Environment

from orchestration.settings import DBT_PROJECT_DIR

AS_OF = datetime(2026, 6, 1)
Touch = tuple[str, str, datetime, str, str, str]  # as in the columns of TOUCHES
Move = tuple[str, datetime, int, int, str, str | None]
TOUCHES = "interaction_key, customer_id, occurred_at, journey_stage, direction, evidence"


@cache
def macros() -> Any:
    folder = DBT_PROJECT_DIR / "macros"
    text = "".join(
        (folder / f"{name}.sql").read_text() for name in ("statistics", "survival", "journey")
    )
    return Environment(extensions=["jinja2.ext.do"]).from_string(text).module


def seed(name: str) -> list[dict[str, str]]:
    with (DBT_PROJECT_DIR / "seeds" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def connect() -> duckdb.DuckDBPyConnection:
    """A database with the seeds of the journey and no touches yet."""
    connection = duckdb.connect()
    for name in ("journey_stages", "journey_transitions"):
        path = DBT_PROJECT_DIR / "seeds" / f"{name}.csv"
        connection.execute(f"create table {name} as from read_csv('{path}', header = true)")
    connection.execute(
        "create table touches (interaction_key varchar, customer_id varchar,"
        " occurred_at timestamp, journey_stage varchar, direction varchar, evidence varchar)"
    )
    return connection


def moves(connection: duckdb.DuckDBPyConnection, touches: Sequence[Touch]) -> list[Move]:
    """What the machine makes of these touches, by customer and time."""
    connection.execute("delete from touches")
    for first in range(0, len(touches), 500):
        some = touches[first : first + 500]
        marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some))
        connection.execute(f"insert into touches values {marks}", [v for t in some for v in t])
    sql = macros().journey_moves(
        "touches", "journey_stages", "journey_transitions", f"timestamp '{AS_OF}'"
    )
    columns = "customer_id, entered_at, stage_number, from_number, cause, interaction_key"
    return connection.execute(
        f"select {columns} from ({sql}) order by customer_id, entered_at, step_number"
    ).fetchall()
