"""The small expression language of a mapping, checked and turned into DuckDB SQL by sqlglot.

A field is a column name, a literal, or an expression of both: arithmetic, `||`, comparison,
`case`, and the functions in `FUNCTIONS`. Nothing else passes: no subquery, no file, no setting.
A column may be a path into a document: `buyer.id`, `answers[0].choice_id`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import duckdb
import sqlglot
from sqlglot import exp

from ingestion.errors import MappingError

FUNCTIONS = (
    "coalesce, nullif, concat, upper, lower, trim, left, right, substring, replace, split_part, "
    "length, strpos, contains, regexp_matches, regexp_extract, regexp_replace, md5, epoch_ms and "
    "epoch_seconds"
)
_ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe, exp.Concat, exp.Coalesce, exp.Nullif,
    exp.Upper, exp.Lower, exp.Trim, exp.Left, exp.Right, exp.Substring, exp.Replace, exp.SplitPart,
    exp.MD5, exp.Case, exp.If, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Is,
    exp.And, exp.Or, exp.Not, exp.Between, exp.Like, exp.ILike, exp.Length, exp.StrPosition,
    exp.Contains, exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace, exp.UnixToTime,
)  # fmt: skip
_CONDITIONS = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Is, exp.And, exp.Or, exp.Not,
    exp.Between, exp.Like, exp.ILike, exp.Contains, exp.RegexpLike, exp.Boolean,
)  # fmt: skip
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg)
_NUMBER_FUNCTIONS = (exp.Length, exp.StrPosition)
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ, exp.Between, exp.In)
PATH = r"[A-Za-z_]\w*(?:\.\w+|\[\d+\])*"
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/"""
    r"""|(?P<path>(?:[A-Za-z_]\w*|"(?:[^"]|"")+")(?:\.(?:\w+|"(?:[^"]|"")+")|\[\d+\])+)"""
    r"""|"(?:[^"]|"")*"|\w+|.""",
    re.DOTALL,
)
_QUOTE_HINT = "a column with spaces or signs in its name goes in double quotes: '\"Order No.\"'"


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


def constant_sql(value: object, *, decimal_comma: bool = False) -> Expression:
    if isinstance(value, float) and decimal_comma:  # staging reads it as it reads the file
        value = str(value).replace(".", ",")
    literal = exp.convert(value if isinstance(value, bool | int | float) else str(value))
    return Expression(literal.sql(dialect="duckdb"), (), ())


def parse_expression(
    text: str, where: str, *, decimal_comma: bool = False, condition: bool = False
) -> Expression:
    """Parse one expression; `where` (file and field) begins every error message.

    Args:
        condition: it must be true or false, as in a `where`.
    """
    try:
        tree = sqlglot.parse_one(_quote_paths(text), read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise MappingError(
            f"{where}: cannot read the expression {text!r}; {_QUOTE_HINT}"
        ) from error
    for node in tree.walk():
        if isinstance(node, exp.Alias):
            raise MappingError(f"{where}: cannot read the expression {text!r}; {_QUOTE_HINT}")
        if not isinstance(node, _ALLOWED) and not _is_epoch(node):
            raise MappingError(
                f"{where}: {node.sql(dialect='duckdb')!r} is not allowed in an expression; "
                f"allowed are arithmetic, ||, comparisons, case and {FUNCTIONS}"
            )
    if condition and not isinstance(tree.unnest(), _CONDITIONS):
        raise MappingError(f"{where}: {text!r} is no condition; compare it: status = 'open'")
    columns: dict[str, None] = {}
    numbers: dict[str, None] = {}
    has_numbers = False
    raw_columns: list[tuple[exp.Expr, exp.Expr]] = []
    for node in tree.find_all(exp.Column, bfs=False):
        name = ".".join(part.name for part in node.parts)
        columns[name] = None
        if _is_condition(node):
            raise MappingError(
                f"{where}: {name!r} is text, not a condition; compare it: {name} = 'yes'"
            )
        raw: exp.Expr = exp.column(exp.to_identifier(f"raw.{name}", quoted=True))
        if _stands_for_number(node):
            if not _is_guarded(node):
                numbers[name] = None
            has_numbers = True
            raw = _as_number(raw, decimal_comma)
        raw_columns.append((node, raw))
    gives_number = _is_number(tree)
    for node, raw in raw_columns:
        tree = raw if node is tree else tree
        node.replace(raw)
    for epoch in [node for node in tree.walk() if _is_epoch(node)]:
        moment = _as_time(epoch)
        tree = moment if epoch is tree else tree
        epoch.replace(moment)
    sql = tree.sql(dialect="duckdb", comments=False)
    if has_numbers:  # a product that no decimal holds costs a value, not the build
        sql = f"try({sql})"
    if gives_number and decimal_comma:
        sql = f"replace(cast({sql} as varchar), '.', ',')"
    _bind(sql, columns, text, where)
    return Expression(sql, tuple(columns), tuple(numbers))


def _quote_paths(text: str) -> str:
    """The text with every path as one quoted name: SQL has no `answers[0].choice_id`."""

    def quoted(match: re.Match[str]) -> str:
        path = match["path"]
        if path is None:
            return match[0]
        name = re.sub(r'"((?:[^"]|"")+)"', lambda m: m[1].replace('""', '"'), path)
        return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")

    return _TOKEN.sub(quoted, text)


def _is_epoch(node: exp.Expr | None) -> bool:
    """`epoch_ms(x)` and `epoch_seconds(x)`: a time written as a number since 1970."""
    return isinstance(node, exp.UnixToTime) or (
        isinstance(node, exp.Anonymous)
        and str(node.this).lower() == "epoch_seconds"
        and len(node.expressions) == 1
    )


def _as_time(epoch: exp.Expr) -> exp.Expr:
    """Text of a time that names its zone."""
    in_ms = isinstance(epoch, exp.UnixToTime)
    number = epoch.this if in_ms else epoch.expressions[0]
    unit = exp.convert(1000 if in_ms else 1_000_000)
    microseconds = exp.Mul(this=exp.paren(number.copy()), expression=unit)
    moment = exp.func("make_timestamp", exp.cast(microseconds, "bigint", dialect="duckdb"))
    return exp.func("strftime", moment, exp.convert("%Y-%m-%dT%H:%M:%S.%fZ"), dialect="duckdb")


def _as_number(raw: exp.Expr, decimal_comma: bool) -> exp.Expr:
    if decimal_comma:
        raw = exp.func("replace", exp.func("replace", raw, "'.'", "''"), "','", "'.'")
    return exp.TryCast(this=raw, to=exp.DataType.build("decimal(38,8)", dialect="duckdb"))


def _stands_for_number(node: exp.Expr | None) -> bool:
    """Whether a value stands where only a number makes sense."""
    parent = node.parent if node else None
    if isinstance(parent, _ARITHMETIC) or _is_epoch(parent):
        return True
    if not node or not isinstance(
        parent, (exp.Paren, exp.Coalesce, exp.Nullif, exp.Case, exp.If, *_COMPARISONS)
    ):
        return False
    if any(_is_number(peer) for peer in _peers(node)):
        return True
    passes_on = isinstance(parent, exp.Paren | exp.Coalesce) or (
        node.arg_key in ("true", "false", "default")
        or (isinstance(parent, exp.Nullif) and node.arg_key == "this")
    )
    if not passes_on:
        return False
    in_case = isinstance(parent, exp.If) and isinstance(parent.parent, exp.Case)
    return _stands_for_number(parent.parent if in_case else parent)


def _is_guarded(column: exp.Expr) -> bool:
    """Whether it is read only where a pattern has found it to be what is wanted."""
    node = column
    while node.parent is not None:
        node, inner = node.parent, node
        if isinstance(node, exp.If) and inner.arg_key == "true":
            asked = (test.find_all(exp.Column) for test in node.this.find_all(exp.RegexpLike))
            if any(column in columns for columns in asked):
                return True
    return False


def _peers(node: exp.Expr) -> list[exp.Expr]:
    """The values that must have the type of this one: compared with it, or given in its stead."""
    parent = node.parent
    case = parent.parent if isinstance(parent, exp.If) else parent
    if isinstance(case, exp.Case):
        if node.arg_key == "this":
            group = [case.this, *(when.this for when in case.args["ifs"])] if case.this else []
        else:
            group = list(_outcomes(case))
    elif isinstance(parent, exp.If):
        group = list(_outcomes(parent)) if node.arg_key != "this" else []
    elif isinstance(parent, (exp.Coalesce, exp.Nullif, *_COMPARISONS)):
        group = list(parent.iter_expressions())
    else:
        group = []
    return [peer for peer in group if peer is not node]


def _outcomes(node: exp.Expr) -> Iterator[exp.Expr]:
    """What a `case` or an `if` may give."""
    for when in node.args.get("ifs", [node]):
        yield when.args["true"]
    yield from (node.args[name] for name in ("default", "false") if node.args.get(name))


def _is_number(node: exp.Expr) -> bool:
    """Whether an expression gives a number whatever the columns hold."""
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Paren | exp.Nullif):
        return _is_number(node.this)
    if isinstance(node, exp.Coalesce):
        return any(_is_number(child) for child in node.iter_expressions())
    if isinstance(node, exp.Case | exp.If):
        return any(_is_number(outcome) for outcome in _outcomes(node))
    return isinstance(node, (*_ARITHMETIC, *_NUMBER_FUNCTIONS))


def _is_condition(column: exp.Expr) -> bool:
    """Whether a column stands where only true or false makes sense."""
    node, parent = column, column.parent
    while isinstance(parent, exp.Paren):
        node, parent = parent, parent.parent
    if isinstance(parent, exp.And | exp.Or | exp.Not):
        return True
    if isinstance(parent, exp.If) and node.arg_key == "this":
        return not (isinstance(parent.parent, exp.Case) and parent.parent.this)
    return isinstance(parent, (*_COMPARISONS, exp.Is)) and any(
        isinstance(peer, exp.Boolean) for peer in parent.iter_expressions()
    )


@cache
def _binder() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _bind(sql: str, columns: dict[str, None], text: str, where: str) -> None:
    """Let the engine refuse now what it would refuse in the middle of a build."""
    offered = ", ".join(f"cast('' as varchar) as {raw_column(name)}" for name in columns)
    query = f"select cast({sql} as varchar) from (select {offered or 'null'})"
    try:
        _binder().cursor().execute(query).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise MappingError(f"{where}: cannot compute {text!r}: {reason}") from None
