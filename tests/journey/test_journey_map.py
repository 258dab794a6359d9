"""The page of the journey map: what a reader sees, from a small published database."""

import json
import re
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from orchestration.reports.journey import build_journey_map
from orchestration.settings import DBT_PROJECT_DIR
from tests.journey.machine import seed

TITLE = "The journey of Ana & Co's customers"


def kpi(**told) -> dict:
    blank = dict.fromkeys(
        ("part", "value", "ci_low", "ci_high", "previous_value", "trend", "target", "status")
    )
    return {**blank, "unit": "share", "reason": None, **told}


KPIS = {
    "awareness": [
        kpi(name="People reached", part="mail", unit="people", value=1200, previous_value=1000),
        kpi(name="People reached", part="search", unit="people", value=300, previous_value=400),
    ],
    "consideration": [kpi(name="New visitors", unit=None, reason="no connected source feeds it")],
    "decision": [kpi(name="Online sales", unit="currency", value=58_900.0)],
    "service": [
        kpi(
            name="Service success", value=0.84, ci_low=0.715, ci_high=0.917, trend="down",
            target=0.95, status="missed",
        )
    ],
    "loyalty": [],
}  # fmt: skip


def published(path: Path, *, people: int = 40) -> Path:
    """The marts that the page reads, their columns from the contracts."""
    models = DBT_PROJECT_DIR / "models" / "marts"
    contracts = [
        model
        for name in ("_marts__models.yml", "_marts_journey__models.yml")
        for model in yaml.safe_load((models / name).read_text())["models"]
    ]
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        for model in contracts:
            columns = ", ".join(f'"{c["name"]}" {c["data_type"]}' for c in model["columns"])
            connection.execute(f"create table marts.{model['name']} ({columns})")

        def insert(table: str, **row: object) -> None:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"insert into marts.{table} ({names}) values ({marks})", list(row.values())
            )

        if people:
            insert("customer_360", customer_id="c1", as_of=datetime(2026, 5, 2, 6))
        segments = [("all", "all", people), ("persona", "b2b", 31), ("persona", "b2c", 9)]
        for rank, (dimension, value, customers) in enumerate(segments if people else [], 1):
            for stage in seed("journey_stages")[:5]:
                name = stage["stage"]
                insert(
                    "journey_map",
                    stage_number=stage["stage_number"],
                    journey_stage=name,
                    dimension=dimension,
                    dimension_value=value,
                    segment_rank=rank,
                    customers=customers,
                    customers_now=8,
                    share_now=0.2,
                    customer_does=stage["customer_does"],
                    actions=json.dumps(
                        [{"action": "web_page_view", "touches": 1234, "customers": 7}]
                    ),
                    touchpoints=json.dumps(
                        [{"touchpoint": "<website>", "touches": 5, "customers": 2}]
                    ),
                    answers=50 if name == "service" else 0,
                    share_satisfied=0.84 if name == "service" else None,
                    share_satisfied_low=0.715 if name == "service" else None,
                    share_satisfied_high=0.917 if name == "service" else None,
                    feels_reason=None if name == "service" else "nobody was asked",
                    kpis=json.dumps(KPIS[name]),
                    business_goal=stage["business_goal"],
                    teams=stage["teams"],
                    **{
                        f"{cell}_query": f"select '{cell} of {name}'"
                        for cell in ("actions", "touchpoints", "feels", "times", "kpis")
                    },
                )
        for name, days, low, high in [
            ("awareness", 0.0003, 0.0002, 0.0004),
            ("decision", 51.2, 28.1, 60.0),
            ("service", 2.5, 0.25, None),
            ("loyalty", None, None, None),
        ]:
            insert(
                "journey_stage_times", journey_stage=name, dimension="all", dimension_value="all",
                median_days=days, median_days_low=low, median_days_high=high,
            )  # fmt: skip
        insert(
            "journey_stage_conversion", journey_stage="decision", dimension="all",
            dimension_value="all", exit_cause="next stage", horizon_days=90, incidence=0.5,
            ci_low=0.47, ci_high=0.53,
        )  # fmt: skip
    return path


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S)
    return " ".join(body.replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("map")
    page = build_journey_map(
        published(folder / "p.duckdb"), folder / "map.html", title=TITLE, currency="BRL"
    )
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(html: str) -> str:
    return text_of(html)


def test_five_columns_per_segment_and_small_segments_left_out(html: str, text: str) -> None:
    assert html.count('class="stage"') == 10  # all and b2b; nine consumers are too few
    assert "Business customers" in text and "Consumers" not in text
    order = [text.index(f" {s} ") for s in ("Awareness", "Consideration", "Decision", "Service")]
    assert order == sorted(order)


def test_what_customers_do_and_where_is_told_and_escaped(html: str, text: str) -> None:
    assert "look at a page 1,234" in text
    assert "&lt;website&gt;" in html and "<website>" not in html


def test_feelings_have_an_interval_or_a_reason(text: str) -> None:
    assert "84 % satisfied 72 to 92 %, 50 answers" in text
    assert "not known: nobody was asked" in text


def test_times_are_told_in_the_words_of_people(text: str) -> None:
    assert "half leave within a minute" in text
    assert "half leave within 51 days 28 to 60 days" in text
    assert "half leave within 2.5 days at least 6.0 hours" in text
    assert "fewer than half have left so far" in text
    assert "50 % go on within 90 days 47 to 53 %" in text


def test_figures_show_interval_trend_target_or_reason(text: str) -> None:
    assert "Service success 84.0 % 71.5 to 91.7 % ▼ down target 95.0 %: missed" in text
    assert "Online sales 58.9 k BRL" in text
    assert "New visitors no connected source feeds it" in text
    assert "Not known yet: New visitors (no connected source feeds it)." in text


def test_reach_is_told_by_channel_and_never_added_up(text: str) -> None:
    assert "People reached, mail 1,200 +20.0 % on the month before" in text
    assert "People reached, search 300 −25.0 % on the month before" in text
    assert "1,500" not in text


def test_goals_teams_and_queries_are_there(text: str) -> None:
    assert "Goal more awareness and interest" in text
    assert "Teams marketing communications" in text
    assert "select 'kpis of loyalty'" in text.replace("&#39;", "'")


def test_the_same_input_gives_the_same_page(tmp_path: Path, html: str) -> None:
    again = build_journey_map(
        published(tmp_path / "p.duckdb"), tmp_path / "map.html", title=TITLE, currency="BRL"
    )
    assert again.read_text(encoding="utf-8") == html


def test_without_customers_it_says_so(tmp_path: Path) -> None:
    page = build_journey_map(
        published(tmp_path / "p.duckdb", people=0), tmp_path / "m.html", title=TITLE, currency="BRL"
    )
    assert "There is no journey to show yet" in text_of(page.read_text(encoding="utf-8"))
