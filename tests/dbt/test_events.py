"""dbt's events: what a logger or a listener waits for is fired, and the rest costs nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
from dbt.plugins.manager import PluginManager
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager_client import get_event_manager
from dbt_common.events.types import Note

from dbt_project.events import OnlyWrittenEvents, WrittenEvents


def heard(level: str, *, listens: bool = False) -> tuple[list[Any], list[Any]]:
    """What a logger of a level writes, and a callback hears, of one event of each level."""
    written: list[Any] = []
    told: list[Any] = []
    manager = WrittenEvents()
    manager.loggers.append(
        SimpleNamespace(  # type: ignore[arg-type]
            level=EventLevel(level), filter=lambda _: True, write_line=written.append
        )
    )
    manager.callbacks = [lambda _: None, told.append] if listens else [lambda _: None]
    for at in EventLevel:
        manager.fire_event(Note(msg=at.value), level=at)
    return [m.info.level for m in written], [m.info.level for m in told]


@pytest.mark.parametrize("level", ["info", "warn", "error"])
def test_what_no_logger_writes_is_not_fired(level: str) -> None:
    assert heard(level) == (["info", "warn", "error"], [])  # a logger leaves out what is below it


def test_a_debug_log_and_a_listener_get_everything() -> None:
    everything = [level.value for level in EventLevel]
    assert heard("debug") == (everything, [])
    assert heard("error", listens=True)[1] == everything


def test_warnings_that_are_errors_stay_errors() -> None:
    manager = WrittenEvents()
    manager.warn_error = True
    with pytest.raises(Exception, match="odd"):
        manager.fire_event(Note(msg="odd"), EventLevel.WARN, force_warn_or_error_handling=True)


def test_dbt_finds_the_plugin_and_keeps_its_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PluginManager.get_prefixed_modules()["dbt_project"].plugins == [OnlyWrittenEvents]
    before = get_event_manager()
    monkeypatch.setattr("dbt_common.events.event_manager_client._EVENT_MANAGER", before)
    OnlyWrittenEvents("cxm")
    after = get_event_manager()
    assert isinstance(after, WrittenEvents)
    assert (after.loggers, after.callbacks) == (before.loggers, before.callbacks)
