"""The real story of a small company, however it is written."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingestion.simulator import people
from ingestion.simulator.company import Company
from ingestion.simulator.world import SCHEMAS

START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 150


def everything(company: Company) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(company.query(f"select * from world.{name}"), key=repr) for name in SCHEMAS
    }


def test_a_year_in_steps_is_the_year_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = people.found

    def as_founded(**asked: Any) -> Any:
        # how many people enter a week is set by the length planned at the founding
        end = START + timedelta(days=DAYS)
        return found(**{**asked, "ended_at": end})

    monkeypatch.setattr(people, "found", as_founded)
    make = partial(Company.make, customers=60, seed=11)
    at_once = make(tmp_path / "a", days=DAYS, end=START + timedelta(days=DAYS))
    in_steps = make(tmp_path / "b", days=90, end=START + timedelta(days=90))
    for days in (0.25, 29.75, 30):
        in_steps.advance(days=days)
        in_steps = Company.open(tmp_path / "b")
    assert in_steps.clock == at_once.clock
    one, other = everything(at_once), everything(in_steps)
    assert [name for name in SCHEMAS if one[name] != other[name]] == []
    assert len(one["web_event"]) > 100 and len(one["orders"]) > 10
