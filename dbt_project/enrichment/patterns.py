"""Values that patterns of people's own making find, each pattern compiled once."""

from collections.abc import Sequence

import duckdb

_WITHOUT_SOURCE = ("source_person_id", "record")  # their values begin with `source:`


def matching_values(
    stated: duckdb.DuckDBPyRelation, patterns: Sequence[tuple[str, str, str]]
) -> duckdb.DuckDBPyRelation:
    """Which values are found, and why: the first reason by the alphabet.

    A pattern that came from a join would be compiled anew for every row, which takes a hundred
    times as long as to look for it.

    Args:
        stated: record_key, identifier_type, identifier_value.
        patterns: identifier_type, pattern (a regular expression), reason.

    Returns:
        identifier_type, identifier_value, reason; a value that is a record's own key is its own.
    """
    reasons: dict[str, list[str]] = {}
    for kind, pattern, reason in patterns:
        value = "identifier_value"
        if kind in _WITHOUT_SOURCE:
            value = f"lower(substr({value}, strpos({value}, ':') + 1))"
        found = f"case when regexp_matches({value}, {_text(pattern)}) then {_text(reason)} end"
        reasons.setdefault(kind, []).append(found)
    judged = " ".join(
        f"when {_text(kind)} then least(null, {', '.join(found)})"
        for kind, found in reasons.items()
    )
    kinds = ", ".join(map(_text, reasons)) or "''"
    # materialized: or a reason would be looked for in every row, and twice
    return stated.query(
        "stated",
        f"""
        with given as materialized (
            select distinct identifier_type, identifier_value
            from stated
            where identifier_type in ({kinds}) and identifier_value <> record_key
        ),

        judged as materialized (
            select *, case identifier_type {judged or "when '' then null"} end::varchar as reason
            from given
        )

        select * from judged where reason is not null
        """,
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
