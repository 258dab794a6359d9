"""A clean warehouse, built once and copied for every test that damages it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.expectations.warehouse import build


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("warehouse") / "clean.duckdb")


@pytest.fixture
def damaged(clean: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the clean warehouse after some statements."""

    def damage(*statements: str | Callable[[duckdb.DuckDBPyConnection], None]) -> Path:
        path = Path(shutil.copyfile(clean, tmp_path / "damaged.duckdb"))
        with duckdb.connect(str(path)) as db:
            for statement in statements:
                if callable(statement):
                    statement(db)
                else:
                    db.execute(statement)
        return path

    return damage
