from pathlib import Path

import pytest

from ingestion.errors import MappingError
from ingestion.exports.mapping import LoadedMapping, load_mapping

MAPPING = """\
version: 1
company: acme
reporting_currency: EUR
timezone: Europe/Berlin
sources:
  shop:
    currency: EUR
    files:
      orders:
        path: orders.csv
        key: order_id
        concept: order
        fields: {order_id: order_id, status: state, ordered_at: created}
"""
FILE = "sources.shop.files.orders"


def load(folder: Path, text: str) -> LoadedMapping:
    path = folder / "acme.yml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ("concept: order", "concept: ordr", FILE, "no concept 'ordr'; did you mean 'order'?"),
        ("status: s", "statuss: s", FILE, "no field 'statuss'; did you mean 'status'?"),
        ("   key:", "   keyy: a\n        key:", f"{FILE}.keyy", "setting; did you mean 'key'?"),
        ("timezone:", "time_zone:", "time_zone", "unknown setting; did you mean 'timezone'?"),
        (
            "    currency:",
            "    curency:",
            "sources.shop.curency",
            "unknown setting; did you mean 'currency'?",
        ),
        (
            "status: state",
            "status: {value: a, oof: b}",
            f"{FILE}.fields.status.oof",
            "unknown setting; did you mean 'of'?",
        ),
        (
            "        concept: order\n        fields:",
            "        records:\n        - concept: order\n          feilds:",
            f"{FILE}.records.0.feilds",
            "unknown setting; did you mean 'fields'?",
        ),
        ("order_id: order_id, ", "", FILE, "concept 'order' needs order_id; add a column under"),
        (
            "   key:",
            "   encoding: windows1252\n        key:",
            f"{FILE}.encoding",
            "unknown encoding 'windows1252'; did you mean 'windows-1252'?",
        ),
        ("   key:", "   encoding: rot13\n        key:", f"{FILE}.encoding", "unknown encoding"),
        ("Berlin", "Berlim", "timezone", "'Europe/Berlim' is no time zone; write"),
        ("Berlin", "Berlim", "timezone", "did you mean 'Europe/Berlin'?"),
        ("   concept:", "   each: lines[]\n        concept:", f"{FILE}.each", "a CSV file has no"),
        (
            "status: state",
            "status: state}\n        where: state\n        constants: {channel: x",
            f"{FILE}.where",
            "no condition",
        ),
        ("currency: EUR\ntime", "currency: eur\ntime", "reporting_currency", "mean 'EUR'?"),
        ("    currency: EUR", "    currency: EURO", "sources.shop.currency", "write it as in"),
        (
            "   concept:",
            "   records: [{concept: order}]\n        concept:",
            FILE,
            "give either `concept` with `fields`, or `records`",
        ),
        ("        concept: order\n", "", FILE, "give either `concept` with `fields`"),
        ("fields: {", "fields: {{", "acme.yml", "is not valid YAML"),
        ("   concept:", "   key: x\n        concept:", "line 12", "'key' is given twice"),
        ("  shop:", "  Shop 1:", "sources.Shop 1", "is no name: lower case"),
        (
            "status: state",
            "person_record_id: {value: buyer, of: shopp}",
            f"{FILE}.person_record_id",
            "no source 'shopp'; did you mean 'shop'?",
        ),
        ("status: state", "status: {value: a, of: shop}", f"{FILE}.status", "`of` is for ids"),
        ("status: state", "status: 5", f"{FILE}.fields.status", "should be a valid string"),
        ("status: state", "status: (select 1)", f"{FILE}.status", "'(SELECT 1)' is not allowed"),
        ("status: state", "status: read_csv('x')", f"{FILE}.status", "is not allowed"),
        ("status: state", "status: 'a +'", f"{FILE}.status", "cannot read the expression 'a +'"),
        ("status: state", "status: Order No", f"{FILE}.status", "in double quotes"),
        ("orders.csv", "/data/orders.csv", f"{FILE}.path", "is no path below the folder"),
        ("orders.csv", "''", f"{FILE}.path", "is no path below the folder"),
        (
            "   concept:",
            "   constants: {status: x}\n        concept:",
            f"{FILE}.status",
            "is both under `fields` and under `constants`",
        ),
        (
            "   concept:",
            "   constants: {channel: no}\n        concept:",
            f"{FILE}.channel",
            "put the text in quotes",
        ),
    ],
)
def test_a_refusal_names_file_place_and_remedy(
    tmp_path: Path, old: str, new: str, place: str, reason: str
) -> None:
    assert MAPPING.count(old) == 1
    with pytest.raises(MappingError) as refusal:
        load(tmp_path, MAPPING.replace(old, new))
    message = str(refusal.value)
    assert message.startswith("acme.yml")
    assert place in message
    assert reason in message


def test_constants_must_be_values_that_the_concept_accepts(tmp_path: Path) -> None:
    text = MAPPING.replace("concept: order", "concept: survey_response").replace(
        "fields: {order_id: order_id, status: state, ordered_at: created}",
        "scale: [1, 5]\n        constants: {kind: nsp}\n"
        "        fields: {response_id: a, subject_id: b, score: c, responded_at: d}",
    )
    with pytest.raises(MappingError, match=r"acme\.yml: .*\.kind: 'nsp' is not one of .*nps"):
        load(tmp_path, text)
    with pytest.raises(MappingError, match=r"scale: the lowest answer comes first"):
        load(tmp_path, text.replace("nsp", "csat").replace("[1, 5]", "[5, 1]"))
    assert load(tmp_path, text.replace("nsp", "csat")) is not None


def test_a_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"no mapping file .*none\.yml"):
        load_mapping(tmp_path / "none.yml")
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path)


def test_a_decimal_comma_reaches_constants_and_scales(tmp_path: Path) -> None:
    text = MAPPING.replace(
        "concept: order", "decimal_comma: true\n        concept: survey_response"
    )
    text = text.replace(
        "fields: {order_id: order_id, status: state, ordered_at: created}",
        "scale: [0, 10]\n        constants: {kind: nps}\n"
        "        fields: {response_id: a, subject_id: b, score: c * 2, responded_at: d}",
    )
    expressions = load(tmp_path, text).expressions["shop", "orders", 0]
    # staging reads every text of such a file as 1.234,5
    assert (expressions["scale_min"].sql, expressions["scale_max"].sql) == ("'0,0'", "'10,0'")
    assert expressions["score"].sql.startswith("replace(cast(")


def test_a_mapping_knows_its_columns(tmp_path: Path) -> None:
    mapping = load(tmp_path, MAPPING.replace("status: state", "status: 'coalesce(state, created)'"))
    assert mapping.columns("shop", "orders") == ["order_id", "state", "created"]
