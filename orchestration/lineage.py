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
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema, Schema

from orchestration.settings import Settings

Columns = dict[str, list[tuple[str, str, str]]]  # column -> (schema, table, column) it is made of
Memory = dict[tuple[int, str], set[tuple[str, str, str]]]
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
    schema = MappingSchema({"warehouse": _nested(columns)}, dialect="duckdb")
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


def _trace(sql: str, schema: Schema) -> Columns:
    try:
        tree = qualify(
            sqlglot.parse_one(sql, read="duckdb"), dialect="duckdb", schema=schema,
            validate_qualify_columns=False,
        )  # fmt: skip
        scope = build_scope(tree)
        if scope is None or not isinstance(tree, exp.Query):
            return {}
        memory: Memory = {}
        return {name: sorted(_leaves(scope, name, memory)) for name in tree.named_selects}
    except (SqlglotError, RecursionError, KeyError, AttributeError, ValueError):
        return {}


def _leaves(scope: Scope, name: str, memory: Memory) -> set[tuple[str, str, str]]:
    """The columns of tables that a column of a query is made of, through its subqueries.

    sqlglot's own `lineage` walks the whole query again for every column: minutes in all.
    """
    query = scope.expression
    if not isinstance(query, exp.Query):
        return set()
    key = (id(scope), name)
    if key in memory:
        return memory[key]
    memory[key] = set()  # a recursive query stops here
    found: set[tuple[str, str, str]] = set()
    if scope.set_operation_scopes:
        place = query.named_selects.index(name)
        for part in scope.set_operation_scopes:
            if isinstance(part.expression, exp.Query):
                names = part.expression.named_selects
                by_name = query.args.get("by_name") or place >= len(names)
                found |= _leaves(part, name if by_name else names[place], memory)
    else:
        selected = next((s for s in query.selects if s.alias_or_name == name), None)
        inner = {id(s.expression): s for s in scope.subquery_scopes}
        if selected is None and query.is_star:  # of a table whose columns are not known
            tables = [t for t in scope.sources.values() if isinstance(t, exp.Table)]
            found = {(t.db, t.name, name) for t in tables if t.db}
        for node in selected.walk() if selected else ():
            if isinstance(node, exp.Column):
                source = scope.sources.get(node.table)
                if isinstance(source, Scope):
                    found |= _leaves(source, node.name, memory)
                elif isinstance(source, exp.Table) and source.db:
                    found.add((source.db, source.name, node.name))
            elif isinstance(node, exp.Query) and id(node) in inner:
                for column in node.named_selects:
                    found |= _leaves(inner[id(node)], column, memory)
    memory[key] = found
    return found


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
