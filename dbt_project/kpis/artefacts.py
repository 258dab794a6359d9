"""What is written out of the contracts: seed, models, metrics, test of intervals, page."""

import csv
import io
import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from dbt_project.kpis.contracts import (
    COMPUTED_COLUMNS,
    STAGES,
    Better,
    Computed,
    Interval,
    KpiContract,
    Level,
    RowsVector,
    Unit,
    Vector,
)

PROJECT = Path(__file__).parents[2]
COMMAND = "python -m dbt_project.kpis"
WRITTEN = f"Written by `{COMMAND}` out of dbt_project/kpis/*.yml"
Contracts = Sequence[KpiContract]
SEED_COLUMNS = (
    "kpi_id", "kpi_version", "name", "unit", "stage", "owner_team", "level", "better", "interval",
    "definition", "source", "requires", "area", "model", "definition_hash", "adds_up_customers",
    "is_additive", "is_headline",
)  # fmt: skip


def artefacts(contracts: Contracts) -> dict[Path, str]:
    """Every file that follows from the contracts, with its content."""
    written: dict[str, Callable[[Contracts], str]] = {
        "dbt_project/seeds/kpis.csv": _seed,
        "dbt_project/models/kpis/int_kpis__observations.sql": _observations,
        "dbt_project/models/kpis/int_kpis__computed.sql": _computed,
        "dbt_project/models/kpis/int_kpis__customer_figures.sql": _customer_figures,
        "dbt_project/models/kpis/_kpis__semantic_models.yml": _semantic_models,
        "dbt_project/tests/assert_kpi_intervals_match_their_vectors.sql": _interval_test,
        "docs/kpis.md": _page,
    }
    return {PROJECT / path: write(contracts) for path, write in written.items()}


def _seed(contracts: Contracts) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(SEED_COLUMNS)
    for c in contracts:
        interval = c.interval if c.is_ratio else ""
        rows.writerow(
            [
                *(c.id, c.version, c.name, c.unit, c.stage, c.owner_team, c.level, c.better),
                *(interval, c.formula, c.source, " ".join(c.requires), c.area, c.parent),
                *(c.definition_hash, str(c.adds_up_customers).lower()),
                str(c.is_additive).lower(),
                str(c.headline).lower(),
            ]
        )
    return out.getvalue()


def _observations(contracts: Contracts) -> str:
    """The model of additive KPIs: one CTE per row set, one select per KPI."""
    ctes: list[str] = []
    selects: list[str] = []
    known: dict[tuple[str, str | None], str] = {}
    for c in contracts:
        if c.observed is None:
            continue
        rows = c.observed
        name = known.get((rows.model, rows.customer))
        if name is None:
            name = known[rows.model, rows.customer] = (
                rows.model if rows.customer == "customer_id" else f"{rows.model}_by_{rows.customer}"
            )
            if rows.customer:
                ctes.append(
                    f"{name} as (\n"
                    f"    select facts.*, people.region as region_of_customer\n"
                    f"    from {{{{ ref('{rows.model}') }}}} as facts\n"
                    f"    left join people on facts.{rows.customer} = people.customer_id\n"
                    f"    where not coalesce(people.is_internal, false)\n)"
                )
            else:
                ctes.append(
                    f"{name} as (\n    select *, cast(null as varchar) as region_of_customer\n"
                    f"    from {{{{ ref('{rows.model}') }}}}\n)"
                )
        select = (
            f"    select\n        '{c.id}' as kpi_id,\n        {rows.day} as day,\n"
            f"        source,\n        region_of_customer as region,\n"
            f"{_lines(f'cast({rows.value} as decimal(18, 4)) as total', 8)}\n"
            f"    from {name}"
        )
        selects.append(select + (f"\n    where\n{_lines(rows.where, 8)}" if rows.where else ""))
    body = ",\n\n".join(ctes)
    union = "\n    union all\n".join(selects) or _nothing(
        {"kpi_id": "varchar", "day": "date", "source": "varchar", "region": "varchar",
         "total": "decimal(18, 4)"}
    )  # fmt: skip
    return f"""\
{{#- {WRITTEN}.
    What additive KPIs add up, per day, source and region: `total` over `weight`, with the squares
    that an interval needs. Sums are of decimals: those of floating numbers would depend on the
    order of the rows. Ratios are formed only after adding, never averaged. -#}}
-- noqa: disable=LT02
with people as (
    select customer_id, coalesce(region, country) as region, is_test or is_employee as is_internal
    from {{{{ ref('customer_360') }}}}
),

{body}{"," if body else ""}

observations as (
{union}
)

select
    kpi_id,
    day,
    source,
    coalesce(region, '(unknown)') as region,
    sum(total) as total,
    count(*) as weight,
    sum(cast(total as decimal(38, 4)) * cast(total as decimal(38, 4))) as squares
from observations
where total is not null
group by all
"""


def _computed(contracts: Contracts) -> str:
    """The union of the models that make figures themselves."""
    models = sorted({c.computed.model for c in contracts if c.computed})
    columns = ",\n".join(f"    {name}" for name in COMPUTED_COLUMNS)
    union = "\nunion all\n".join(
        f"select\n{columns}\nfrom {{{{ ref('{model}') }}}}" for model in models
    )
    return f"{{#- {WRITTEN}.\n    KPIs whose figures a model makes. -#}}\n{union}\n"


def _customer_figures(contracts: Contracts) -> str:
    """What each customer adds to the KPIs that count identities, per month."""
    selects = []
    for c in contracts:
        if not c.adds_up_customers:
            continue
        if c.observed:
            rows = c.observed
            where = f" and ({_flat(rows.where)})" if rows.where else ""
            valued = "" if rows.value.isdigit() else f" and ({_flat(rows.value)}) is not null"
            select = f"""\
select
    '{c.id}' as kpi_id,
    cast(date_trunc('month', facts.{rows.day}) as date) as period_start,
    people.customer_id,
    cast(sum(cast({_flat(rows.value)} as decimal(18, 4))) as double) as numerator,
    {"cast(count(*) as double)" if c.is_ratio else "cast(null as double)"} as denominator
from {{{{ ref('{rows.model}') }}}} as facts
inner join people on facts.{rows.customer} = people.customer_id
where facts.{rows.day} is not null{valued}{where}
group by all"""
        else:
            assert c.computed is not None
            select = f"""\
select kpi_id, period_start, customer_id, numerator, denominator
from {{{{ ref('{c.computed.customers}') }}}}
where kpi_id = '{c.id}'"""
        selects.append(select)
    nothing = _nothing(
        {"kpi_id": "varchar", "period_start": "date", "customer_id": "varchar",
         "numerator": "double", "denominator": "double"}
    )  # fmt: skip
    return f"""\
{{#- {WRITTEN}.
    What each customer adds to the KPIs that count identities, per month. -#}}
with people as (
    select customer_id
    from {{{{ ref('customer_360') }}}}
    where not (is_test or is_employee)
)

{(chr(10) + "union all" + chr(10)).join(selects) or nothing.strip()}
"""


def _nothing(columns: dict[str, str]) -> str:
    casts = ", ".join(f"cast(null as {data_type}) as {name}" for name, data_type in columns.items())
    return f"    select {casts} limit 0"


def _semantic_models(contracts: Contracts) -> str:
    """dbt's semantic models and metrics: the same KPIs for whoever asks a semantic layer."""
    models: dict[str, dict[str, Any]] = {"customer_360": _customers()}
    metrics: list[dict[str, Any]] = []
    for c in contracts:
        if c.observed is None:
            continue
        rows = c.observed
        model = models.setdefault(
            f"{rows.model}_{rows.customer}" if rows.customer != "customer_id" else rows.model,
            {
                "name": rows.model.replace("__", "_"),
                "description": f"Rows of {rows.model} that KPIs add up.",
                "model": f"ref('{rows.model}')",
                "primary_entity": f"{rows.model}_row".replace("__", "_"),
                "entities": [{"name": "customer", "type": "foreign", "expr": rows.customer}]
                if rows.customer
                else [],
                "dimensions": [{"name": "source", "type": "categorical"}],
                "measures": [],
            },
        )
        if rows.day not in [d["name"] for d in model["dimensions"]]:
            model["dimensions"].append(
                {"name": rows.day, "type": "time", "type_params": {"time_granularity": "day"}}
            )
        where = f"({rows.where})" if rows.where else "true"
        parts = {"total": f"case when {where} then cast({rows.value} as decimal(18, 4)) end"}
        if c.is_ratio:
            parts["weight"] = f"case when {where} and ({rows.value}) is not null then 1 end"
        external = {}
        if rows.customer:
            external["filter"] = "coalesce({{ Dimension('customer__is_internal') }}, false) = false"
        for part, expression in parts.items():
            measure = f"{c.id}_{part}"
            model["measures"].append(
                {"name": measure, "agg": "sum", "expr": " ".join(expression.split()),
                 "agg_time_dimension": rows.day}
            )  # fmt: skip
            metric = _metric(c) if not c.is_ratio else {
                "name": measure,
                "label": f"{c.name}: {'sum' if part == 'total' else 'observations'}",
                "description": f"Part of the metric {c.id}.",
            }  # fmt: skip
            metrics.append(metric | _simple(measure) | external)
        if c.is_ratio:
            total, weight = f"{c.id}_total", f"{c.id}_weight"
            made: dict[str, Any] = {"numerator": total, "denominator": weight}
            if c.interval == "net score":
                made = {"expr": f"100 * {total} / {weight}",
                        "metrics": [{"name": total}, {"name": weight}]}  # fmt: skip
            kind = "derived" if c.interval == "net score" else "ratio"
            metrics.append(_metric(c) | {"type": kind, "type_params": made})
    for c in contracts:
        if figures := c.computed:
            models["kpi_values"] = _figures()
            of_kpi = {
                "filter": "{{ Dimension('figure_row__kpi_id') }} = '" + c.id + "' and"
                f" {{{{ Dimension('figure_row__dimension') }}}} = '{figures.dimension}'"
            }
            measure = "figure" if figures.period == "month" else "figure_in_all"
            if figures.dimension == "all":
                metrics.append(_metric(c) | _simple(measure) | of_kpi)
                continue
            # of several values of the dimension there is no figure: none is better than their sum
            figure, count = f"{c.id}_figure", f"{c.id}_figures"
            for part, label, of in (
                (figure, "figure", measure), (count, "number of figures", f"{measure}s"),
            ):  # fmt: skip
                said = f"Part of the metric {c.id}, to be grouped by dimension_value."
                metrics.append(
                    {"name": part, "label": f"{c.name}: {label}", "description": said}
                    | _simple(of) | of_kpi
                )  # fmt: skip
            made = {"expr": f"case when {count} = 1 then {figure} end",
                    "metrics": [{"name": figure}, {"name": count}]}  # fmt: skip
            metrics.append(_metric(c) | {"type": "derived", "type_params": made})
    text = yaml.dump(
        {"semantic_models": list(models.values()), "metrics": metrics},
        sort_keys=False, width=118, allow_unicode=True,
    )  # fmt: skip
    return f"# {WRITTEN}.\n{text}"


def _simple(measure: str) -> dict[str, Any]:
    return {"type": "simple", "type_params": {"measure": measure}}


def _metric(c: KpiContract) -> dict[str, Any]:
    return {
        "name": c.id,
        "label": c.name,
        "description": c.formula,
        "config": {
            "meta": {
                "kpi_version": c.version, "unit": c.unit, "stage": c.stage, "level": c.level,
                "better": c.better, "owner_team": c.owner_team, "interval": c.interval,
                "source": c.source,
            }
        },
    }  # fmt: skip


def _customers() -> dict[str, Any]:
    return {
        "name": "customers",
        "description": "Customers: where they live, and whether KPIs leave them out.",
        "model": "ref('customer_360')",
        "entities": [{"name": "customer", "type": "primary", "expr": "customer_id"}],
        "dimensions": [
            {"name": "region", "type": "categorical",
             "expr": "coalesce(region, country, '(unknown)')"},
            {"name": "is_internal", "type": "categorical", "expr": "is_test or is_employee"},
        ],
    }  # fmt: skip


def _figures() -> dict[str, Any]:
    """Figures that can't be added up: a metric shows the month asked, else the newest."""
    newest = {"non_additive_dimension": {"name": "period_start", "window_choice": "max"}}
    measures: list[dict[str, Any]] = [
        {"name": f"{name}{many}", "agg": "sum", "agg_time_dimension": "period_start",
         "expr": f"case when period_grain = '{grain}' then {what} end"} | rest
        for name, grain, rest in (("figure", "month", newest), ("figure_in_all", "all", {}))
        for many, what in (("", "value"), ("s", "1"))
    ]  # fmt: skip
    return {
        "name": "kpi_figures",
        "description": "Figures that a model makes, per month or of all time: not to be added up.",
        "model": "ref('kpi_values')",
        "primary_entity": "figure_row",
        "dimensions": [
            *({"name": n, "type": "categorical"}
              for n in ("kpi_id", "dimension", "dimension_value")),
            {"name": "period_start", "type": "time", "type_params": {"time_granularity": "month"}},
        ],
        "measures": measures,
    }  # fmt: skip


def _interval_test(contracts: Contracts) -> str:
    """A dbt test that compares the macros with the interval vectors of all contracts."""
    rows = []
    for c in contracts:
        for v in c.interval_vectors:
            method = v.method or c.interval
            squares = v.total if v.squares is None else v.squares
            value = "null" if v.value is None else float(v.value)
            rows.append(
                f"    ('{c.id}', '{method}', {float(v.total)}, {float(squares)}, {float(v.n)},"
                f" {value}, {v.ci_low}, {v.ci_high}, {v.tolerance})"
            )
    given = ",\n    ".join(row.strip() for row in rows)
    return f"""\
{{{{ config(tags=['macro_vectors']) }}}}
-- {WRITTEN}.
with vectors (kpi_id, method, total, squares, n, value, low, high, tolerance) as (
    values
    {given}
),

made as (
    select
        *,
        case method when 'net score' then 100 else 1 end * total / n as made_value,
        case method
            when 'wilson' then {{{{ wilson('total', 'n', 'low') }}}}
            when 'mean' then {{{{ mean_bound('total', 'squares', 'n', 'low') }}}}
            when 'net score' then 100 * {{{{ net_score_bound('total', 'squares', 'n', 'low') }}}}
        end as made_low,
        case method
            when 'wilson' then {{{{ wilson('total', 'n', 'high') }}}}
            when 'mean' then {{{{ mean_bound('total', 'squares', 'n', 'high') }}}}
            when 'net score' then 100 * {{{{ net_score_bound('total', 'squares', 'n', 'high') }}}}
        end as made_high
    from vectors
)

select * from made
where
    coalesce(abs(made_value - value), 0) > tolerance
    or coalesce(abs(made_low - low) > tolerance, true)
    or coalesce(abs(made_high - high) > tolerance, true)
"""


INTRODUCTION = f"""\
# KPIs

{WRITTEN}, one entry per KPI: change it there, then run `make kpis`.

Every figure is in `marts.kpi_values` per day, week, month and in all, by source and region where
its rows have them; `marts.dim_kpis` has this page as a table. People who are tests or employees are
left out. A KPI's metric in dbt's semantic layer has the KPI's id; a test proves that both give the
same figures.

*Interval* says how the 95 % interval is made: wilson (of a share), mean (normal, of a mean), net
score (normal, of answers that count +1, 0 or -1), own (by the model that makes the figure). *Level*
says whose identity is counted: the figure changes when records are found to be the same customer,
household or account. The *definition hash* changes with what the contract says a KPI is, and with
the SQL of the model that makes its figures (macros included, comments not); `version` is raised by
hand when its meaning changes otherwise.

## To add a KPI

An entry in the file of its area, `dbt_project/kpis/<area>.yml`:

    - id: first_reply_hours
      version: 2                  # raised by hand when the meaning changes
      name: First reply time
      unit: hours                 # {" | ".join(get_args(Unit))}
      stage: service              # {" | ".join(STAGES)}
      owner_team: customer service
      level: none                 # {" | ".join(get_args(Level))}
      better: lower               # {" | ".join(get_args(Better))}
      headline: true              # one of the few that the report compares; else left out
      formula: "Mean hours from creation to the first public reply of an agent."
      source: "definitions: First response time"
      requires: [ticket.created_at, "message.sent_at|ticket.first_replied_at"]
      interval: mean              # {" | ".join(get_args(Interval))}
      observed:                   # what is added up over rows with a source and a customer
        from: fct_tickets
        day: created_on
        value: first_reply_hours  # 1 for counts, 1/0 for shares, 1/0/-1 for net scores
        where: not is_merged
      vectors:                    # known answers, one at least of the KPI itself
        # intervals run against the macros, rows against `value` and `where`
        - {{kind: interval, total: 12, squares: 50, n: 4, value: 3, ci_low: 0.883, ci_high: 5.117}}
        - {{kind: rows, columns: [first_reply_hours, is_merged],
           rows: [[1, false], [3, false], [null, false], [9, true]], value: 2}}
        - "unit test: fct_tickets, name_of_the_test"

What can't be added up has, instead of `observed`, `computed: {{from: a_model}}`: a model with the
columns
{", ".join(f"`{c}`" for c in COMPUTED_COLUMNS)}.
`period: all` says that it has no months, `dimension: stage` that it is stated by stage alone: its
metric is then to be grouped by `dimension_value`, and empty where it is not.
It leaves out tests and employees itself. Of shares it may leave the interval empty.
`customers: another_model` names what each customer adds in a month (`kpi_id`, `period_start`,
`customer_id`, `numerator`, `denominator`): with it, changes of identity are told from late data.
"""


def _page(contracts: Contracts) -> str:
    parts = [INTRODUCTION]
    for stage in STAGES:
        of_stage = [c for c in contracts if c.stage == stage]
        if not of_stage:
            continue
        parts.append(f"\n## {stage.capitalize()}\n")
        parts += [_entry(c) for c in of_stage]
    return "\n".join(parts)


def _entry(c: KpiContract) -> str:
    if c.observed:
        rows = c.observed
        what = f"sum({_flat(rows.value)})" + (" / count(*)" if c.is_ratio else "")
        if c.interval == "net score":
            what = f"100 * {what}"
        conditions = [
            *([_flat(rows.where)] if rows.where else []),
            f"({_flat(rows.value)}) is not null",
        ]
        if _flat(rows.value).isdigit():
            conditions.pop()
        sql = f"select {what}\nfrom {rows.model}"
        sql += f"\nwhere {' and '.join(conditions)}" if conditions else ""
        grain = f"a row of `{rows.model}`, on the day `{rows.day}`"
    else:
        assert isinstance(c.computed, Computed)
        sql = f"select value from {c.computed.model}\nwhere kpi_id = '{c.id}'"
        grain = f"made by `{c.computed.model}` for each period and dimension"
    vectors = "\n".join(f"  - {_vector(v)}" for v in c.vectors)
    return f"""\
### {c.name}

`{c.id}`, version {c.version}, definition hash `{c.definition_hash}`

{c.formula}

{textwrap.indent(sql, "    ")}

- cited from {c.source}
- grain: {grain}
- unit: {c.unit}; better: {c.better}; level: {c.level}; interval: {c.interval}
- owner: {c.owner_team}
- needs: {", ".join(f"`{need}`" for need in c.requires)}
- known answers:
{vectors}
"""


def _vector(vector: Vector) -> str:
    if isinstance(vector, str):
        return vector
    if isinstance(vector, RowsVector):
        rows = "; ".join(", ".join(map(json.dumps, row)) for row in vector.rows)
        return f"of the rows ({', '.join(vector.columns)}): {rows}, the value is {vector.value:g}"
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in vector.model_dump(exclude_none=True).items()
    )


def _flat(sql: str) -> str:
    return " ".join(sql.split())


def _lines(sql: str, indent: int) -> str:
    return textwrap.indent(textwrap.dedent(sql), " " * indent)
