from pathlib import Path

import pytest

from tests.reports.published import small_company, write


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("company") / "cxm.duckdb", small_company())


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("empty") / "cxm.duckdb", {})
