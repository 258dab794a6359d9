"""Rules of the dbt project: dbt checks the keys of its YAML for some databases only, so we do."""

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import dbt.jsonschemas
import pytest
import yaml
from jsonschema import Draft7Validator

from dbt_project.kpis import STAGES
from ingestion.concepts import load_concepts
from orchestration.manifest import dbt_folders, put_venv_on_path
from orchestration.settings import DBT_PROJECT_DIR, EXAMPLE_CONFIG, Settings

YAML_FILES = sorted(
    p for folder in ("models", "seeds") for p in (DBT_PROJECT_DIR / folder).rglob("*.yml")
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("dbt")
    settings = Settings(home, EXAMPLE_CONFIG, str(home / "lake"), 5)
    put_venv_on_path()
    done = subprocess.run(
        ["dbt", "parse", "--warn-error", *dbt_folders(settings)],
        cwd=DBT_PROJECT_DIR,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((settings.dbt_target / "manifest.json").read_text())


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda p: p.name)
def test_yaml_keys_are_ones_that_dbt_knows(path: Path) -> None:
    schema_file = Path(dbt.jsonschemas.__file__).parent / "resources" / "latest.json"
    validator = Draft7Validator(json.loads(schema_file.read_text()))
    content = yaml.safe_load(path.read_text())
    content.pop("metrics", None)  # the schema knows the metrics of a later dbt, whose parser checks
    errors = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator.iter_errors(content)
    ]
    assert errors == []


def test_the_list_of_concepts_is_the_list_of_contracts() -> None:
    macro = (DBT_PROJECT_DIR / "macros" / "concepts.sql").read_text()
    listed = set(re.findall(r"'(\w+)'", macro[macro.index("return([") : macro.index("]) }}")]))
    contracts = {concept.model for concept in load_concepts().values()}
    staged = {
        p.stem.removeprefix("stg__") for p in (DBT_PROJECT_DIR / "models" / "staging").glob("*.sql")
    }
    assert listed == contracts == staged


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]


def test_layers_read_only_what_is_below_them(manifest: dict[str, Any]) -> None:
    allowed = {
        "staging": set(),
        "unified": {"staging"},
        "identity": {"unified", "identity", "reference"},
        "survey": {"unified", "identity", "service", "survey", "marts"},
        "finance": {"unified"},
        "commerce": {"unified", "identity", "finance", "commerce", "marts", "reference"},
        "journey": {"unified", "identity", "journey", "marts", "reference"},
        "service": {"unified", "identity", "marts", "reference", "service"},
        "kpis": {
            "marts",
            "kpis",
            "identity",
            "reference",
            "service",
            "commerce",
            "survey",
            "journey",
            "marketing",
        },
        "history": {"marts", "identity"},
        "marketing": {
            "unified",
            "identity",
            "finance",
            "commerce",
            "marketing",
            "marts",
            "reference",
        },
        "marts": {
            "unified",
            "identity",
            "survey",
            "finance",
            "commerce",
            "journey",
            "service",
            "marketing",
            "kpis",
            "history",
            "marts",
            "reference",
        },
        "quality": {
            "staging",
            "unified",
            "identity",
            "survey",
            "service",
            "commerce",
            "journey",
            "marts",
            "quality",
        },
    }
    broken = []
    for model in models(manifest):
        for parent in model["depends_on"]["nodes"]:
            layer = manifest["nodes"][parent]["schema"]
            if layer not in allowed[model["schema"]]:
                broken.append(f"{model['name']} ({model['schema']}) reads {parent}")
    assert broken == []


def test_every_model_and_every_published_column_is_described(manifest: dict[str, Any]) -> None:
    silent = [
        m["name"] for m in models(manifest) if m["schema"] != "staging" and not m["description"]
    ]
    silent += [
        f"{m['name']}.{c['name']}"
        for m in models(manifest)
        for c in m["columns"].values()
        if not c["description"]
    ]
    assert silent == []


def test_marts_and_concepts_have_contracts(manifest: dict[str, Any]) -> None:
    loose = [
        m["name"]
        for m in models(manifest)
        if m["schema"] in ("marts", "unified") and not m["config"]["contract"]["enforced"]
    ]
    assert loose == []


def test_no_model_asks_the_clock() -> None:
    clock = re.compile(
        r"\b(current_date|current_timestamp|now\(\)|get_current_time|today\(\))", re.I
    )
    asking = [p.name for p in DBT_PROJECT_DIR.rglob("*.sql") if clock.search(p.read_text())]
    assert asking == []


def test_every_action_has_a_stage() -> None:
    with (DBT_PROJECT_DIR / "seeds" / "journey_actions.csv").open(newline="") as handle:
        for action in csv.DictReader(handle):
            assert {action["stage"], action["stage_of_repeat_customer"]} <= set(STAGES), action
