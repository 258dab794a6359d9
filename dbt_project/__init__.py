"""The dbt project, and what dbt finds in a package of such a name: plugins of ours."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "plugins":  # dbt asks for it; whoever else imports this package needs no dbt
        from dbt_project.events import PLUGINS

        return PLUGINS
    raise AttributeError(name)
