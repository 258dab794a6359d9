"""Data that fails the gates is not published, whoever asks; what was published before stays."""

from pathlib import Path

import pytest

from tests.pipeline.conftest import Homes
from tests.support import Home

MAPPING = """\
version: 1
company: gated
reporting_currency: EUR
sources:
  shop:
    files:
      orders:
        path: orders_*.csv
        key: id
        concept: order
        fields: {order_id: id, person_record_id: customer, status: state, ordered_at: at}
"""
HEADER = "id,customer,state,at\n"


@pytest.fixture(scope="module")
def gated(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Published once; then an export came of which most rows were faulty, and a second run."""
    folder = tmp_path_factory.mktemp("gated")
    (folder / "mapping.yml").write_text(MAPPING)
    good = "".join(f"{n},c{n % 7},delivered,2026-09-{n % 28 + 1:02d}\n" for n in range(40))
    (folder / "orders_1.csv").write_text(HEADER + good)
    home = homes.make("gated", folder / "mapping.yml")
    assert home.run()["published_new"]
    bad = "".join(f"{n},c1,delivered,yesterday\n" for n in range(40, 70))
    (folder / "orders_2.csv").write_text(HEADER + bad + "70,c1,delivered,2026-09-30\n")
    done = home.cxm("run", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return home


def test_what_was_published_before_stays(gated: Home) -> None:
    assert len(gated.status()["versions"]) == 1
    assert gated.one("select count(*) from marts.fct_orders") == 40
    assert gated.warehouse("select count(*) from marts.fct_orders") == [(41,)]


def test_status_and_page_say_what_failed(gated: Home) -> None:
    status = gated.status()
    assert {"asset": "quality/load_accounts", "check": "landed_data"} in status["failed_checks"]
    assert any("landed_data" in alert["error"] for alert in status["alerts"])
    assert "more than 50 % was quarantined" in (
        (gated.path / "reports" / "validation.html").read_text()
    )


def test_publishing_by_hand_does_not_go_around_the_gates(gated: Home) -> None:
    done = gated.cxm("publish", check=False)
    assert done.returncode == 1
    assert "the gates do not let it pass" in done.stderr
    assert len(gated.status()["versions"]) == 1


def test_mended_data_is_published_and_can_be_rolled_back(gated: Home) -> None:
    folder: Path = gated.config.parent
    mended = "".join(f"{n},c1,delivered,2026-09-29\n" for n in range(40, 70))
    (folder / "orders_3.csv").write_text(HEADER + mended)
    assert gated.run()["published_new"]
    assert gated.one("select count(*) from marts.fct_orders") == 71
    assert "current is now" in gated.cxm("publish", "--rollback").stdout
    assert gated.one("select count(*) from marts.fct_orders") == 40
    assert gated.status()["rolled_back"]
    assert not gated.run()["published_new"]  # nothing new: a rollback is not undone by the clock
    assert gated.one("select count(*) from marts.fct_orders") == 40
