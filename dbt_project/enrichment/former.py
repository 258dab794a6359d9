"""What a model made in the build before, so that it need not make all of it again."""

from typing import Any

import duckdb


def former(session: duckdb.DuckDBPyConnection, this: Any) -> duckdb.DuckDBPyRelation | None:
    """The table that a Python model is about to replace; None in the first build.

    dbt's own incremental Python models look for their temporary table in the wrong catalog of a
    DuckDB file, so such a model is a table, and takes over from its former self what still holds.
    """
    known = session.execute(
        "select count(*) from duckdb_tables() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [this.schema, this.identifier],
    ).fetchone()
    return session.table(str(this)) if known and known[0] else None
