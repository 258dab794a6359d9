"""How tests are shared out among workers: a file is one worker's, what takes long comes first."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = "tests/pipeline/truth"  # its files look at one company, which takes minutes to build
LONGEST_FIRST = (
    TOGETHER,
    "tests/pipeline/test_rebuild",
    "tests/olist/",
    "tests/pipeline/test_kill",
    "tests/pipeline/",
    "tests/identity/",
    "tests/contract/",
)


class ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (n for n, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=place)
