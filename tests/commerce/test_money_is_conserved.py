"""The check that no money is lost can fail: on records by hand, with facts falsified one by one."""

from collections.abc import Iterator

import duckdb
import jinja2
import pytest

from tests.support import ROOT

CHECK = ROOT / "dbt_project" / "tests" / "assert_money_is_conserved.sql"
# a: paid as due; b: prices hold its tax; c: paid partly in francs, which have no rate; d: unpaid
RECORDS = """
create table orders as from (values
    ('a', 'EUR', 129.0, 1.0, 5.0, 19.0, null), ('b', 'EUR', 124.95, 0.0, 5.95, 0.0, 19.95),
    ('c', 'EUR', 100.0, null, null, null, null), ('d', 'EUR', 50.0, null, null, null, null)
) as o(order_key, currency, total_amount, discount_amount, shipping_amount, tax_amount,
    included_tax_amount);
create table order_lines as from (values
    ('a', 2, 50.0, 0.0, 19.0, null, null), ('a', 1, 6.0, null, null, null, null),
    ('b', 1, 119.0, 0.0, null, null, 19.0),
    ('c', 1, 100.0, null, null, null, null), ('d', 1, 50.0, null, null, null, null)
) as l(order_key, quantity, unit_price, discount_amount, tax_amount, shipping_amount,
    included_tax_amount);
create table payments as from (values
    ('a', 'authorization', null, 129.0, 'EUR'), ('a', 'capture', null, 129.0, 'EUR'),
    ('b', null, null, 124.95, null), ('c', null, null, 40.0, 'EUR'), ('c', null, null, 60.0, 'CHF'),
    ('d', 'sale', 'failure', 50.0, 'EUR')
) as p(order_key, kind, status, amount, currency);
create table refunds as from (values ('a', 10.0, 'EUR')) as r(order_key, amount, currency);
create table fct_orders as from (values
    ('a', 105.0, 19.0, 0.0, 5.0, 1.0, 129.0, 10.0),
    ('b', 100.0, 19.95, 19.95, 5.0, 0.0, 124.95, 0.0),
    ('c', 100.0, 0.0, 0.0, 0.0, 0.0, 40.0, 0.0), ('d', 50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
) as f(order_key, revenue_amount, tax_amount, included_tax_amount, shipping_amount, discount_amount,
    paid_amount, refunded_amount);
create table order_money_differences as from (values
    ('c', 'paid and total'), ('d', 'paid and total')
) as d(order_key, rule);
"""
LOST = {
    "goods": ("update fct_orders set revenue_amount = 104 where order_key = 'a'",
              {("a", "goods, tax and shipping")}),
    "tax taken for goods": (
        "update fct_orders set revenue_amount = 124, tax_amount = 0 where order_key = 'a'",
        {("a", "tax on top")}),
    "shipping taken for goods": (
        "update fct_orders set revenue_amount = 110, shipping_amount = 0 where order_key = 'a'",
        {("a", "shipping")}),
    "tax that no price holds": (
        "update fct_orders set included_tax_amount = 1, tax_amount = 20, revenue_amount = 104"
        " where order_key = 'a'", {("a", "tax in prices")}),
    "tax in prices twice": ("update fct_orders set revenue_amount = 119 where order_key = 'b'",
                            {("b", "goods, tax and shipping")}),
    "discount": ("update fct_orders set discount_amount = 0 where order_key = 'a'",
                 {("a", "discount")}),
    "an authorization is no payment": (
        "update fct_orders set paid_amount = 258 where order_key = 'a'", {("a", "paid")}),
    "what was paid in its currency": (
        "update fct_orders set paid_amount = 0 where order_key = 'c'", {("c", "paid")}),
    "refund": ("update fct_orders set refunded_amount = 0 where order_key = 'a'",
               {("a", "refunded")}),
    "a difference": ("delete from order_money_differences where order_key = 'd'",
                     {("d", "a difference that is not listed")}),
    "one that is none": ("insert into order_money_differences values ('a', 'paid and total')",
                         {("a", "listed without a difference")}),
    "an order": ("delete from fct_orders where order_key = 'd'",
                 {("d", what) for what in ("goods, tax and shipping", "discount", "tax on top",
                                           "tax in prices", "shipping", "paid", "refunded")}),
}  # fmt: skip


@pytest.fixture
def records() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(RECORDS)
        yield connection


def found(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    sql = jinja2.Template(CHECK.read_text(encoding="utf-8")).render(ref=lambda name: name)
    return set(connection.execute(f"select found, what from ({sql})").fetchall())


def test_nothing_is_found_where_all_is_right(records: duckdb.DuckDBPyConnection) -> None:
    assert found(records) == set()


@pytest.mark.parametrize("lost", LOST)
def test_what_is_lost_is_found(records: duckdb.DuckDBPyConnection, lost: str) -> None:
    falsify, expected = LOST[lost]
    records.execute(falsify)
    assert found(records) == expected
