"""Contracts of KPIs: what is wrong with one is said, and what follows from them is up to date."""

import csv
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dbt_project.kpis import ContractError, KpiContract, load_contracts
from dbt_project.kpis.artefacts import artefacts
from dbt_project.kpis.contracts import (
    FOLDER,
    MODELS,
    RowsVector,
    sql_in_full,
    typed_columns,
)
from ingestion.concepts import load_concepts

REPOSITORY = Path(__file__).parents[2]
DEFINITIONS = REPOSITORY.parent / "shared" / "definitions.md"
GOOD: dict[str, Any] = {
    "id": "valid_orders",
    "version": 1,
    "name": "Valid orders",
    "unit": "count",
    "stage": "decision",
    "owner_team": "sales",
    "level": "none",
    "better": "higher",
    "formula": "Orders that were not canceled.",
    "source": "definitions: Commerce",
    "requires": ["order.order_id"],
    "interval": "none",
    "observed": {"from": "fct_orders", "day": "ordered_on", "value": 1, "where": "is_valid"},
    "vectors": ["unit test: fct_orders, some"],
}
ROWS = GOOD["observed"]
COMPUTED = {"from": "int_kpis__retention"}


@pytest.fixture(scope="module")
def contracts() -> list[KpiContract]:
    return load_contracts()


def test_what_is_written_out_of_the_contracts_is_up_to_date(contracts: list[KpiContract]) -> None:
    stale = [
        path.relative_to(REPOSITORY).as_posix()
        for path, text in artefacts(contracts).items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make kpis`"


def loaded(folder: Path, *kpis: dict[str, Any]) -> list[KpiContract]:
    text = yaml.safe_dump({"kpis": list(kpis)}, sort_keys=False)
    (folder / "sales.yml").write_text(text, encoding="utf-8")
    return load_contracts(folder)


def test_a_good_contract_loads(tmp_path: Path) -> None:
    [contract] = loaded(tmp_path, GOOD)
    assert contract.parent == "fct_orders" and not contract.is_ratio


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": "hour"}, "unit: 'hour' is not known; did you mean 'hours'?"),
        ({"stage": "sales"}, "stage: 'sales' is not known; use one of awareness, consideration"),
        ({"interval": "wald"}, "interval: 'wald' is not known; use one of none, wilson, mean"),
        ({"owner_team": None}, "owner_team: None: input should be a valid string"),
        ({"source": "Bain"}, "cite the definition as 'definitions: <heading>'"),
        ({"vectors": []}, "give at least one known answer"),
        ({"requires": ["orders"]}, "write concept.field"),
        ({"observed": None}, "has to be either `observed` or `computed`"),
        ({"computed": COMPUTED}, "has to be either `observed` or `computed`"),
        ({"observed": None, "computed": COMPUTED | {"grain": "day"}},
         "computed.grain: is not a field here; use one of from"),
        ({"observed": ROWS | {"form": 1}},
         "observed.form: is not a field here; did you mean 'from'?"),
        ({"observed": ROWS | {"from": "fct_order"}},
         "observed.from: no model 'fct_order'; did you mean 'fct_orders'?"),
        ({"observed": ROWS | {"day": "order_day"}},
         "observed.day: 'cast(order_day as date)' does not fit fct_orders: Binder Error"),
        ({"observed": ROWS | {"where": "status = 1 and"}}, "observed.where: "),
        ({"observed": ROWS | {"value": "{{ price }}"}}, "is not plain SQL"),
        ({"observed": ROWS | {"value": "revenu"}}, "its columns are"),
        ({"interval": "own"}, "interval `own` is for `computed`"),
        ({"vectors": [{"kind": "interval", "total": 1, "n": 2, "ci_low": 0, "ci_high": 1}]},
         "has no meaning with interval `none`"),
        ({"vectors": [{"kind": "interval", "totl": 42}]},
         "vectors.0.interval.totl: is not a field here; did you mean 'total'?"),
        ({"vectors": [{"kind": "intervals", "total": 42}]}, "a mapping of kind interval or rows"),
        ({"vectors": [{"total": 42}]}, "a mapping of kind interval or rows"),
        ({"vectors": [{"kind": "rows", "columns": ["is_valid"], "rows": [[1], [1, 2]],
                       "value": 1}]}, "rows need as many cells as there are columns"),
        ({"interval": "wilson",
          "vectors": [{"kind": "interval", "total": 1, "n": 2, "ci_low": 0, "ci_high": 1}]},
         "give one of this KPI too"),
        ({"colour": "red"}, "colour: is not a field here"),
    ],
)  # fmt: skip
def test_a_wrong_contract_is_refused_by_file_kpi_field_and_fix(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ContractError) as caught:
        loaded(tmp_path, GOOD | change)
    assert str(caught.value).startswith("sales.yml: valid_orders: ")
    assert said in str(caught.value)


def test_a_missing_field_and_a_second_kpi_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"^sales\.yml: valid_orders: unit: is missing; add"):
        loaded(tmp_path, {k: v for k, v in GOOD.items() if k != "unit"})
    with pytest.raises(ContractError, match="is taken by sales"):
        loaded(tmp_path, GOOD, GOOD)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ContractError) as caught:
        loaded(tmp_path, GOOD | {"unit": "euro", "stage": "sale"}, GOOD | {"level": "person"})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("change", [
    {"unit": "people"}, {"level": "customer"}, {"formula": "Orders that were paid."},
    {"observed": ROWS | {"where": "is_paid"}}, {"observed": None, "computed": COMPUTED},
])  # fmt: skip
def test_another_definition_has_another_hash(change: dict[str, Any]) -> None:
    known = KpiContract.model_validate(GOOD | {"area": "sales"})
    other = KpiContract.model_validate(GOOD | {"area": "sales"} | change)
    assert other.definition_hash != known.definition_hash


@pytest.mark.parametrize("change", [
    {"name": "Orders, valid"}, {"owner_team": "shop"}, {"better": "neither"},
    {"formula": "Orders that\n  were not canceled."}, {"vectors": ["unit test: fct_orders, other"]},
])  # fmt: skip
def test_what_is_no_definition_is_not_in_the_hash(change: dict[str, Any]) -> None:
    known = KpiContract.model_validate(GOOD | {"area": "sales"})
    other = KpiContract.model_validate(GOOD | {"area": "sales"} | change)
    assert other.definition_hash == known.definition_hash


def test_sql_in_full_has_the_macros_it_calls_and_no_comments() -> None:
    macros = {
        "wilson": "{% macro wilson(n) %}{{ z() }} * {{ n }}{% endmacro %}",
        "z": "{% macro z() %}1.96{% endmacro %}",
        "median": "{% macro median() %}0.5{% endmacro %}",
    }
    sql = "{#- shares -#}\nselect -- all\n    {{ wilson('n') }}\nfrom orders"
    assert sql_in_full(sql, macros) == sql_in_full("select {{ wilson('n') }} from orders", macros)
    for name in ("wilson", "z"):
        other = macros | {name: macros[name].replace("%}", "%}2 * ", 1)}
        assert sql_in_full(sql, other) != sql_in_full(sql, macros)
    assert "0.5" not in sql_in_full(sql, macros)


def test_kpis_need_fields_that_concepts_have(contracts: list[KpiContract]) -> None:
    concepts = load_concepts()
    unknown = []
    for contract in contracts:
        for need in contract.requires:
            for option in need.split("|"):
                concept, _, field = option.partition("=")[0].partition(".")
                if concept not in concepts or field not in concepts[concept].fields:
                    unknown.append(f"{contract.id}: {option}")
    assert unknown == []


def test_vectors_that_name_a_unit_test_or_a_file_name_one_that_is(
    contracts: list[KpiContract],
) -> None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one that dbt reads with
    unit_tests = set()
    for path in MODELS.rglob("*.yml"):
        content = yaml.load(path.read_text(encoding="utf-8"), loader) or {}
        unit_tests |= {(test["model"], test["name"]) for test in content.get("unit_tests", [])}
    broken = []
    for contract in contracts:
        for vector in (v for v in contract.vectors if isinstance(v, str)):
            kind, _, rest = vector.partition(": ")
            if kind == "unit test":
                model, _, name = rest.partition(", ")
                if (model, name) not in unit_tests:
                    broken.append(f"{contract.id}: no unit test {name!r} of {model!r}")
            elif kind == "test" and not (REPOSITORY / re.split("::|, ", rest)[0]).exists():
                broken.append(f"{contract.id}: no file {rest}")
    assert broken == [], broken


def test_rows_by_hand_give_the_value_that_the_contract_says(contracts: list[KpiContract]) -> None:
    """The contract's own `value` and `where`, on rows of the types that the model promises."""
    found = {}
    for contract in contracts:
        rows = contract.observed
        types = typed_columns().get(contract.parent, {})
        for number, vector in enumerate(contract.vectors):
            if not isinstance(vector, RowsVector) or rows is None:
                continue
            columns = ", ".join(f"column{i} as {c}" if c not in types
                                else f"cast(column{i} as {types[c]}) as {c}"
                                for i, c in enumerate(vector.columns))  # fmt: skip
            marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in vector.rows)
            [(total, weight)] = duckdb.execute(
                f"with given as (select {columns} from (values {marks}) as t"
                f"({', '.join(f'column{i}' for i in range(len(vector.columns)))}))"
                f" select sum({rows.value}), count({rows.value}) from given"
                f" where {rows.where or 'true'}",
                [cell for row in vector.rows for cell in row],
            ).fetchall()
            value = float(total) / (weight if contract.is_ratio else 1)
            scale = 100 if contract.interval == "net score" else 1
            found[contract.id, number] = (scale * value, pytest.approx(vector.value))
    assert found
    assert {key: made for key, (made, said) in found.items() if made != said} == {}


def test_every_kpi_is_known_right_by_a_test_of_its_own(contracts: list[KpiContract]) -> None:
    """Not by the intervals that all share alone: a file that is cited has to speak of the KPI."""
    files = {path.stem: path for path in (MODELS.parent / "tests").rglob("*.sql")}
    unproven = []
    for contract in contracts:
        for vector in contract.vectors:
            kind, _, rest = vector.partition(": ") if isinstance(vector, str) else ("", "", "")
            if isinstance(vector, RowsVector) or kind == "unit test":
                break
            cited = REPOSITORY / re.split("::|, ", rest)[0] if kind == "test" else files.get(rest)
            if cited and cited.is_file():
                text = cited.read_text(encoding="utf-8")
                if re.search(rf"\b({contract.id}|{contract.parent})\b", text):
                    break
        else:
            unproven.append(f"{contract.area}: {contract.id}")
    assert unproven == []


def test_every_contract_file_is_an_area_of_its_own(contracts: list[KpiContract]) -> None:
    files = {path.stem for path in FOLDER.glob("*.yml")}
    assert {c.area for c in contracts} == files
    with (REPOSITORY / "dbt_project" / "seeds" / "kpis.csv").open(newline="") as handle:
        assert [row["kpi_id"] for row in csv.DictReader(handle)] == [c.id for c in contracts]


# Headings of the definitions that are no figure of the company, and where the warehouse has them.
NOT_KPIS = {
    "RFM": "a segment of each customer",
    "BG/NBD + Gamma-Gamma": "a prediction per customer",
    "Sentiment index": "nothing labels texts yet; its correction is a tested macro",
}


def headings() -> list[str]:
    """What the definitions define: bold words that begin a line, first cells of tables."""
    text = DEFINITIONS.read_text(encoding="utf-8").partition("# The journey map")[0]
    bold = re.findall(r"^\*\*([^*]+)\*\*", text, re.M)
    cells = re.findall(r"^\| ([^|]+?) \|", text, re.M)
    return [h for h in bold + cells if h not in ("KPI", "---")]


@pytest.mark.skipif(not DEFINITIONS.exists(), reason="the definitions are not beside this checkout")
def test_every_definition_is_cited_by_a_kpi(contracts: list[KpiContract]) -> None:
    cited = " | ".join(contract.source for contract in contracts)
    uncited = [
        heading
        for heading in headings()
        if heading not in NOT_KPIS
        and not any(
            re.search(rf"(?<![\w:]){re.escape(part.strip())}(?![\w:])", cited, re.I)
            for part in re.split(r"[/,(]", heading)
        )
    ]
    assert uncited == [], uncited
