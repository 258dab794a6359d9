"""dbt makes, words and serializes some thirty events a node for its debug log, also when none is
written, and that takes a fifth of a small build. This plugin lets pass what a logger will write."""

from typing import Any

from dbt.plugins.manager import dbtPlugin
from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager

LEVELS = list(EventLevel)  # DEBUG, TEST, INFO, WARN, ERROR


class WrittenEvents(EventManager):
    """Passes over an event below the level of every logger, unless somebody else listens."""

    def fire_event(
        self, e: BaseEvent, level: EventLevel | None = None, *arguments: Any, **named: Any
    ) -> None:
        at = LEVELS.index(level or e.level_tag())
        # one callback is dbt's own, for changes of its behaviour, which are warnings
        if (
            len(self.callbacks) > 1
            or at >= LEVELS.index(EventLevel.INFO)
            or any(at >= LEVELS.index(logger.level) for logger in self.loggers)
        ):
            super().fire_event(e, level, *arguments, **named)


class OnlyWrittenEvents(dbtPlugin):
    def initialize(self) -> None:
        manager = WrittenEvents()
        manager.__dict__.update(vars(get_event_manager()))
        ctx_set_event_manager(manager)


PLUGINS = [OnlyWrittenEvents]
