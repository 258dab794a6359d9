"""A small shop for the contract tests: everything that Shopify's API makes difficult, placed."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from ingestion.simulator.company import Company
from ingestion.simulator.world import table_of, write_block

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
CLOCK = datetime(2026, 6, 1, 12, tzinfo=UTC)
CUSTOMERS, ORDERS = 60, 160
MERGED, ERASED = (11, 12, 13), 14  # 11 into 12 and 12 into 1; 13 after the clock; record ids
GUEST_ORDERS = range(5, ORDERS + 1, 9)
TEST_ORDERS = (20, 150)  # the second one is deleted after the clock
TWIN_CARTS = range(149, ORDERS + 1)  # each has a second cart, half a minute later
LONG_ORDER, LONG_REFUND = 40, 41  # with many lines; all of them given back


def make_shop(folder: Path, **settings: Any) -> Company:
    """The company in a new folder, at `CLOCK`; its story goes on until August."""
    write_block(folder / "world", "all", _tables())
    kept = {
        "seed": 7, "customers": CUSTOMERS, "started_at": START.isoformat(),
        "clock": CLOCK.isoformat(), "weeks": 1000, "settings": settings,
    }  # fmt: skip
    (folder / "company.json").write_text(json.dumps(kept))
    return Company.open(folder)


def _tables() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    currencies = ("EUR", "GBP", "BRL", "USD")
    products = [
        {
            "product_id": n, "sku": f"NO-{n:03d}", "name": f"Zelt Größe {n}", "category": "tents",
            "brand": "Nord", "weight_grams": 900 + n, "unit_cost": Decimal(10 + n),
            "launched_at": START - timedelta(days=40),
            "withdrawn_at": CLOCK + timedelta(days=3) if n == 2 else None,
        }
        for n in range(1, 13)
    ]  # fmt: skip
    prices = [
        {"product_id": n, "currency": c, "amount": Decimal(20 * n), "valid_from": at}
        for n in range(1, 13) for c in currencies
        for at in (START - timedelta(days=40), CLOCK + timedelta(days=n))
    ]  # fmt: skip
    rates = [
        {
            "day": date(2026, 1, 1) + timedelta(days=7 * week),
            "currency": c,
            "to_eur": rate + week / 1000,
        }
        for week in range(40)
        for c, rate in (("GBP", 1.17), ("BRL", 0.16), ("USD", 0.87))
    ]
    records = []
    for n in range(1, CUSTOMERS + 1):
        first = {
            "vendor": "shopify", "object": "customer", "record_id": n,
            "external_id": f"7{n:09d}", "version": 1, "person_id": n,
            "created_at": START + timedelta(hours=17 * n), "email": f"kunde{n}@example.test",
            "changed_at": START + timedelta(hours=17 * n), "phone": f"+4930{n:06d}",
            "first_name": "Zoë", "last_name": f"Müller {n}", "city": "Köln", "country": "DE",
            "language": "de", "email_consent": n % 3 == 0 or None,
            "consent_changed_at": START + timedelta(hours=17 * n) if n % 3 == 0 else None,
            "tags": ["test"] if n == 7 else ["vip"], "state": "live",
        }  # fmt: skip
        records.append(first)
        if n % 4 == 0:
            at = CLOCK + timedelta(hours=n) if n % 8 else CLOCK - timedelta(hours=n)
            records.append(first | {"version": 2, "changed_at": at, "last_name": "Neu",
                                    "email_consent": False, "consent_changed_at": at})  # fmt: skip
    for loser, winner, days in ((11, 12, -20), (12, 1, -10), (13, 1, 4)):
        records.append(
            records[0] | {"record_id": loser, "external_id": f"7{loser:09d}", "version": 3,
                          "changed_at": CLOCK + timedelta(days=days), "state": "merged",
                          "merged_into": winner}
        )  # fmt: skip
    records.append(records[0] | {
        "record_id": ERASED, "external_id": f"7{ERASED:09d}", "version": 3,
        "changed_at": CLOCK + timedelta(days=2), "state": "erased",
    })  # fmt: skip
    tables: dict[str, list[dict[str, Any]]] = {
        "product": products, "price": prices, "exchange_rate": rates, "record": records,
        "orders": [], "order_line": [], "payment": [], "refund": [], "refund_line": [],
        "cart": [], "cart_line": [],
    }  # fmt: skip
    for n in range(1, ORDERS + 1):
        _order(rng, n, currencies[n % 4], tables)
    return {name: _table(name, rows) for name, rows in tables.items()}


def _order(
    rng: np.random.Generator, n: int, currency: str, tables: dict[str, list[dict[str, Any]]]
) -> None:
    placed = START + timedelta(days=float(n))  # the last ones after the clock
    if n in TEST_ORDERS:
        placed = CLOCK - timedelta(days=10 if n == TEST_ORDERS[1] else 60)
    guest, lines = (
        n in GUEST_ORDERS,
        15 if n in (LONG_ORDER, LONG_REFUND) else int(rng.integers(1, 5)),
    )
    record = None if guest else int(rng.integers(1, CUSTOMERS + 1))
    if n in (30, 31, 32, 33):
        record = (*MERGED, ERASED)[n - 30]
    who = {
        "record_id": record,
        "email": f"gast{n}@example.test" if guest else f"k{record}@example.test",
    }
    money = {"currency": currency}
    own: list[dict[str, Any]] = []
    for i in range(lines):
        quantity, price = int(rng.integers(1, 4)), Decimal(int(rng.integers(500, 9999))) / 100
        discount = Decimal(int(rng.integers(0, 200))) / 100
        own.append({
            "line_id": 100 * n + i, "order_id": n, "product_id": int(rng.integers(1, 13)),
            "quantity": quantity, "unit_price": price, "discount": discount,
            "tax": round((quantity * price - discount) * Decimal("0.19"), 2),
        })  # fmt: skip
    subtotal = sum(line["quantity"] * line["unit_price"] for line in own)
    discount, tax = sum(line["discount"] for line in own), sum(line["tax"] for line in own)
    total, shipping = subtotal - discount + tax + Decimal("4.90"), Decimal("4.90")
    canceled = n % 13 == 0
    shipped = None if canceled else placed + timedelta(days=2)
    tables["orders"].append({
        "order_id": n, **who, **money, "channel": ("web", "app", "pos")[n % 3],
        "country": "DE", "city": "Köln", "subtotal": subtotal, "discount": discount,
        "shipping": shipping, "tax": tax, "total": total, "is_test": n in TEST_ORDERS,
        "tax_in_prices": currency == "GBP",
        "carrier": "DHL", "placed_at": placed, "shipped_at": shipped, "cart_id": n,
        "promised_at": placed + timedelta(days=4), "paid_at": shipped,
        "delivered_at": shipped and shipped + timedelta(days=2, hours=1),
        "canceled_at": placed + timedelta(hours=5) if canceled else None,
        "cancel_reason": "customer" if canceled else None,
    })  # fmt: skip
    tables["order_line"] += own
    first = 10 * n
    paid = {
        "order_id": n,
        "gateway": "shopify_payments",
        "amount": total,
        "status": "success",
        **money,
    }
    tables["payment"] += [
        paid | {"payment_id": first, "at": placed, "kind": "authorization"},
        paid | {"payment_id": first + 1, "at": shipped or placed + timedelta(hours=5),
                "kind": "void" if canceled else "capture", "parent_payment_id": first},
    ]  # fmt: skip
    if (n % 7 == 0 or n == LONG_REFUND) and not canceled:
        back = own if n == LONG_REFUND else own[:1]
        amount = sum(line["unit_price"] * line["quantity"] for line in back)
        at = placed + timedelta(days=12)
        tables["refund"].append({"refund_id": n, "order_id": n, "at": at, "amount": amount,
                                 "reason": "defekt", "payment_id": first + 2})  # fmt: skip
        tables["payment"].append(paid | {
            "payment_id": first + 2, "at": at, "kind": "refund", "amount": amount,
            "parent_payment_id": first + 1,
        })  # fmt: skip
        tables["refund_line"] += [
            {"refund_id": n, "line_id": line["line_id"], "quantity": line["quantity"],
             "subtotal": line["unit_price"] * line["quantity"]} for line in back
        ]  # fmt: skip
    filled = placed - timedelta(hours=1)
    for cart, at in [(n, filled), (1000 + n, filled + timedelta(seconds=30))][
        : 1 + (n in TWIN_CARTS)
    ]:
        tables["cart"].append({
            "cart_id": cart, **who, **money, "device_id": f"device-{n}", "amount": subtotal,
            "created_at": at, "updated_at": at + timedelta(minutes=50),
            "completed_at": placed if cart % 2 else None, "order_id": n if cart % 2 else None,
        })  # fmt: skip
        tables["cart_line"] += [
            {"cart_id": cart, "product_id": product, "quantity": 1}
            for product in {line["product_id"] for line in own}
        ]


def _table(name: str, rows: list[dict[str, Any]]) -> Any:
    columns = {column for row in rows for column in row}
    return table_of(name, {c: [row.get(c) for row in rows] for c in columns})
