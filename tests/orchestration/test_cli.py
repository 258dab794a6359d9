"""The `cxm` command as a user meets it, where no run is needed."""

import json
from pathlib import Path

import pytest

from orchestration.settings import EXAMPLE_CONFIG
from tests.support import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", EXAMPLE_CONFIG)


def test_status_of_a_new_home_says_what_to_do(home: Home) -> None:
    assert "run `cxm run`" in home.cxm("status").stdout
    found = home.status()
    assert found["published"] is None
    assert {row["source"] for row in found["sources"]} == {"shop", "crm", "support", "survey"}


def test_audit_names_what_blocks_a_kpi(tmp_path: Path) -> None:
    (tmp_path / "mapping.yml").write_text(
        "version: 1\ncompany: small\nreporting_currency: EUR\nsources:\n  shop:\n    files:\n"
        "      orders:\n        path: o.csv\n        key: id\n        concept: order\n"
        "        fields: {order_id: id, ordered_at: at, status: state}\n"
    )
    rows = json.loads(Home(tmp_path, tmp_path / "mapping.yml").cxm("audit", "--json").stdout)
    by_id = {row["kpi_id"]: row for row in rows}
    assert by_id["valid_orders"]["computable"]
    assert by_id["revenue"]["missing"] == ["order_line.unit_price"]
    assert by_id["nps"]["missing"] == ["survey_response.score of kind nps"]
    assert by_id["first_reply_hours"]["missing"] == [
        "ticket.created_at",
        "message.sent_at or ticket.first_replied_at",
    ]
    stages = [row["stage"] for row in rows]
    assert stages == sorted(
        stages, key=["awareness", "consideration", "decision", "service", "loyalty"].index
    )


def test_the_example_gives_every_kpi_but_those_of_a_help_desks_clocks(home: Home) -> None:
    rows = json.loads(home.cxm("audit", "--json").stdout)
    assert sum(row["computable"] for row in rows) > 100
    lacking = {field for row in rows if not row["computable"] for field in row["missing"]}
    assert {field.split(".")[0] for field in lacking} == {
        "schedule", "schedule_interval", "sla_event"
    }  # fmt: skip


def test_check_compares_mapping_and_files(home: Home, tmp_path: Path) -> None:
    assert "files can be read" in home.cxm("check").stdout
    broken = tmp_path / "mapping.yml"
    broken.write_text(
        "version: 1\ncompany: small\nreporting_currency: EUR\nsources:\n  shop:\n    files:\n"
        "      orders:\n        path: o.csv\n        key: id\n        concept: order\n"
        "        fields: {order_id: id, ordered_at: orderd, status: state}\n"
    )
    (tmp_path / "o.csv").write_text("id,ordered,state\n1,2026-01-01,shipped\n")
    done = Home(tmp_path, broken).cxm("check", check=False)
    assert done.returncode == 2
    assert "o.csv: no column 'orderd' (the file has 'ordered')" in done.stdout


def test_a_missing_mapping_is_a_plain_message(tmp_path: Path) -> None:
    done = Home(tmp_path, tmp_path / "nowhere.yml").cxm("run", check=False)
    assert done.returncode == 2
    assert "no mapping file" in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_setting_is_a_plain_message(tmp_path: Path) -> None:
    home = Home(tmp_path, EXAMPLE_CONFIG, extra=(("CXM_KEEP_VERSIONS", "some"),))
    done = home.cxm("status", check=False)
    assert (done.returncode, "CXM_KEEP_VERSIONS" in done.stderr) == (2, True)


def test_docs_of_nothing_say_what_to_do(home: Home) -> None:
    done = home.cxm("docs", check=False)
    assert done.returncode == 1 and "run `cxm run`" in done.stderr


def test_rollback_with_nothing_published_says_so(home: Home) -> None:
    done = home.cxm("publish", "--rollback", check=False)
    assert (done.returncode, "nothing has been published" in done.stderr) == (1, True)


def test_the_mapping_schema_knows_every_setting(home: Home) -> None:
    schema = json.loads(home.cxm("mapping-schema").stdout)
    assert "sources" in schema["properties"]
    assert "timestamp_format" in schema["$defs"]["FileMapping"]["properties"]


@pytest.mark.parametrize(
    ("arguments", "extra", "message"),
    [
        (("publish", "--to", "x"), (), "--to goes with --rollback"),
        (("run",), (("CXM_NOW", "soon"),), "CXM_NOW is 'soon'"),
        (("status",), (("CXM_HOME", "/dev/null/home"),), "cannot be written"),
    ],
)
def test_what_is_misused_does_nothing_and_says_why(
    tmp_path: Path, arguments: tuple[str, ...], extra: tuple[tuple[str, str], ...], message: str
) -> None:
    done = Home(tmp_path / "home", EXAMPLE_CONFIG, extra).cxm(*arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
