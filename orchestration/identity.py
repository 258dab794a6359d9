"""Who is who, for people: why records are one customer, what is in doubt, and what they decide."""

import getpass
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from ingestion.errors import SettingError
from ingestion.sql import literal
from orchestration.settings import Settings
from orchestration.warehouse import append_decisions, recorded_build

Decision = Literal["merge", "apart"]
_WHOSE = {"record": "source's own reference", "source_person_id": "id in its source",
          "visitor": "device", "scored": "scored pair", "decision": "decision"}  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """Why some records are one customer.

    Attributes:
        records: one each, with its strongest tie to another record of the customer: record_key,
            source, record_type, name, since, rule, value, with_key.
        pairs: scored pairs among them, surest first: left_key, right_key, match_weight,
            match_probability, evidence (comparison, level, weight).
        in_doubt: scored pairs with records of other customers: as `pairs`, and customer_id, level.
        unused: identifiers that tie nobody, with the guard that says so.
        events: what happened to the id, newest first.
    """

    customer_id: str
    records: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    in_doubt: list[dict[str, Any]]
    unused: list[dict[str, Any]]
    events: list[dict[str, Any]]


def explain(settings: Settings, name: str) -> Explanation:
    """Why the records of a customer are one; `name` is a customer id or the key of a record.

    Raises:
        CxmError: nobody has this id, or the warehouse was not built.
    """
    with _warehouse(settings) as connection:
        customer = _customer_of(connection, name)
        connection.execute(
            "create temp table mine as select record_key, assigned_at"
            " from identity.int_identity__assignments where customer_id = ?",
            [customer],
        )
        records = _rows(connection, """
            with ties as (
                select mine.record_key, t.identifier_type, t.identifier_value, t.strength
                from mine inner join identity.int_identity__ties as t using (record_key)
            ),

            best as (
                select a.record_key, a.identifier_type, a.identifier_value, b.record_key as with_key
                from ties as a
                inner join ties as b
                    on
                        a.identifier_type = b.identifier_type
                        and a.identifier_value = b.identifier_value
                        and a.record_key <> b.record_key
                qualify row_number() over (
                    partition by a.record_key order by a.strength desc, b.record_key
                ) = 1
            )

            select
                p.record_key, p.source, p.record_type,
                coalesce(
                    p.full_name, nullif(concat_ws(' ', p.first_name, p.last_name), ''), p.email
                ) as name,
                mine.assigned_at as since, coalesce(best.identifier_type, 'single') as rule,
                case when best.identifier_type in ('email', 'phone') then best.identifier_value end
                    as value,
                best.with_key
            from mine
            inner join identity.int_identity__person_records as p using (record_key)
            left join best using (record_key)
            order by p.record_type desc, p.record_key
        """)  # fmt: skip
        pairs = _rows(connection, """
            select left_key, right_key, match_weight, match_probability, evidence
            from identity.int_identity__edges
            where
                level = 'merge'
                and left_key in (select record_key from mine)
                and right_key in (select record_key from mine)
            order by match_weight desc, left_key, right_key
        """)  # fmt: skip
        in_doubt = _rows(connection, """
            select
                e.left_key, e.right_key, e.match_weight, e.match_probability, e.level, e.evidence,
                other.customer_id
            from identity.int_identity__edges as e
            inner join identity.int_identity__assignments as other
                on
                    other.record_key = case
                        when e.left_key in (select record_key from mine) then e.right_key
                        else e.left_key
                    end
            where
                (e.left_key in (select record_key from mine))
                <> (e.right_key in (select record_key from mine))
            order by e.match_weight desc, e.left_key, e.right_key
        """)  # fmt: skip
        unused = _rows(connection, """
            select
                i.identifier_type, i.identifier_value,
                coalesce(any_value(i.blocked_by), 'shared by a household') as blocked_by,
                max(i.sharing_records) as sharing_records
            from identity.int_identity__identifiers as i
            inner join mine using (record_key)
            left join identity.int_identity__shared_identifiers as s
                using (identifier_type, identifier_value)
            where i.blocked_by is not null or s.identifier_type is not null
            group by i.identifier_type, i.identifier_value
            order by i.identifier_type, i.identifier_value
        """)  # fmt: skip
        events = _rows(connection, f"""
            select occurred_at, kind, from_id, to_id, reason, actor, records, touches
            from quality.identity_ledger
            where from_id = {literal(customer)} or to_id = {literal(customer)}
            order by occurred_at desc, event_id
        """)  # fmt: skip
    return Explanation(customer, records, pairs, in_doubt, unused, events)


def review(settings: Settings, limit: int = 20) -> list[dict[str, Any]]:
    """Pairs of customers in doubt that nobody has decided on, the likeliest first.

    Of two customers only the likeliest pair of records is shown, with its evidence.
    """
    with _warehouse(settings) as connection:
        return _rows(connection, f"""
            select
                e.left_key, e.right_key, e.match_probability, e.match_weight, e.evidence,
                l.customer_id as left_customer, r.customer_id as right_customer,
                coalesce(a.full_name, concat_ws(' ', a.first_name, a.last_name)) as left_name,
                coalesce(b.full_name, concat_ws(' ', b.first_name, b.last_name)) as right_name
            from identity.int_identity__edges as e
            inner join identity.int_identity__assignments as l on e.left_key = l.record_key
            inner join identity.int_identity__assignments as r on e.right_key = r.record_key
            inner join identity.int_identity__person_records as a on e.left_key = a.record_key
            inner join identity.int_identity__person_records as b on e.right_key = b.record_key
            left join identity.int_identity__decisions as d
                on e.left_key = d.left_key and e.right_key = d.right_key
            where e.level = 'review' and l.customer_id <> r.customer_id and d.decision_id is null
            qualify row_number() over (
                partition by
                    least(l.customer_id, r.customer_id), greatest(l.customer_id, r.customer_id)
                order by e.match_weight desc, e.left_key, e.right_key
            ) = 1
            order by e.match_weight desc, e.left_key, e.right_key
            limit {limit}
        """)  # fmt: skip


def merge(settings: Settings, left: str, right: str, *, reason: str, actor: str | None) -> int:
    """Decide that two customers (or records) are one; returns the number of decisions written.

    What was decided before to keep their records apart is decided anew, and that they have an
    account each where a person has one.

    Raises:
        SettingError: they are one already, by the last build, or would not become one.
    """
    with _warehouse(settings) as connection:
        one, other = _customer_of(connection, left), _customer_of(connection, right)
        if one == other:
            raise SettingError(f"{left} and {right} are one customer already: {one}")
        first = connection.execute(
            "select min(record_key) from identity.int_identity__assignments"
            " where customer_id in (?, ?) group by customer_id order by 1",
            [one, other],
        ).fetchall()
        pairs = joining(connection, *(key for (key,) in first))
    return _decide(settings, pairs, "merge", reason, actor)


def joining(connection: duckdb.DuckDBPyConnection, left: str, right: str) -> pa.Table:
    """Pairs to decide on so that the customers of two records are one: left_key, right_key.

    That one pair, and every pair of their records that something keeps apart.

    Raises:
        SettingError: for other records' sake they would still be no one customer.
    """
    from dbt_project.enrichment.clusters import cluster_records

    connection.execute("""
        create or replace temp table joined as
        select record_key, customer_id from identity.int_identity__assignments
        where customer_id in (
            select customer_id from identity.int_identity__assignments
            where record_key in ($1, $2)
        )
    """, [left, right])  # fmt: skip
    pairs = connection.execute("""
        with kept_apart as (
            select left_key, right_key from identity.int_identity__apart
            union
            select l.record_key, r.record_key
            from identity.int_identity__sole_accounts as l
            inner join joined on l.record_key = joined.record_key
            inner join identity.int_identity__sole_accounts as r
                on l.namespace = r.namespace and l.account <> r.account
            where l.record_key < r.record_key
        )

        select least($1, $2) as left_key, greatest($1, $2) as right_key
        union
        select kept_apart.left_key, kept_apart.right_key
        from kept_apart
        inner join joined as l on kept_apart.left_key = l.record_key
        inner join joined as r on kept_apart.right_key = r.record_key
        where l.customer_id <> r.customer_id
        order by all
    """, [left, right]).to_arrow_table()  # fmt: skip
    connection.register("pairs", pairs)
    # as the next build will do it, over all that has to do with their records
    connection.execute("""
        create or replace temp table around as
        select record_key from identity.int_identity__clusters
        where whole_key in (
            select whole_key from identity.int_identity__clusters semi join joined
            using (record_key)
        )
    """)
    ties = connection.execute("""
        select record_key, identifier_type, identifier_value, strength
        from identity.int_identity__ties semi join around using (record_key)
        union all
        select
            unnest([left_key, right_key]), 'decision', left_key || ' ' || right_key,
            100 * (
                select confidence from reference.identity_identifier_types
                where identifier_type = 'decision'
            )
        from pairs
    """).to_arrow_table()
    apart = connection.execute("""
        select left_key, right_key
        from identity.int_identity__apart anti join pairs using (left_key, right_key)
    """).to_arrow_table()
    accounts = connection.execute("""
        select record_key, namespace, account from identity.int_identity__sole_accounts
        where record_key not in (
            select pairs.right_key
            from pairs
            inner join identity.int_identity__sole_accounts as l on pairs.left_key = l.record_key
            inner join identity.int_identity__sole_accounts as r
                on pairs.right_key = r.record_key and l.namespace = r.namespace
        )
    """).to_arrow_table()
    limit = connection.execute("select max_records from identity.int_identity__settings").fetchone()
    assert limit is not None
    clusters = cluster_records(ties, limit[0], apart=apart, accounts=accounts)
    connection.register("clusters", clusters)
    parts = connection.execute("""
        select min(clusters.record_key), count(*)
        from clusters semi join joined using (record_key)
        group by clusters.cluster_key order by all
    """).fetchall()
    connection.unregister("pairs")
    connection.unregister("clusters")
    if len(parts) > 1:
        records = sum(size for _, size in parts)
        why = (
            f"together they have {records} records, and a customer has at most {limit[0]}"
            " (max_records)"
            if records > limit[0]
            else "their records are tied to others that must stay apart; decide on those first"
            f" (cxm identity explain): the {len(parts)} parts would be those of "
            + ", ".join(key for key, _ in parts)
        )
        raise SettingError(f"{left} and {right} would not be one customer: {why}")
    return pairs


def unmerge(
    settings: Settings, customer: str, records: Sequence[str], *, reason: str, actor: str | None
) -> int:
    """Decide that some records of a customer are another person than the rest.

    Raises:
        SettingError: a record is not the customer's, or none or all of them are named.
    """
    with _warehouse(settings) as connection:
        customer = _customer_of(connection, customer)
        members = {
            row[0]
            for row in connection.execute(
                "select record_key from identity.int_identity__assignments where customer_id = ?",
                [customer],
            ).fetchall()
        }
        if strange := set(records) - members:
            raise SettingError(f"no record of {customer}: {', '.join(sorted(strange))}")
        if not records or len(set(records)) == len(members):
            raise SettingError(
                f"name some of the {len(members)} records of {customer}, and leave some"
            )
        connection.register("away", pa.table({"away": pa.array(sorted(set(records)))}))
        pairs = connection.execute(
            f"""
            select away.away as left_key, stays.record_key as right_key
            from away cross join identity.int_identity__assignments as stays
            where
                stays.customer_id = {literal(customer)}
                and stays.record_key not in (select away from away)
            """
        ).to_arrow_table()
    return _decide(settings, pairs, "apart", reason, actor)


def decide(
    settings: Settings, left: str, right: str, decision: Decision, *, reason: str,
    actor: str | None,
) -> int:  # fmt: skip
    """Write the decision on one pair of records, as the queue of reviews shows them.

    If their customers become one by it, it is as if these were merged; see `merge`.

    Raises:
        SettingError: there is no such record, or their customers would not become one.
    """
    with _warehouse(settings) as connection:
        one, other = (_customer_of(connection, key) for key in (left, right))
        pairs = (
            joining(connection, left, right)
            if decision == "merge" and one != other
            else pa.table({"left_key": [left], "right_key": [right]})
        )
    return _decide(settings, pairs, decision, reason, actor)


def write_page(explanation: Explanation, target: Path) -> None:
    """Write the explanation as a page of its own, with the weights of each pair as a waterfall."""
    from orchestration.reports import charts
    from orchestration.reports.monthly import render

    shown = [p | {"steps": steps_of(p)} for p in explanation.pairs[:20]]
    render(
        "identity.html.j2",
        target,
        explanation=explanation,
        whose=_WHOSE,
        palette=charts.PALETTE,
        waterfalls=[
            charts.waterfall(p["steps"], f"pair-{n}", f"{p['left_key']} and {p['right_key']}")
            for n, p in enumerate(shown)
        ],
    )


def steps_of(pair: dict[str, Any]) -> list[dict[str, Any]]:
    """The weights of a pair from the odds at the start to the sum, each with where it begins."""
    known = [(e["comparison"].replace("_", " "), e["level"], e["weight"]) for e in pair["evidence"]]
    start = pair["match_weight"] - sum(weight for *_, weight in known)
    steps, level = [], 0.0
    for name, said, weight in [("odds at the start", "", start), *known]:
        steps.append(
            {"name": f"{name}: {said}" if said else name, "from": level, "to": level + weight,
             "weight": weight}
        )  # fmt: skip
        level += weight
    return [*steps, {"name": "sum", "from": 0.0, "to": level, "weight": level}]


def _decide(
    settings: Settings, pairs: pa.Table, decision: Decision, reason: str, actor: str | None
) -> int:
    rows = pairs.num_rows
    table = pa.table(
        {
            "decision_id": [str(uuid.uuid4()) for _ in range(rows)],
            "decision": [decision] * rows,
            "left_key": pairs.column(0),
            "right_key": pairs.column(1),
            "decided_at": pa.array([datetime.now(UTC).replace(tzinfo=None)] * rows),
            "actor": [actor or getpass.getuser()] * rows,
            "reason": [reason] * rows,
        }
    )
    append_decisions(settings.lake, settings.mapping().spec.company, table)
    return rows


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with settings.warehouse_lock():
        recorded_build(settings.warehouse)
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach {literal(settings.warehouse)} as w (read_only)")
            connection.execute("use w")
            yield connection


def _customer_of(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    row = connection.execute(
        "select customer_id from identity.int_identity__assignments"
        " where customer_id = $1 or record_key = $1 limit 1",
        [name],
    ).fetchone()
    if row:
        return str(row[0])
    row = connection.execute(
        "select to_id, kind from quality.identity_ledger where from_id = ?"
        " order by occurred_at desc limit 1",
        [name],
    ).fetchone()
    if row and row[0]:
        raise SettingError(f"{name} is no customer any more: it was merged into {row[0]}")
    hint = "give a customer id, or a record as source:id"
    raise SettingError(f"nobody is called {name}; {hint}")


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    return connection.execute(query).to_arrow_table().to_pylist()


def as_json(explanation: Explanation) -> str:
    return json.dumps(explanation.__dict__, indent=1, default=str)
