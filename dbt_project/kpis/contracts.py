"""What a KPI contract says, and whether the project can keep it."""

import difflib
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import duckdb
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

FOLDER = Path(__file__).parent
MODELS = FOLDER.parent / "models"

Unit = Literal[
    "count", "people", "share", "points", "hours", "days", "currency", "ratio", "index"
]  # fmt: skip
Stage = Literal["awareness", "consideration", "decision", "service", "loyalty"]
Level = Literal["none", "customer", "household", "account"]
Better = Literal["higher", "lower", "neither"]
Interval = Literal["none", "wilson", "mean", "net score", "own"]
STAGES: tuple[str, ...] = get_args(Stage)
COMPUTED_COLUMNS = (
    "kpi_id", "period_grain", "period_start", "dimension", "dimension_value",
    "value", "numerator", "denominator", "n", "ci_low", "ci_high",
)  # fmt: skip


def _plain_sql(written: Any) -> str:
    """dbt's metrics take no Jinja, and a comment would swallow what is written behind it."""
    sql = str(written).strip()
    if not sql or any(mark in sql for mark in ("{{", "{%", "--", ";")):
        raise ValueError(f"{sql!r} is not plain SQL without Jinja and comments; put it in a model")
    return sql


Sql = Annotated[str, BeforeValidator(_plain_sql)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
Relation = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Need = Annotated[
    str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+(=[a-z]+)?(\|[a-z_]+\.[a-z0-9_]+(=[a-z]+)?)*$")
]
FIXES = {
    "vectors": "give at least one known answer, or where one is tested",
    "source": "cite the definition as 'definitions: <heading>'",
    "requires": "write concept.field, concept.field=kind, or options with |",
    "id": "use lower case words joined by _",
}


class ContractError(ValueError):
    """Contracts that are wrong, one problem a line: file, KPI, field, fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Observed(_Part):
    """A KPI that adds up a value over rows; internal people are left out for it."""

    model: Relation = Field(alias="from", description="Mart or intermediate that has the rows.")
    day: Relation = Field(description="Column with the day, in the company's zone.")
    value: Sql = Field(description="What is added up.")
    where: Sql | None = Field(None, description="Which rows count; those without value never do.")
    customer: Relation | None = Field(
        "customer_id", description="Column with the customer; null where rows have none."
    )


class Computed(_Part):
    """A KPI whose figures a model makes, all periods and dimensions."""

    model: Relation = Field(alias="from", description="Model with the columns of computed figures.")
    dimension: Relation = Field("all", description="The dimension by which the KPI is stated.")
    period: Literal["month", "all"] = Field("month", description="The period it is stated for.")
    customers: Relation | None = Field(
        None, description="Model with what each customer adds in a month, where figures add up."
    )


class IntervalVector(_Part):
    """A known interval, checked against the macros of `statistics.sql`."""

    kind: Literal["interval"]
    total: float
    n: int
    squares: float | None = None  # of a share it is the total
    value: float | None = None
    ci_low: float
    ci_high: float
    tolerance: float = 0.0006  # the vectors of the definitions have three digits
    method: Literal["wilson", "mean", "net score"] | None = None  # where the contract says `own`


class RowsVector(_Part):
    """Rows by hand and what the contract's own SQL has to make of them."""

    kind: Literal["rows"]
    columns: list[Relation] = Field(min_length=1)
    rows: list[list[bool | int | float | str | None]] = Field(min_length=2)
    value: float

    @model_validator(mode="after")
    def _has_a_cell_per_column(self) -> "RowsVector":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"rows need as many cells as there are columns: {len(self.columns)}")
        return self


def _kind(vector: Any) -> str:
    if isinstance(vector, dict):
        return str(vector.get("kind"))
    return getattr(vector, "kind", "text")


Vector = Annotated[
    Annotated[IntervalVector, Tag("interval")]
    | Annotated[RowsVector, Tag("rows")]
    | Annotated[str, Tag("text")],
    Discriminator(_kind),
]


class KpiContract(_Part):
    """One KPI: what it means, what it is made of, who answers for it, how it is known right."""

    id: Name
    version: int = Field(ge=1)
    name: str = Field(min_length=2)
    unit: Unit
    stage: Stage
    owner_team: str = Field(min_length=2)
    level: Level
    better: Better
    headline: bool = False  # one of the few that a report compares; chance alone moves some of many
    formula: str = Field(min_length=10)
    source: str = Field(pattern=r"^definitions: \S")
    requires: list[Need] = Field(min_length=1)
    interval: Interval
    observed: Observed | None = None
    computed: Computed | None = None
    vectors: list[Vector] = Field(min_length=1)
    area: str = Field(exclude=True)

    @model_validator(mode="after")
    def _is_observed_or_computed(self) -> "KpiContract":
        if (self.observed is None) == (self.computed is None):
            raise ValueError("has to be either `observed` or `computed`; keep one of the two")
        if self.observed and self.interval == "own":
            raise ValueError(
                "interval `own` is for `computed`; use none, wilson, mean or net score"
            )
        for vector in self.interval_vectors:
            if (vector.method or self.interval) in ("none", "own"):
                raise ValueError(
                    f"a vector of kind interval has no meaning with interval `{self.interval}`;"
                    " change the interval, or name the vector's `method`"
                )
        if len(self.interval_vectors) == len(self.vectors):
            raise ValueError(
                "vectors of kind interval test the macros that all share; give one of this KPI too:"
                " rows by hand, or where a test of it is"
            )
        if self.computed and any(isinstance(v, RowsVector) for v in self.vectors):
            raise ValueError("vectors of kind rows are for `observed`; name a test of the model")
        return self

    @property
    def is_ratio(self) -> bool:
        """Whether the total is divided by the number of observations."""
        return self.interval != "none"

    @property
    def is_additive(self) -> bool:
        """Whether it is a sum, which is 0 where there was nothing to add."""
        return (
            self.observed is not None
            and not self.is_ratio
            and self.unit in ("count", "people", "currency")
        )

    @property
    def parent(self) -> str:
        """The model its figures come from."""
        part = self.observed or self.computed
        assert part is not None
        return part.model

    @property
    def adds_up_customers(self) -> bool:
        """Whether it is known what each customer adds to it, which tells changes of identity."""
        if self.computed:
            return self.computed.customers is not None
        return self.level != "none" and self.observed is not None and bool(self.observed.customer)

    @property
    def interval_vectors(self) -> list[IntervalVector]:
        return [v for v in self.vectors if isinstance(v, IntervalVector)]

    @property
    def definition_hash(self) -> str:
        """Of what the contract says the KPI is, and the SQL that makes it: it tells redefinitions.

        What lies below that model is not in it: nearly all of it is below every KPI.
        """
        said: dict[str, Any] = self.model_dump(
            exclude_defaults=True, include={"unit", "level", "interval", "observed", "computed"}
        )
        said["formula"] = " ".join(self.formula.split())
        if self.computed and (path := _model_file(self.computed.model)):
            said["sql"] = sql_in_full(path.read_text(encoding="utf-8"), _macros())
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def load_contracts(folder: Path = FOLDER, *, check_sql: bool = True) -> list[KpiContract]:
    """All contracts, by stage of the journey, file and place in it.

    Args:
        check_sql: also bind their SQL to the columns that the models promise.

    Raises:
        ContractError: naming file, KPI, field and fix of every problem found.
    """
    contracts: list[KpiContract] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = content.get("kpis") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            problems.append(f"{path.name}: has no list `kpis`; start the file with `kpis:`")
            continue
        for number, entry in enumerate(entries, 1):
            name = entry.get("id") if isinstance(entry, dict) else None
            place = f"{path.name}: {name or f'KPI number {number}'}"
            try:
                contracts.append(KpiContract.model_validate({**entry, "area": path.stem}))
            except ValidationError as error:
                problems += [f"{place}: {_complaint(e)}" for e in error.errors()]
            except TypeError:
                problems.append(f"{place}: is not a mapping; write `- id: ...`")
    first: dict[str, str] = {}
    for contract in contracts:
        if contract.id in first:
            problems.append(
                f"{contract.area}.yml: {contract.id}: id: is taken by {first[contract.id]}.yml;"
                " give one of them another"
            )
        first.setdefault(contract.id, contract.area)
        problems += _unkept(contract, check_sql=check_sql)
    if problems:
        raise ContractError(problems)
    return sorted(contracts, key=lambda c: STAGES.index(c.stage))


def _complaint(error: Any) -> str:
    """A validation error in words, with the fix."""
    place = [str(p) for p in error["loc"]]
    field = ".".join(place) or "contract"
    given = error.get("input")
    kind = error["type"]
    if kind == "missing":
        said = "is missing; add it"
    elif kind == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {
            "observed": Observed, "computed": Computed,
            "interval": IntervalVector, "rows": RowsVector,
        }  # fmt: skip
        part = place[2] if place[0] == "vectors" else place[0]
        known = parts.get(part, KpiContract) if len(place) > 1 else KpiContract
        names = [f.alias or n for n, f in known.model_fields.items() if n != "area"]
        said = f"is not a field here; {_nearest(place[-1], names)}"
    elif kind == "literal_error":
        names = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        said = f"{given!r} is not known; {_nearest(str(given), names)}"
    elif kind == "value_error":
        said = str(error["ctx"]["error"])
    else:
        said = f"{given!r}: {error['msg'].lower()}"
    fix = FIXES.get(place[0]) if place and kind not in ("missing", "value_error") else None
    if place[:1] == ["vectors"] and len(place) > 1:
        fix = "write text, or a mapping of kind interval or rows" if "tag" in kind else None
    return f"{field}: {said}" + (f"; {fix}" if fix else "")


def _nearest(given: str, names: list[str]) -> str:
    close = difflib.get_close_matches(given.lower(), names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(names)}"


def _unkept(contract: KpiContract, *, check_sql: bool) -> list[str]:
    """What the contract asks of models that they do not have."""
    place = f"{contract.area}.yml: {contract.id}"
    part = "observed" if contract.observed else "computed"
    if _model_file(contract.parent) is None:
        names = sorted(_model_files())
        return [f"{place}: {part}.from: no model {contract.parent!r}; "
                f"{_nearest(contract.parent, names)}"]  # fmt: skip
    customers = contract.computed.customers if contract.computed else None
    if customers and _model_file(customers) is None:
        return [f"{place}: computed.customers: no model {customers!r};"
                f" {_nearest(customers, sorted(_model_files()))}"]  # fmt: skip
    columns = typed_columns().get(contract.parent)
    if contract.observed is None or columns is None or not check_sql:
        return []
    rows = contract.observed
    asked = {
        "observed.from": "source",
        "observed.customer": rows.customer or "null",
        "observed.day": f"cast({rows.day} as date)",
        "observed.value": f"cast({rows.value} as decimal(38, 4))",
        "observed.where": f"cast(({rows.where or 'true'}) as boolean)",
    }
    problems = []
    body = ", ".join(f'"{name}" {data_type}' for name, data_type in columns.items())
    with duckdb.connect() as connection:
        connection.execute(f"create table rows ({body})")
        for field, expression in asked.items():
            try:
                connection.execute(f"select {expression} from rows")
            except duckdb.Error as error:
                said = str(error).splitlines()[0]
                problems.append(
                    f"{place}: {field}: {expression!r} does not fit {contract.parent}: {said};"
                    f" its columns are {', '.join(columns)}"
                )
    return problems


def sql_in_full(sql: str, macros: dict[str, str]) -> str:
    """SQL without comments and layout, behind it the macros that it calls, and those they call."""

    def plain(text: str) -> str:
        return " ".join(re.sub(r"\{#.*?#\}|--[^\n]*", " ", text, flags=re.DOTALL).split())

    parts, called = [plain(sql)], set[str]()
    for part in parts:  # it grows
        new = set(re.findall(r"\b(\w+)\(", part)) & set(macros) - called
        called |= new
        parts += [plain(macros[name]) for name in sorted(new)]
    return "\n".join(parts)


@cache
def _macros() -> dict[str, str]:
    """Text of each macro of the project."""
    pattern = r"(\{%-?\s*macro\s+(\w+).*?\{%-?\s*endmacro)"
    return {
        name: text
        for path in sorted((FOLDER.parent / "macros").glob("*.sql"))
        for text, name in re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL)
    }


def _model_file(model: str) -> Path | None:
    return _model_files().get(model)


@cache
def _model_files() -> dict[str, Path]:
    return {p.stem: p for suffix in ("sql", "py") for p in MODELS.rglob(f"*.{suffix}")}


@cache
def typed_columns() -> dict[str, dict[str, str]]:
    """Columns with their types, of models that promise both."""
    found = {}
    for path in MODELS.rglob("*.yml"):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), loader) or {}
        for model in content.get("models", []):
            columns = model.get("columns", [])
            if columns and all("data_type" in column for column in columns):
                found[model["name"]] = {c["name"]: c["data_type"] for c in columns}
    return found
