"""Scored pairs of person records: how likely two records are one person, and why.

A Fellegi-Sunter model: every comparison of two records (name, mailbox, telephone, ...) falls into
a level, and a level has a weight, log2 of how much more often it is seen in two records of one
person (m) than in records of two (u). The weights and the odds at the start add up to the match
weight. Records of one household agree in much and are two people all the same, so a pair whose
first names or birth dates contradict each other is never merged, whatever its weight.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from dbt_project.enrichment import names
from dbt_project.enrichment.weighing import weighed

VERSION = 2  # of the model's form; `score` refuses another
_HERE = Path(__file__).parent
FORM = hashlib.md5(  # of what `comparable` does: another form, and all records are made anew
    b"".join((_HERE / name).read_bytes() for name in ("names.py", "nicknames.csv"))
).hexdigest()
# of what `score` does besides the model: other rules or thresholds, and all pairs are judged anew
RULES_HASH = hashlib.md5(
    b"".join((_HERE / name).read_bytes() for name in ("matching.py", "weighing.py"))
).hexdigest()
_PEOPLE = 3  # who have a name, at least: the model outlives an erasure, so a rare one is not in it
_GROWTH = 2.0  # times as many records as learned from: the frequencies of names are others then

_TEXTS = (
    "record_key", "source", "email", "mailbox_kind", "phone", "first_name", "last_name",
    "full_name", "street", "postal_code", "city", "country", "company_name",
)  # fmt: skip
INPUT = pa.schema([*((c, pa.string()) for c in _TEXTS), ("birth_date", pa.date32())])  # fmt: skip
EVIDENCE = pa.list_(
    pa.struct([("comparison", pa.string()), ("level", pa.string()), ("weight", pa.float64())])
)
EDGES = pa.schema(
    [
        ("left_key", pa.string()), ("right_key", pa.string()), ("match_weight", pa.float64()),
        ("match_probability", pa.float64()), ("level", pa.string()), ("evidence", EVIDENCE),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Thresholds:
    """From which match probability on a pair is used, and what it must agree in.

    Attributes:
        merge: one person, from this probability on.
        review: somebody should look at it.
        household: two people of one household are shown from this probability on.
        certain: from here on two names that are the same outweigh another mailbox and telephone.
        needs: level, by comparison, that a pair to be merged reaches at least.
        guard: what keeps a pair from being merged, whatever its weight. "contacts": different
            first names, birth dates, or (without anything personal in common) mailboxes or
            telephones; "names": the first two alone; "none": nothing, for data without families.
    """

    merge: float
    review: float
    household: float = 1e-5
    certain: float = 0.999998
    needs: Mapping[str, str] = field(default_factory=dict)
    guard: Literal["contacts", "names", "none"] = "contacts"


_ALIKE = {"first_name": "much alike", "last_name": "a part of it"}
PRESETS = {
    "strict": None,  # identifiers alone tie records; nothing is scored
    "default": Thresholds(merge=0.995, review=0.5),
    "score_alone": Thresholds(merge=0.5, review=0.2, guard="none"),
    "loose": Thresholds(merge=0.8, review=0.2, guard="names"),
    "email_exact_name_fuzzy": Thresholds(0.5, 0.2, needs={"email": "same mailbox", **_ALIKE}),
    "postcode_exact_address_name_fuzzy": Thresholds(
        0.5, 0.2, needs={"address": "one slip", **_ALIKE}, guard="names"
    ),
}


@dataclass(frozen=True)
class Rule:
    """Records that are worth comparing: those equal in all of `columns`.

    Where that would be too many pairs, it is asked for each group of `tighter` columns besides;
    those that still make too many are left out.
    """

    name: str
    columns: tuple[str, ...]
    tighter: tuple[tuple[str, ...], ...] = ()


RULES = (
    Rule("mailbox", ("mailbox",)),
    Rule("group mailbox", ("group_mailbox",), (("last_key",),)),
    Rule("phone", ("phone_tail",)),
    Rule("name", ("name_key",), (("city_key",), ("domain",), ("postal_key",))),
    Rule("address", ("address_key",), (("last_key",),)),
    Rule("birth date", ("born",), (("first_key",), ("last_key",), ("postal_key",))),
    Rule("postal code and last name", ("postal_key", "last_key"), (("initial",),)),
    Rule("postal code and first name", ("postal_key", "first_key"), (("street_number",),)),
    Rule("company and last name", ("company_key", "last_key"), (("first_key",),)),
    Rule("company and first name", ("company_key", "first_key"), (("city_key",),)),
    Rule("domain, last name and initial", ("domain", "last_key", "initial"), (("first_key",),)),
    Rule("domain, name and digits", ("domain", "first_key", "local_digits"), (("last_key",),)),
    Rule("mailbox elsewhere", ("local_key",), (("last_key",), ("first_key",))),
    Rule("mailbox with a slip", ("domain", "local_start", "long_digits"), (("last_key",),)),
    Rule("last name, city and initial", ("last_key", "city_key", "initial"), (("postal_key",),)),
)  # fmt: skip
PAIRS_PER_RECORD = 5  # of one rule, above which it is tightened
LEAST_PAIRS = 200_000  # which are always allowed
_PAIRS_AT_ONCE = 2_000_000

# Two names that are both common are two names, not one with a slip of the pen; and Paul and Paula
# or Christian and Christiane live together more often than one of them is mistyped.
_NOT_TWO_NAMES = "not ({0}_known_l and {0}_known_r) and {0}_stem_l <> {0}_stem_r"
_SLIP = (
    "abs(length({0}_written_l) - length({0}_written_r)) <= 2 and " + _NOT_TWO_NAMES + ""
    " and least(length({0}_written_l), length({0}_written_r)) > 2"
    " and damerau_levenshtein({0}_written_l, {0}_written_r)"
    " <= case when length({0}_written_l) > 8 then 2 else 1 end"
)
# one edit leaves one half as it was: seen at a glance, where the distance takes its time
_ONE_EDIT = (
    "abs(length({0}_l) - length({0}_r)) < 2 and ("
    "left({0}_l, length({0}_l) // 2 - 1) = left({0}_r, length({0}_l) // 2 - 1)"
    " or right({0}_l, length({0}_l) // 2 - 1) = right({0}_r, length({0}_l) // 2 - 1)"
    ") and damerau_levenshtein({0}_l, {0}_r) <= 1"
)


def _level(
    label: str, condition: str, m: float, u: float, *, frequency: str | None = None,
    fixed: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """A level with the m and u to begin with; `fixed`: they are kept.

    With `frequency` the weight is log2(m / how frequent the value is), u does not count.
    """
    level: dict[str, Any] = {
        "sql_condition": condition, "label_for_charts": label, "m_probability": m,
        "u_probability": u, "fix_m_probability": fixed, "fix_u_probability": fixed,
    }  # fmt: skip
    if frequency:
        level |= {
            "tf_adjustment_column": frequency, "tf_adjustment_weight": 1.0,
            "disable_tf_exact_match_detection": True,
        }  # fmt: skip
    return level


def _missing(column: str, or_else: str = "false") -> dict[str, Any]:
    condition = f"{column}_l is null or {column}_r is null or ({or_else})"
    return {"sql_condition": condition, "label_for_charts": "not known", "is_null_level": True}


def _comparisons() -> list[dict[str, Any]]:
    sides = (("l", "r"), ("r", "l"))
    # one name stands crosswise exactly, the other nearly: Weber Tobias and Tobi Weber
    swapped = " or ".join(
        f"(first_whole_{a} = last_key_{b} and"
        f" jaro_winkler_similarity(first_whole_{b}, last_key_{a}) > 0.75)"
        for a, b in sides
    )
    initial = " or ".join(
        f"(length(first_written_{a}) = 1 and starts_with(first_written_{b}, first_written_{a}))"
        for a, b in sides
    )
    first, last = "first_key", "last_key"
    alike = "jaro_winkler_similarity(first_key_l, first_key_r) > 0.8 and " + _NOT_TWO_NAMES
    levels = {
        "first_name": [
            _missing("first_key"),
            _level("same", "first_written_l = first_written_r", 0.75, 0.005, frequency=first),
            _level("other spelling", "first_key_l = first_key_r", 0.06, 0.001, frequency=first),
            _level("swapped", swapped, 0.12, 0.005, frequency=first, fixed=True),
            _level(
                "short form", "list_has_any(first_forms_l, first_forms_r)", 0.06, 0.002,
                frequency=first,
            ),
            _level("initial", initial, 0.02, 0.01),
            _level("one slip", _SLIP.format("first"), 0.02, 0.0005),
            _level("much alike", alike.format("first"), 0.01, 0.001),
            _level("different", "ELSE", 0.02, 0.98),
        ],
        "last_name": [
            _missing("last_key"),
            _level("same", "last_written_l = last_written_r", 0.85, 0.004, frequency=last),
            _level("other spelling", "last_key_l = last_key_r", 0.08, 0.001, frequency=last),
            _level("same family, other ending", "family_key_l = family_key_r", 0.005, 0.001),
            _level("swapped", swapped, 0.12, 0.004, frequency=last, fixed=True),
            _level("one slip", _SLIP.format("last"), 0.03, 0.0005),
            _level("a part of it", "list_has_any(last_parts_l, last_parts_r)", 0.01, 0.002),
            _level("different", "ELSE", 0.03, 0.98),
        ],
        "email": [
            # a mailbox of many says nothing against another one, but for its domain
            _missing(
                "domain", "(mailbox_l is null or mailbox_r is null) and domain_l <> domain_r"
            ),
            _level("same mailbox", "mailbox_l = mailbox_r", 0.8, 1e-4),
            # Most addresses are made of the name, so one that is much the same tells little of a
            # Thomas Kuhn that his name has not told before: the weights are fixed, and low.
            _level(
                "one slip",
                "domain_l = domain_r and length(local_letters_l) > 4 and ("
                "(local_digits_l = local_digits_r and local_letters_l <> local_letters_r"
                f" and {_ONE_EDIT.format('local_letters')})"
                " or (local_letters_l = local_letters_r"
                " and length(local_digits_l) <> length(local_digits_r)"
                " and least(length(local_digits_l), length(local_digits_r)) > 1"
                " and damerau_levenshtein(local_digits_l, local_digits_r) = 1))",
                0.02, 2e-4, fixed=True,
            ),
            _level(
                "same name of mailbox elsewhere",
                "local_key_l = local_key_r and length(local_digits_l) > 1",
                0.02, 1e-3, fixed=True,
            ),
            _level("same group mailbox", "group_mailbox_l = group_mailbox_r", 0.02, 1e-4),
            _level(
                "same domain, group mailbox",
                "domain_l = domain_r and (mailbox_l is null or mailbox_r is null)",
                0.02, 0.001, frequency="domain",
            ),
            _level("same domain", "domain_l = domain_r", 0.05, 0.05, frequency="domain"),
            _level("different", "ELSE", 0.1, 0.9),
        ],
        "phone": [
            _missing("phone_tail"),
            _level("same", "phone_tail_l = phone_tail_r", 0.8, 1e-4),
            _level("one digit", _ONE_EDIT.format("phone_tail"), 0.03, 1e-5),
            _level("different", "ELSE", 0.15, 0.99),
        ],
        "birth_date": [
            _missing("born"),
            _level("same", "born_l = born_r", 0.95, 5e-5),
            _level(
                "one slip",
                "damerau_levenshtein(born_l, born_r) <= 1 or (left(born_l, 4) = left(born_r, 4)"
                " and substr(born_l, 5, 2) = right(born_r, 2)"
                " and right(born_l, 2) = substr(born_r, 5, 2))",
                0.03, 1e-3,
            ),
            _level("different", "ELSE", 0.02, 0.998),
        ],
        "address": [
            # a city that is not known leaves streets to compare
            _missing("place"),
            _level("same", "address_key_l = address_key_r", 0.8, 1e-4),
            _level(
                "one slip",
                "street_number_l = street_number_r and ((street_key_l = street_key_r and"
                " damerau_levenshtein(postal_key_l, postal_key_r) <= 1)"
                " or (postal_key_l = postal_key_r"
                " and jaro_winkler_similarity(street_key_l, street_key_r) > 0.88))",
                0.02, 1e-5,
            ),
            _level("same postal code", "postal_key_l = postal_key_r", 0.02, 1e-3),
            _level("same city", "city_key_l = city_key_r", 0.06, 0.03, frequency="city_key"),
            _level("different", "ELSE", 0.1, 0.95),
        ],
        "company": [
            _missing("company_key"),
            _level("same", "company_key_l = company_key_r", 0.9, 0.005, frequency="company_key"),
            _level("different", "ELSE", 0.1, 0.99),
        ],
    }  # fmt: skip
    return [{"output_column_name": c, "comparison_levels": ls} for c, ls in levels.items()]


FREQUENCIES = ("first_key", "last_key", "domain", "city_key", "company_key")

# What EM learns from: pairs alike in one thing teach the weights of all others.
_TRAINING = ("mailbox", "name_key", "phone_tail")
_ENOUGH = 100  # pairs; from fewer nothing is learned
_FEW = 200  # records, whose random pairs tell nothing of how often two people agree
_CERTAIN = (  # hardly ever wrong, for the odds that two records at random are one person
    "l.mailbox = r.mailbox and l.first_key = r.first_key",
    "l.mailbox = r.mailbox and l.last_key = r.last_key"
    " and (l.first_key is null or r.first_key is null)",
    "l.phone_tail = r.phone_tail and l.name_key = r.name_key",
    "l.address_key = r.address_key and l.name_key = r.name_key",
)
_FAR = 5.0  # times: how far a learned m may be from the assumed one
_RECALL = 0.85  # share of the pairs of one person that these find, roughly


def comparable(records: pa.Table) -> pa.Table:
    """Person records in the form in which they are compared, one row a record.

    Each row depends on its record alone, so records may be made comparable in any portions.

    Args:
        records: the columns of `INPUT`; any but record_key may be null. Phone is E.164 where it
            is known, else as it was written. mailbox_kind is family or group where several people
            read the mailbox, else null.

    Raises:
        ValueError: a column is missing, or a record_key is null or there twice.
    """
    missing = [c for c in INPUT.names if c not in records.column_names]
    if missing:
        raise ValueError(f"person records to be matched lack the columns {', '.join(missing)}")
    with duckdb.connect() as connection:
        _quiet(connection)
        connection.register("given", records.select(INPUT.names).cast(INPUT))
        keys, distinct = _one(
            connection, "select count(record_key), count(distinct record_key) from given"
        )
        if distinct < records.num_rows:
            raise ValueError(
                f"person records to be matched: {records.num_rows} records have {distinct} keys "
                f"({records.num_rows - keys} have none); give each record one of its own"
            )
        names.install(connection)
        names.normalise(connection, "given", "comparable")
        return connection.table("comparable").to_arrow_table()


def train(
    comparable: pa.Table, seed: int = 0, *, pairs_per_record: int = PAIRS_PER_RECORD
) -> dict[str, Any]:
    """Learn a model: m by expectation maximisation, u from random pairs, the odds from sure rules.

    Args:
        comparable: as `comparable` makes it; the order of its rows does not matter.
        seed: of the random pairs.
        pairs_per_record: of one blocking rule, above which it is tightened or left out.

    Returns:
        The model, made of what JSON has: `settings` as Splink writes them, `frequencies` of
        values, `blocking` and `training` with the pairs of each rule and whether it is used.
    """
    with duckdb.connect() as connection:
        _quiet(connection)
        rows = comparable.num_rows
        connection.register("given", comparable)
        frequencies = {c: _frequencies(connection, c) for c in FREQUENCIES}
        _number(connection, frequencies)
        model: dict[str, Any] = {
            "version": VERSION, "seed": seed, "records": rows, "frequencies": frequencies,
            "blocking": _choose(connection, max(LEAST_PAIRS, pairs_per_record * rows)),
        }  # fmt: skip
        settings = {
            "link_type": "dedupe_only", "unique_id_column_name": "id",
            "linker_uid": "cxm", "comparisons": _comparisons(),
            "blocking_rules_to_generate_predictions": [],
            "probability_two_random_records_match": _odds(connection, rows),
            "retain_matching_columns": True, "retain_intermediate_calculation_columns": True,
            "additional_columns_to_retain": [], "max_iterations": 25, "em_convergence": 1e-4,
        }  # fmt: skip
        if rows > 1:
            linker = _linker(connection, settings)
            if rows >= _FEW:
                pairs = min(2e6, max(2e5, 50 * rows))
                linker.training.estimate_u_using_random_sampling(max_pairs=pairs, seed=seed)
            model["training"] = [_learn(connection, linker, column) for column in _TRAINING]
            settings = linker.misc.save_model_to_json(None)
        model["settings"] = _settled(settings, few=rows < _FEW)
    return model


def is_usable(model: Mapping[str, Any] | None, records: int) -> bool:
    """Whether a model can go on scoring, or is of another version, or of far fewer records."""
    return (
        model is not None
        and model.get("version") == VERSION
        and records <= _GROWTH * max(int(model["records"]), 1)
    )


def score(
    comparable: pa.Table,
    model: Mapping[str, Any],
    *,
    new: pa.Array | pa.ChunkedArray | Sequence[str] | set[str] | None = None,
    preset: str = "default",
    thresholds: Thresholds | None = None,
) -> pa.Table:
    """Pairs of records that may be one person, or are two of one household.

    A pair's score depends on its two records and the model alone. So the pairs scored with `new`
    and those of the records before them are together the pairs of all records.

    Args:
        comparable: all records, as `comparable` makes them.
        model: of `train`.
        new: record keys; only pairs with at least one of them are scored. None: all.
        preset: name in `PRESETS`; `strict` gives no pair.
        thresholds: instead of those of the preset.

    Returns:
        The columns of `EDGES`, sorted by keys; left_key < right_key. `level` is merge (one
        person), review (somebody should look) or household (two people who share an address and
        family name, a mailbox or a telephone). The weights in `evidence` and the odds at the
        start add up to match_weight.

    Raises:
        ValueError: the preset is unknown, or the model is of another version.
    """
    if preset not in PRESETS:
        raise ValueError(f"matching preset {preset} is unknown; use one of {', '.join(PRESETS)}")
    limits = thresholds or PRESETS[preset]
    if limits is None:
        return EDGES.empty_table()
    if model.get("version") != VERSION:
        raise ValueError(
            f"matching model has version {model.get('version')}, this is {VERSION}; train it again"
        )
    if comparable.num_rows < 2:
        return EDGES.empty_table()
    with duckdb.connect() as connection:
        _quiet(connection)
        connection.register("given", comparable)
        _number(connection, model["frequencies"], new)
        _block(connection, model["blocking"], only_new=new is not None)
        blocked = _one(connection, "select count(*) from blocked")[0]
        found = []
        # what all pairs weigh, comparison by comparison, would fill the memory
        for start in range(0, max(blocked, 1), _PAIRS_AT_ONCE):
            some = f"from blocked where rowid >= {start} and rowid < {start + _PAIRS_AT_ONCE}"
            judged = _judged(model["settings"], limits, some)
            found.append(connection.execute(judged).to_arrow_table().cast(EDGES))
        return pa.concat_tables(found).sort_by(
            [("left_key", "ascending"), ("right_key", "ascending")]
        )


def near(
    session: duckdb.DuckDBPyConnection,
    people: duckdb.DuckDBPyRelation,
    fresh: duckdb.DuckDBPyRelation,
    model: Mapping[str, Any],
) -> duckdb.DuckDBPyRelation:
    """The fresh records, and all that a blocking rule of the model brings together with one.

    Args:
        session: what `people` (as `comparable` makes them) and `fresh` (record_key) belong to.
    """
    alike = ["record_key in (select record_key from new)"]
    for rule in model["blocking"]:
        if rule["used"]:
            present = " and ".join(f"{c} is not null" for c in rule["columns"])
            key = f"case when {present} then hash({', '.join(rule['columns'])}) end"
            alike.append(f"{key} in (select {key} from new)")
    return session.sql(f"""
        with new as materialized (
            from people semi join fresh using (record_key)
        )

        select * from people where {" or ".join(alike)}
    """)


def _quiet(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("set enable_progress_bar = false")
    logging.getLogger("splink").setLevel(logging.ERROR)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def _learn(connection: duckdb.DuckDBPyConnection, linker: Any, column: str) -> dict[str, Any]:
    """Learn m from the pairs alike in one column, where there are enough that say something."""
    pairs = _pairs(connection, (column,))
    used = pairs >= _ENOUGH
    if used:
        before = deepcopy(linker._settings_obj)
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                f"l.{column} = r.{column}", estimate_without_term_frequencies=True, max_pairs=2e6
            )
        except ValueError as error:
            # a level that no match has: Splink refuses its m of nearly 0, half-way through
            if "below the minimum" not in str(error):
                raise
            linker._settings_obj = before
            used = False
    return {"column": column, "pairs": pairs, "used": used}


def _number(
    connection: duckdb.DuckDBPyConnection, frequencies: Mapping[str, Any], new: Any = None
) -> None:
    """Table `people`: the records in `given` with a number each, which rises with the key.

    With it how frequent their values are, whether their names are known ones, and who is new.
    """
    if new is None:
        is_new = "true"
    else:
        keys = (
            new
            if isinstance(new, pa.Array | pa.ChunkedArray)
            else pa.array(sorted(new), pa.string())
        )
        connection.register("fresh", pa.table({"record_key": keys}))
        is_new = "given.record_key in (select record_key from fresh)"
    columns, joins = [], []
    for column, frequency in frequencies.items():
        connection.register(
            f"frequency_of_{column}",
            pa.table({"value": pa.array(frequency["values"], pa.string()),
                      "records": pa.array(frequency["records"], pa.int64())}),
        )  # fmt: skip
        # a value that is new to the model is as rare as can be
        columns.append(
            f"case when given.{column} is not null then"
            f" coalesce({column}.records, 1) / {max(1, frequency['total'])}::double end"
            f" as tf_{column}"
        )
        joins.append(
            f"left join frequency_of_{column} as {column} on given.{column} = {column}.value"
        )
    known = {c: max(4, 2e-5 * frequencies[c]["total"]) for c in ("first_key", "last_key")}
    # the keys are sorted by themselves: to move all columns with them would take much longer
    connection.execute(f"""
        create temp table people as
        select
            given.*, numbers.id, {is_new} as is_new, {", ".join(columns)},
            first_listed or coalesce(first_key.records >= {known["first_key"]}, false)
                as first_known,
            coalesce(last_key.records >= {known["last_key"]}, false) as last_known
        from given
        inner join (
            select record_key, row_number() over (order by record_key) as id from given
        ) as numbers on given.record_key = numbers.record_key
        {" ".join(joins)}
    """)


def _frequencies(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, Any]:
    """How many records have each value; those of fewer than `_PEOPLE` people are left out."""
    total = _one(connection, f"select count({column}) from given")[0]
    rows = connection.execute(f"""
        select {column}, count(*) as records from given where {column} is not null
        group by {column}
        having count(distinct coalesce(name_key, mailbox)) >= {_PEOPLE}
        order by records desc, {column}
    """).to_arrow_table()
    return {"total": total, "values": rows[0].to_pylist(), "records": rows[1].to_pylist()}


def _choose(connection: duckdb.DuckDBPyConnection, budget: int) -> list[dict[str, Any]]:
    """The blocking rules, with more columns where it takes them to stay within the budget."""
    chosen = []
    for rule in RULES:
        for columns in (rule.columns, *(rule.columns + more for more in rule.tighter)):
            pairs = _pairs(connection, columns)
            used = pairs <= budget
            chosen.append(
                {"rule": rule.name, "columns": list(columns), "pairs": pairs, "used": used}
            )
            if used and columns == rule.columns:
                break
    return chosen


def _pairs(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> int:
    """How many pairs of records are equal in all of the columns."""
    present = " and ".join(f"{c} is not null" for c in columns)
    return int(_one(connection, f"""
        select coalesce(sum(n * (n - 1) // 2), 0)
        from (select count(*) as n from people where {present} group by {", ".join(columns)})
    """)[0])  # fmt: skip


def _block(
    connection: duckdb.DuckDBPyConnection, blocking: Sequence[Mapping[str, Any]], *, only_new: bool
) -> None:
    """Table `blocked`: the pairs of numbers that any of the used rules brings together."""
    rules = []
    for rule in blocking:
        if not rule["used"]:
            continue
        equal = " and ".join(f"l.{c} = r.{c}" for c in rule["columns"])
        if only_new:  # a few look for their like among all
            rules.append(
                "select least(l.id, r.id) as l, greatest(l.id, r.id) as r"
                f" from (from people where is_new) as l inner join people as r on {equal}"
                " where l.id < r.id or (l.id > r.id and not r.is_new)"
            )
        else:
            rules.append(
                "select l.id as l, r.id as r from people as l"
                f" inner join people as r on {equal} where l.id < r.id"
            )
    rows = " union all ".join(rules) or "select 0 as l, 0 as r where false"
    connection.execute(f"create temp table blocked as select distinct l, r from ({rows})")


def _odds(connection: duckdb.DuckDBPyConnection, rows: int) -> float:
    """Share of all pairs that are one person."""
    rules = " union ".join(
        "select l.id as a, r.id as b from people as l"
        f" inner join people as r on {rule} where l.id < r.id"
        for rule in _CERTAIN
    )
    pairs = _one(connection, f"select count(*) from ({rules})")[0]
    return float(min(0.5, max(pairs, 1) / _RECALL / max(1, rows * (rows - 1) / 2)))


def _linker(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> Any:
    """A Splink linker over `people`, with the frequencies that they carry."""
    from splink import DuckDBAPI, Linker

    api = DuckDBAPI(connection)
    linker = Linker(api.register("people"), dict(settings), log_level=None)
    for column in FREQUENCIES:
        connection.execute(f"""
            create temp table tf_{column} as
            select distinct {column}, tf_{column} from people where {column} is not null
        """)
        linker.table_management.register_term_frequency_lookup(api.register(f"tf_{column}"), column)
    return linker


def _settled(settings: dict[str, Any], *, few: bool) -> dict[str, Any]:
    """Trained settings with what was not seen filled in, and nothing learned from a few pairs."""
    matches = settings["probability_two_random_records_match"]
    for comparison, assumed in zip(settings["comparisons"], _comparisons(), strict=True):
        for level, prior in zip(
            comparison["comparison_levels"], assumed["comparison_levels"], strict=True
        ):
            if level.get("is_null_level"):
                continue
            m, u = prior["m_probability"], prior["u_probability"]
            learned = level.get("m_probability", m)
            # small companies have few pairs to learn from: never far from what is assumed
            m = round(min(max(learned, m / _FAR), m * _FAR, 0.999), 9)
            level["m_probability"] = m
            # some of the random pairs are one person, in a small company not few: without them
            seen = level.get("u_probability", u)
            others = (seen - matches * m) / (1 - matches)
            if not few:
                u = others if others > matches * m else min(seen, u)
            level["u_probability"] = round(max(u, 1e-8), 12)
    settings["probability_two_random_records_match"] = float(
        f"{settings['probability_two_random_records_match']:.9g}"
    )
    return settings


def _judged(settings: Mapping[str, Any], limits: Thresholds, pairs: str) -> str:
    """A query of those of the pairs (a query of l and r) that matter: their level and evidence."""
    place: dict[tuple[str, str], int] = {}
    evidence = []
    for comparison in settings["comparisons"]:
        name = comparison["output_column_name"]
        levels = [c for c in comparison["comparison_levels"] if not c.get("is_null_level")]
        labels = [c["label_for_charts"] for c in reversed(levels)]  # Splink counts from the last
        place |= {(name, label): number for number, label in enumerate(labels)}
        texts = ", ".join(f"'{label}'" for label in labels)
        evidence.append(
            f"case when gamma_{name} >= 0 then struct_pack(comparison := '{name}',"
            f" level := [{texts}][gamma_{name} + 1], weight := weight_{name}) end"
        )

    def at(comparison: str, label: str) -> str:
        return f"gamma_{comparison} = {place[comparison, label]}"

    namesakes = (
        f"(reachable_as_one or match_probability >= {limits.certain})"
        if limits.guard == "contacts"
        else "true"
    )
    contradicts = (
        "gamma_first_name = 0 or gamma_birth_date = 0" if limits.guard != "none" else "false"
    )
    personal = (
        "true"
        if limits.guard == "none"
        else f"""
                {at("email", "same mailbox")} or {at("email", "one slip")} or gamma_birth_date > 0
                or ({at("phone", "same")} and gamma_first_name > 0)"""
    )
    needs = "".join(
        f" and gamma_{c} >= {place[c, label]}" for c, label in sorted(limits.needs.items())
    )
    pairs = weighed(settings, pairs=pairs, also=("family_key", "is_family_mailbox"))
    return f"""
        with pairs as (
            select
                *,
                {contradicts} as contradicts,
                {at("email", "same mailbox")} or {at("phone", "same")}
                or ({at("email", "same group mailbox")} and is_family_mailbox_l) as shares,
                {at("address", "same")} and family_key_l = family_key_r as lives_with,
                {personal} as personal,
                gamma_phone <> 0 and gamma_email not in (
                    {place["email", "different"]}, {place["email", "same domain"]}
                ) as reachable_as_one
            from ({pairs})
            where match_probability >= {min(limits.review, limits.household)}
        ),

        judged as (
            select
                *,
                case
                    when contradicts and (shares or lives_with)
                        then case when match_probability >= {limits.household} then 'household' end
                    when match_probability >= {limits.merge} and not contradicts
                        -- without something personal, a name and an address may be a namesake's in
                        -- the family: nothing else may speak against it
                        and (
                            personal
                            or (gamma_first_name > 0 and gamma_last_name > 0 and {namesakes})
                        ){needs}
                        then 'merge'
                    when match_probability >= {limits.review} then 'review'
                end as level
            from pairs
        )

        select
            lefts.record_key as left_key,
            rights.record_key as right_key,
            match_weight, match_probability, level,
            list_filter([{", ".join(evidence)}], lambda x: x is not null) as evidence
        from judged
        inner join people as lefts on judged.l = lefts.id
        inner join people as rights on judged.r = rights.id
        where level is not null
    """


def settle(edges: pa.Table, identifiers: pa.Table, shared: pa.Table) -> pa.Table:
    """What pairs say only together: merges in doubt become reviews.

    A record without anything
    personal that could be either of two people (a name alone, or a shared mailbox without a first
    name) is nobody's yet: its merges become reviews.

    Args:
        edges: of `score`, all of them.
        identifiers: record_key, identifier_type, identifier_value: what ties records without a
            score.
        shared: identifier_type, identifier_value: of two people of one household; they tie nobody.

    Returns:
        The edges, some of the merges turned into reviews.
    """
    from dbt_project.enrichment.clusters import cluster_records

    with duckdb.connect() as connection:
        _quiet(connection)
        connection.register("given_edges", edges)
        connection.register("identifiers", identifiers)
        connection.register("shared", shared)
        connection.execute("""
            create temp table edge as
            select
                *,
                list_transform(evidence, lambda x: x.comparison || ': ' || x.level) as said,
                len(list_filter(said, lambda x: x like 'first_name: %')) > 0 as named,
                list_has_any(said, [
                    'email: same mailbox', 'email: one slip', 'birth_date: same',
                    'birth_date: one slip', case when named then 'phone: same' end
                ]) as personal
            from given_edges;

            -- tied by nothing but what a household shares, and one of the two has no first name
            create temp table nameless as
            with of_several as (
                from identifiers semi join shared using (identifier_type, identifier_value)
            )

            select distinct edge.left_key, edge.right_key
            from edge
            inner join of_several as l on edge.left_key = l.record_key
            inner join of_several as r
                on
                    edge.right_key = r.record_key
                    and l.identifier_type = r.identifier_type
                    and l.identifier_value = r.identifier_value
            where edge.level = 'merge' and not edge.named
        """)
        ties = connection.execute("""
            select record_key, identifier_type, identifier_value, 0 as strength
            from identifiers anti join shared using (identifier_type, identifier_value)
            union all
            select unnest([left_key, right_key]), 'pair', left_key || chr(31) || right_key, 0
            from edge anti join nameless using (left_key, right_key)
            where level = 'merge' and personal
            union all
            select unnest([left_key, right_key]), 'alone', unnest([left_key, right_key]), 0
            from edge
            where level = 'merge' and not personal
        """).to_arrow_table()
        connection.register(
            "person_of", cluster_records(ties, max_cluster_size=max(1, ties.num_rows))
        )
        settled = connection.execute("""
            with weak as (
                select
                    edge.left_key, edge.right_key,
                    l.cluster_key as left_person, r.cluster_key as right_person
                from edge
                inner join person_of as l on edge.left_key = l.record_key
                inner join person_of as r on edge.right_key = r.record_key
                where edge.level = 'merge' and not edge.personal and left_person <> right_person
            ),

            claims as (
                select left_person as person, right_person as other from weak
                union
                select right_person, left_person from weak
            ),

            doubtful as (
                select person from claims group by person having count(*) > 1
            )

            select
                edge.* exclude (said, personal, named) replace (
                    case
                        when edge.level = 'merge' and (
                            nameless.left_key is not null
                            or weak.left_person in (from doubtful)
                            or weak.right_person in (from doubtful)
                        ) then 'review'
                        else edge.level
                    end as level
                )
            from edge
            left join nameless
                on edge.left_key = nameless.left_key and edge.right_key = nameless.right_key
            left join weak on edge.left_key = weak.left_key and edge.right_key = weak.right_key
        """).to_arrow_table()
        return settled.cast(EDGES)
