"""The identity models of the dbt project over records made by hand, in one process."""

import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import yaml

from orchestration.manifest import put_venv_on_path
from orchestration.settings import DBT_PROJECT_DIR

NOW = "2026-10-02 06:00:00"
_COMPARED = "record_key varchar, form_hash varchar, scored_with varchar"
_KEPT = {  # what builds leave in the lake; here in tables
    "int_identity__registry": "record_key varchar, customer_id varchar, minted_from varchar,"
    " assigned_at timestamp, sequence bigint",
    "int_identity__household_registry": "customer_id varchar, household_id varchar,"
    " assigned_at timestamp, sequence bigint",
    "int_identity__ledger": "event_id varchar, kind varchar, from_id varchar, to_id varchar,"
    " reason varchar, occurred_at timestamp, run_id varchar, actor varchar, records bigint,"
    " record_keys varchar[], evidence varchar",
    "int_identity__decisions": "decision_id varchar, decision varchar, left_key varchar,"
    " right_key varchar, decided_at timestamp, actor varchar, reason varchar",
    "int_identity__settings": "preset varchar, max_records integer, known_model varchar",
}


@dataclass(frozen=True)
class Models:
    """The identity models in the order in which they are built: name, compiled SQL or None."""

    order: list[tuple[str, str | None]]
    folder: Path
    views: frozenset[str] = frozenset()


def compile_models(base: Path, **identity: Any) -> Models:
    """Compile the identity models with dbt, once for many tests.

    Args:
        identity: as in a company's configuration: one_account_in, ...
    """
    # dbt finds the table of what was compared, so the models are those of a later build
    with duckdb.connect(str(base / "warehouse.duckdb")) as connection:
        connection.execute(f"""
            create schema identity; create table identity.int_identity__compared ({_COMPARED})
        """)
    plan = base / "plan.json"
    plan.write_text(json.dumps({"company": "test", "as_of": NOW, "identity": identity}))
    put_venv_on_path()
    target = base / "target"
    done = subprocess.run(
        ["dbt", "--quiet", "compile", "-s", "path:models/identity", "--profiles-dir", ".",
         "--target-path", str(target), "--log-path", str(base / "logs")],
        cwd=DBT_PROJECT_DIR,
        env={**os.environ, "CXM_PLAN": str(plan), "CXM_WAREHOUSE": str(base / "warehouse.duckdb")},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    models = {
        n["name"]: n
        for n in nodes.values()
        if n["resource_type"] == "model" and n["fqn"][1] == "identity"
    }
    order: list[tuple[str, str | None]] = []
    done_names: set[str] = set(_KEPT)

    def add(name: str) -> None:
        if name in done_names:
            return
        done_names.add(name)
        for needed in models[name]["depends_on"]["nodes"]:
            if needed.rpartition(".")[2] in models:
                add(needed.rpartition(".")[2])
        path = target / "compiled" / "cxm" / models[name]["original_file_path"]
        is_sql = models[name]["language"] == "sql"
        order.append((name, path.read_text() if is_sql else None))

    for name in sorted(models):
        add(name)
    views = frozenset(n for n, m in models.items() if m["config"]["materialized"] == "view")
    return Models(order, DBT_PROJECT_DIR / "models" / "identity", views)


@cache
def _unified_tables() -> list[str]:
    """What makes the tables of the unified layer, empty."""
    made = []
    for path in sorted((DBT_PROJECT_DIR / "models" / "unified").glob("_*__models.yml")):
        for model in yaml.safe_load(path.read_text())["models"]:
            columns = ", ".join(f'"{x["name"]}" {x["data_type"]}' for x in model["columns"])
            made.append(f"create table unified.{model['name']} ({columns})")
    return made


@dataclass
class Resolution:
    """One company: records come in, builds give ids, and what builds leave is kept."""

    models: Models
    preset: str = "strict"
    max_records: int = 500
    sequence: int = 0
    file: str = ":memory:"
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        c = self.connection
        c.execute(f"set TimeZone = 'UTC'; attach '{self.file}' as warehouse; use warehouse")
        for schema in ("unified", "identity", "reference"):
            c.execute(f"create schema {schema}")
        for table in _unified_tables():
            c.execute(table)
        for name, columns in _KEPT.items():
            c.execute(f"create table identity.{name} ({columns})")
        c.execute(f"create table identity.int_identity__compared ({_COMPARED})")
        for seed in ("identity_blocked_values", "identity_identifier_types"):
            file = DBT_PROJECT_DIR / "seeds" / f"{seed}.csv"
            c.execute(f"create table reference.{seed} as from read_csv('{file}', header = true)")
        c.execute(
            "insert into identity.int_identity__settings values (?, ?, null)",
            [self.preset, self.max_records],
        )

    def put(self, *rows: dict[str, Any], model: str = "person_records") -> None:
        """Add rows, or newer versions of them; `id` as source:id names a person record."""
        c = self.connection
        key = c.execute(f"describe unified.{model}").fetchall()[0][0]
        made = []
        for row in rows:
            row = dict(row)
            if "id" in row:
                name = row.pop("id")
                source, _, own = name.partition(":")
                row |= {key: name, "source": source}
                if model == "person_records":
                    row["person_record_id"] = own
            made.append(row)
        columns = list(dict.fromkeys(column for row in made for column in row))
        c.register("given", pa.Table.from_pylist([{c: r.get(c) for c in columns} for r in made]))
        c.execute(f"delete from unified.{model} where {key} in (select {key} from given)")
        c.execute(f"insert into unified.{model} by name select * from given")
        c.unregister("given")

    def remove(self, *keys: str) -> None:
        listed = ", ".join(f"'{k}'" for k in keys)
        self.connection.execute(
            f"delete from unified.person_records where person_record_key in ({listed})"
        )

    def decide(self, decision: str, left: str, right: str) -> None:
        n = self.connection.execute("select count(*) from identity.int_identity__decisions")
        self.connection.execute(
            "delete from identity.int_identity__decisions where left_key = ? and right_key = ?",
            sorted((left, right)),
        )
        self.connection.execute(
            "insert into identity.int_identity__decisions values (?, ?, ?, ?, now(), 'me', 'test')",
            [f"d{(n.fetchone() or (0,))[0]}-{decision}", decision, *sorted((left, right))],
        )

    def build(self) -> dict[str, str]:
        """Build all models, keep ids, events and model; returns the customer of each record."""
        c = self.connection
        for name, sql in self.models.order:
            if name in self.models.views:
                c.execute(f"create or replace view identity.{name} as {sql}")
                continue
            if sql is None:
                made = _python_model(self.models.folder / f"{name}.py", c)
                c.register("made", made)
                sql = "from made"
            c.execute(f"create or replace table identity.{name}_new as {sql}")
            c.execute(f"drop table if exists identity.{name}")
            c.execute(f"alter table identity.{name}_new rename to {name}")
        self.sequence += 1
        c.execute(f"""
            insert into identity.int_identity__ledger from identity.int_identity__events;
            insert into identity.int_identity__registry
            select record_key, customer_id, minted_from, assigned_at, {self.sequence}
            from identity.int_identity__assignments
            where customer_id is distinct from previous_customer_id;
            insert into identity.int_identity__household_registry
            select *, {self.sequence} from identity.int_identity__household_moves;
            update identity.int_identity__settings
            set known_model = (select model from identity.int_identity__match_model)
        """)
        return dict(
            c.execute(
                "select record_key, customer_id from identity.int_identity__assignments"
            ).fetchall()
        )

    def events(self, *kinds: str) -> list[tuple[Any, ...]]:
        """Kind, ids, reason and records of what happened, in order."""
        listed = ", ".join(f"'{k}'" for k in kinds)
        return self.connection.execute(
            "select kind, from_id, to_id, reason, record_keys from identity.int_identity__ledger"
            + (f" where kind in ({listed})" if kinds else "")
            + " order by occurred_at, event_id"
        ).fetchall()


def _python_model(path: Path, connection: duckdb.DuckDBPyConnection) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shim = SimpleNamespace(
        config=lambda **_: None,
        ref=lambda name: connection.table(
            f"{'identity' if name.startswith('int_') else 'reference'}.{name}"
        ),
        this=_This("identity", path.stem),
    )
    return module.model(shim, connection)


@dataclass(frozen=True)
class _This:
    schema: str
    identifier: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.identifier}"


def groups(ids: dict[str, str]) -> list[list[str]]:
    """The records of each customer, without the ids."""
    by_id: dict[str, list[str]] = {}
    for record, customer in ids.items():
        by_id.setdefault(customer, []).append(record)
    return sorted(sorted(group) for group in by_id.values())
