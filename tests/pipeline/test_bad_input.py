"""Files as they come: what is wrong with them is set aside and said, what is right goes on."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.pipeline.company import write_csv
from tests.pipeline.conftest import Homes
from tests.support import Home

MAPPING = """\
version: 1
company: quay
reporting_currency: EUR
sources:
  shop:
    files:
      customers:
        path: customers.csv
        key: customer_id
        concept: person_record
        fields: {person_record_id: customer_id, email: email, city: city}
      orders:
        path: orders.csv
        key: order_id
        concept: order
        fields:
          order_id: order_id
          person_record_id: customer_id
          status: status
          ordered_at: ordered_at
          currency: currency
      order_lines:
        path: order_lines.csv
        key: [order_id, line]
        concept: order_line
        fields:
          order_line_id: order_id || '-' || line
          order_id: order_id
          unit_price: price
      responses:
        path: responses.csv
        key: response_id
        concept: survey_response
        constants: {kind: csat}
        scale: [1, 5]
        fields:
          response_id: response_id
          order_id: order_id
          score: score
          comment: comment
          responded_at: answered_at
      refunds:
        path: refunds.csv
        key: refund_id
        concept: refund
        fields: {refund_id: refund_id, order_id: order_id, amount: amount, refunded_at: at}
  crm:
    files:
      contacts:
        path: contacts.csv
        key: contact_id
        concept: person_record
        fields: {person_record_id: contact_id, email: email}
  desk:
    files:
      tickets:
        path: tickets.csv
        key: ticket_id
        concept: ticket
        fields: {ticket_id: ticket_id, status: status, created_at: created_at}
  panel:
    files:
      members:
        path: members.csv
        key: member_id
        concept: person_record
        fields: {person_record_id: member_id, city: city}
"""

LONG = "lovely " * 150_000  # a megabyte

CUSTOMERS = [[f"C{n}", f"c{n}@elv.no", "Bergen"] for n in range(1, 6)]
ORDERS = [
    [f"O{n}", f"C{n % 5 + 1}", "delivered", f"2026-05-{n:02d} 10:00:00", "EUR"]
    for n in range(1, 13)
]
ORDERS[4][1] = "C99"  # in no customer file
ORDERS[5][4] = "XTS"  # no rate for it
LINES = [[f"O{n}", 1, f"{n}.50"] for n in range(1, 13)]
RESPONSES = [[f"R{n}", f"O{n}", n % 5 + 1, "", f"2026-06-{n:02d} 09:00:00"] for n in range(1, 11)]
RESPONSES[0][3] = LONG
WRONG = {"O4", "O8"}  # orders that are quarantined until they are mended

HEADERS = {
    "customers.csv": "customer_id email city",
    "orders.csv": "order_id customer_id status ordered_at currency",
    "order_lines.csv": "order_id line price",
    "responses.csv": "response_id order_id score comment answered_at",
}


def replaced(rows: list[list[Any]], index: int, column: int, value: object) -> list[list[Any]]:
    return [[*row[:column], value, *row[column + 1 :]] if i == index else row
            for i, row in enumerate(rows)]  # fmt: skip


def write_bad(folder: Path) -> None:
    orders = replaced(ORDERS, 3, 3, "2026-13-45 10:00:00")
    orders = replaced(orders, 7, 2, "[/b]")  # would be markup on a terminal
    first = [*ORDERS[6][:2], "created", *ORDERS[6][3:]]  # O7 twice, the other one later
    responses = replaced(RESPONSES, 1, 2, 11)
    responses = replaced(responses, 2, 3, "nice\0day")
    rows = {
        "customers.csv": [*CUSTOMERS, ["C6", "c6@elv.no"]],
        "orders.csv": [*orders[:6], first, *orders[6:]],
        "order_lines.csv": replaced(LINES, 2, 2, "-5.00"),
        "responses.csv": responses,
    }
    for name, header in HEADERS.items():
        write_csv(folder / name, header, rows[name])
    (folder / "refunds.csv").touch()
    write_csv(folder / "tickets.csv", "ticketid status created_at", [["T1", "open", "2026-06-01"]])
    (folder / "members.csv").write_bytes("member_id,city\nM1,Zürich\n".encode("latin-1"))


def write_mended(folder: Path) -> None:
    rows: dict[str, list[list[Any]]] = {
        "customers.csv": [*CUSTOMERS, ["C6", "c6@elv.no", "Oslo"]],
        "orders.csv": ORDERS,
        "order_lines.csv": LINES,
        "responses.csv": RESPONSES,
    }
    for name, header in HEADERS.items():
        write_csv(folder / name, header, rows[name])
    write_csv(folder / "contacts.csv", "contact_id email", [["K1", "c1@elv.no"]])
    write_csv(folder / "tickets.csv", "ticket_id status created_at", [["T1", "open", "2026-06-01"]])
    (folder / "members.csv").write_text("member_id,city\nM1,Zürich\n", encoding="utf-8")


class Seen(NamedTuple):
    """What was to be seen after a run."""

    home: Home
    exit_code: int
    outcome: dict[str, Any]
    status: dict[str, Any]
    text: str
    orders: dict[str, str]  # published: id -> status
    counts: dict[str, int]  # published rows


def look(home: Home) -> Seen:
    done = home.cxm("run", "--json", check=False)
    assert done.stdout, done.stderr
    names = ("fct_orders", "fct_order_lines", "fct_survey_responses", "fct_tickets")
    return Seen(
        home,
        done.returncode,
        json.loads(done.stdout),
        home.status(),
        " ".join(home.cxm("status").stdout.split()),
        dict(home.query("select order_id, status from marts.fct_orders")),
        {name: home.one(f"select count(*) from marts.{name}") for name in names},
    )


@pytest.fixture(scope="module")
def company(homes: Homes) -> Home:
    folder = homes.base / "quay"
    folder.mkdir()
    (folder / "mapping.yml").write_text(MAPPING)
    return homes.make("quay-home", folder / "mapping.yml", COLUMNS="400")


@pytest.fixture(scope="module")
def bad(company: Home) -> Seen:
    write_bad(company.config.parent)
    return look(company)


@pytest.fixture(scope="module")
def mended(company: Home, bad: Seen) -> Seen:
    write_mended(company.config.parent)
    return look(company)


def accounts(seen: Seen) -> dict[str, tuple[int, int, int]]:
    return {
        row["source"]: (row["received"], row["accepted"], row["quarantined"])
        for row in seen.status["sources"]
    }


def test_what_can_be_read_is_published_and_the_exit_code_says_that_it_is_not_all(bad: Seen) -> None:
    assert bad.exit_code == 3
    assert bad.outcome["succeeded"] and bad.outcome["published_new"]
    assert set(bad.outcome["failed_sources"]) == {"crm", "desk", "panel"}


def test_good_rows_are_in_the_marts(bad: Seen) -> None:
    assert bad.orders == {f"O{n}": "delivered" for n in range(1, 13) if f"O{n}" not in WRONG}
    assert bad.counts == {
        "fct_orders": 10, "fct_order_lines": 11, "fct_survey_responses": 8, "fct_tickets": 0,
    }  # fmt: skip


def test_each_problem_is_told_with_its_reason(bad: Seen) -> None:
    told = {
        (row["origin"], row["column_name"], row["reason"], row["rows"], row["example_value"])
        for row in bad.status["quarantine"]
    }
    statuses = "created, approved, invoiced, processing, shipped, delivered, canceled, unavailable, returned"  # noqa: E501
    assert told == {
        ("customers.csv", None, "row has 2 fields, the header has 3", 1, None),
        ("orders.csv", "ordered_at", "is not a date and time", 1, "2026-13-45 10:00:00"),
        ("orders.csv", "order_id", "another row of the file has the same key", 1, "shop:O7"),
        ("orders.csv", "status", f"is not one of {statuses}", 1, "[/b]"),
        ("order_lines.csv", "unit_price", "is below 0", 1, "-5.00"),
        ("responses.csv", "score", "is outside its scale", 1, "11"),
        ("responses.csv", "comment", "contains a NUL byte", 1, "nice␀day"),
    }
    for origin, column, reason, _, value in told:
        assert " ".join(f"{origin}: {column or ''} {reason}".split()) in bad.text
        assert value is None or repr(value) in bad.text


def test_what_is_odd_but_stays_is_a_finding(bad: Seen) -> None:
    found = {(f["model"], f["finding"]): f["example"] for f in bad.status["findings"]}
    assert found["orders", "unknown_customer"] == "shop:O5"
    assert found["orders", "no_exchange_rate"] == "shop:O6"
    assert found["survey_responses", "long_text"] == "shop:R1"
    for finding in bad.status["findings"]:
        assert finding["explanation"] in bad.text
    assert bad.home.one("select length(comment) from marts.fct_survey_responses"
                        " where response_id = 'R1'") == len(LONG.strip())  # fmt: skip


def test_a_source_that_cannot_be_read_names_file_and_fix(bad: Seen) -> None:
    told = {row["source"]: row["error"] for row in bad.status["sources"]}
    assert told["shop"] is None
    assert "no file 'contacts.csv'" in told["crm"] and "`optional: true`" in told["crm"]
    assert "tickets.csv: no column 'ticket_id' (the file has 'ticketid')" in told["desk"]
    assert "members.csv" in told["panel"] and "encoding" in told["panel"]
    for source in ("crm", "desk", "panel"):
        assert bad.outcome["failed_sources"][source] == told[source]
        assert " ".join(told[source].split()) in bad.text
    notes = {row["source"]: row["notes"] for row in bad.status["sources"]}
    assert notes["shop"] == ["refunds.csv: the file is empty"]


def test_accepted_and_quarantined_are_all_received(bad: Seen) -> None:
    rows = 6 + 13 + 12 + 10  # of the files
    assert accounts(bad) == {
        "shop": (rows, rows - 7, 7), "crm": (0, 0, 0), "desk": (0, 0, 0), "panel": (0, 0, 0),
    }  # fmt: skip


def test_mended_files_leave_nothing_in_quarantine(mended: Seen) -> None:
    assert mended.exit_code == 0, mended.outcome
    assert mended.status["quarantine"] == []
    assert "quarantined 1" not in mended.text
    assert [row["error"] for row in mended.status["sources"]] == [None] * 4
    assert mended.orders == {f"O{n}": "delivered" for n in range(1, 13)}
    assert mended.counts == {
        "fct_orders": 12, "fct_order_lines": 12, "fct_survey_responses": 10, "fct_tickets": 1,
    }  # fmt: skip
    lines = "select unit_price from marts.fct_order_lines where order_line_key = 'shop:O3-1'"
    assert float(mended.home.one(lines)) == 3.5
    # the history is kept: it was wrong once
    assert accounts(mended)["shop"] == (41 + 40, 41 - 7 + 40, 7)
    assert mended.home.one("select count(*) from quality.quarantine where not is_open") == 7


def test_a_wrong_mapping_does_nothing_and_names_the_nearest_right_name(
    company: Home, bad: Seen, tmp_path: Path
) -> None:
    wrong = tmp_path / "mapping.yml"
    wrong.write_text(MAPPING.replace("ordered_at: ordered_at", "order_at: ordered_at"))
    done = Home(tmp_path / "home", wrong).cxm("run", check=False)
    assert done.returncode == 2
    assert "concept 'order' has no field 'order_at'; did you mean 'ordered_at'?" in done.stderr
    assert "mapping.yml: sources.shop.files.orders" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "lake").exists()
    assert not (tmp_path / "home" / "published").exists()
    shutil.rmtree(tmp_path / "home")
