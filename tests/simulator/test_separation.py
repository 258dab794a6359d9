"""The pipeline knows nothing of the simulator, and the truth nothing of either."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIMULATOR = "ingestion.simulator"
WIRING = {  # the command line, and a company whose configuration says that it is simulated
    "orchestration/cli.py": "ingestion.simulator.cli",
    "orchestration/simulation.py": "ingestion.simulator.connection",
}
PROJECT = ("ingestion", "orchestration", "expectations", "dbt_project", "tests")


def pipeline() -> list[Path]:
    files = [*(ROOT / "ingestion").glob("*.py")]
    for folder in ("ingestion/sources", "ingestion/exports", "orchestration", "expectations"):
        files += (ROOT / folder).rglob("*.py")
    files += [p for p in (ROOT / "dbt_project").rglob("*.py") if "target" not in p.parts]
    return sorted(files)


def imports(source: str, package: str = "") -> set[str]:
    """Every module a file may import, wherever in it, with names imported from packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, node.module or ""]) if node.level else node.module or ""
            base = base.strip(".")
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return found


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def reaches(names: set[str], package: str) -> set[str]:
    return {n for n in names if n == package or n.startswith(f"{package}.")}


@pytest.mark.parametrize("path", pipeline(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pipeline_code_imports_the_simulator(path: Path) -> None:
    found = reaches(imports(path.read_text(encoding="utf-8"), package_of(path)), SIMULATOR)
    if allowed := WIRING.get(str(path.relative_to(ROOT))):
        found -= {SIMULATOR, *reaches(found, allowed)}
    assert not found, f"{path} imports {sorted(found)}"


def test_the_truth_imports_nothing_of_the_project_but_the_world() -> None:
    path = ROOT / "ingestion/simulator/truth.py"
    names = imports(path.read_text(encoding="utf-8"), package_of(path))
    own = set().union(*(reaches(names, p) for p in PROJECT))
    assert own and not own - reaches(own, f"{SIMULATOR}.world"), own


def test_the_world_imports_nothing_of_the_project() -> None:
    path = ROOT / "ingestion/simulator/world.py"
    names = imports(path.read_text(encoding="utf-8"), package_of(path))
    assert not set().union(*(reaches(names, p) for p in PROJECT))


def test_no_vendor_reads_the_truth() -> None:
    for path in (ROOT / "ingestion/simulator").rglob("vendors/*.py"):
        names = imports(path.read_text(encoding="utf-8"), package_of(path))
        assert not reaches(names, f"{SIMULATOR}.truth"), path


def test_no_model_or_pipeline_text_reads_the_truth() -> None:
    """SQL cannot import, but it could read the files of the answers or of the world."""
    for path in (ROOT / "dbt_project").rglob("*.sql"):
        if "target" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "simulator" not in text and "world." not in text, path


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import ingestion.simulator.truth", ""),
        ("from ingestion.simulator import truth", ""),
        ("from ingestion import simulator", ""),
        ("def f():\n    from ingestion.simulator.world import open_world", ""),
        ("from .simulator import truth", "ingestion"),
        ("from ..simulator.world import TABLES", "ingestion.sources"),
        ("from .. import simulator", "ingestion.sources"),
        ("importlib.import_module('ingestion.simulator.truth')", ""),
    ],
)
def test_every_way_of_importing_is_seen(source: str, package: str) -> None:
    assert reaches(imports(source, package), SIMULATOR)
    assert not reaches(imports("from ingestion.simulators import x"), SIMULATOR)
