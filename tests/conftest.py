"""How tests are shared out among workers: a file is one worker's, what takes long comes first."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

LONG = ("tests/pipeline/", "tests/olist/", "tests/identity/", "tests/contract/")
TOGETHER = "tests/pipeline/truth"  # its files look at one company, which takes minutes to build


class ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
