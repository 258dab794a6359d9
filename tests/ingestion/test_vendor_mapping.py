from pathlib import Path

import pytest

from ingestion.errors import MappingError
from ingestion.exports.check_vendor import check_tables, main
from ingestion.exports.mapping import LoadedMapping, load_mapping
from ingestion.exports.paths import Level, Place, locate, parse_each, parse_path
from ingestion.exports.vendor_mapping import VENDORS_DIR, load_vendor_mapping, vendors

ACME = """\
vendor: acme
timezone: Europe/Paris
tables:
  orders:
    currency: CHF
    records:
      - concept: order
        fields: {order_id: id, status: state, ordered_at: made}
      - concept: order_line
        each: lines.nodes[]
        fields: {order_line_id: sku, order_id: parent.id, quantity: quantity}
  tickets:
    concept: ticket
    constants: {status: open}
    fields: {ticket_id: id, created_at: made, person_record_id: {value: buyer, of: "@shopify"}}
"""
COMPANY = """\
version: 1
company: small
reporting_currency: EUR
timezone: Europe/Berlin
sources:
  acme: {connector: acme}
"""
SHOPIFY = "vendor: shopify\ntables: {a: {concept: account, fields: {account_id: id}}}\n"


def vendor(folder: Path, text: str) -> Path:
    path = folder / "acme.yml"
    path.write_text(text)
    return path


def company(folder: Path, text: str = COMPANY, **options: list[str]) -> LoadedMapping:
    vendor(folder, ACME)
    (folder / "shopify.yml").write_text(SHOPIFY)
    path = folder / "company.yaml"
    path.write_text(text)
    return load_mapping(path, vendors_dir=folder, **options)


@pytest.mark.parametrize("name", vendors())
def test_every_vendor_holds_and_names_vendors_that_are_there(name: str) -> None:
    loaded = load_vendor_mapping(VENDORS_DIR / f"{name}.yml")
    named = {
        of[1:]
        for records in loaded.checked.values()
        for checked in records
        for value in checked.record.fields.values()
        if (of := getattr(value, "of", None))
    }
    assert named <= set(vendors())
    check_tables(loaded)


def test_paths_and_levels() -> None:
    assert parse_path("a.b[0].c") == ("a", "b", 0, "c")
    assert parse_path("Price [EUR]") == ("Price [EUR]",)
    levels = parse_each("a[0].b[].c{}", "here")
    assert levels == (Level(("a", 0, "b"), False), Level(("c",), True))
    assert locate("value.x", levels, "here") == Place(2, ("value", "x"))
    assert locate("parent.id", levels, "here") == Place(0, ("id",))
    assert locate("outer.id", levels, "here") == Place(1, ("id",))
    assert locate("outer.outer.id", levels, "here") == Place(0, ("id",))
    assert locate("parent.id", (), "here") == Place(0, ("parent", "id"))


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ("concept: order\n", "concept: ordr\n", "tables.orders.records.0", "mean 'order'?"),
        ("quantity: quantity", "quantty: q", "tables.orders.records.1", "mean 'quantity'?"),
        ("lines.nodes[]", "lines.nodes", "tables.orders.records.1.each", "as in 'lines[]'"),
        ("lines.nodes[]", "lines[].", "tables.orders.records.1.each", "as in 'lines[]'"),
        ("lines.nodes[]", "lines{}", "records.1.order_line_id", "'value.sku' or 'parent.sku'"),
        ("parent.id", "outer.outer.id", "records.1.order_id", "leads out of the document"),
        (
            "quantity: quantity",
            "quantity: sku.n",
            "orders.records.1",
            "'sku.n' is used as a value and",
        ),
        ("        each:", "        where: sku\n        each:", "1.where", "'sku' is no condition"),
        ("        each:", "        echa: a\n        each:", "records.1.echa", "mean 'each'?"),
        ("currency: CHF", "curency: CHF", "tables.orders.curency", "mean 'currency'?"),
        ("@shopify", "shopify", "tables.tickets.person_record_id", "no source 'shopify'"),
        ("state", "\"regexp_extract(state, '(')\"", "records.0.status", "cannot compute"),
        ("vendor: acme", "vendor: acne", "vendor", "is not the name of the file"),
    ],
)
def test_a_refusal_names_file_table_record_and_remedy(
    tmp_path: Path, old: str, new: str, place: str, reason: str
) -> None:
    assert old in ACME
    with pytest.raises(MappingError) as refusal:
        load_vendor_mapping(vendor(tmp_path, ACME.replace(old, new, 1)))
    message = str(refusal.value)
    assert message.startswith("acme.yml")
    assert place in message
    assert reason in message


def test_a_mapping_can_be_checked_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = vendor(tmp_path, ACME)
    assert main(str(path)) == 0
    said = capsys.readouterr().out
    assert "orders: order, order_line (each lines.nodes[])" in said
    assert "acme.yml holds: 3 concepts" in said
    assert main(str(vendor(tmp_path, ACME.replace("lines.nodes[]", "lines")))) == 2


def test_a_table_that_no_object_fills_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mailchimp.yml"
    path.write_text(SHOPIFY.replace("shopify", "mailchimp").replace("a:", "membrs:", 1))
    with pytest.raises(MappingError, match="membrs: the connector has no such object; did you"):
        check_tables(load_vendor_mapping(path))


def test_a_connector_brings_its_mapping(tmp_path: Path) -> None:
    mapping = company(tmp_path)
    assert [(s, t) for s, t, _ in mapping.tables()] == [("acme", "orders"), ("acme", "tickets")]
    assert mapping.timezone("acme", "orders") == "Europe/Paris"
    assert mapping.currency("acme", "orders") == "CHF"
    assert mapping.currency("acme", "tickets") == "EUR"
    assert mapping.checked["acme", "orders", 1].columns()["parent.id"] == 'record_0."id"'


def test_what_a_company_says_wins_field_by_field(tmp_path: Path) -> None:
    mapping = company(
        tmp_path,
        COMPANY.replace(
            "{connector: acme}",
            """
    connector: acme
    timezone: Asia/Tokyo
    tables:
      orders:
        records:
          - {concept: order, fields: {channel: custom.channel, status: "'shipped'"}}
          - {concept: order_line, each: "gifts[]", fields: {order_line_id: id, order_id: parent.id,
             quantity: n}}
      visits: {concept: account, fields: {account_id: id}}""",
        ),
    )
    order, line, gift = (mapping.checked["acme", "orders", n] for n in range(3))
    assert set(order.expressions) == {"order_id", "status", "ordered_at", "channel"}
    assert order.expressions["status"].sql == "'shipped'"
    assert (line.record.each, gift.record.each) == ("lines.nodes[]", "gifts[]")
    assert mapping.timezone("acme", "orders") == "Asia/Tokyo"
    assert ("acme", "visits", 0) in mapping.checked


def test_only_sources_and_objects_that_are_switched_on_count(tmp_path: Path) -> None:
    off = COMPANY + "  other: {connector: acme, enabled: false}\n"
    assert list(company(tmp_path, off).sources) == ["acme"]
    some = COMPANY.replace("connector: acme", "connector: acme, objects: [tickets]")
    assert [t for _, t, _ in company(tmp_path, some).tables()] == ["tickets"]
    two = COMPANY + "  other: {connector: acme}\n"
    assert list(company(tmp_path, two, only=["other"]).sources) == ["other"]
    with pytest.raises(MappingError, match="no source 'othr'; did you mean 'other'"):
        company(tmp_path, two, only=["othr"])


def test_a_reference_finds_the_source_of_its_vendor(tmp_path: Path) -> None:
    field = ("acme", "tickets", 0, "person_record_id")
    assert company(tmp_path).reference(*field) is None
    one = COMPANY + "  shop: {connector: shopify}\n"
    assert company(tmp_path, one).reference(*field) == "shop"
    assert company(tmp_path, one).reference("acme", "tickets", 0, "ticket_id") == "acme"
    assert company(tmp_path, one, only=["acme"]).reference(*field) is None
    two = one + "  outlet: {connector: shopify}\n"
    with pytest.raises(MappingError, match="which shop and outlet are; say which under"):
        company(tmp_path, two).reference(*field)
    said = two.replace(
        "{connector: acme}",
        "{connector: acme, tables: {tickets: {concept: ticket, fields: "
        "{person_record_id: {value: buyer, of: outlet}}}}}",
    )
    assert company(tmp_path, said).reference(*field) == "outlet"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{connector: acne}", "sources.acme.connector: no connector 'acne'; did you mean 'acme'?"),
        ("{timezone: UTC}", "give either `connector` or `files`"),
        ("{connector: acme, folder: x}", "`folder` is a setting of a source with files"),
        ("{connector: acme, setings: {}}", "unknown setting; did you mean 'settings'?"),
        (
            "{connector: acme, tables: {orders: {concept: order, fields: {statuss: x}}}}",
            "sources.acme.tables.orders: concept 'order' has no field 'statuss'",
        ),
    ],
)
def test_a_wrong_connector_source_is_refused(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(MappingError) as refusal:
        company(tmp_path, COMPANY.replace("{connector: acme}", source))
    assert reason in str(refusal.value)
