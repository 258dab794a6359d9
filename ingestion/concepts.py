"""The vendor-neutral concepts, as the mapping of a source sees them.

The contracts are the column lists in `dbt_project/models/unified/_*__models.yml`, which dbt
enforces; this reads the same files, so there is no second list to keep.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CONTRACTS_DIR = Path(__file__).parent.parent / "dbt_project" / "models" / "unified"


@dataclass(frozen=True)
class Field:
    """A field that a mapping may fill: `column` is what the unified model calls it."""

    name: str
    column: str
    data_type: str
    required: bool
    description: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Concept:
    name: str
    model: str
    description: str
    key: list[str]
    fields: dict[str, Field]


@cache
def load_concepts(contracts_dir: Path = CONTRACTS_DIR) -> dict[str, Concept]:
    """Every concept by its singular name."""
    concepts = {}
    for path in sorted(contracts_dir.glob("_*__models.yml")):
        for model in yaml.safe_load(path.read_text())["models"]:
            meta = model["config"]["meta"]
            fields = {}
            for column in model["columns"]:
                column_meta = column.get("config", {}).get("meta", {})
                if "derived" in column_meta:
                    continue
                name = column_meta.get("input", column["name"])
                required = any(c["type"] == "not_null" for c in column.get("constraints", []))
                fields[name] = Field(
                    name,
                    column["name"],
                    column["data_type"],
                    required,
                    column["description"],
                    column_meta,
                )
            concepts[meta["concept"]] = Concept(
                meta["concept"], model["name"], model["description"], meta["key"], fields
            )
    return concepts
