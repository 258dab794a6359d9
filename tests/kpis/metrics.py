"""Metrics of dbt's semantic manifest, worked out by us: MetricFlow is not among our packages."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pytest
from jinja2 import Template

from dbt_project.kpis.contracts import KpiContract


class Metrics:
    """What a semantic manifest says, asked of the warehouse."""

    def __init__(self, manifest: dict[str, Any], connection: duckdb.DuckDBPyConnection) -> None:
        self.metrics = {metric["name"]: metric for metric in manifest["metrics"]}
        self.models = manifest["semantic_models"]
        self.measures = {
            measure["name"]: (model, measure)
            for model in self.models
            for measure in model["measures"]
        }
        self.connection = connection

    def values(self, name: str, grain: str, by: str | None = None) -> dict[Any, float]:
        """Values of a metric by first day of the month (None: all time), and by a dimension."""
        metric = self.metrics[name]
        parameters = metric["type_params"]
        if metric["type"] == "simple":
            return self._simple(metric, grain, by)
        if metric["type"] == "ratio":
            parts = [parameters["numerator"]["name"], parameters["denominator"]["name"]]
            expression = f"cast({parts[0]} as double) / cast({parts[1]} as double)"
        else:
            assert metric["type"] == "derived", metric
            parts = [part["name"] for part in parameters["metrics"]]
            expression = parameters["expr"]
        found = {part: self.values(part, grain, by) for part in parts}
        answers = {}
        for period in set.union(*(set(values) for values in found.values())):
            given = ", ".join(f"? as {part}" for part in parts)
            [(answers[period],)] = self.connection.execute(
                f"select {expression} from (select {given})",
                [found[part].get(period) for part in parts],
            ).fetchall()
        return {period: value for period, value in answers.items() if value is not None}

    def _simple(self, metric: dict[str, Any], grain: str, by: str | None) -> dict[Any, float]:
        model, measure = self.measures[metric["type_params"]["measure"]["name"]]
        assert measure["agg"] == "sum", measure
        time = measure["agg_time_dimension"]
        filters = (metric["filter"] or {"where_filters": []})["where_filters"]
        joins: dict[str, str] = {}
        conditions = [
            Template(given["where_sql_template"]).render(
                Dimension=lambda name: self._dimension(model, name, joins)
            )
            for given in filters
        ]
        period = f"cast(date_trunc('month', base.{time}) as date)" if grain == "month" else "null"
        group = f"base.{_expression(model['dimensions'], by)}" if by else "null"
        only_dated = [f"base.{time} is not null"] if grain == "month" else []
        rows = self.connection.execute(
            f"select {period}, {group}, sum({measure['expr']}) from {_relation(model)} as base"
            f" {' '.join(joins.values())} where {' and '.join([*conditions, *only_dated, 'true'])}"
            " group by all"
        ).fetchall()
        return {
            (first, group) if by else first: float(value)
            for first, group, value in rows
            if value is not None
        }

    def _dimension(self, base: dict[str, Any], name: str, joins: dict[str, str]) -> str:
        """SQL of `entity__dimension`: a column of the model itself, or of one it has the key of."""
        entity, _, dimension = name.partition("__")
        if entity == base["primary_entity"]:
            return f"base.{_expression(base['dimensions'], dimension)}"
        [key] = [e for e in base["entities"] if e["name"] == entity and e["type"] == "foreign"]
        [(model, primary)] = [
            (m, e)
            for m in self.models
            for e in m["entities"]
            if e["name"] == entity and e["type"] == "primary"
        ]
        expression = _expression(model["dimensions"], dimension)
        joins[entity] = (
            f"left join (select {primary['expr']} as key, {expression} as {dimension}"
            f" from {_relation(model)}) as {entity} on base.{key['expr']} = {entity}.key"
        )
        return f"{entity}.{dimension}"


def _expression(elements: list[dict[str, Any]], name: str) -> str:
    [element] = [e for e in elements if e["name"] == name]
    return element["expr"] or name


def _relation(model: dict[str, Any]) -> str:
    return f"{model['node_relation']['schema_name']}.{model['node_relation']['alias']}"


def compare_with_published(kpis: Sequence[KpiContract], metrics: Metrics, grain: str) -> int:
    """Every metric is what kpi_values has; returns how many figures were compared.

    What is counted afresh in each period has a metric of the period that its contract names.
    """
    compared = 0
    for kpi in kpis:
        if kpi.computed and kpi.computed.period != grain:
            continue
        dimension = kpi.computed.dimension if kpi.computed else "all"
        by = None if dimension == "all" else "dimension_value"
        rows = metrics.connection.execute(
            "select period_start, dimension_value, value, dimension from marts.kpi_values"
            " where kpi_id = ? and period_grain = ? and value is not null",
            [kpi.id, grain],
        ).fetchall()
        published = {(first, part) if by else first: value
                     for first, part, value, of in rows if of == dimension}  # fmt: skip
        assert published or not rows, f"{kpi.id} has figures, but none by {dimension}"
        assert metrics.values(kpi.id, grain, by) == pytest.approx(published, rel=1e-12), kpi.id
        if by:  # nothing is made of figures that can't be added up
            found = [first for first, _ in published]
            alone = {first for first in found if found.count(first) == 1}
            assert set(metrics.values(kpi.id, grain)) == alone, kpi.id
        if kpi.computed and not published:
            [(elsewhere,)] = metrics.connection.execute(
                "select count(value) from marts.kpi_values where kpi_id = ?", [kpi.id]
            ).fetchall()
            assert elsewhere == 0, f"{kpi.id} has figures, but none of period {grain}"
        compared += len(published)
    return compared
