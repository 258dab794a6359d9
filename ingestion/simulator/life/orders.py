"""Orders: their money, payment, delivery and refunds. All amounts are whole cents."""

from dataclasses import dataclass

import numpy as np

from ingestion.simulator.life.cast import CURRENCIES, Cast, Hours
from ingestion.simulator.life.columns import (
    DAYS,
    HOUR,
    NONE,
    SECOND,
    Array,
    Columns,
    after,
    draw,
    join,
    pick,
    sum_by,
)
from ingestion.simulator.life.times import spread

CHANNELS = ("web", "app", "pos")
METHODS = ("card", "paypal", "invoice", "pix", "apple_pay")
GATEWAYS = ("shopify_payments", "paypal", "manual", "mercado_pago", "shopify_payments")
FAULTS = ("late", "lost", "damaged", "wrong_item")
LATE, LOST, DAMAGED, WRONG = range(4)
_CANCEL_REASONS = ("customer", "inventory", "fraud", "declined")
_DISCOUNTS = (0, 5, 10, 15, 20, 30)
_TAX = {"DE": 1900, "AT": 2000, "GB": 2000, "US": 800, "BR": 1700, "PT": 2300, "KZ": 1200}
_TAX_IN_PRICES = ("GB",)  # where the shop shows its prices with tax
_TRANSIT = {"DE": 2, "AT": 3, "GB": 4, "US": 6, "BR": 9, "PT": 5, "KZ": 10}
_CARRIERS = {
    "DE": ("DHL", "DPD", "Hermes"), "AT": ("Post AT", "DPD"), "GB": ("Royal Mail", "Evri"),
    "US": ("UPS", "USPS"), "BR": ("Correios", "Jadlog"), "PT": ("CTT", "DPD"), "KZ": ("Kazpost",),
}  # fmt: skip
_SHIPPING = np.array([490, 450, 2500, 690])  # by currency, in its cents
_FREE_FROM = np.array([7500, 7000, 40000, 9000])
_FAULT_SHARE, _CANCEL_SHARE = 0.065, 0.025


@dataclass
class Placed:
    """Orders as customers leave them: one row an order, lines sorted by order."""

    person: Array
    at: Array
    channel: Array  # position in CHANNELS
    guest: Array
    team: Array  # of a won B2B opportunity
    line_order: Array
    line_product: Array
    line_quantity: Array
    discount_percent: Array
    campaign_id: Array
    cart: Array  # position of the cart, or -1

    @property
    def count(self) -> int:
        return len(self.person)


@dataclass
class Fulfilled:
    """What became of orders: tables without ids of records, and what others build on."""

    orders: Columns
    order_line: Columns
    payment: Columns
    refund: Columns
    refund_line: Columns
    fault: Array  # position in FAULTS, -1: none
    delivered: Array
    canceled: Array
    returned_at: Array  # when a customer sends something back
    payment_failed: Array
    quality: Array  # of the worst product, as this customer meets it


def discounts(rng: np.random.Generator, sensitivity: Array, *, sale: bool, n: int) -> Array:
    """Percent off an order; the sensitive wait for a code, in a sale most get one."""
    keen = rng.random(n) < (0.12 + 0.35 * sensitivity) * (1.9 if sale else 1.0)
    return np.where(keen, draw(rng, (0, 3, 5, 2, 2, 0.5 if not sale else 2), n), 0)


def fulfil(
    rng: np.random.Generator,
    cast: Cast,
    hours: Hours,
    placed: Placed,
    prices: Array,
    ids: dict[str, int],
    *,
    peak: float,
) -> Fulfilled:
    """Price, charge, send and (partly) refund orders.

    `ids` gives the next free id of orders, order_line, payment and refund and is moved on;
    `peak` is the season's factor: the more is ordered, the more goes wrong.
    """
    n, lines = placed.count, placed.line_order
    person, currency = placed.person, cast.currency[placed.person]
    country = cast.country[person].astype(str)
    percent = np.array(_DISCOUNTS)[placed.discount_percent]
    unit = prices[placed.line_product, currency[lines]]
    gross = unit * placed.line_quantity
    line_discount = gross * percent[lines] // 100
    rate = np.array([_TAX.get(c, 1900) for c in country], np.int64)
    line_tax = ((gross - line_discount) * rate[lines] + 5000) // 10000
    # a price with tax is whole cents a unit, and so is the tax in it
    shown = np.isin(country, _TAX_IN_PRICES)
    line_tax = np.where(
        shown[lines] & (line_discount == 0),
        (unit * rate[lines] + 5000) // 10000 * placed.line_quantity, line_tax,
    )  # fmt: skip
    subtotal, discount, tax = (sum_by(lines, v, n) for v in (gross, line_discount, line_tax))
    pos = placed.channel == 2
    free = pos | (subtotal - discount >= _FREE_FROM[currency])
    shipping = np.where(free, 0, _SHIPPING[currency])
    total = subtotal - discount + shipping + tax

    order_id = np.empty(n, np.int64)
    order_id[np.argsort(placed.at, kind="stable")] = _take(ids, "orders", n)
    line_id = _take(ids, "order_line", len(lines))

    # Delivery: what is promised holds unless something goes wrong.
    fault = np.where(
        rng.random(n) < _FAULT_SHARE * (0.5 + 0.5 * peak**1.5),
        draw(rng, (0.48, 0.12, 0.22, 0.18), n), -1,
    )  # fmt: skip
    canceled = np.where(
        ~pos & ~placed.team & (rng.random(n) < _CANCEL_SHARE),
        placed.at + spread(rng, 0.02, 0.3, n), NONE,
    )  # fmt: skip
    gone = canceled != NONE
    fault = np.where(pos | gone, -1, fault)
    shipped = np.where(
        pos,
        placed.at,
        hours.plus(placed.at, spread(rng, 3, 14, n, HOUR) * (1 if peak < 1.4 else 2)),
    )
    shipped = np.where(shipped < canceled, canceled + HOUR, shipped)
    transit = np.array([_TRANSIT.get(c, 4) for c in country], np.int64) * DAYS
    promised = np.maximum(placed.at + transit + 2 * DAYS, shipped + transit + DAYS // 2)
    delivered = shipped + (transit * rng.uniform(0.55, 1.0, n)).astype(np.int64) // SECOND * SECOND
    delivered = np.where(fault == LATE, promised + spread(rng, 0.7, 8, n), delivered)
    delivered = np.where(pos, placed.at, np.where(fault == LOST, NONE, delivered))
    promised = np.where(pos, placed.at, promised)
    shipped, delivered = (np.where(gone, NONE, t) for t in (shipped, delivered))

    method = _methods(rng, cast, placed, country)
    payment, paid, failed = _charge(rng, placed, method, total, shipped, canceled, order_id, ids)
    currencies = pick(CURRENCIES, currency)
    payment["currency"] = currencies[payment["order"]]

    # What a customer gets is as good as the product, more or less.
    met = np.clip(cast.quality[placed.line_product] + rng.normal(0, 0.12, len(lines)), 0, 1)
    quality = np.ones(n)
    np.minimum.at(quality, lines, met)
    net = gross - line_discount + line_tax
    refund, refund_line, refund_payment, returned = _refunds(
        rng, placed, fault, quality, delivered, promised, canceled, paid, shipping, total, net,
        order_id, line_id, payment, ids,
    )  # fmt: skip
    refund_payment["currency"] = currencies[refund_payment.pop("order")]
    del payment["order"]

    carrier = np.full(n, None, object)
    for place, names in _CARRIERS.items():
        of = np.flatnonzero((country == place) & ~pos)
        carrier[of] = pick(names, rng.integers(0, len(names), len(of)))
    code = np.array([f"SAVE{p}" if p else None for p in _DISCOUNTS], object)
    return Fulfilled(
        orders={
            "order_id": order_id, "person_id": cast.person_id[person],
            **cast.contact_at(person, placed.at),
            "account_id": np.where(placed.team | cast.b2b[person], cast.account_id[person], NONE),
            "channel": pick(CHANNELS, placed.channel), "campaign_id": placed.campaign_id,
            "discount_code": code[placed.discount_percent], "currency": currencies,
            "subtotal": subtotal, "discount": discount, "shipping": shipping, "tax": tax,
            "tax_in_prices": shown, "total": total,
            "payment_method": pick(METHODS, method), "carrier": carrier,
            "is_test": cast.test[person], "placed_at": placed.at, "paid_at": paid,
            "shipped_at": shipped, "promised_at": np.where(gone, NONE, promised),
            "delivered_at": delivered, "canceled_at": canceled,
            "cancel_reason": pick(_CANCEL_REASONS, np.where(gone, draw(rng, (6, 2, 1, 1), n), -1)),
            "delivery_fault": pick(FAULTS, fault),
        },
        order_line={
            "line_id": line_id, "order_id": order_id[lines],
            "product_id": cast.product_id[placed.line_product],
            "quantity": placed.line_quantity, "unit_price": unit,
            "discount": line_discount, "tax": line_tax,
        },
        payment=join([payment, refund_payment]), refund=refund, refund_line=refund_line,
        fault=fault, delivered=delivered, canceled=canceled, returned_at=returned,
        payment_failed=failed, quality=quality,
    )  # fmt: skip


def _take(ids: dict[str, int], name: str, n: int) -> Array:
    first = ids[name]
    ids[name] += n
    return np.arange(first, first + n)


def _methods(rng: np.random.Generator, cast: Cast, placed: Placed, country: Array) -> Array:
    n = placed.count
    method = draw(rng, (5, 3, 0.6, 0, 1.4), n)
    method = np.where((country == "BR") & (rng.random(n) < 0.6), 3, method)
    method = np.where(placed.team | (cast.b2b[placed.person] & (rng.random(n) < 0.6)), 2, method)
    return np.where(placed.channel == 2, 0, method)


def _charge(
    rng: np.random.Generator,
    placed: Placed,
    method: Array,
    total: Array,
    shipped: Array,
    canceled: Array,
    order_id: Array,
    ids: dict[str, int],
) -> tuple[Columns, Array, Array]:
    """Payments of orders; cards are authorized, then captured on dispatch, or voided."""
    n = placed.count
    pos, gone = placed.channel == 2, canceled != NONE
    card = ((method == 0) | (method == 4)) & ~pos
    failed = ~pos & (method != 2) & (rng.random(n) < 0.03)
    start = placed.at + np.where(failed, 80, 4) * SECOND
    due = np.where(method == 2, placed.at + spread(rng, 5, 32, n), start)
    paid = np.where(card, after(shipped, 600 * SECOND), due)
    paid = np.where((card | (method == 2)) & gone, NONE, paid)

    def part(where: Array, kind: str, at: Array, status: str = "success") -> Columns:
        of = np.flatnonzero(where)
        size = len(of)
        return {
            "payment_id": _take(ids, "payment", size), "order_id": order_id[of], "order": of,
            "at": at[of], "kind": np.full(size, kind, object),
            "status": np.full(size, status, object), "gateway": pick(GATEWAYS, method[of]),
            "amount": total[of], "parent_payment_id": np.full(size, NONE),
        }  # fmt: skip

    authorized = part(card, "authorization", start)
    captured = part(card & ~gone, "capture", paid)
    voided = part(card & gone, "void", canceled)
    parent = np.full(n, NONE)
    parent[authorized["order"]] = authorized["payment_id"]
    for later in (captured, voided):
        later["parent_payment_id"] = parent[later["order"]]
    payment = join(
        [
            part(failed & card, "authorization", placed.at + 3 * SECOND, "failure"),
            part(failed & ~card, "sale", placed.at + 3 * SECOND, "failure"),
            authorized, captured, voided,
            part(~card & (paid != NONE), "sale", paid),
        ]
    )  # fmt: skip
    return payment, paid, failed


def _refunds(
    rng: np.random.Generator,
    placed: Placed,
    fault: Array,
    quality: Array,
    delivered: Array,
    promised: Array,
    canceled: Array,
    paid: Array,
    shipping: Array,
    total: Array,
    net: Array,
    order_id: Array,
    line_id: Array,
    payment: Columns,
    ids: dict[str, int],
) -> tuple[Columns, Columns, Columns, Array]:
    """Money given back: lines (tax included, discount taken off) and shipping or goodwill."""
    n, lines = placed.count, placed.line_order
    chance = rng.random(n)
    sound = (fault < 0) & (delivered != NONE)
    back = sound & (chance < 0.05 + 0.12 * (1 - quality)) & ~placed.team
    share = np.select(
        [canceled != NONE, fault == LOST, fault == DAMAGED, fault == WRONG, back],
        [1, chance < 0.8, chance < 0.65, chance < 0.6, 1], 0,
    ).astype(bool)  # fmt: skip
    whole = (canceled != NONE) | (fault == LOST) | (rng.random(n) < 0.4)
    goodwill = (fault == LATE) & (chance < 0.15)
    reason = np.select(
        [canceled != NONE, fault == LOST, fault == DAMAGED, fault == WRONG, goodwill],
        ["canceled", "lost", "damaged", "wrong_item", "goodwill"], "",
    ).astype(object)  # fmt: skip
    asked = pick(("changed_mind", "size_fit", "quality", "late_gift"), draw(rng, (4, 4, 3, 1), n))
    reason = np.where(reason == "", asked, reason)
    returned = np.where(back, delivered + spread(rng, 2, 16, n), NONE)
    at = np.select(
        [canceled != NONE, fault == LOST, back],
        [after(canceled, HOUR), promised + spread(rng, 6, 14, n),
         after(returned, spread(rng, 3, 9, n))],
        after(delivered, spread(rng, 2, 10, n)),
    )  # fmt: skip
    at = np.maximum(at, after(paid, HOUR))
    share &= paid != NONE
    goodwill &= paid != NONE

    # Which lines come back: all of them, or one and by chance some more; what a first parcel
    # leaves may come back in a second one.
    first_of = np.append(True, lines[1:] != lines[:-1]) if len(lines) else np.zeros(0, bool)
    chosen = share[lines] & (whole[lines] | first_of | (rng.random(len(lines)) < 0.3))
    quantity = np.where(
        whole[lines] | (rng.random(len(lines)) < 0.5), placed.line_quantity,
        (placed.line_quantity + 1) // 2,
    )  # fmt: skip
    again = back & ~whole & (rng.random(n) < 0.25)
    second = again[lines] & ~chosen
    again = sum_by(lines, second.astype(np.int64), n) > 0

    subtotal = net * quantity // placed.line_quantity
    with_shipping = share & whole & ((canceled != NONE) | (fault == LOST) | (rng.random(n) < 0.3))
    extra = np.where(with_shipping, shipping, 0)
    gift = np.where(shipping > 0, shipping, total // 10)
    parts = []
    line_parts = []
    taken = np.full(n, NONE)
    success = np.isin(payment["kind"], ("capture", "sale")) & (payment["status"] == "success")
    taken[payment["order"][success]] = payment["payment_id"][success]
    gateway = np.full(n, None, object)
    gateway[payment["order"]] = payment["gateway"]
    payments = []
    for of, picked, when, more in (
        (share, chosen, at, extra),
        (goodwill, np.zeros(len(lines), bool), at, gift),
        (again, second, at + spread(rng, 5, 18, n), np.zeros(n, np.int64)),
    ):
        which, line = np.flatnonzero(of), np.flatnonzero(picked)
        refund_id = np.full(n, NONE)
        refund_id[which] = _take(ids, "refund", len(which))
        part = np.where(of is again, placed.line_quantity[line], quantity[line])
        worth = np.where(of is again, net[line], subtotal[line])
        amount = sum_by(lines[line], worth, n) + more
        payment_id = _take(ids, "payment", len(which))
        parts.append({
            "refund_id": refund_id[which], "order_id": order_id[which], "at": when[which],
            "amount": amount[which], "reason": reason[which], "payment_id": payment_id,
        })  # fmt: skip
        line_parts.append({
            "refund_id": refund_id[lines[line]], "line_id": line_id[line],
            "quantity": part, "subtotal": worth,
        })  # fmt: skip
        size = len(which)
        payments.append({
            "payment_id": payment_id, "order_id": order_id[which], "order": which,
            "at": when[which], "kind": np.full(size, "refund", object),
            "status": np.full(size, "success", object), "gateway": gateway[which],
            "amount": amount[which], "parent_payment_id": taken[which],
        })  # fmt: skip
    return join(parts), join(line_parts), join(payments), returned
