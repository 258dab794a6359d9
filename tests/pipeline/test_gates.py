"""Data that fails the gates is not published, whoever asks; what was published before stays."""

import re
import shutil

import pytest

from orchestration.settings import EXAMPLE_CONFIG
from tests.pipeline.conftest import Homes
from tests.support import Home

ORDERS = "select count(*) from marts.fct_orders"


@pytest.fixture(scope="module")
def gated(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The example, published; then an export came of which most rows were faulty, and a run."""
    folder = tmp_path_factory.mktemp("gated")
    shutil.copytree(EXAMPLE_CONFIG.parent, folder, dirs_exist_ok=True)
    home = homes.make("gated", folder / EXAMPLE_CONFIG.name)
    assert home.run()["published_new"]
    shop = folder / "exports" / "shop"
    header, good = (shop / "orders_2026.csv").read_text(encoding="utf-8-sig").splitlines()[:2]
    bad = good.replace("2026-", "yesterday-")
    rows = [bad.replace("NO-", f"NO-8{n}") for n in range(30)] + [good.replace("NO-", "NO-9")]
    (shop / "orders_2027.csv").write_text("\n".join([header, *rows, ""]))
    done = home.cxm("run", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return home


def test_what_was_published_before_stays(gated: Home) -> None:
    assert len(gated.status()["versions"]) == 1
    assert gated.warehouse(ORDERS) == [(gated.one(ORDERS) + 1,)]


def test_the_example_has_a_figure_of_nearly_every_kpi(gated: Home) -> None:
    """Its help desk has no schedules, promises and help centre; other reasons are named."""
    without = {
        kpi
        for (kpi,) in gated.query(
            """
            select kpi_id from marts.dim_kpis
            where kpi_id not in (select kpi_id from marts.kpi_values where value is not null)
            """
        )
        if not re.search("business_hours|^sla_|within_sla|^help_|^self_service", kpi)
    }
    assert without == {
        "cac_fully_loaded", "clv_to_date",  # costs that only the company can tell
        "cac_paid",  # who came by an advertisement, no export says
        "ces_effort", "enps", "nps_transactional",  # not asked
        "gross_revenue_retention", "net_revenue_retention",  # of less than two years
    }  # fmt: skip


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
    export = gated.config.parent / "exports" / "shop" / "orders_2027.csv"
    first = gated.one(ORDERS)
    export.with_stem("orders_2027_mended").write_text(
        export.read_text().replace("yesterday", "2026")
    )
    assert gated.run()["published_new"]
    assert gated.one(ORDERS) == first + 31
    assert "current is now" in gated.cxm("publish", "--rollback").stdout
    assert gated.one(ORDERS) == first
    assert gated.status()["rolled_back"]
    assert not gated.run()["published_new"]  # nothing new: a rollback is not undone by the clock
    assert gated.one(ORDERS) == first
