"""Run the suites of a layer inside DuckDB and say plainly what came out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Layer = Literal["landed", "marts"]

EXAMPLES = 5  # of what is wrong, per check


@dataclass(frozen=True)
class CheckResult:
    """One check. `skipped` gives the reason why it could not be made; it then counts as passed."""

    name: str
    description: str
    column: str | None
    passed: bool
    severity: Literal["critical", "warning"]
    observed: str | None = None
    unexpected_count: int | None = None
    error: str | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class SuiteResult:
    """The checks of one suite, in the order in which the suite states them."""

    name: str
    table: str
    checks: list[CheckResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def blocks(self) -> bool:
        """Whether it keeps the data from being published."""
        return any(not check.passed and check.severity == "critical" for check in self.checks)


def validate(
    warehouse: Path,
    layer: Layer,
    *,
    as_of: datetime | None = None,
    stale_after_days: dict[str, float | None] | None = None,
) -> list[SuiteResult]:
    """Check a layer of a warehouse file, which is opened for reading and closed again.

    Without `as_of`, 'now' is what the warehouse itself was built for. A source without a limit in
    `stale_after_days` is never stale.

    Raises:
        FileNotFoundError: there is no such file. Whatever else goes wrong fails the check it
            happens in.
    """
    if not warehouse.is_file():
        raise FileNotFoundError(f"no warehouse at {warehouse}")
    _quieten()
    from expectations import landed, marts

    suites = landed.suites(as_of, stale_after_days) if layer == "landed" else marts.suites(as_of)
    with _opened(warehouse) as source:
        return [run_suite(source, suite) for suite in suites]


def run_suite(source: Any, suite: Any) -> SuiteResult:
    """Run one suite on a Great Expectations data source, check by check.

    Together, one expectation whose SQL breaks can take others of its suite with it.
    """
    table = suite.meta["table"]
    try:
        asset = source.add_query_asset(suite.name, f"select * from {table}")
        batch = asset.add_batch_definition_whole_table(suite.name).get_batch()
    except Exception as error:
        failed = [_failed(expectation, _message(error)) for expectation in suite.expectations]
        return SuiteResult(suite.name, table, failed)
    checks = [_run_check(source, batch, table, check) for check in suite.expectations]
    return SuiteResult(suite.name, table, checks)


def _run_check(source: Any, batch: Any, table: str, expectation: Any) -> CheckResult:
    reason = _reason_to_skip(source, table, expectation)
    if reason is not None:
        return CheckResult(**_identity(expectation), passed=True, skipped=reason)
    by_query = expectation.expectation_type == "unexpected_rows_expectation"
    # COMPLETE gives the rows of a query (200 at most), but every value of a built-in expectation
    form = {
        "result_format": "COMPLETE" if by_query else "BASIC",
        "partial_unexpected_count": EXAMPLES,
    }
    try:
        outcome = batch.validate(expectation, result_format=form)
        error = _error_in(outcome.exception_info)
        if error is not None:
            return _failed(expectation, error)
        success, details = bool(outcome.success), dict(outcome.result)
    except Exception as problem:
        return _failed(expectation, _message(problem))
    if by_query:
        count = int(details["observed_value"])
        rows = details["details"]["unexpected_rows"] or []
        observed = _listed([str(next(iter(row.values()))) for row in rows[:EXAMPLES]], count)
    else:
        count = int(details.get("unexpected_count") or 0)
        values = details.get("partial_unexpected_list") or [details.get("observed_value")]
        observed = "for example " + ", ".join(sorted({_shown(value) for value in values}))
    return CheckResult(
        **_identity(expectation),
        passed=success,
        observed=None if success else observed,
        unexpected_count=count,
    )


def _identity(expectation: Any) -> dict[str, Any]:
    meta = expectation.meta or {}
    severity = str(getattr(expectation.severity, "value", expectation.severity))
    return {
        "name": meta.get("name") or expectation.expectation_type,
        "description": expectation.description or expectation.expectation_type,
        "column": meta.get("column") or getattr(expectation, "column", None),
        # what is less than a warning is none of ours; what is unknown blocks
        "severity": "warning" if severity in ("warning", "info") else "critical",
    }


def _failed(expectation: Any, error: str) -> CheckResult:
    return CheckResult(**_identity(expectation), passed=False, error=error)


def _reason_to_skip(source: Any, table: str, expectation: Any) -> str | None:
    query = (expectation.meta or {}).get("skip")
    if query is None:
        return None
    import sqlalchemy

    try:
        with source.get_execution_engine().engine.connect() as connection:
            return connection.execute(sqlalchemy.text(query.format(batch=table))).scalar()
    except Exception:
        return None  # the check reads the same tables and will say what is wrong with them


def _listed(examples: list[str], count: int) -> str:
    more = count - len(examples)
    return "; ".join(examples) + (f"; and {more:,} more" if more > 0 else "")


def _shown(value: Any) -> str:
    return "(empty)" if value is None else str(value)


def _error_in(info: dict[str, Any] | None) -> str | None:
    """The first error of an outcome: either its own, or one per metric it needed."""
    if not info:
        return None
    outcomes = [info] if "raised_exception" in info else list(info.values())
    for each in outcomes:
        if each.get("raised_exception"):
            return _clean(str(each.get("exception_message")))
    return None


def _message(error: Exception) -> str:
    return _clean(f"{type(error).__name__}: {error}")


def _clean(message: str) -> str:
    """Without the statement and the hints to web pages that SQLAlchemy appends."""
    message = re.split(r"\n\s*\[SQL:|\n\s*LINE \d+:|\(Background on this error", message)[0]
    message = re.sub(r"^(DatabaseError: )?\(_duckdb\.\w+\) ", "", message)
    return " ".join(message.split())[:500]


def _quieten() -> None:
    """Before the import: no telemetry, and no file with an id of this installation."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"


@contextmanager
def _opened(warehouse: Path) -> Iterator[Any]:
    """The warehouse as a data source of Great Expectations; afterwards nothing holds the file."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from expectations.duckdb_dialect import ENGINE_OPTIONS, read_only_url

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_sql(
        "warehouse",
        connection_string=read_only_url(warehouse),
        kwargs=ENGINE_OPTIONS,  # type: ignore[call-arg]  # missing in their stub
    )
    try:
        yield source
    finally:
        # it makes two engines: one to look for tables, one to run
        source.get_engine().dispose()
        source.get_execution_engine().engine.dispose()
