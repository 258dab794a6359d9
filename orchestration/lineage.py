"""Which columns each column of a mart is made of, read off the SQL that dbt compiled.

The adapter's own way asks the database from Dagster's process; this needs no connection.
"""

import hashlib
import json
import re
from pathlib import Path

import dagster as dg
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from orchestration.settings import Settings

Columns = dict[str, list[tuple[str, str, str]]]  # column -> (schema, table, column) it is made of
LAYERS = ("marts",)
_TIME = re.compile(r"cast\('[^']*' as timestamp\)")


def column_lineage(
    settings: Settings, compiled: Path, columns: dict[tuple[str, str], list[str]]
) -> dict[tuple[str, str], dg.TableColumnLineage]:
    """Lineage of the marts' columns, by schema and table.

    Args:
        compiled: dbt's folder of compiled models.
        columns: column names of every table in the warehouse, by schema and table.

    A model whose SQL cannot be traced has no entry. Traced models are remembered by their SQL.
    """
    memory_path = settings.dbt_target / "lineage.json"
    memory: dict[str, Columns] = json.loads(memory_path.read_text()) if memory_path.exists() else {}
    found: dict[tuple[str, str], dg.TableColumnLineage] = {}
    used: dict[str, Columns] = {}
    schema: dict[str, object] = {"warehouse": _nested(columns)}
    for layer in LAYERS:
        for path in sorted(compiled.glob(f"**/models/{layer}/*.sql")):
            sql = path.read_text()
            # the time of the run stands in the SQL and changes nothing about its columns
            timeless = _TIME.sub("", sql)
            digest = hashlib.sha256(timeless.encode()).hexdigest()
            if digest not in memory:
                memory[digest] = _trace(sql, schema)
            used[digest] = memory[digest]
            if memory[digest]:
                found[layer, path.stem] = _as_dagster(memory[digest])
    draft = memory_path.with_suffix(".tmp")
    draft.write_text(json.dumps(used))
    draft.replace(memory_path)
    return found


def _trace(sql: str, schema: dict[str, object]) -> Columns:
    try:
        tree = qualify(
            sqlglot.parse_one(sql, read="duckdb"), dialect="duckdb", schema=schema,
            validate_qualify_columns=False,
        )  # fmt: skip
        scope = build_scope(tree)
        if scope is None or not isinstance(tree, exp.Query):
            return {}
        made_of: Columns = {}
        for name in tree.named_selects:
            sources = {
                (node.source.db, node.source.name, node.name.rsplit(".", 1)[-1])
                for node in lineage(name, tree, dialect="duckdb", schema=schema, scope=scope).walk()
                if isinstance(node.source, exp.Table) and node.source.db
            }
            made_of[name] = [(s, t, c.strip('"')) for s, t, c in sorted(sources) if c != "*"]
        return made_of
    except (SqlglotError, RecursionError, KeyError, AttributeError, ValueError):
        return {}


def _nested(columns: dict[tuple[str, str], list[str]]) -> dict[str, dict[str, dict[str, str]]]:
    nested: dict[str, dict[str, dict[str, str]]] = {}
    for (schema, table), names in columns.items():
        nested.setdefault(schema, {})[table] = dict.fromkeys(names, "varchar")
    return nested


def _as_dagster(columns: Columns) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        deps_by_column={
            name: [
                dg.TableColumnDep(asset_key=dg.AssetKey([schema, table]), column_name=column)
                for schema, table, column in sources
            ]
            for name, sources in columns.items()
        }
    )
