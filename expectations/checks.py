"""What the suites share: checks by SQL, and texts that are safe inside them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import great_expectations as gx
    import great_expectations.expectations as gxe

Severity = Literal["critical", "warning"]


def suite(name: str, table: str, checks: list[Any]) -> gx.ExpectationSuite:
    """A suite over one table of the warehouse."""
    import great_expectations as gx

    return gx.ExpectationSuite(name=name, expectations=checks, meta={"table": table})


def no_rows(
    name: str,
    description: str,
    query: str,
    *,
    severity: Severity = "critical",
    column: str | None = None,
    skip: str | None = None,
) -> gxe.UnexpectedRowsExpectation:
    """A check that fails for every row the query finds; its column `what` says it in a sentence.

    `{batch}` stands for the table. `skip` is a query that gives the reason why the check cannot
    be made, or nothing where it can.
    """
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    return gxe.UnexpectedRowsExpectation(
        unexpected_rows_query=query,
        description=description,
        severity=FailureSeverity(severity),
        meta={"name": name, "column": column, "skip": skip},
    )


def key(column: str, description: str) -> list[Any]:
    """The two checks of an id."""
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column=column,
            description=f"{description}: none is empty.",
            meta={"name": f"{column}_is_known"},
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column=column,
            description=f"{description}: none occurs twice.",
            meta={"name": f"{column}_is_unique"},
        ),
    ]


def text(value: str) -> str:
    """A text of the caller as SQL; braces and colons mean something on the way to the database."""
    quoted = value.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return "'" + quoted.replace(":", "\\:") + "'"


def moment(at: datetime) -> str:
    """A time as SQL: UTC without zone, as every time in the warehouse."""
    if at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    return f"timestamp '{at.isoformat(sep=' ')}'"
