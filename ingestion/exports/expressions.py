"""The small expression language of a mapping, checked and turned into DuckDB SQL by sqlglot.

A field is a column name, a literal, or an expression of both: arithmetic, `||`, comparison,
`case`, and the functions in `FUNCTIONS`. Nothing else passes: no subquery, no file, no setting.
"""

from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from ingestion.errors import MappingError

FUNCTIONS = (
    "coalesce, nullif, concat, upper, lower, trim, left, right, substring, replace, split_part, md5"  # noqa: E501
)
_ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe, exp.Concat, exp.Coalesce, exp.Nullif,
    exp.Upper, exp.Lower, exp.Trim, exp.Left, exp.Right, exp.Substring, exp.Replace, exp.SplitPart,
    exp.MD5, exp.Case, exp.If, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Is,
    exp.And, exp.Or, exp.Not, exp.Between, exp.Like, exp.ILike, exp.SafeConcat if hasattr(exp, "SafeConcat") else exp.Concat,
)  # fmt: skip
_NUMERIC_PARENTS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg)
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ, exp.Between)


@dataclass(frozen=True)
class Expression:
    """SQL over the text columns `"raw.<name>"`; `numbers` are the columns it needs as numbers."""

    sql: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...]


def raw_column(name: str) -> str:
    """The quoted name under which staging offers a column of the file."""
    return exp.to_identifier(f"raw.{name}", quoted=True).sql(dialect="duckdb")


def column_sql(name: str) -> Expression:
    return Expression(raw_column(name), (name,), ())


def constant_sql(value: object) -> Expression:
    literal = exp.convert(value if isinstance(value, bool | int | float) else str(value))
    return Expression(literal.sql(dialect="duckdb"), (), ())


def parse_expression(text: str, where: str) -> Expression:
    """Parse one expression; `where` (file and field) begins every error message."""
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise MappingError(
            f"{where}: cannot read the expression {text!r}; "
            "a column with spaces or signs in its name goes in double quotes: '\"Order No.\"'"
        ) from error
    for node in tree.walk():
        if not isinstance(node, _ALLOWED):
            raise MappingError(
                f"{where}: {node.sql(dialect='duckdb')!r} is not allowed in an expression; "
                f"allowed are arithmetic, ||, comparisons, case and {FUNCTIONS}"
            )
    columns: dict[str, None] = {}
    numbers: dict[str, None] = {}

    def to_raw(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Column):
            return node
        name = ".".join(part.name for part in node.parts)
        columns[name] = None
        raw = exp.column(exp.to_identifier(f"raw.{name}", quoted=True))
        if _is_numeric(node):
            numbers[name] = None
            return exp.TryCast(this=raw, to=exp.DataType.build("decimal(18,4)", dialect="duckdb"))
        return raw

    return Expression(tree.transform(to_raw).sql(dialect="duckdb"), tuple(columns), tuple(numbers))


def _is_numeric(column: exp.Expression) -> bool:
    """Whether a column stands where only a number makes sense."""
    node, parent = column, column.parent
    while isinstance(parent, exp.Paren | exp.Coalesce):
        node, parent = parent, parent.parent
    if isinstance(parent, _NUMERIC_PARENTS):
        return True
    if isinstance(parent, _COMPARISONS):
        others = [child for child in parent.iter_expressions() if child is not node]
        return any(isinstance(o, exp.Literal) and not o.is_string for o in others)
    return False
