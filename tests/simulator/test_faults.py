"""When faults are due, and what they make of documents and bodies."""

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.errors import SettingError
from ingestion.simulator.server.faults import (
    DOCUMENTS,
    ODD_TEXT,
    Fault,
    Faults,
    cut_body,
    load_faults,
    read_faults,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def calls_hit(fault: Fault, calls: int = 12, seed: int = 1) -> list[int]:
    faults = Faults(seed)
    faults.add(fault)
    hit = [faults.due("hubspot", "GET", "/crm/contacts", NOW).options for _ in range(calls)]
    return [number for number, options in enumerate(hit, 1) if fault.kind in options]


@pytest.mark.parametrize(
    ("planned", "hit"),
    [
        ({}, [1]),
        ({"nth": 3}, [3]),
        ({"every": 5}, [5, 10]),
        ({"every": 2, "times": 2}, [2, 4]),
        ({"times": 3}, [1, 2, 3]),
        ({"vendor": "shopify"}, []),
        ({"route": "contacts$", "nth": 2}, [2]),
        ({"route": "^/crm/deals"}, []),
        ({"method": "post"}, []),
        ({"between": [NOW, NOW + timedelta(hours=1)], "times": 2}, [1, 2]),
        ({"between": [NOW - timedelta(hours=1), NOW]}, []),
        ({"probability": 0.0}, []),
    ],
)
def test_a_fault_befalls_the_calls_of_its_schedule(planned: dict[str, Any], hit: list[int]) -> None:
    assert calls_hit(Fault(kind="throttle", **planned)) == hit


@given(st.integers(0, 2**32), st.floats(0.2, 0.8))
def test_chance_is_repeatable(seed: int, probability: float) -> None:
    fault = Fault(kind="server", probability=probability)
    hit = calls_hit(fault, 60, seed)
    assert hit == calls_hit(fault, 60, seed)
    assert 0 < len(hit) < 60


def test_other_requests_do_not_count() -> None:
    faults = Faults(1)
    faults.add(Fault(kind="reset", vendor="hubspot", nth=2))
    asked = [("hubspot", False), ("shopify", False), ("hubspot", True), ("hubspot", False)]
    for vendor, hit in asked:
        assert bool(faults.due(vendor, "GET", "/", NOW).options) is hit


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"kind": "reset", "nht": 1}, "nht"),
        ({"nth": 1}, "kind"),
        ([{"kind": "reset", "nth": 0}], "nth"),
    ],
)
def test_a_wrong_fault_is_refused_by_its_field(fault: Any, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        read_faults(fault)


def test_faults_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.yml"
    path.write_text(
        "- kind: throttle\n  vendor: zendesk\n  every: 3\n  options: {retry_after: 7}\n"
    )
    (fault,) = load_faults(path)
    assert (fault.vendor, fault.every, fault.options) == ("zendesk", 3, {"retry_after": 7})


ROWS = ['{"id":1,"a":{"n":2}}', '{"id":2,"a":{"n":null}}', '{"id":3}']


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("duplicate_rows", {}, [*ROWS, ROWS[2]]),
        ("out_of_order", {}, [ROWS[2], ROWS[1], ROWS[0]]),
        ("empty_page", {}, []),
        (
            "number_as_text",
            {"field": "a.n"},
            ['{"id":1,"a":{"n":"2"}}', '{"id":2,"a":{"n":"null"}}', ROWS[2]],
        ),
        ("dropped_field", {"field": "a"}, ['{"id":1}', '{"id":2}', '{"id":3}']),
        (
            "new_field",
            {"field": "b", "value": 5},
            ['{"id":1,"a":{"n":2},"b":5}', '{"id":2,"a":{"n":null},"b":5}', '{"id":3,"b":5}'],
        ),
        (
            "changed_value",
            {"field": "a.n", "value": ""},
            ['{"id":1,"a":{"n":""}}', '{"id":2,"a":{"n":""}}', ROWS[2]],
        ),
    ],
)
def test_data_faults_change_documents(
    kind: str, options: dict[str, Any], expected: list[str]
) -> None:
    assert list(DOCUMENTS[kind](ROWS, options)) == expected


def test_odd_text_stays_valid_json() -> None:
    (changed, *_) = DOCUMENTS["odd_text"](ROWS, {"field": "name"})
    assert orjson.loads(changed)["name"] == ODD_TEXT
    assert "\x00" in ODD_TEXT and "\u2028" in ODD_TEXT


def test_cut_bodies_cannot_be_read() -> None:
    body = orjson.dumps({"results": ROWS})
    cut, headers = cut_body("cut_json", body, {})
    assert body.startswith(cut) and not headers
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(cut)
    cut, headers = cut_body("cut_gzip", body, {})
    assert headers == {"Content-Encoding": "gzip"}
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(cut)
