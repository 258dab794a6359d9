"""Records straight into the lake: the same keys, versions and tombstones a connector gives."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from ingestion.errors import SettingError
from ingestion.lake import Lake
from ingestion.simulator.lake_writer import write_lake
from ingestion.simulator.projection import Projection
from ingestion.sources.connector import Connector, Finding, Page, SourceObject, Window
from tests.simulator.small_story import PEOPLE, START, made, small_story  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_story")

TICKETS = Projection(
    "toy_tickets",
    """
    select
        ticket_id::varchar as id, created_at, created_at as updated_at,
        case when ticket_id = 3 then created_at end as archived_at,
        to_json(struct_pack(
            "shop id" := 'de', numbers := [struct_pack(id := ticket_id)],
            meta := struct_pack(changed := epoch_ms(created_at))
        ))::varchar as document
    from world.ticket
    where happened(created_at, ticket_id)
    """,
)


class Toy(Connector):
    vendor = "toy"
    objects = (
        SourceObject("tickets", ("shop id", "numbers[0].id"), "meta.changed"),
        SourceObject("people", ("id",)),
    )

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        yield Page()

    def check(self) -> list[Finding]:
        return []


def test_keys_cursors_and_tombstones(tmp_path: Path) -> None:
    company = made(tmp_path / "company", 20, late_share=0)
    projections = {"tickets": TICKETS, "all_people": PEOPLE}
    vendor: Any = SimpleNamespace(
        VENDOR="toy", PROJECTIONS=projections, LAKE_TABLES={"people": "all_people"}
    )
    lake = Lake(str(tmp_path / "lake"))
    result = write_lake(company, vendor, Toy, lake, "company_toy")
    ((expected,),) = company.query("select count(*) from world.ticket where created_at <= clock()")
    assert result.documents == {"tickets": expected, "people": 21}
    (load,) = lake.complete_loads("company_toy")
    assert load.load_id == result.load_id
    with lake.connect() as connection:
        rows = connection.execute(
            "select _key, _cursor, _deleted, _extracted_at, _problem, document"
            " from read_parquet(?) order by _key",
            [load.files["tickets"]],
        ).fetchall()
    assert len(rows) == expected
    for key, cursor, deleted, extracted_at, problem, text in rows:
        document = orjson.loads(text)
        assert key == f"de|{document['numbers'][0]['id']}"
        assert cursor == str(document["meta"]["changed"])
        assert deleted == (key == "de|3")
        assert extracted_at == company.clock > START and problem is None


def test_an_object_without_a_projection_is_named(tmp_path: Path) -> None:
    company = made(tmp_path / "company", 20)
    vendor: Any = SimpleNamespace(VENDOR="toy", PROJECTIONS={"tickets": TICKETS})
    with pytest.raises(SettingError, match="toy: no projection for people"):
        write_lake(company, vendor, Toy, Lake(str(tmp_path / "lake")), "company_toy")
