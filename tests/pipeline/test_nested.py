"""Records within documents: lists, members of objects, conditions, and what becomes of them."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.documents import document_batch
from ingestion.exports.mapping import LoadedMapping, load_mapping
from ingestion.pipeline import dlt, run_into_lake
from orchestration.settings import Settings
from orchestration.sources import load_source
from orchestration.warehouse import write_plan
from tests.pipeline.conftest import Homes, dbt, settings_of
from tests.support import NOW, Home

MAPPING = """\
version: 1
company: nested
reporting_currency: EUR
sources:
  shop:
    files:
      orders:
        path: orders_*.ndjson
        key: id
        cursor: changed
        records:
          - concept: order
            where: test = 'no'
            fields: {order_id: id, status: state, ordered_at: epoch_ms(made)}
          - concept: order_line
            each: lines.nodes[]
            where: "kind <> 'gift'"
            fields:
              order_line_id: parent.id || '-' || sku
              order_id: parent.id
              quantity: quantity
              unit_price: price.amount
              product_id: sku
  api: {connector: acme}
  desk: {connector: helpdesk}
  idle: {connector: acme, enabled: false}
  survey:
    files:
      responses:
        path: responses.ndjson
        key: id
        records:
          - concept: survey_answer
            each: pages[].questions[].answers[]
            fields:
              response_id: parent.id
              question_id: outer.id
              row_id: outer.outer.id || '/' || index
              choice_id: choice.ids[1]
              text: text
      flat:
        path: flat.ndjson
        key: id
        records:
          - concept: survey_answer
            each: values{}
            where: key like 'QID%'
            fields: {response_id: parent.id, question_id: key, value: value}
          - concept: survey_answer
            each: tags[]
            fields: {response_id: parent.id, question_id: "'tag'", choice_id: value, row_id: index}
"""

ACME = """\
vendor: acme
tables:
  customers:
    records:
      - concept: person_record
        fields: {person_record_id: id, email: email, merged_into_id: merged_into}
      - concept: consent_event
        where: by_mail is not null
        constants: {channel: email, occurred_at: "2026-01-01"}
        fields: {consent_event_id: id || '-mail', person_record_id: id, is_granted: by_mail}
      - concept: consent_event
        where: by_sms is not null
        constants: {channel: sms, occurred_at: "2026-01-01"}
        fields: {consent_event_id: id || '-sms', person_record_id: id, is_granted: by_sms}
  orders:
    records:
      - concept: order
        fields: {order_id: id, status: state, ordered_at: made, person_record_id: customer.id}
      - concept: order_line
        each: lines[]
        fields: {order_line_id: id, order_id: parent.id, quantity: "'1'", unit_price: price}
"""
HELPDESK = """\
vendor: helpdesk
tables:
  members:
    concept: consent_event
    where: state in ('in', 'out')
    history: true
    constants: {channel: email}
    fields: {consent_event_id: id || state, is_granted: "state = 'in'", occurred_at: at}
  tickets:
    concept: ticket
    constants: {status: open}
    fields:
      ticket_id: id
      created_at: made
      person_record_id: {value: external_id, of: "@acme"}
      order_id: {value: order_no, of: "@webshop"}
"""


def order(id: str, changed: int, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    made = {
        "id": id,
        "changed": str(changed),
        "test": "no",
        "state": "delivered",
        "made": 1767225600123,
    }
    return made | {"lines": {"nodes": lines}} | more


def line(sku: str, quantity: Any = 1, kind: str = "good") -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "kind": kind, "price": {"amount": "2.50"}}


FIRST = [
    order("A", 1, [line("x"), line("y", 2), line("g", 1, "gift")]),
    order("B", 1, []),
    order("C", 1, [line("x", 0.5), line("y", "many")]),
    order("D", 1, [line("x")]),
    order("T", 1, [line("x")], test="yes"),
    order("E", 1, [line("x"), line("x", 3)]),
]
SECOND = [
    order("A", 2, [line("y", 5), line("z")]),  # x was taken out of the order
    order("D", 2, [line("x")], test="yes"),  # turns out to be a test
    order("B", 0, [line("late")]),  # an older version that comes later
]
RESPONSES: list[dict[str, Any]] = [
    {
        "id": "R1",
        "pages": [
            {"id": "p1", "questions": []},
            {
                "id": "p2",
                "questions": [
                    {
                        "id": "q1",
                        "answers": [{"choice": {"ids": ["c0", "c1"]}}, {"text": "so so"}],
                    },
                    {"id": "q2", "answers": []},
                ],
            },
        ],
    },
    {"id": "R2"},
]
FLAT: list[dict[str, Any]] = [
    {"id": "F1", "values": {"QID1": 9, "date": "x", "QID2_TEXT": 7}, "tags": ["a", "b"]}
]


def order_7(state: str, line: dict[str, Any]) -> dict[str, Any]:
    return {"id": 7, "made": MADE, "state": state, "lines": [line], "customer": {"id": 2}}


MADE = "2026-01-02T08:00:00Z"
API: dict[
    tuple[str, str], list[list[tuple[dict[str, Any], str | None]]]
] = {  # (source, table) -> load -> documents with their cursors; with None, what is gone
    ("api", "customers"): [
        [
            ({"id": 1, "email": "a@x.test", "by_mail": True, "by_sms": False}, "1"),
            ({"id": 2, "email": "b@x.test", "by_mail": True}, "1"),
        ],
        [({"id": 2, "merged_into": 1}, None), ({"id": 3}, None)],
    ],
    ("api", "orders"): [
        [
            (order_7("shipped", {"id": 71, "price": 4}), "2026-01-03T08:30:00+01:00"),
            (order_7("created", {"id": 70, "price": 3}), "2026-01-03T09:00:00+02:00"),
            ({"id": 8, "made": MADE, "state": "created", "lines": [{"id": 80, "price": 3}]}, MADE),
        ],
        [({"id": 8}, None)],
    ],
    ("desk", "members"): [
        [({"id": 1, "state": "in", "at": MADE}, "1"), ({"id": 2, "state": "new"}, "1")],
        [({"id": 1, "state": "out", "at": MADE}, "2")],
    ],
    ("desk", "tickets"): [[({"id": 5, "made": MADE, "external_id": 2, "order_no": "x"}, "1")], []],
}


def load_api(settings: Settings, mapping: LoadedMapping, source: str, n: int) -> None:
    """Bring documents into the lake as a connector does."""
    at = datetime.fromisoformat(NOW) + timedelta(hours=n)
    resources = []
    for (owner, table), loads in API.items():
        if owner != source or not loads[n]:
            continue
        batch = document_batch(
            [json.dumps(document) for document, _ in loads[n]],
            extracted_at=at,
            origin=f"GET /{table}",
            keys=[str(document["id"]) for document, _ in loads[n]],
            cursors=[cursor or at.isoformat() for _, cursor in loads[n]],
            deleted=[cursor is None for _, cursor in loads[n]],
        )
        resources.append(dlt.resource([batch], name=table, write_disposition="append"))
    if resources:
        run_into_lake(
            dlt.source(lambda: resources, name=source, section=source)(),
            lake=settings.lake,
            dataset=mapping.spec.dataset(source),
            state_dir=settings.state / "loads",
        )


def write(path: Path, documents: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(d) + "\n" for d in documents))


@pytest.fixture(scope="module")
def nested(homes: Homes) -> Home:
    """Two loads of orders, built after each, as increments."""
    folder = homes.base / "nested-files"
    folder.mkdir()
    (folder / "mapping.yml").write_text(MAPPING)
    (folder / "acme.yml").write_text(ACME)
    (folder / "helpdesk.yml").write_text(HELPDESK)
    write(folder / "responses.ndjson", RESPONSES)
    write(folder / "flat.ndjson", FLAT)
    home = homes.make("nested", folder / "mapping.yml")
    settings = settings_of(home)
    for n, orders in enumerate((FIRST, SECOND)):
        write(folder / f"orders_{n}.ndjson", orders)
        mapping = load_mapping(home.config, vendors_dir=folder)
        for source, spec in mapping.sources.items():
            if spec.connector:
                load_api(settings, mapping, source, n)
                continue
            at = datetime.fromisoformat(NOW) + timedelta(hours=n)
            attempt = load_source(settings, mapping, source, at)
            assert attempt.error is None, attempt
        write_plan(settings, mapping)
        dbt(home, "build", "--exclude-resource-type", "unit_test", "--exclude-resource-type",
            "test", "--select", "staging", "unified", "seeds.*", *(["--full-refresh"] if n == 0 else []))  # noqa: E501  # fmt: skip
    for model in ("load_accounts", "quarantine"):
        dbt(home, "run", "--select", model)
    return home


def test_elements_become_records(nested: Home) -> None:
    lines = nested.warehouse(
        "select order_key, order_line_id, quantity::double, unit_price::double, product_key"
        " from unified.order_lines where source = 'shop' order by all"
    )
    assert lines == [
        ("shop:A", "A-y", 5.0, 2.5, "shop:y"),
        ("shop:A", "A-z", 1.0, 2.5, "shop:z"),
        ("shop:C", "C-x", 0.5, 2.5, "shop:x"),
        ("shop:D", "D-x", 1.0, 2.5, "shop:x"),
        ("shop:E", "E-x", 3.0, 2.5, "shop:x"),
        ("shop:T", "T-x", 1.0, 2.5, "shop:x"),
    ]


def test_a_document_that_no_longer_meets_the_condition_is_gone(nested: Home) -> None:
    orders = nested.warehouse(
        "select order_id, ordered_at::varchar from unified.orders where source = 'shop' order by 1"
    )
    assert orders == [(o, "2026-01-01 00:00:00.123") for o in "ABCE"]


def test_every_document_is_counted_once(nested: Home) -> None:
    accounts = nested.warehouse(
        "select source || '/' || source_table, model, received, accepted, quarantined"
        " from quality.load_accounts order by source desc, source_table, model, load_id"
    )
    assert accounts == [
        ("survey/flat", "survey_answers", 1, 1, 0),
        ("survey/responses", "survey_answers", 2, 2, 0),
        ("shop/orders", "order_lines", 6, 4, 2),
        ("shop/orders", "order_lines", 3, 3, 0),
        ("shop/orders", "orders", 6, 6, 0),
        ("shop/orders", "orders", 3, 3, 0),
        ("desk/members", "consent_events", 2, 2, 0),
        ("desk/members", "consent_events", 1, 1, 0),
        ("desk/tickets", "tickets", 1, 1, 0),
        ("api/customers", "consent_events", 2, 2, 0),
        ("api/customers", "consent_events", 2, 2, 0),
        ("api/customers", "person_records", 2, 2, 0),
        ("api/customers", "person_records", 2, 2, 0),
        ("api/orders", "order_lines", 3, 3, 0),
        ("api/orders", "order_lines", 1, 1, 0),
        ("api/orders", "orders", 3, 3, 0),
        ("api/orders", "orders", 1, 1, 0),
    ]


def test_an_element_that_does_not_fit_is_set_aside_alone(nested: Home) -> None:
    quarantine = nested.warehouse(
        "select document_key, element, column_name, value, reason, is_open"
        " from quality.quarantine order by 1, 2"
    )
    assert quarantine == [
        ("C", 1, "quantity", "many", "is not a number", True),
        (
            "E", 0, "order_line_id", "shop:E-x",
            "another element of the document has the same key", True,
        ),
    ]  # fmt: skip


def test_lists_in_lists_and_members_of_objects(nested: Home) -> None:
    answers = nested.warehouse(
        "select response_id, question_id, row_id, choice_id, value, text"
        " from unified.survey_answers order by all"
    )
    assert answers == [
        ("F1", "QID1", None, None, 9.0, None),
        ("F1", "QID2_TEXT", None, None, 7.0, None),
        ("F1", "tag", "0", "a", None, None),
        ("F1", "tag", "1", "b", None, None),
        ("R1", "q1", "p2/0", "c1", None, None),
        ("R1", "q1", "p2/1", None, None, "so so"),
    ]


def test_what_a_vendor_deletes_goes_with_all_that_is_in_it(nested: Home) -> None:
    orders = "select order_id, status from unified.orders where source = 'api'"
    assert nested.warehouse(orders) == [("7", "shipped")]
    lines = "select order_key, order_line_id from unified.order_lines where source = 'api'"
    assert nested.warehouse(lines) == [("api:7", "71")]


def test_a_merged_person_still_leads_to_the_other(nested: Home) -> None:
    people = "select person_record_id, merged_into_id from unified.person_records order by all"
    assert nested.warehouse(people) == [("1", None), ("2", "1")]
    tickets = "select ticket_key, person_record_key, order_key from unified.tickets"
    assert nested.warehouse(tickets) == [("desk:5", "api:2", None)]


def test_a_consent_stays_true_of_its_day_where_the_mapping_says_so(nested: Home) -> None:
    """Customer 2 was merged away; member 1 was in and is out."""
    consents = (
        "select source, consent_event_id, is_granted from unified.consent_events order by all"
    )
    assert nested.warehouse(consents) == [
        ("api", "1-mail", True),
        ("api", "1-sms", False),
        ("desk", "1in", True),
        ("desk", "1out", False),
    ]
