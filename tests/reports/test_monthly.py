import os
import re
import shutil
import subprocess
import sys
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from orchestration.reports.monthly import ReportInfo, build_report
from tests.reports.published import AS_OF, KPIS, csat, small_company, value, write

TITLE = "What Ana & Co looks like to its customers"


def build(database: Path, folder: Path, **settings) -> tuple[ReportInfo, str]:
    target = folder / "reports" / "report.html"
    info = build_report(database, target, title=TITLE, currency="BRL", **settings)
    return info, target.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Tags, attributes and text as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def report(company: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportInfo, str]:
    return build(company, tmp_path_factory.mktemp("page"), published_version="20241010T060000")


@pytest.fixture(scope="module")
def text(report: tuple[ReportInfo, str]) -> str:
    return Page(report[1]).text


def test_a_thin_month_is_passed_over_and_said_so(report, text):
    assert report[0].month == date(2024, 8, 1)
    assert "September 2024 has only 16 orders" in text
    assert "August 2024, compared with July 2024" in text


def test_volumes_are_told_in_words(text):
    assert "Customers placed 1,100 orders, up 10.0 % on July 2024." in text
    assert "Revenue came to 13.5 M BRL, down 0.7 %." in text
    assert "Surveys brought 50 answers, down 50.0 %." in text


def test_tables_are_exact(text):
    assert "13,500,000.25 BRL" in text
    assert "13,600,000.50 BRL" in text


def test_only_what_chance_does_not_explain_is_called_a_change(company, tmp_path):
    info, html = build(company, tmp_path)
    # CSAT 95 % of 200 to 84 % of 50: 11 points down, with 10.6 of margin. NPS as in the vectors.
    assert info.changed == ("csat",)
    assert info.unchanged == ("nps",)
    shown = Page(html).text
    assert "CSAT fell from 95.0 % to 84.0 % ▼ worse" in shown
    assert "NPS 45.0 (July 2024: 30.0) +15.0 ± 21.1 points: can be chance" in shown
    assert "no clear change +15.0 ± 21.1 points" in shown
    assert "2 headline figures were compared" in shown


def test_of_figures_that_are_no_headline_no_change_is_claimed(company, tmp_path):
    path = tmp_path / "copy.duckdb"
    shutil.copy(company, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update marts.dim_kpis set is_headline = false where kpi_id = 'csat'")
    info, html = build(path, tmp_path)
    assert (info.changed, info.unchanged) == ((), ("nps",))
    shown = Page(html).text
    assert "CSAT fell" not in shown
    assert "1 further figure" in shown and "84.0 % 71.5 to 91.7 %" in shown


def test_figures_show_value_interval_answers_and_owner(text):
    assert "CSAT team of csat · n = 50 84.0 % 71.5 to 91.7 % July 2024: 95.0 %" in text


def test_what_a_figure_would_be_under_another_identity_stands_beside_it(text):
    assert re.search(r"NPS \S.* n = 100 45.0 \S+ to \S+ 44.0 to 47.5 by identity", text)
    assert text.count(" by identity") == 1, "of CSAT nothing is to be seen at its decimals"
    assert "a stricter and a looser notion of which records are one person; it is not" in text
    assert "not worked out for Revenue." in text


def test_how_often_identity_is_right_is_told(text):
    assert "on 14,117 records whose person is known" in text
    assert "Precision 99.0 % 98.0 to 99.5 % Recall 95.7 % 94.7 to 96.2 %" in text
    assert "B-cubed precision" not in text, "it was not measured"


def test_without_labels_the_page_says_that_accuracy_is_not_known(tmp_path):
    tables = small_company()
    del tables["marts.identity_accuracy"], tables["marts.identity_sensitivity"]
    shown = Page(build(write(tmp_path / "cxm.duckdb", tables), tmp_path)[1]).text
    assert "Not known: no file of records whose person is known" in shown
    assert "by identity" not in shown and "a looser notion" not in shown


def test_customers_are_counted_by_stage(text, report):
    assert "Service the customer receives the product, contacts service" in text
    assert "2 customers here now (66.7 %)" in text
    assert "awareness 0, consideration 0, decision 0, service 2 and loyalty 1" in report[1]


def test_freshness_and_completeness_are_told(text):
    assert "7 October 2024 (3 days before) 1 dated later than the data itself" in text
    assert "1,234 1,230 4" in text
    assert "7 × the order has no line (shop, orders)" in text
    assert "4 × not a time (shop, orders.ordered_at)" in text
    # The employee is not someone to write to.
    assert "33.3 % 1 of 3" in text
    assert "published version 20241010T060000" in text


def test_kpis_that_nothing_feeds_are_named_once(report, text):
    assert report[0].missing == ("CES 2.0",)
    assert "Not computable from the connected sources: CES 2.0." in text
    assert text.count("CES 2.0") == 1


def test_small_cohorts_are_left_out(report):
    heat_map = re.search(r"<svg[^>]*retention-title.*?</svg>", report[1], re.S)
    assert heat_map
    assert ">Jun 2024<" in heat_map[0]
    assert ">2.5<" in heat_map[0]
    assert "May 2024" not in heat_map[0]


def test_comments_are_escaped_masked_cut_and_not_from_employees(report, text):
    assert "<script" not in report[1]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; mail [e-mail] or [number]" in report[1]
    assert "ana" not in text.replace("Ana & Co", "")
    assert "slow slow…" in text
    assert "wonderful" not in text
    assert "written by an employee" not in text


def test_the_title_is_escaped(report):
    assert "<h1>What Ana &amp; Co looks like to its customers</h1>" in report[1]


def test_nothing_is_fetched_from_elsewhere(report):
    html = report[1]
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "base"}
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    assert "://" not in html
    assert "@import" not in html
    assert all(found.startswith("#") for found in re.findall(r"url\((.)", html))


def test_every_chart_is_named_and_ids_are_unique(report):
    html = report[1]
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)
    charts = re.findall(r"<svg[^>]*>(?:<title[^>]*>([^<]*)</title>)?", html)
    assert len(charts) == len(re.findall("<svg", html)) >= 8
    assert all(charts)
    assert set(re.findall(r'aria-labelledby="([^"]+)"', html)) <= set(ids)


def test_the_same_input_gives_the_same_bytes(company, tmp_path, report):
    """In another process too, with another time zone and another hash seed."""
    script = (
        "import sys; from pathlib import Path; "
        "from orchestration.reports.monthly import build_report; "
        "build_report(Path(sys.argv[1]), Path(sys.argv[2]), title=sys.argv[3], currency='BRL', "
        "published_version='20241010T060000')"
    )
    target = tmp_path / "again.html"
    subprocess.run(
        [sys.executable, "-c", script, str(company), str(target), TITLE],
        env={**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"},
        check=True,
    )
    assert target.read_text(encoding="utf-8") == report[1]


def test_the_same_process_gives_the_same_bytes(company, tmp_path):
    pages = {build(company, tmp_path / name)[1] for name in ("one", "two", "three")}
    assert len(pages) == 1


def test_low_is_the_lowest_third_of_the_scale_and_every_detractor(tmp_path):
    answers = [
        ("csat", 2, 1, 5, None, "low csat"),
        ("csat", 3, 1, 5, None, "middling csat"),
        ("ces", 3, 1, 7, None, "low ces"),
        ("ces", 4, 1, 7, None, "middling ces"),
        ("nps", 6, 0, 10, "detractor", "low nps"),
        ("nps", 7, 0, 10, "passive", "middling nps"),
    ]
    tables = small_company()
    tables["marts.fct_survey_responses"] = [
        {
            "response_key": comment,
            "source": "survey",
            "kind": kind,
            "score": score,
            "scale_min": lowest,
            "scale_max": highest,
            "nps_group": group,
            "comment": comment,
            "responded_on": date(2024, 8, 31),
        }
        for kind, score, lowest, highest, group, comment in answers
    ]
    shown = Page(build(write(tmp_path / "cxm.duckdb", tables), tmp_path)[1]).text
    assert [kind for kind in ("csat", "ces", "nps") if f"low {kind}" in shown] == [
        "csat",
        "ces",
        "nps",
    ]
    assert "middling" not in shown


def test_only_the_page_is_left_behind(company, tmp_path):
    info, html = build(company, tmp_path)
    assert [path.name for path in info.path.parent.iterdir()] == ["report.html"]
    assert info.size == len(html.encode())


def test_an_empty_warehouse_says_so(empty, tmp_path):
    info, html = build(empty, tmp_path)
    assert info.month is None
    assert "There is nothing to report yet" in html
    assert "No source has delivered anything yet." in html
    assert "<svg" not in html


def test_an_empty_warehouse_with_definitions_lists_all_as_not_computable(tmp_path):
    database = write(tmp_path / "cxm.duckdb", {"marts.dim_kpis": KPIS})
    info, html = build(database, tmp_path)
    assert set(info.missing) == {each["name"] for each in KPIS}
    assert "There is nothing to report yet" in html


def test_customers_without_any_figure_still_make_a_page(tmp_path):
    database = write(
        tmp_path / "cxm.duckdb",
        {"marts.customer_360": [{"customer_id": "c1", "completeness": 0.1, "as_of": AS_OF}]},
    )
    info, html = build(database, tmp_path)
    assert info.month == date(2024, 9, 1)
    assert "nothing can be said about change" in html
    assert "expect wide intervals" in html


def test_a_month_can_be_asked_for(company, tmp_path):
    info, html = build(company, tmp_path, month=date(2024, 7, 31))
    assert info.month == date(2024, 7, 1)
    assert "later months are complete too" in html
    assert "September 2024" not in Page(html).text


def test_a_running_month_is_marked(company, tmp_path):
    _, html = build(company, tmp_path, month=date(2024, 10, 1))
    assert "October 2024 is not over: its figures go up to 10 October 2024." in html


def test_a_figure_without_this_month_tells_its_last(company, tmp_path):
    # NPS was last asked in August.
    _, html = build(company, tmp_path, month=date(2024, 9, 1))
    assert "none since August 2024 45.0 then" in Page(html).text


def test_a_count_from_nothing_has_no_percentage(tmp_path):
    tables = small_company()
    tables["marts.kpi_values"] += [
        value("ces", date(2024, 7, 1), 1.0, n=1),
        value("ces", date(2024, 8, 1), 1.0, n=1),
    ]
    for row in tables["marts.kpi_values"]:
        if row["kpi_id"] == "revenue" and row["period_start"] == date(2024, 7, 1):
            row["value"] = 0
    shown = Page(build(write(tmp_path / "cxm.duckdb", tables), tmp_path)[1]).text
    assert "13,500,000.25 BRL July 2024: 0.00 BRL from nothing" in shown
    assert "Revenue came to 13.5 M BRL." in shown
    assert "100.0 % July 2024: 100.0 % too few to compare" in shown


def test_equal_months_are_no_change(tmp_path):
    tables = small_company()
    tables["marts.kpi_values"] = [
        row for row in tables["marts.kpi_values"] if row["kpi_id"] != "csat"
    ] + [csat(date(2024, month, 1), 80, 100) for month in (7, 8)]
    info, html = build(write(tmp_path / "cxm.duckdb", tables), tmp_path)
    assert info.changed == ()
    assert "No figure changed by more than chance explains." in html
