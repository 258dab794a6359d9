"""What the documents of one table say: the records in them, and the checks of their fields."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from ingestion.concepts import Concept
from ingestion.concepts import Field as ConceptField
from ingestion.errors import MappingError
from ingestion.exports.expressions import (
    PATH,
    Expression,
    column_sql,
    constant_sql,
    parse_expression,
)
from ingestion.exports.paths import Level, Place, locate, parse_each, shape_of, value_sql


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", value) or len(value) > 40:
        better = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_0123456789")[:40].strip("_")
        hint = f"; did you mean {better!r}?" if better else ""
        raise ValueError(
            f"{value!r} is no name: lower case letters, digits and single _, at most 40{hint}"
        )
    return value


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        better = value.strip().upper()
        hint = f"; did you mean {better!r}?" if re.fullmatch("[A-Z]{3}", better) else ""
        raise ValueError(f"{value!r} is no currency code; write it as in 'EUR'{hint}")
    return value


Name = Annotated[str, AfterValidator(_name)]
Currency = Annotated[str, AfterValidator(_currency)]


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except Exception:
        close = nearest(str(value), available_timezones())
        hint = f"; did you mean {close!r}?" if close else ""
        raise ValueError(
            f"{value!r} is no time zone; write it as in 'America/Sao_Paulo'{hint}"
        ) from None
    return value


TimeZone = Annotated[str, BeforeValidator(_timezone)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldOf(Strict):
    """A field with more to say than an expression."""

    value: str = Field(description="The expression.")
    of: str | None = Field(
        None,
        description="For an id of something in another source: its name, or `@` and its connector.",
    )


class Record(Strict):
    """What one document, or one element of a list in it, says about one concept."""

    concept: str = Field(description="Name of the concept, such as `order`.")
    each: str | None = Field(
        None, description="List in the document with one record per element: `lines[]`, `values{}`."
    )
    where: str | None = Field(None, description="Condition; what does not meet it feeds nothing.")
    fields: dict[str, str | FieldOf] = Field(
        default_factory=dict, description="Field of the concept: column or expression."
    )
    constants: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Field of the concept: the same value for every row."
    )
    scale: tuple[float, float] | None = Field(
        None, description="Lowest and highest answer of a rating; fills scale_min and scale_max."
    )
    distinct: bool = Field(
        False, description="Several rows may describe the same thing; the last one counts."
    )
    history: bool = Field(
        False,
        description="What an older version of a document said stays, such as a consent given then.",
    )


class TableMapping(Strict):
    """One table of the lake and what its documents say."""

    decimal_comma: bool = Field(False, description="Numbers are written 1.234,50.")
    timestamp_format: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="strptime format, or formats tried in turn, of dates that are not ISO 8601.",
    )
    timezone: TimeZone | None = None
    currency: Currency | None = None
    records: list[Record] = Field(default_factory=list)
    # the short form for a table with one concept
    concept: str | None = None
    each: str | None = None
    where: str | None = None
    fields: dict[str, str | FieldOf] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    scale: tuple[float, float] | None = None
    distinct: bool = False
    history: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> "TableMapping":
        if bool(self.records) == (self.concept is not None):
            raise ValueError("give either `concept` with `fields`, or `records`")
        return self

    def all_records(self) -> list[Record]:
        if self.records:
            return self.records
        assert self.concept is not None
        return [Record(**{name: getattr(self, name) for name in Record.model_fields})]


@dataclass(frozen=True)
class CheckedRecord:
    """A record whose names are known and whose expressions are parsed."""

    record: Record
    expressions: dict[str, Expression]  # field of the concept -> expression
    where: Expression | None
    levels: tuple[Level, ...]
    places: dict[str, Place]  # column of an expression -> where it stands

    def columns(self) -> dict[str, str]:
        """SQL of every column over what staging makes of the levels."""
        return {name: value_sql(place, self.levels) for name, place in self.places.items()}

    def shapes(self, where: str) -> list[str]:
        """What to take out of each level, from the document on."""
        places = list(self.places.values())
        return [shape_of(places, n, self.levels, where) for n in range(len(self.levels) + 1)]


def check_record(
    record: Record,
    concepts: Mapping[str, Concept],
    where: str,
    *,
    sources: Collection[str],
    decimal_comma: bool = False,
    nested: bool = True,
) -> CheckedRecord:
    """Check a record against its concept.

    Args:
        where: place in the file; it begins every message.
        sources: names that an `of` may use.
        nested: whether a dot in a name leads into a nested document.

    Raises:
        MappingError: naming the place, what is wrong and the nearest right name.
    """
    concept = concepts.get(record.concept)
    if concept is None:
        raise MappingError(
            f"{where}: no concept {record.concept!r}{nearest_hint(record.concept, concepts)}"
        )
    if record.each and not nested:
        raise MappingError(f"{where}.each: a CSV file has no lists; each row is one record")
    levels = parse_each(record.each, where) if record.each else ()
    expressions: dict[str, Expression] = {}
    for name in record.constants.keys() & record.fields.keys():
        raise MappingError(f"{where}.{name}: is both under `fields` and under `constants`")
    if record.scale and record.scale[0] >= record.scale[1]:
        raise MappingError(f"{where}.scale: the lowest answer comes first, as in [1, 5]")
    scale = dict(zip(("scale_min", "scale_max"), record.scale or (), strict=False))
    for name, constant in {**record.constants, **scale}.items():
        _check_constant(_known_field(name, concept, where), constant, where)
        expressions[name] = constant_sql(constant, decimal_comma=decimal_comma)
    for name, value in record.fields.items():
        target = _known_field(name, concept, where)
        text = value.value if isinstance(value, FieldOf) else value
        if isinstance(value, FieldOf) and value.of is not None:
            if "reference" not in target.meta:
                raise MappingError(f"{where}.{name}: `of` is for ids of other records only")
            if value.of not in sources:
                raise MappingError(
                    f"{where}.{name}: no source {value.of!r}{nearest_hint(value.of, sources)}"
                )
        plain = re.fullmatch(rf"\w+|{PATH}", text) is not None
        expressions[name] = (
            column_sql(text)
            if plain
            else parse_expression(text, f"{where}.{name}", decimal_comma=decimal_comma)
        )
    missing = [
        f.name
        for f in concept.fields.values()
        if f.required and f.name not in expressions and "default" not in f.meta
    ]
    if missing:
        raise MappingError(
            f"{where}: concept {concept.name!r} needs {', '.join(missing)}; "
            "add a column under `fields` or a value under `constants`"
        )
    condition = None
    if record.where:
        condition = parse_expression(
            record.where, f"{where}.where", decimal_comma=decimal_comma, condition=True
        )
    used = [*expressions.items(), *([("where", condition)] if condition else [])]
    places = {
        column: locate(column, levels, f"{where}.{name}") if nested else Place(0, (column,))
        for name, expression in used
        for column in expression.columns
    }
    checked = CheckedRecord(record, expressions, condition, levels, places)
    checked.shapes(where)
    return checked


def _check_constant(target: ConceptField, value: Any, where: str) -> None:
    if isinstance(value, bool) and target.data_type != "boolean":
        raise MappingError(
            f"{where}.{target.name}: YAML reads yes, no, on, off, true and false as a truth "
            "value; put the text in quotes"
        )
    accepted = target.meta.get("accepted")
    if accepted and str(value).lower() not in accepted:
        raise MappingError(f"{where}.{target.name}: {value!r} is not one of {', '.join(accepted)}")


def _known_field(name: str, concept: Concept, where: str) -> ConceptField:
    if name not in concept.fields:
        raise MappingError(
            f"{where}: concept {concept.name!r} has no field {name!r}"
            f"{nearest_hint(name, concept.fields)}"
        )
    return concept.fields[name]


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The most similar name, if one is similar at all."""
    close = difflib.get_close_matches(name, list(candidates), 1, 0.5)
    return close[0] if close else None


def nearest_hint(name: str, candidates: Iterable[str]) -> str:
    close = nearest(name, candidates)
    return f"; did you mean {close!r}?" if close else f"; there are {', '.join(candidates)}"
