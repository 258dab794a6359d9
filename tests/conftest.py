"""Which tests share a worker: those of one file, and those of one folder that shares a company."""

from pathlib import Path

import pytest

_TOGETHER = (Path("pipeline") / "truth",)  # below this folder


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        folder = next((f for f in _TOGETHER if f in place.parents), None)
        item.add_marker(pytest.mark.xdist_group(str(folder or place)))
