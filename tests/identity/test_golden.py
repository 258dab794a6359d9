"""The golden record's own SQL: what holds whatever records say, and in whatever order they come."""

import random as chance
from datetime import datetime, timedelta
from typing import Any

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.settings import DBT_PROJECT_DIR

GROUPS = {
    "first_name": ("name", "most_frequent"),
    "last_name": ("name", "most_frequent"),
    "full_name": ("name", "most_frequent"),
    "email": ("email", "most_recent"),
    "street": ("address", "most_complete"),
    "city": ("address", "most_complete"),
    "company_name": ("employment", "source_priority"),
    "job_title": ("employment", "source_priority"),
}
PRIORITIES = [("*", "*", 100), ("shop", "*", 10), ("crm", "*", 20), ("crm", "employment", 5)]
EPOCH = datetime(2026, 1, 1)
Record = dict[str, Any]


def sql_of(path: str) -> str:
    """A model as plain SQL: references are tables of that name, and its own columns are all."""
    macros = (DBT_PROJECT_DIR / "macros" / "identity.sql").read_text()
    text = macros + (DBT_PROJECT_DIR / "models" / path).read_text()
    return jinja2.Template(text).render(ref=lambda name: name, contract_columns=lambda: "*")


ATTRIBUTES = sql_of("marts/customer_attributes.sql")
CONSENTS = sql_of("identity/int_identity__consents.sql")


@pytest.fixture(scope="module")
def session() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create table int_identity__candidates (customer_id text, record_key text, source text,"
        " is_stated bool, changed_at timestamp, attribute text, value text, is_valid bool);"
        "create table survivorship (attribute text, attribute_group text, rule text);"
        "create table source_priority (source text, attribute_group text, priority int);"
        "create table int_identity__consents (customer_id text, has_email_consent bool,"
        " source text, record_key text, since timestamp, candidates int, overruled_source text)"
    )
    connection.executemany(
        "insert into survivorship values (?, ?, ?)", [[a, *rule] for a, rule in GROUPS.items()]
    )
    connection.executemany("insert into source_priority values (?, ?, ?)", PRIORITIES)
    return connection


values = st.sampled_from(["a", "b", "B", "c"])
record = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["shop", "crm", "news"]),
        "is_stated": st.booleans(),
        "changed_at": st.one_of(
            st.none(), st.integers(0, 2).map(lambda days: EPOCH + timedelta(days=days))
        ),
        "valid_email": st.booleans(),
        "values": st.dictionaries(st.sampled_from(sorted(GROUPS)), values, min_size=1),
    }
)


def golden(
    connection: duckdb.DuckDBPyConnection, records: list[Record], seed: int
) -> dict[str, dict[str, Any]]:
    rows = [
        (
            "c", f"{r['source']}:{n}", r["source"], r["is_stated"], r["changed_at"], name, value,
            r["valid_email"] or name != "email",
        )
        for n, r in enumerate(records)
        for name, value in r["values"].items()
    ]  # fmt: skip
    chance.Random(seed).shuffle(rows)
    connection.execute("delete from int_identity__candidates")
    connection.executemany(
        "insert into int_identity__candidates values (?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    found = connection.sql(ATTRIBUTES).to_arrow_table().to_pylist()
    assert len({r["attribute"] for r in found}) == len(found)
    return {r["attribute"]: r for r in found}


def expected(records: list[Record], group: str) -> str | None:
    """Key of the record that a group comes from, worked out record by record."""
    names = [a for a, (g, _) in GROUPS.items() if g == group]
    rule = next(r for g, r in GROUPS.values() if g == group)
    priority = {(s, g): p for s, g, p in PRIORITIES}

    def content(r: Record) -> tuple[tuple[str, str], ...]:
        return tuple((a, r["values"][a].lower()) for a in names if a in r["values"])

    def said(r: Record) -> object:
        whole = r["values"].get("full_name")
        return whole.lower() if group == "name" and whole else content(r)

    offers = [(n, r) for n, r in enumerate(records) if content(r)]

    def rank(offer: tuple[int, Record]) -> tuple[Any, ...]:
        n, r = offer
        age = -r["changed_at"].timestamp() if r["changed_at"] else float("inf")
        of_source = next(
            priority[key]
            for key in ((r["source"], group), (r["source"], "*"), ("*", group), ("*", "*"))
            if key in priority
        )
        criterion = {
            "most_recent": age,
            "most_frequent": -sum(said(o) == said(r) for _, o in offers),
            "most_complete": -len(content(r)),
            "source_priority": (-len(content(r)), of_source),
        }[rule]
        invalid = group == "email" and not r["valid_email"]
        key = f"{r['source']}:{n}"
        return invalid, not r["is_stated"], criterion, -len(content(r)), age, of_source, key

    best = min(offers, key=rank, default=None)
    return f"{best[1]['source']}:{best[0]}" if best else None


@settings(max_examples=40, deadline=None)
@given(records=st.lists(record, min_size=1, max_size=6), seed=st.integers(0, 9))
def test_every_group_is_one_record_the_rules_choose(
    session: duckdb.DuckDBPyConnection, records: list[Record], seed: int
) -> None:
    found = golden(session, records, seed)
    for name, (group, rule) in GROUPS.items():
        winner = expected(records, group)
        if winner is None:
            assert name not in found
            continue
        offered = records[int(winner.partition(":")[2])]["values"].get(name)
        if offered is None:
            assert name not in found, "a value of another record was mixed in"
            continue
        cell = found[name]
        assert (cell["record_key"], cell["value"], cell["rule"]) == (winner, offered, rule)
        given_values = [r["values"][name] for r in records if name in r["values"]]
        assert cell["candidates"] == len(given_values)
        others = {v.lower() for v in given_values} - {offered.lower()}
        assert (cell["runner_up"] is None) == (not others)
        assert cell["runner_up"] is None or cell["runner_up"].lower() in others


@settings(max_examples=15, deadline=None)
@given(records=st.lists(record, min_size=1, max_size=6), seeds=st.tuples(*[st.integers(0, 99)] * 2))
def test_the_order_of_rows_does_not_matter(
    session: duckdb.DuckDBPyConnection, records: list[Record], seeds: tuple[int, int]
) -> None:
    assert golden(session, records, seeds[0]) == golden(session, records, seeds[1])


@pytest.fixture(scope="module")
def said_session() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create table int_identity__assignments as from (values ('a:1', 'c'), ('b:1', 'c'),"
        " ('b:2', 'c')) as v(record_key, customer_id);"
        "create table person_records (person_record_key text, source text, email_consent bool);"
        "create table consent_events (person_record_key text, email text, source text,"
        " channel text, purpose text, is_granted bool, occurred_at timestamp);"
        "create table campaign_events (person_record_key text, email text, source text,"
        " kind text, occurred_at timestamp)"
    )
    return connection


statement = st.tuples(
    st.sampled_from(["a:1", "b:1", "b:2"]),
    st.sampled_from(["event", "flag", "unsubscribed"]),
    st.sampled_from(["news", "ads"]),
    st.booleans(),
    st.integers(1, 5),
)


@settings(max_examples=40, deadline=None)
@given(statements=st.lists(statement, min_size=1, max_size=8))
def test_consent_is_the_most_restrictive(
    said_session: duckdb.DuckDBPyConnection,
    statements: list[tuple[str, str, str, bool, int]],
) -> None:
    flags = {key: granted for key, kind, _, granted, _ in statements if kind == "flag"}
    events = [(k, p, g, t) for k, kind, p, g, t in statements if kind == "event"]
    left = [(key, day) for key, kind, _, _, day in statements if kind == "unsubscribed"]
    said_session.execute(
        "truncate person_records; truncate consent_events; truncate campaign_events"
    )
    for key, granted in flags.items():
        said_session.execute("insert into person_records values (?, ?, ?)", [key, key[0], granted])
    for key, purpose, granted, day in events:
        said_session.execute(
            "insert into consent_events values (?, null, ?, 'email', ?, ?, ?)",
            [key, key[0], purpose, granted, EPOCH + timedelta(days=day)],
        )
    for key, day in left:
        said_session.execute(
            "insert into campaign_events values (?, null, ?, 'unsubscribed', ?)",
            [key, key[0], EPOCH + timedelta(days=day)],
        )
    rows = said_session.sql(f"select has_email_consent, candidates from ({CONSENTS})").fetchall()
    said = list(flags.values())
    for key, purpose in {(k, p) for k, p, _, _ in events}:
        of_purpose = [(t, not g) for k, p, g, t in events if (k, p) == (key, purpose)]
        said.append(not max(of_purpose)[1])
    for key in {k for k, _ in left}:
        last = max(day for k, day in left if k == key)
        if not any(k == key and g and t > last for k, _, g, t in events):
            said.append(False)
    assert [allowed for allowed, _ in rows] == ([all(said)] if said else [])
