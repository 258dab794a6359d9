"""Sources with a connector beside sources with files, without any vendor."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ingestion.errors import MappingError, SettingError, SourceError
from ingestion.sources.connector import Connector, Finding, Page, SourceObject, Window
from orchestration import sources
from orchestration.settings import Settings
from tests.support import Home

NOW = datetime(2026, 10, 2, 6, tzinfo=UTC)
CONFIG = """\
version: 1
company: small
reporting_currency: EUR
sources:
  news: {connector: mailchimp, objects: [members]}
  shop:
    files:
      orders:
        path: o.csv
        key: id
        concept: order
        fields: {order_id: id, ordered_at: at, status: state}
"""


class Mail(Connector):
    """Two members; it fails where a test says so."""

    vendor = "mailchimp"
    objects = (SourceObject("members", ("id",), "changed"), SourceObject("campaigns", ("id",)))
    broken = False
    asked: ClassVar[list[Window]] = []

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        self.asked.append(window)
        if self.broken:
            raise SourceError("the key is not good; set another")
        self.meter.requests += 1
        yield Page([{"id": "a"}], "GET /members")
        self.meter.requests += 1
        yield Page([{"id": "b"}], "GET /members")

    def check(self) -> list[Finding]:
        return [Finding(False, "may not read campaigns", "give it the permission")]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "c.yml").write_text(CONFIG)
    (tmp_path / "o.csv").write_text("id,at,state\n1,2026-01-01,shipped\n")
    monkeypatch.setattr(sources, "connector_class", lambda vendor: Mail)
    monkeypatch.setattr(Mail, "asked", [])
    return Settings(tmp_path / "home", tmp_path / "c.yml", str(tmp_path / "lake"), 5)


def test_a_load_is_remembered_with_its_requests(settings: Settings) -> None:
    mapping = settings.mapping()
    attempt = sources.load_source(settings, mapping, "news", NOW)
    assert (attempt.error, attempt.documents, attempt.requests) == (
        None,
        {"members": 2},
        {"members": 2},
    )
    assert sources.last_attempt(settings, mapping, "news") == attempt
    listed = {row["source"]: row for row in sources.list_sources(settings)}
    assert (listed["news"]["documents"], listed["news"]["requests"]) == (2, 2)
    assert (listed["shop"]["connector"], listed["shop"]["last_attempt"]) == (None, None)
    assert sources.lake_tables(mapping, "news") == {"members": "mailchimp's members"}


def test_a_failure_is_an_attempt_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mail, "broken", True)
    attempt = sources.load_source(settings, settings.mapping(), "news", NOW)
    assert "the key is not good; set another" in str(attempt.error)
    assert sources.list_sources(settings)[0]["error"] == attempt.error


def test_a_span_or_a_comparison_can_be_asked_for(settings: Settings) -> None:
    mapping = settings.mapping()
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    sources.backfill_source(settings, mapping, "news", NOW, since=since, until=until)
    assert [(w.since, w.until) for w in Mail.asked] == [(since, until)]
    sources.reconcile_source(settings, mapping, "news", NOW)
    assert len(Mail.asked) == 2
    with pytest.raises(SettingError, match="no object membres"):
        sources.backfill_source(
            settings, mapping, "news", NOW, since=since, until=until, objects=["membres"]
        )
    with pytest.raises(SettingError, match="'shop' is read from files"):
        sources.reconcile_source(settings, mapping, "shop", NOW)
    with pytest.raises(SettingError, match="no source 'nws'; did you mean 'news'"):
        sources.reconcile_source(settings, mapping, "nws", NOW)


def test_a_check_says_what_is_wrong(settings: Settings) -> None:
    mapping = settings.mapping()
    assert [f.fix for f in sources.check_source(settings, mapping, "news")] == [
        "give it the permission"
    ]
    assert [f.what for f in sources.check_source(settings, mapping, "shop")] == [
        "orders: 1 files can be read"
    ]
    (settings.config.parent / "o.csv").write_text("id,att,state\n")
    (found,) = sources.check_source(settings, mapping, "shop")
    assert not found.ok and "the file has 'att'" in found.what


def test_the_environment_leaves_some_sources_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXM_CONFIG", str(settings.config))
    monkeypatch.setenv("CXM_SOURCES", "shop, ")
    assert list(Settings.from_env().mapping().sources) == ["shop"]
    monkeypatch.setenv("CXM_SOURCES", "shopp")
    with pytest.raises(MappingError, match="no source 'shopp'; did you mean 'shop'"):
        Settings.from_env().mapping()


def test_the_command_lists_and_refuses(settings: Settings) -> None:
    home = Home(settings.home, settings.config, (("CXM_SOURCES", "shop"),))
    rows = json.loads(home.cxm("sources", "--json").stdout)
    assert [(row["source"], row["enabled"]) for row in rows] == [("news", False), ("shop", True)]
    assert "switched off" in home.cxm("sources").stdout
    assert "ok shop: orders: 1 files can be read" in home.cxm("sources", "check").stdout
    off = home.cxm("sources", "reconcile", "news", check=False)
    assert off.returncode == 2 and "'news' is switched off" in off.stderr
    wrong = home.cxm("sources", "backfill", "shop", "--since", "May", check=False)
    assert wrong.returncode == 2 and "--since is 'May'" in wrong.stderr
