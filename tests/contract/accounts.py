"""Any vendor's simulated account, a lake it is loaded into, and whether the two agree."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import requests

from ingestion.lake import Lake
from ingestion.simulator.company import Company
from ingestion.simulator.server import serving
from ingestion.simulator.vendors.segment import push
from ingestion.sources.connector import (
    KEY_SEPARATOR,
    Connector,
    ConnectorLoad,
    SourceObject,
    Window,
    load_connector,
)
from ingestion.sources.registry import connector_class
from tests.contract.conftest import END, SimulatorUnderTest

COMPANY = "n"
Document = dict[str, Any]
Documents = dict[str, Document]

# what changes at the vendor without moving the cursor that an increment asks by; a reconcile
# brings it. {vendor: {object: fields}}, `*`: of every object
UNSTAMPED: dict[str, dict[str, set[str]]] = {
    "mailchimp": {"members": {"stats", "member_rating"}},  # counted, not edited
    "hubspot": {"*": {"associations"}},  # an association moves neither of its ends
}
# what no load brings up to date
NEVER_STAMPED: dict[str, dict[str, set[str]]] = {
    "salesforce": {"*": {"IsArchived"}},  # set by age, a year after the last change
    # counts of answers, beside the questions that are read when these are edited
    "surveymonkey": {"survey_details": {"response_count", "date_modified"}},
}
# the newest records are not shown yet
WITHHELD = {"zendesk": timedelta(seconds=60)}

# (setting of the vendor that holds the calls, seconds, paths that count)
RATE_RULES: dict[str, list[tuple[str, float, str]]] = {
    "hubspot": [
        ("calls_per_10_seconds_private", 10, ""),
        ("searches_per_second", 1, "/search"),
        ("calls_per_day", 86_400, ""),
    ],
    "zendesk": [("requests_per_minute", 60, ""), ("exports_per_minute", 60, "/incremental/")],
    "surveymonkey": [("calls_per_minute", 60, ""), ("calls_per_day", 86_400, "")],
    "salesforce": [("daily_calls", 86_400, "")],
}
# {vendor: (settings of its server, settings of its connector)}: a listing takes several pages
SMALL_PAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hubspot": ({}, {"page_size": 40, "page_size_with_history": 40, "search_page_size": 40}),
    "mailchimp": ({"count_max": 200}, {"page_size": 200}),
    "qualtrics": ({"page_size": 5}, {}),
    "salesforce": ({"page_rows": 20}, {}),
    "shopify": ({"page_cap": 50}, {"page_size": 50}),
    "surveymonkey": ({"bulk_max": 20}, {"page_size": 40, "responses_page_size": 20}),
    "zendesk": ({"export_page": 150, "list_page": 5}, {}),
}
MOST_CONCURRENT = {"mailchimp": "connections"}


class RemoteClock:
    """The clock of a simulator in another process; what is slept passes there at once."""

    def __init__(self, url: str, ca: str) -> None:
        self._url, self._ca = f"{url}/__sim__/clock", ca

    def now(self) -> datetime:
        said = requests.get(self._url, verify=self._ca, timeout=30).json()
        return datetime.fromisoformat(said["now"])

    def sleep(self, seconds: float) -> None:
        requests.post(self._url, json={"wait": seconds}, verify=self._ca, timeout=30)


def load_apart(
    vendor: str, settings: dict[str, Any], secrets: dict[str, str], folder: str, now: datetime,
    clock: RemoteClock,
) -> None:  # fmt: skip
    """`Account.load` for a process that is to be killed."""
    os.environ.update(secrets)
    load_connector(
        connector_class(vendor),
        settings,
        source=vendor,
        company=COMPANY,
        lake=Lake(f"{folder}/lake"),
        state_dir=Path(folder) / "state",
        now=now,
        clock=clock,
    )


@contextmanager
def served(made: Path, folder: Path, **settings: Any) -> Iterator[SimulatorUnderTest]:
    """A server over a copy of a company with other settings, such as `late_share`."""
    shutil.copytree(made, folder)
    kept = json.loads((folder / "company.json").read_text())
    kept["settings"] = {**kept["settings"], **settings}
    (folder / "company.json").write_text(json.dumps(kept))
    with serving(Company.open(folder)) as server:
        yield SimulatorUnderTest(server)


def versions(lake: Lake, dataset: str, table: str) -> list[tuple[str, Document, bool]]:
    """Key, document, and whether it is a deletion, of all that landed: in the order of staging."""
    files = [f for load in lake.complete_loads(dataset) for f in load.files.get(table, ())]
    if not files:
        return []
    with lake.connect() as connection:
        rows = connection.execute(
            """
            select _key, document, _deleted from read_parquet(?)
            order by
                try_cast(_cursor as timestamptz) nulls first,
                try_cast(_cursor as double) nulls first,
                _cursor nulls first, _extracted_at, _dlt_load_id, _origin, _row
            """,
            [files],
        ).fetchall()
    return [(key, orjson.loads(document), deleted) for key, document, deleted in rows]


def newest(lake: Lake, dataset: str, table: str) -> dict[str, tuple[Document, bool]]:
    """Newest document, and whether it is a deletion, by key."""
    return {key: (document, gone) for key, document, gone in versions(lake, dataset, table)}


def live(lake: Lake, dataset: str, table: str) -> Documents:
    """The newest document of every key that is not deleted."""
    return {
        key: document for key, (document, gone) in newest(lake, dataset, table).items() if not gone
    }


class Warehouse:
    """A lake, and the loads of one simulated account into it."""

    connector: type[Connector]
    source = "crm"

    def __init__(self, simulator: SimulatorUnderTest, folder: Path) -> None:
        self.simulator, self.folder = simulator, folder
        self.lake = Lake(str(folder / "lake"))
        self.dataset = f"{COMPANY}_{self.source}"

    def settings(self, **settings: Any) -> dict[str, Any]:
        ca = {"ca_bundle": self.simulator.ca} if self.simulator.server.authority else {}
        return {"base_url": self.simulator.url(self.connector.vendor), **ca, **settings}

    def load(
        self, *objects: str, window: Window | None = None, state: str = "state", **settings: Any
    ) -> ConnectorLoad:
        return load_connector(
            self.connector,
            self.settings(**settings),
            source=self.source,
            company=COMPANY,
            lake=self.lake,
            state_dir=self.folder / state,
            now=self.simulator.now(),
            objects=objects or None,
            window=window,
            clock=self.simulator.clock(),
        )

    def versions(self, table: str) -> list[tuple[str, Document, bool]]:
        return versions(self.lake, self.dataset, table)

    def newest(self, table: str) -> dict[str, tuple[Document, bool]]:
        return newest(self.lake, self.dataset, table)

    def live(self, table: str) -> Documents:
        return live(self.lake, self.dataset, table)


@dataclass
class Account:
    """One vendor's account and what is loaded from it; the source is named like the vendor."""

    vendor: str
    simulator: SimulatorUnderTest
    folder: Path

    def __post_init__(self) -> None:
        self.lake = Lake(str(self.folder / "lake"))
        self.slept = 0.0

    @cached_property
    def connector(self) -> type[Connector]:
        return connector_class(self.vendor)

    @cached_property
    def module(self) -> ModuleType:
        return import_module(f"ingestion.simulator.vendors.{self.vendor}")

    @property
    def _lake_tables(self) -> dict[str, str | None]:
        return getattr(self.module, "LAKE_TABLES", {})

    @property
    def objects(self) -> list[SourceObject]:
        """Those of which the world knows anything."""
        return [o for o in self.connector.objects if self._lake_tables.get(o.name, o) is not None]

    @property
    def settings(self) -> dict[str, Any]:
        if self.vendor == "segment":  # it pushes; nobody can ask it
            push(self.simulator.company, self.folder / "pushed")
            return {"folder": str(self.folder / "pushed")}
        small = SMALL_PAGES[self.vendor][1]
        return {"base_url": self.simulator.url(self.vendor), "ca_bundle": self.simulator.ca} | small

    def load(
        self, *, objects: list[str] | None = None, window: Window | None = None, **settings: Any
    ) -> ConnectorLoad:
        """Bring what is new into the lake; waiting costs virtual time only, and not too much."""
        clock = self.simulator.clock()
        try:
            return load_connector(
                self.connector,
                {**self.settings, **settings},
                source=self.vendor,
                company=COMPANY,
                lake=self.lake,
                state_dir=self.folder / "state",
                now=self.simulator.now(),
                objects=objects,
                window=window,
                clock=clock,
            )
        finally:
            self.slept = sum(clock.slept)
            assert self.slept < 3 * 3600, "a load waits without end"

    def requests(self) -> list[dict[str, Any]]:
        return self.simulator.journal(self.vendor)

    def loads(self) -> int:
        return len(self.lake.complete_loads(f"{COMPANY}_{self.vendor}"))

    @contextmanager
    def small_pages(self) -> Iterator[None]:
        """The vendor gives few records a page."""
        with self.simulator.settings(self.vendor, **SMALL_PAGES.get(self.vendor, ({}, {}))[0]):
            yield

    # -- the two sides

    def newest(self, table: str) -> Documents:
        """The newest document of every key that is not deleted, as staging takes it."""
        return live(self.lake, f"{COMPANY}_{self.vendor}", table)

    def told(self, obj: SourceObject) -> Documents:
        """What the world says is live at the clock, read past the server, by the lake's key."""
        projection = self.module.PROJECTIONS[self._lake_tables.get(obj.name, obj.name)]
        table = self.simulator.company.table(projection)
        until = self.simulator.company.clock - WITHHELD.get(self.vendor, timedelta(0))
        strict = "<" if self.vendor in WITHHELD else "<="
        rows = self.simulator.company.query(
            f"select document from {table} where archived_at is null"
            f" and (updated_at is null or updated_at {strict} ?)",
            [until],
        )
        found = {}
        for (text,) in rows:
            document = orjson.loads(text)
            key = KEY_SEPARATOR.join(str(_at(document, path)) for path in obj.key)
            assert key not in found, f"{self.vendor} {obj.name}: {key} is there twice"
            found[key] = document
        return found

    def assert_loaded(self, *, reconciled: bool = False) -> None:
        """Row for row. Unless reconciled, what moves no cursor may be old, and what left no
        tombstone may be left."""
        for obj in self.objects:
            told, found = self.told(obj), self.newest(obj.name)
            if obj.reconcile and not reconciled:
                found = {key: found[key] for key in found.keys() & told.keys()}
            what = f"{self.vendor} {obj.name}"
            assert found.keys() == told.keys(), (
                f"{what}: {len(told.keys() - found.keys())} lost, "
                f"{len(found.keys() - told.keys())} too many: "
                f"{sorted(found.keys() ^ told.keys())[:5]}"
            )
            for key, document in told.items():
                differs = self._differences(obj, document, found[key], reconciled=reconciled)
                assert not differs, f"{what} {key}: (told, found) {differs}"

    def behind(self, obj: SourceObject) -> set[str]:
        """Keys of which the lake has nothing, or an old version."""
        found = self.newest(obj.name)
        return {
            key
            for key, document in self.told(obj).items()
            if self._differences(obj, document, found.get(key, {}))
        }

    def _differences(
        self,
        obj: SourceObject,
        told: dict[str, Any],
        found: dict[str, Any],
        *,
        reconciled: bool = False,
    ) -> dict[str, tuple[Any, Any]]:
        hidden = _fields(NEVER_STAMPED, self.vendor, obj.name)
        if not reconciled:
            hidden |= _fields(UNSTAMPED, self.vendor, obj.name)
        return {
            field: (told.get(field), found.get(field))
            for field in told.keys() | found.keys()
            if field not in hidden and told.get(field) != found.get(field)
        }

    # -- times and rules

    def busy_moment(self) -> datetime:
        """A moment in the middle of many changes within two minutes, so that some come late."""
        self.simulator.server.simulator.time.move(END)
        tables = [
            self.simulator.company.table(projection)
            for projection in self.module.PROJECTIONS.values()
        ]
        every = " union all ".join(f"select '{t}' as t, updated_at from {t}" for t in tables)
        [(found,)] = self.simulator.company.query(
            f"""
            select updated_at from (
                select updated_at, count(distinct updated_at) over (
                    partition by t order by updated_at
                    range between interval 100 seconds preceding and current row
                ) as changes
                from ({every})
                where updated_at < ?::timestamptz - interval 3 days
            )
            order by changes desc, updated_at desc limit 1
            """,
            [END],
        )
        return found + timedelta(seconds=1)

    def assert_rules(self, entries: list[dict[str, Any]]) -> None:
        """The vendor's limits, by virtual time; each defect of the server fails too."""
        for entry in entries:
            assert not entry["failure"], f"the simulator is defective: {entry}"
            assert not entry["unsupported"], entry
        settings = self.simulator.api(self.vendor).settings
        if self.vendor in MOST_CONCURRENT and entries:
            most = settings[MOST_CONCURRENT[self.vendor]]
            assert max(entry["concurrent"] for entry in entries) <= most
        for name, seconds, path in RATE_RULES.get(self.vendor, ()):
            at = [datetime.fromisoformat(e["at"]).timestamp() for e in entries if path in e["path"]]
            at.sort()
            calls = settings[name]
            for first, later in zip(at, at[calls:], strict=False):
                assert later - first >= seconds, f"{self.vendor}: more than {name}"


def _fields(table: Mapping[str, Mapping[str, set[str]]], vendor: str, name: str) -> set[str]:
    of = table.get(vendor, {})
    return of.get("*", set()) | of.get(name, set())


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document[part]
    return document
