"""The SQL by which pairs of records are weighed: a trained model, as Splink writes it, as a query.

Splink itself would do, but it joins all columns of both records to every pair, and keeps them.
Here a pair is two numbers and the levels it reached until its weight says that it matters.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def weighed(
    settings: Mapping[str, Any], *, pairs: str = "from blocked", also: Iterable[str] = ()
) -> str:
    """A query of pairs with what their comparisons find and weigh.

    Args:
        settings: of a trained model, as Splink saves them.
        pairs: query of l and r, ids of `people`, which has the columns of the conditions besides,
            and how frequent their values are as tf_<column>.
        also: further columns of people to have of both records (as column_l, column_r).

    Returns:
        A select of l, r, `also`, of each comparison gamma_<name> (number of its level from below,
        -1 where nothing can be said) and weight_<name>, of match_weight and match_probability.
    """
    comparisons = {c["output_column_name"]: c["comparison_levels"] for c in settings["comparisons"]}
    levels = [level for of_one in comparisons.values() for level in of_one]
    conditions = " ".join(level["sql_condition"] for level in levels)
    used = sorted({*re.findall(r"\b(\w+)_[lr]\b", conditions), *also})
    rare = sorted({level["tf_adjustment_column"] for level in levels if _is_rare(level)})
    columns = [f"{side}.{c} as {c}_{side}" for c in used for side in "lr"]
    columns += [f"greatest(l.tf_{c}, r.tf_{c}) as tf_{c}" for c in rare]
    found = [f"{c}_{side}" for c in also for side in "lr"] + [f"tf_{c}" for c in rare]
    found += [f"{_gamma(of_one)} as gamma_{name}" for name, of_one in comparisons.items()]
    weights = [f"{_weight(name, of_one)} as weight_{name}" for name, of_one in comparisons.items()]
    odds = settings["probability_two_random_records_match"]
    total = [
        f"{math.log2(odds / (1 - odds))!r}::double",
        *(f"weight_{name}" for name in comparisons),
    ]
    # materialized: or a condition on the weight would have all be compared twice
    return f"""
        with compared as materialized (
            select l, r, {", ".join(found)}
            from (
                select pairs.l as l, pairs.r as r, {", ".join(columns)}
                from ({pairs}) as pairs
                inner join people as l on pairs.l = l.id
                inner join people as r on pairs.r = r.id
            )
        )

        select
            *,
            case
                when match_weight >= 0 then 1 / (1 + pow(2::double, -match_weight))
                else pow(2::double, match_weight) / (1 + pow(2::double, match_weight))
            end as match_probability
        from (
            select *, {" + ".join(total)} as match_weight
            from (select *, {", ".join(weights)} from compared)
        )
    """


def _is_rare(level: Mapping[str, Any]) -> bool:
    return "tf_adjustment_column" in level


def _numbered(levels: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The levels that say something, with their numbers: the last is 0."""
    said = [level for level in levels if not level.get("is_null_level")]
    return zip(range(len(said) - 1, -1, -1), said, strict=True)


def _gamma(levels: Iterable[Mapping[str, Any]]) -> str:
    cases = [f"when {x['sql_condition']} then -1" for x in levels if x.get("is_null_level")]
    cases += [
        f"when {x['sql_condition']} then {number}" for number, x in _numbered(levels) if number
    ]
    return f"(case {' '.join(cases)} else 0 end)::tinyint"


def _weight(name: str, levels: Iterable[Mapping[str, Any]]) -> str:
    cases = []
    for number, level in _numbered(levels):
        m, u = level["m_probability"], level["u_probability"]
        weight = f"{math.log2(m / u)!r}::double"
        if _is_rare(level):
            frequency = f"log2(tf_{level['tf_adjustment_column']})"
            share = level.get("tf_adjustment_weight", 1.0)
            weight += f" + coalesce({share!r} * ({math.log2(u)!r}::double - {frequency}), 0)"
        cases.append(f"when {number} then {weight}")
    return f"case gamma_{name} {' '.join(cases)} else 0 end"
