"""The mapping of a company's export files to the concepts: its schema, its checks, its errors."""

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ingestion.concepts import Concept, load_concepts
from ingestion.concepts import Field as ConceptField
from ingestion.errors import MappingError
from ingestion.exports.expressions import (
    Expression,
    column_sql,
    constant_sql,
    parse_expression,
)


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


def _as_list(value: Any) -> Any:
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldOf(_Strict):
    """A field with more to say than an expression."""

    value: str = Field(description="The expression.")
    of: Name | None = Field(
        None, description="For an id of something in another source: the name of that source."
    )


class Record(_Strict):
    """What one row of a file says about one concept."""

    concept: str = Field(description="Name of the concept, such as `order`.")
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


class FileMapping(_Strict):
    """One table of the lake, and the file or files that fill it."""

    path: str = Field(description="File, or pattern with * and ?, below the folder.")
    format: Literal["csv", "ndjson", "parquet"] | None = Field(
        None, description="Read off the file's name where it is not given."
    )
    key: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        min_length=1, description="Column or columns that identify a row."
    )
    cursor: str | None = Field(
        None, description="Column that says which version of a key is newer; else the later file."
    )
    encoding: str | None = Field(None, description="Of a CSV or NDJSON file; UTF-8 if not given.")
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    decimal_comma: bool = Field(False, description="Numbers are written 1.234,50.")
    timestamp_format: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        description="strptime format, or formats tried in turn, of dates that are not ISO 8601.",
    )
    timezone: TimeZone | None = None
    currency: Currency | None = None
    optional: bool = Field(False, description="The file may be absent.")
    records: list[Record] = Field(default_factory=list)
    # the short form for a file with one concept
    concept: str | None = None
    fields: dict[str, str | FieldOf] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    scale: tuple[float, float] | None = None
    distinct: bool = False

    @field_validator("path")
    @classmethod
    def _below_the_folder(cls, value: str) -> str:
        try:
            next(Path(__file__).glob(value), None)
        except (ValueError, NotImplementedError):
            raise ValueError(
                f"{value!r} is no path below the folder; set `folder` for files elsewhere"
            ) from None
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                "a".encode(value)
            except (LookupError, ValueError):
                close = nearest(value.lower(), _ENCODINGS)
                hint = f"; did you mean {close!r}?" if close else ""
                raise ValueError(f"unknown encoding {value!r}{hint}") from None
        return value

    @model_validator(mode="after")
    def _one_form(self) -> "FileMapping":
        if bool(self.records) == (self.concept is not None):
            raise ValueError("give either `concept` with `fields`, or `records`")
        return self

    def all_records(self) -> list[Record]:
        if self.records:
            return self.records
        assert self.concept is not None
        return [
            Record(
                concept=self.concept,
                fields=self.fields,
                constants=self.constants,
                scale=self.scale,
                distinct=self.distinct,
            )
        ]

    def file_format(self, path: str | None = None) -> str:
        if self.format:
            return self.format
        name = (path or self.path).lower().removesuffix(".gz")
        if name.endswith((".ndjson", ".jsonl", ".json")):
            return "ndjson"
        return "parquet" if name.endswith(".parquet") else "csv"


_ENCODINGS = ["utf-8", "windows-1252", "utf-16", "latin-1", "cp1252", "cp1251", "cp1250", "iso-8859-15", "koi8-r", "gb18030", "shift_jis", "mac_roman"]  # noqa: E501  # fmt: skip


class SourceMapping(_Strict):
    """One system whose exports are read."""

    folder: str | None = Field(None, description="Folder of the files; the mapping's by default.")
    timezone: TimeZone | None = None
    currency: Currency | None = None
    stale_after_days: float | None = Field(
        None, gt=0, description="Warn when the newest export is older than this."
    )
    files: dict[Name, FileMapping] = Field(min_length=1)


class Mapping(_Strict):
    """A company's export files and what is in them."""

    version: Literal[1]
    company: Name
    title: str | None = Field(None, description="The company's name in reports.")
    folder: str = Field(".", description="Folder of the files, relative to this mapping.")
    timezone: TimeZone = Field("UTC", description="Zone of timestamps that name none.")
    reporting_timezone: TimeZone | None = Field(
        None, description="Zone whose days and months the KPIs count; `timezone` by default."
    )
    reporting_currency: Currency = Field(description="Currency of all reported amounts.")
    exported_at: datetime | date | None = Field(
        None, description="When the exports were taken, where they are not fresh."
    )
    sources: dict[Name, SourceMapping] = Field(min_length=1)

    @property
    def name(self) -> str:
        return self.title or self.company.replace("_", " ").title()

    @property
    def exported_at_utc(self) -> datetime | None:
        moment = self.exported_at
        if moment is None:
            return None
        if not isinstance(moment, datetime):
            moment = datetime.combine(moment, time())
        zone = ZoneInfo(self.timezone)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

    def dataset(self, source: str) -> str:
        """Folder of a source in the lake: companies that share a lake do not mix."""
        return f"{self.company}_{source}"


class LoadedMapping:
    """A mapping that was checked against the concepts, with its expressions parsed."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self.path = path
        self.spec = mapping
        self.concepts = load_concepts()
        # (source, table, index of record) -> field -> expression
        self.expressions: dict[tuple[str, str, int], dict[str, Expression]] = {}
        for source, table, spec in self.tables():
            for index, record in enumerate(spec.all_records()):
                self.expressions[source, table, index] = self._check(source, table, spec, record)

    def tables(self) -> Iterable[tuple[str, str, FileMapping]]:
        for source, source_spec in self.spec.sources.items():
            for table, spec in source_spec.files.items():
                yield source, table, spec

    def folder(self, source: str) -> Path:
        base = self.path.parent / self.spec.folder
        own = self.spec.sources[source].folder
        return (base / own if own else base).resolve()

    def columns(self, source: str, table: str) -> list[str]:
        """Columns of a file that the mapping uses, each once, in order of first use."""
        spec = self.spec.sources[source].files[table]
        used = dict.fromkeys([*spec.key, *([spec.cursor] if spec.cursor else [])])
        for index in range(len(spec.all_records())):
            for expression in self.expressions[source, table, index].values():
                used.update(dict.fromkeys(expression.columns))
        return list(used)

    def _check(
        self, source: str, table: str, spec: FileMapping, record: Record
    ) -> dict[str, Expression]:
        where = f"{self.path.name}: sources.{source}.files.{table}"
        concept = self.concepts.get(record.concept)
        if concept is None:
            raise MappingError(
                f"{where}: no concept {record.concept!r}{_nearest(record.concept, self.concepts)}"
            )
        expressions: dict[str, Expression] = {}
        for name in record.constants.keys() & record.fields.keys():
            raise MappingError(f"{where}.{name}: is both under `fields` and under `constants`")
        if record.scale and record.scale[0] >= record.scale[1]:
            raise MappingError(f"{where}.scale: the lowest answer comes first, as in [1, 5]")
        scale = dict(zip(("scale_min", "scale_max"), record.scale or (), strict=False))
        for name, constant in {**record.constants, **scale}.items():
            self._check_constant(self._known_field(name, concept, where), constant, where)
            expressions[name] = constant_sql(constant, decimal_comma=spec.decimal_comma)
        for name, value in record.fields.items():
            target = self._known_field(name, concept, where)
            text = value.value if isinstance(value, FieldOf) else value
            if isinstance(value, FieldOf) and value.of is not None:
                if "reference" not in target.meta:
                    raise MappingError(f"{where}.{name}: `of` is for ids of other records only")
                if value.of not in self.spec.sources:
                    raise MappingError(
                        f"{where}.{name}: no source {value.of!r}"
                        f"{_nearest(value.of, self.spec.sources)}"
                    )
            plain = re.fullmatch(r"\w+", text) is not None
            expressions[name] = (
                column_sql(text)
                if plain
                else parse_expression(text, f"{where}.{name}", decimal_comma=spec.decimal_comma)
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
        return expressions

    def _check_constant(self, target: ConceptField, value: Any, where: str) -> None:
        if isinstance(value, bool) and target.data_type != "boolean":
            raise MappingError(
                f"{where}.{target.name}: YAML reads yes, no, on, off, true and false as a truth "
                "value; put the text in quotes"
            )
        accepted = target.meta.get("accepted")
        if accepted and str(value).lower() not in accepted:
            raise MappingError(
                f"{where}.{target.name}: {value!r} is not one of {', '.join(accepted)}"
            )

    def _known_field(self, name: str, concept: Concept, where: str) -> ConceptField:
        if name not in concept.fields:
            raise MappingError(
                f"{where}: concept {concept.name!r} has no field {name!r}"
                f"{_nearest(name, concept.fields)}"
            )
        return concept.fields[name]


class _Loader(yaml.SafeLoader):
    """YAML in which a name given twice is an error; the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_mapping(path: Path) -> LoadedMapping:
    """Read and check a mapping file.

    Raises:
        MappingError: naming the file, the place in it and, where there is one, the nearest
            right name. Nothing has been loaded then.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except FileNotFoundError:
        raise MappingError(f"no mapping file {path}") from None
    except OSError as error:
        raise MappingError(f"{path.name} cannot be read: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"{path.name} is not valid YAML: {error}") from None
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as error:
        raise MappingError(_explain(path, error)) from None
    return LoadedMapping(path, mapping)


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The most similar name, if one is similar at all."""
    close = difflib.get_close_matches(name, list(candidates), 1, 0.5)
    return close[0] if close else None


def _nearest(name: str, candidates: Iterable[str]) -> str:
    close = nearest(name, candidates)
    return f"; did you mean {close!r}?" if close else f"; there are {', '.join(candidates)}"


def _explain(path: Path, error: ValidationError) -> str:
    lines: dict[str, str] = {}  # of a value that may be of several kinds, what is said first
    for problem in error.errors():
        *parents, last = [str(p) for p in problem["loc"] if p != "[key]"] or [""]
        # where a field may be a text or a `FieldOf`, pydantic names the form it tried after it
        of_field = len(parents) > 1 and parents[-2] == "fields" and last == "str"
        if of_field and isinstance(problem["input"], dict):
            continue
        place = [p for p in [*parents, last] if p not in ("str", "int", "float", "bool", "FieldOf")]
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = _settings_at(place[:-1])
            text = f"unknown setting{_nearest(place[-1], known)}"
        lines.setdefault(".".join(place) or "the file", text)
    return f"{path.name} is not a valid mapping:" + "".join(
        f"\n  {place}: {text}" for place, text in lines.items()
    )


def _settings_at(place: list[str]) -> list[str]:
    form: type[BaseModel] = FileMapping
    if not place:
        form = Mapping
    elif len(place) == 2:
        form = SourceMapping
    elif place[-2] == "fields":
        form = FieldOf
    elif place[-2] == "records":
        form = Record
    return list(form.model_fields)
