"""A company's clock: what it shows, and that the way it came there makes no difference."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingestion.errors import CxmError, SettingError
from ingestion.simulator import cli
from ingestion.simulator import company as company_module
from ingestion.simulator.company import Company
from ingestion.simulator.projection import Projection
from ingestion.simulator.world import SCHEMAS
from tests.simulator.small_story import DAY, PEOPLE, START, made, small_story  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_story")


def everything(company: Company) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(company.query(f"select * from world.{name}"), key=repr) for name in SCHEMAS
    }


def test_a_story_gone_on_with_is_the_same_as_one_told_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company_module, "WEEKS_IN_BLOCK", 4)
    at_once = made(tmp_path / "a", 100)
    in_steps = made(tmp_path / "b", 60)
    in_steps.advance(days=0.5)
    in_steps = Company.open(tmp_path / "b")
    in_steps.advance(days=39.5)
    assert in_steps.clock == at_once.clock == START + 100 * DAY
    assert everything(in_steps) == everything(at_once)
    assert in_steps.query("select count(distinct ticket_id), count(*) from world.ticket") == [
        (160, 160)  # 100 days and one week ahead lie in weeks 0 to 15
    ]


def test_what_a_dead_process_wrote_of_later_weeks_is_not_there_twice(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 30)
    kept = (tmp_path / "a" / "company.json").read_text()
    state = next((tmp_path / "a").glob("state-*.npz"))
    arrays = state.read_bytes()
    company.advance(days=50)
    told = everything(company)
    (tmp_path / "a" / "company.json").write_text(kept)  # as if it had died just before this
    state.write_bytes(arrays)
    again = Company.open(tmp_path / "a")
    again.advance(days=50)
    assert everything(again) == told


def test_only_what_has_happened_shows(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10, late_share=0)
    sql = f"select count(*), max(created_at) from {company.table(PEOPLE)}"
    assert company.query(sql) == [(11, START + 10 * DAY)]
    company.advance(days=3)
    assert company.query(f"select count(*) from {company.table(PEOPLE)}") == [(14,)]
    company.move_clock(START + 2 * DAY)
    assert company.query(f"select count(*) from {company.table(PEOPLE)}") == [(3,)]
    # a null time has not happened
    assert company.query("select coalesce(happened(null::timestamptz, 1), false)") == [(False,)]


def test_a_late_row_shows_after_rows_stamped_later(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 20, late_share=0.6, late_seconds=3 * 86400)
    seen = {int(i) for (i,) in company.query(f"select id from {company.table(PEOPLE)}")}
    late = set(range(21)) - seen
    assert late and late < {18, 19, 20}, "rows of the last three days, but not all of them"
    company.advance(days=3)
    shown = {int(i) for (i,) in company.query(f"select id from {company.table(PEOPLE)}")}
    assert late < shown


def test_tables_of_clocks_long_ago_are_dropped(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10)
    for _ in range(6):
        company.table(PEOPLE)
        company.advance(days=1)
    left = company.query("select count(*) from duckdb_tables() where schema_name = 'simulated'")
    assert left[0][0] <= company_module.CLOCKS_KEPT


def test_a_table_is_made_once_for_a_clock(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10)
    assert company.table(PEOPLE) == company.table(PEOPLE)
    before = company.table(PEOPLE)
    company.advance(days=1)
    assert company.table(PEOPLE) != before


def test_many_ask_at_once_while_the_clock_moves(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10, late_share=0)

    def ask(_: int) -> int:
        return company.query(f"select count(*) from {company.table(PEOPLE)}")[0][0]

    with ThreadPoolExecutor(8) as threads:
        counts = threads.map(ask, range(200))
        company.advance(days=1)
        company.advance(days=1)
        assert {*counts} <= {11, 12, 13}


def test_another_process_is_seen(tmp_path: Path) -> None:
    mine = made(tmp_path / "a", 10)
    theirs = Company.open(tmp_path / "a")
    theirs.advance(days=40)
    mine.refresh()
    assert mine.clock == theirs.clock
    assert everything(mine) == everything(theirs)


def test_a_projection_without_a_column_is_refused_by_name(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10)
    with pytest.raises(CxmError, match="projection bad lacks updated_at, archived_at, document"):
        company.table(Projection("bad", "select '1' as id, clock() as created_at"))


@pytest.mark.parametrize(("customers", "days"), [(0, 10), (10, 0), (10, 2000)])
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, customers: int, days: float) -> None:
    with pytest.raises(SettingError, match="cannot be simulated"):
        Company.make(tmp_path / "a", customers=customers, seed=1, days=days, end=START)


def test_a_company_is_neither_overwritten_nor_opened_where_none_is(tmp_path: Path) -> None:
    made(tmp_path / "a", 10)
    with pytest.raises(SettingError, match="holds a company"):
        made(tmp_path / "a", 10)
    with pytest.raises(SettingError, match="holds no company"):
        Company.open(tmp_path / "b")


def test_a_clock_outside_of_the_story_is_refused(tmp_path: Path) -> None:
    company = made(tmp_path / "a", 10)
    for to in (START - DAY, START + 1461 * DAY):
        with pytest.raises(SettingError, match="clock"):
            company.move_clock(to)
    assert company.clock == START + 10 * DAY


def test_the_command_makes_a_company_and_lets_time_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXM_HOME", str(tmp_path))
    monkeypatch.setenv("CXM_NOW", "2026-10-02T06:00:00+00:00")

    def said(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(cli.app, [*arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == 0
        return json.loads(done.stdout)

    first = said("--customers", "30", "--seed", "3", "--days", "20")
    assert first["clock"] == "2026-10-02T06:00:00+00:00"
    assert first["happened"]["person"] == 21
    assert said("--days", "2")["clock"] == "2026-10-04T06:00:00+00:00"
    assert said()["clock"] == "2026-10-05T06:00:00+00:00"
    assert said("status")["happened"]["person"] == 24
    with pytest.raises(SettingError, match="--seed 3"):
        said("--seed", "4")
