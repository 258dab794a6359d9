"""A tiny story in place of the real one: thirty people who enter day by day, ten tickets a week."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingestion.simulator.company import Company
from ingestion.simulator.projection import Projection
from ingestion.simulator.world import SCHEMAS, table_of

START = datetime(2025, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)

PEOPLE = Projection(
    "people",
    """
    -- who has entered
    select
        person_id::varchar as id, entered_at as created_at, entered_at as updated_at,
        null::timestamptz as archived_at, to_json(struct_pack(id := person_id)) as document
    from world.person
    where happened(entered_at, person_id)
    """,
)


class Story:
    """Ten tickets a week, numbered on from the state; each is solved nine days later."""

    def __init__(
        self, seed: int, founding: dict[str, pa.Table], state: Any, *, started_at: datetime
    ) -> None:
        self.start, self.seed = started_at, seed
        assert founding["person"].num_rows == 30
        self.state = state or {"next": np.array([1]), "week": np.array([0])}

    def week(self, number: int) -> dict[str, pa.Table]:
        assert number == self.state["week"][0], "weeks come one after the other"
        random = np.random.default_rng([self.seed, 1, number])
        ids = np.arange(10) + self.state["next"][0]
        begin, seconds = self.start + number * 7 * DAY, random.integers(604800, size=10)
        at = [begin + timedelta(seconds=int(s)) for s in seconds]
        self.state = {"next": ids[-1:] + 1, "week": np.array([number + 1])}
        return {
            "ticket": table_of("ticket", {"ticket_id": ids, "created_at": at}),
            "ticket_event": table_of(
                "ticket_event",
                {"ticket_event_id": ids, "ticket_id": ids, "at": [t + 9 * DAY for t in at]},
            ),
            "review": SCHEMAS["review"].empty_table(),
        }


def found(*, started_at: datetime, **_: Any) -> Any:
    entered = [started_at + i * DAY for i in range(30)]
    return {"person": table_of("person", {"person_id": range(30), "entered_at": entered})}


def tell_small_story(patch: pytest.MonkeyPatch) -> None:
    """From now on companies are made of this story."""
    patch.setattr("ingestion.simulator.people.found", found)
    patch.setattr("ingestion.simulator.life.Life", Story)


@pytest.fixture
def small_story(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_small_story(monkeypatch)


def made(folder: Path, days: float, **settings: Any) -> Company:
    return Company.make(
        folder, customers=30, seed=3, days=days, end=START + days * DAY, settings=settings
    )
