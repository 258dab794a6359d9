"""What a model made in the build before, so that it need not make all of it again."""

from typing import Any

import duckdb


def former(
    session: duckdb.DuckDBPyConnection, this: Any, *columns: str
) -> duckdb.DuckDBPyRelation | None:
    """The table that a Python model is about to replace; None where it is of no use.

    That is in the first build, and where it was made by code that knew nothing of the `columns`
    by which the model tells what still holds.

    dbt's own incremental Python models look for their temporary table in the wrong catalog of a
    DuckDB file, so such a model is a table, and takes over from its former self what still holds.
    """
    known = session.execute(
        "select list(column_name) from duckdb_columns() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [this.schema, this.identifier],
    ).fetchone()
    if known is None or known[0] is None or not set(columns) <= set(known[0]):
        return None
    return session.table(str(this))


def with_kept(
    kept: duckdb.DuckDBPyRelation | None, made: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """The rows made now and those kept.

    A table of other columns was made by other code. Whoever keeps rows knows them by a hash that
    tells other code, too, so all rows are among those made now, and none of it is kept.
    """
    if kept is None or set(kept.columns) != set(made.columns):
        return made
    return made.union(kept.project(", ".join(made.columns)))
