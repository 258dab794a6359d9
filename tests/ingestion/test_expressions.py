import duckdb
import pytest

from ingestion.errors import MappingError
from ingestion.exports.expressions import constant_sql, parse_expression, raw_column


def value(text: str, *, decimal_comma: bool = False, **columns: str | None) -> str | None:
    """What an expression gives for one row of text columns."""
    parsed = parse_expression(text, "here", decimal_comma=decimal_comma)
    names = {name.replace("__", "."): v for name, v in columns.items()}
    row = ", ".join(f"cast(? as varchar) as {raw_column(name)}" for name in parsed.columns)
    result = duckdb.execute(
        f"select cast({parsed.sql} as varchar) from (select {row or '1'})",
        [names[name] for name in parsed.columns],
    ).fetchone()
    assert result is not None
    return result[0]


@pytest.mark.parametrize(
    ("text", "columns", "numbers"),
    [
        ("price", ("price",), ()),
        ("order", ("order",), ()),
        ("buyer.id", ("buyer.id",), ()),
        ('"Order No."', ("Order No.",), ()),
        ('"case"', ("case",), ()),
        ("order || '-' || line", ("order", "line"), ()),
        ("price * quantity", ("price", "quantity"), ("price", "quantity")),
        ("-price", ("price",), ("price",)),
        ("coalesce(price, cost) * 2", ("price", "cost"), ("price", "cost")),
        ("coalesce(price, 0)", ("price",), ("price",)),
        ("coalesce(name, 'none')", ("name",), ()),
        ("nullif(price, 0)", ("price",), ("price",)),
        ("nullif(name, '-')", ("name",), ()),
        ("case when price > -5 then name else 'x' end", ("price", "name"), ("price",)),
        ("case when kind = 'a' then qty else 0 end", ("kind", "qty"), ("qty",)),
        ("case when kind = 'a' then qty end * 2", ("kind", "qty"), ("qty",)),
        ("case qty when 0 then kind else name end", ("qty", "kind", "name"), ("qty",)),
        ("case kind when 'a' then qty end", ("kind", "qty"), ()),
        ("if(qty = 1, name, kind)", ("qty", "name", "kind"), ("qty",)),
        ("qty in (1, 2)", ("qty",), ("qty",)),
        ("kind in ('a', 'b')", ("kind",), ()),
        ("qty between 1 and 5", ("qty",), ("qty",)),
        ("price * 2 > cost", ("price", "cost"), ("price", "cost")),
        ("price = cost", ("price", "cost"), ()),
        ("left(name, 2) || right(name, 1)", ("name",), ()),
        ("answers[0].choice_id", ("answers[0].choice_id",), ()),
        ("a.b.c.d.e || 'x.y[0]'", ("a.b.c.d.e",), ()),
        ('properties."hs-x" || "a.b"', ("properties.hs-x", "a.b"), ()),
        ("length(name) > 2", ("name",), ()),
        ("epoch_ms(made)", ("made",), ("made",)),
        ("case when regexp_matches(at, '^\\d+$') then epoch_ms(at) else at end", ("at",), ()),
        ("case when regexp_matches(kind, 'x') then epoch_ms(at) end", ("kind", "at"), ("at",)),
        ("case when index = 0 then parent.order.id end", ("index", "parent.order.id"), ("index",)),
    ],
)
def test_columns_and_which_of_them_are_numbers(
    text: str, columns: tuple[str, ...], numbers: tuple[str, ...]
) -> None:
    parsed = parse_expression(text, "here")
    assert sorted(parsed.columns) == sorted(columns)
    assert sorted(parsed.numbers) == sorted(numbers)


def test_known_answers() -> None:
    assert value("order", order="A1") == "A1"
    assert value("buyer.id", buyer__id="7") == "7"
    assert value("order || '-' || line", order="A1", line="2") == "A1-2"
    assert value("coalesce(a, b)", a=None, b="x") == "x"
    assert value("split_part(a, '@', 2)", a="x@y.z") == "y.z"
    assert value("substring(upper(trim(a)), 1, 2)", a=" abc ") == "AB"
    assert value("replace(concat(a, 'x'), 'x', 'y')", a="x") == "yy"
    assert value("regexp_extract(a, '(\\d+)$', 1)", a="gid://shop/Order/45") == "45"
    assert value("regexp_replace(a, '[^0-9]', '', 'g')", a="+49 30/1") == "49301"
    assert value("epoch_ms(a)", a="1767225600123") == "2026-01-01T00:00:00.123000Z"
    assert value("epoch_seconds(a)", a="1767225600") == "2026-01-01T00:00:00.000000Z"
    assert value("coalesce(epoch_seconds(a), b)", a="soon", b="x") == "x"
    either = "case when regexp_matches(a, '^\\d+$') then left(epoch_ms(a), 10) else a end"
    assert value(either, a="1767225600123") == "2026-01-01" and value(either, a="soon") == "soon"
    assert value("strpos(a, '@') > 0 and contains(a, 'x')", a="x@y") == "true"
    assert value("md5(a)", a="abc") == "900150983cd24fb0d6963f7d28e17f72"
    assert value("case when qty > -5 then 'in' else 'out' end", qty="-6") == "out"
    assert value("case when kind = 'a' then qty else 0 end * price", kind="a", qty="3", price="1.5") in ("4.5", "4.5000000000000000")  # noqa: E501  # fmt: skip


@pytest.mark.parametrize(
    "text", ["qty in (1, 2)", "nullif(qty, 0)", "qty * 2", "coalesce(qty, 0)", "qty > -5"]
)
def test_a_bad_number_costs_one_value_and_no_build(text: str) -> None:
    assert value(text, qty="twelve") in (None, "0.00000000")
    assert value(text, qty="9" * 40) in (None, "0.00000000")


def test_small_rates_and_large_amounts_are_exact() -> None:
    assert float(value("amount * rate", amount="250000000.00", rate="0.00005678") or 0) == 14195.0
    assert float(value("a * b * c", a="99999.99", b="100", c="1.5") or 0) == 14999998.5
    assert value("a * b", a="9" * 30, b="9" * 30) is None


def test_a_decimal_comma_goes_in_and_out() -> None:
    assert value("price * 2", decimal_comma=True, price="1.234,50") == "2469,00000000"
    assert value("price || '!'", decimal_comma=True, price="1.234,50") == "1.234,50!"
    assert constant_sql(1.5, decimal_comma=True).sql == "'1,5'"
    assert constant_sql(1.5).sql == "1.5"
    assert constant_sql("it's").sql == "'it''s'"


@pytest.mark.parametrize(
    "text",
    [
        "(select 1)",
        "a in (select 1)",
        "exists (select 1)",
        "read_csv('/etc/passwd')",
        "getenv('HOME')",
        "a; drop table b",
        "a; b",
        "cast(a as int)",
        "sum(a)",
        "current_date",
        "a.*",
        "$a",
        "?",
        "select a",
        "lambda x: x",
    ],
)
def test_nothing_else_passes(text: str) -> None:
    with pytest.raises(MappingError, match=r"^here: "):
        parse_expression(text, "here")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a and b", "'a' is text, not a condition"),
        ("case when a then 1 end", "'a' is text, not a condition"),
        ("a = true", "'a' is text, not a condition"),
        ("a * b * c * d * e", "cannot compute"),
        ("left(a)", "cannot read the expression"),
        ("regexp_extract(a, '(')", "cannot compute"),
        ("epoch_seconds(a, b)", "is not allowed"),
        ("case", "in double quotes"),
        ("", "cannot read the expression"),
    ],
)
def test_what_the_engine_would_refuse_later_is_refused_now(text: str, reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        parse_expression(text, "here")


def test_a_condition_is_true_or_false() -> None:
    assert parse_expression("(a = 'x')", "here", condition=True).columns == ("a",)
    for text in ("a", "a || b", "'true'", "1"):
        with pytest.raises(MappingError, match="is no condition"):
            parse_expression(text, "here", condition=True)


def test_comments_do_not_reach_the_engine() -> None:
    assert parse_expression("a /* {{ x }} */ || b -- y", "here").sql == '"raw.a" || "raw.b"'
