"""A read-only DuckDB dialect for SQLAlchemy, made for how Great Expectations uses connections.

Great Expectations reads a result after it gave the connection back. SQLAlchemy rolls back then,
and DuckDB drops a pending result on ROLLBACK: every result would be empty. A file that is only
read needs no transactions, so here they do nothing, on one connection per engine.
"""

from pathlib import Path
from typing import Any

import duckdb
from duckdb_engine import ConnectionWrapper, Dialect
from sqlalchemy.dialects import registry
from sqlalchemy.pool import Pool, StaticPool

ENGINE_OPTIONS: dict[str, Any] = {"pool_reset_on_return": None}


class ReadOnlyDuckDB(Dialect):
    """`duckdb+readonly:///<absolute path>`: opens the file for reading, begins and ends nothing."""

    # SQLAlchemy warns where a dialect does not say; statements are run once, so none is kept
    supports_statement_cache = False

    @classmethod
    def get_pool_class(cls, url: Any) -> type[Pool]:
        return StaticPool

    def connect(self, *args: Any, **options: Any) -> Any:
        # straight to DuckDB: the engine's user agent would be a different configuration, which
        # DuckDB refuses while this process has the file open elsewhere
        return ConnectionWrapper(duckdb.connect(options["database"], read_only=True))

    def do_begin(self, connection: Any) -> None:
        pass

    def do_commit(self, connection: Any) -> None:
        pass

    def do_rollback(self, connection: Any) -> None:
        pass


registry.register("duckdb.readonly", __name__, ReadOnlyDuckDB.__name__)


def read_only_url(warehouse: Path) -> str:
    """The URL of a DuckDB file for `sqlalchemy.create_engine`."""
    from sqlalchemy import URL

    return URL.create("duckdb+readonly", database=str(warehouse.resolve())).render_as_string()
