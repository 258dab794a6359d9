"""What has to be looked at again: groups of records that nothing connects, and their content.

Who is who within a neighbourhood follows from what is in it alone. So a row that was made in an
earlier build still holds if its neighbourhood is there today, with the same content.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from dbt_project.enrichment.clusters import components, encode
from dbt_project.enrichment.former import former, with_kept

_PROJECT = Path(__file__).parents[1]
# of all that makes customers of records: other code, and all neighbourhoods are looked at again
CODE_HASH = hashlib.md5(
    b"".join(
        path.read_bytes()
        for folder in ("enrichment", "models/identity")
        for path in sorted((_PROJECT / folder).glob("*"))
        if path.suffix in (".py", ".sql")
    )
).hexdigest()


def neighbourhoods(facts: pa.Table) -> pa.Table:
    """The neighbourhood of each record: a number that stands for its records and all their facts.

    Args:
        facts: record, node, content (unsigned 64-bit hashes): what is known of a record, and the
            node by which records that share it are neighbours. Order does not matter.

    Returns:
        record, neighbourhood: once for each record.
    """
    records, record = encode(facts["record"])
    place = components(record, encode(facts["node"])[1], len(records))
    # a sum does not ask for the order, and nothing is lost by its running over
    total = np.zeros(len(records), dtype=np.uint64)
    np.add.at(total, place[record], facts["content"].to_numpy())
    return pa.table({"record": records, "neighbourhood": total[place]})


@dataclass(frozen=True)
class Rest:
    """What a model has to make, and what it has made already.

    Attributes:
        kept: its rows that still hold; None in the first build.
        changed: record_key, neighbourhood of the records of all other neighbourhoods.
    """

    kept: duckdb.DuckDBPyRelation | None
    changed: duckdb.DuckDBPyRelation

    def of(self, rows: duckdb.DuckDBPyRelation, key: str = "record_key") -> duckdb.DuckDBPyRelation:
        """Those of the rows whose record is in a changed neighbourhood."""
        if self.kept is None:
            return rows
        mine = self.changed.project(f"record_key as {key}").set_alias("changed")
        return rows.set_alias("given").join(mine, key, how="semi")

    def and_kept(
        self, session: duckdb.DuckDBPyConnection, made: pa.Table, key: str = "record_key"
    ) -> duckdb.DuckDBPyRelation:
        """The rows made now, each with the neighbourhood of its record, and those kept."""
        mine = self.changed.project(f"record_key as {key}, neighbourhood").set_alias("changed")
        rows = session.from_arrow(made).set_alias("made").join(mine, key)
        return with_kept(self.kept, rows.project(", ".join([*made.column_names, "neighbourhood"])))


def rest(session: duckdb.DuckDBPyConnection, this: Any, now: duckdb.DuckDBPyRelation) -> Rest:
    """What of a model's former table holds, and which records it has to look at.

    Args:
        session: of the warehouse.
        this: the model; its rows name their neighbourhood, and each one that it looks at has some.
        now: record_key, neighbourhood of the records that the model looks at.
    """
    before = former(session, this, "neighbourhood")
    if before is None:
        return Rest(None, now)
    today = now.project("neighbourhood").set_alias("today")
    known = before.project("neighbourhood").set_alias("known")
    return Rest(
        before.set_alias("before").join(today, "neighbourhood", how="semi"),
        now.set_alias("now").join(known, "neighbourhood", how="anti"),
    )
