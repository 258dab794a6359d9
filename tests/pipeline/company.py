"""A small company whose truth is known: its files in four batches, and who of them is who."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

MAPPING = """\
version: 1
company: harbor
reporting_currency: EUR
timezone: Europe/Berlin
sources:
  shop:
    folder: shop
    files:
      customers:
        path: customers_*.csv
        key: customer_id
        cursor: updated_at
        concept: person_record
        fields:
          person_record_id: customer_id
          email: email
          phone: phone
          country: country
          region: region
          merged_into_id: merged_into
          created_at: created_at
          updated_at: updated_at
      orders:
        path: orders_*.csv
        key: order_id
        cursor: updated_at
        concept: order
        fields:
          order_id: order_id
          person_record_id: customer_id
          email: email
          status: {value: "case status when 'storno' then 'canceled' else status end"}
          ordered_at: ordered_at
          delivered_at: delivered_at
          estimated_delivery_at: promised_at
          currency: currency
      order_lines:
        path: lines_*.csv
        key: [order_id, line]
        concept: order_line
        fields:
          order_line_id: order_id || '-' || line
          order_id: order_id
          product_id: product
          quantity: quantity
          unit_price: price
      payments:
        path: payments_*.csv
        key: payment_id
        concept: payment
        fields:
          payment_id: payment_id
          order_id: order_id
          kind: kind
          status: status
          amount: amount
      rates:
        path: rates_*.csv
        key: [valid_from, currency]
        concept: exchange_rate
        constants: {to_currency: EUR}
        fields:
          exchange_rate_id: valid_from || currency
          valid_from: valid_from
          from_currency: currency
          rate: rate
      answers:
        path: answers_*.csv
        key: answer_id
        records:
          - concept: survey_response
            fields:
              response_id: answer_id
              order_id: order_id
              kind: kind
              score: score
              scale_min: lowest
              scale_max: highest
              responded_at: answered_at
"""

CRM_MAPPING = """\
  crm:
    folder: crm
    files:
      contacts:
        path: contacts_*.csv
        key: contact_id
        concept: person_record
        fields:
          person_record_id: contact_id
          email: email
          phone: phone
          country: country
          other_record_id: {value: shop_customer, of: shop}
"""

Row = Sequence[object]
Batch = dict[str, list[Row]]  # file, without its number -> rows

HEADERS = {
    "shop/customers": "customer_id email phone country region merged_into created_at updated_at",
    "shop/orders": "order_id customer_id email status ordered_at delivered_at promised_at"
    " currency updated_at",
    "shop/lines": "order_id line product quantity price",
    "shop/payments": "payment_id order_id kind status amount",
    "shop/rates": "valid_from currency rate",
    "shop/answers": "answer_id order_id kind score lowest highest answered_at",
    "crm/contacts": "contact_id email phone country shop_customer",
}

# who is one person: record keys, each list one customer
PEOPLE = {
    "guest, plus-address": ["crm:K1", "shop:guest:48682aff0abc4126e4db34ca5f6a8fc9"],
    "chain by e-mail and phone": ["crm:K2", "shop:C10", "shop:C11"],
    "merged in the shop": ["shop:C30", "shop:C31"],
    "cross reference": ["crm:K5", "shop:C40"],
}
# why a value that they share does not tie records
ALONE = {
    "role mailbox": [f"shop:C{n}" for n in range(100, 130)],
    "shared by more than 20 records": [f"shop:C{n}" for n in range(200, 225)],
}


def write_csv(path: Path, header: str, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header.split())
        writer.writerows(rows)


def write_batch(folder: Path, number: int, batch: Batch | None = None) -> None:
    """Put the files of one batch (from 1 on) into the company's folder."""
    for name, rows in (BATCHES[number - 1] if batch is None else batch).items():
        write_csv(folder / f"{name}_{number}.csv", HEADERS[name], rows)


def write_company(folder: Path, batches: Iterable[int] = (1, 2, 3, 4), *, crm: bool = True) -> Path:
    """Write mapping and files; returns the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in batches:
        write_batch(folder, number)
    return write_mapping(folder, crm=crm)


def write_mapping(folder: Path, *, crm: bool = True) -> Path:
    path = folder / "mapping.yml"
    path.write_text(MAPPING + (CRM_MAPPING if crm else ""))
    return path


def customer(
    number: int, email: str = "", phone: str = "", merged_into: str = "", day: int = 1
) -> Row:
    regions = ("BE", "HH", "")
    return [f"C{number}", email, phone, "DE", regions[number % 3], merged_into,
            "2026-01-01", f"2026-02-{day:02d} 10:00:00"]  # fmt: skip


def order(
    number: int, person: str, *, email: str = "", status: str = "delivered", version: int = 1
) -> Row:
    month, day = 3 + number % 4, 1 + number % 27
    ordered = f"2026-{month:02d}-{day:02d} {number % 24:02d}:30:00"
    promised = f"2026-{month:02d}-{day + 1:02d}"
    delivered = f"2026-{month:02d}-{day + 1 + number % 2:02d} 12:00:00"
    currency = "NOK" if number % 5 == 0 else "EUR"
    arrived = delivered if status == "delivered" else ""
    return [f"O{number}", person, email, status, ordered, arrived, promised, currency,
            f"2026-08-{version:02d} 00:00:00"]  # fmt: skip


def _orders() -> list[Row]:
    buyers = [f"C{n}" for n in (10, 11, 30, 31, 40, 50, 51, 52, 53, 54)]
    statuses = ("delivered", "delivered", "delivered", "storno", "shipped")
    return [order(n, buyers[n % len(buyers)], status=statuses[n % 7 % 5]) for n in range(1, 61)]


def _batches() -> list[Batch]:
    people: list[list[Row]] = [
        [customer(10, "bea@fjord.no"), customer(30, "old@elv.no", merged_into="C31")]
        + [customer(n, f"p{n}@elv.no") for n in range(50, 53)]
        + [customer(n, "info@fjord.no") for n in range(100, 115)],
        [customer(11, phone="030 901820"), customer(31, "new@elv.no")]
        + [customer(n, f"p{n}@elv.no") for n in range(53, 55)],
        [customer(40, "forty@elv.no")]
        + [customer(n, "Info@fjord.no") for n in range(115, 130)]
        # a later version of a record that came before
        + [customer(50, "p50@elv.no", "030 901833", day=9)],
        [customer(n, phone="030/2270" if n % 2 else "+49 30 2270") for n in range(200, 225)],
    ]
    contacts: list[list[Row]] = [
        [],
        [],
        [
            ["K1", "ann+news@fjord.no", "", "NO", ""],
            ["K2", "Bea@Fjord.no", "+49 30 901820", "", ""],
        ],
        [["K5", "other@mail.no", "", "NO", "C40"]],
    ]
    orders = _orders()
    guest = order(61, "", email="Ann@fjord.no")
    later = order(2, "C30", status="storno", version=9)
    placed = [[*orders[:10], guest], orders[10:25], [*orders[25:40], later], orders[40:]]
    rates: list[list[Row]] = [
        [["2026-01-01", "NOK", "0.0871"]],
        [["2026-04-01", "NOK", "0.0913"]],
        [["2026-05-10", "NOK", "0.0857"]],
        [],
    ]
    batches: list[Batch] = []
    for index in range(4):
        numbers = range(1 + index * 15, 1 + (index + 1) * 15)
        batch: Batch = {
            "shop/customers": people[index],
            "shop/orders": placed[index],
            "shop/lines": [line for n in numbers for line in _lines(n)],
            "shop/payments": [p for n in numbers for p in _payments(n)],
            "shop/answers": [_answer(n) for n in numbers],
            "shop/rates": rates[index],
            "crm/contacts": contacts[index],
        }
        batches.append({name: rows for name, rows in batch.items() if rows})
    return batches


def _lines(n: int) -> list[Row]:
    return [[f"O{n}", k, f"P{(n + k) % 7}", k, f"{n / 3 + k:.2f}"] for k in range(1, 2 + n % 3)]


def _payments(n: int) -> list[Row]:
    """Authorised, then captured in two parts; every third order paid at once by a sale."""
    if n % 3 == 0:
        return [[f"Y{n}s", f"O{n}", "sale", "success", "12.50"]]
    return [
        [f"Y{n}a", f"O{n}", "authorization", "success", "12.50"],
        [f"Y{n}b", f"O{n}", "capture", "success", "10.00"],
        [f"Y{n}c", f"O{n}", "capture", "success", "2.50"],
        [f"Y{n}d", f"O{n}", "capture", "failure", "2.50"],
    ]


def _answer(n: int) -> Row:
    """CSAT on 1-5 in tenths (averages that floating numbers round); every fourth an NPS answer,
    and every eighth of those asked on 1-10."""
    at = f"2026-06-{1 + n % 28:02d} 09:00:00"
    if n % 4 == 0:
        return [f"A{n}", f"O{n}", "nps", n % 10 + 1, 1 if n % 8 == 0 else 0, 10, at]
    return [f"A{n}", f"O{n}", "csat", f"{1 + (n * 7 % 40) / 10:.1f}", 1, 5, at]


BATCHES = _batches()
