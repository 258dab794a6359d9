"""The mapping of a company's sources to the concepts: its schema, its checks, its errors."""

import os
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ingestion.concepts import load_concepts
from ingestion.errors import MappingError
from ingestion.exports.expressions import Expression
from ingestion.exports.records import (
    CheckedRecord,
    Currency,
    FieldOf,
    Name,
    Strict,
    TableMapping,
    TimeZone,
    as_list,
    check_record,
    nearest,
    nearest_hint,
)
from ingestion.exports.vendor_mapping import (
    VENDORS_DIR,
    VendorMapping,
    load_vendor_mapping,
    merge_tables,
    vendors,
)
from ingestion.exports.yaml_files import read_yaml

__all__ = ["FieldOf", "FileMapping", "LoadedMapping", "Mapping", "load_mapping", "nearest"]


class FileMapping(TableMapping):
    """A table of the lake, and the file or files that fill it."""

    path: str = Field(description="File, or pattern with * and ?, below the folder.")
    format: Literal["csv", "ndjson", "parquet"] | None = Field(
        None, description="Read off the file's name where it is not given."
    )
    key: Annotated[list[str], BeforeValidator(as_list)] = Field(
        min_length=1, description="Column or columns that identify a row."
    )
    cursor: str | None = Field(
        None, description="Column that says which version of a key is newer; else the later file."
    )
    encoding: str | None = Field(None, description="Of a CSV or NDJSON file; UTF-8 if not given.")
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    optional: bool = Field(False, description="The file may be absent.")

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

    def file_format(self, path: str | None = None) -> str:
        if self.format:
            return self.format
        name = (path or self.path).lower().removesuffix(".gz")
        if name.endswith((".ndjson", ".jsonl", ".json")):
            return "ndjson"
        return "parquet" if name.endswith(".parquet") else "csv"


_ENCODINGS = ["utf-8", "windows-1252", "utf-16", "latin-1", "cp1252", "cp1251", "cp1250", "iso-8859-15", "koi8-r", "gb18030", "shift_jis", "mac_roman"]  # noqa: E501  # fmt: skip


class SourceMapping(Strict):
    """One system: a connector that asks its API, or the files it exports."""

    connector: Name | None = Field(None, description="Vendor whose API is asked.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Of the connector; credentials never stand here."
    )
    objects: list[Name] | None = Field(
        None, description="Objects of the connector to load; all of them by default."
    )
    tables: dict[Name, TableMapping] = Field(
        default_factory=dict,
        description="Fields to map beside those of the connector, such as custom ones.",
    )
    enabled: bool = Field(True, description="Whether it is loaded and built from.")
    folder: str | None = Field(None, description="Folder of the files; the mapping's by default.")
    timezone: TimeZone | None = None
    currency: Currency | None = None
    stale_after_days: float | None = Field(
        None, gt=0, description="Warn when the newest data is older than this."
    )
    files: dict[Name, FileMapping] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "SourceMapping":
        if bool(self.files) == (self.connector is not None):
            raise ValueError("give either `connector` or `files`")
        if self.files:
            wrong = [n for n in ("settings", "objects", "tables") if getattr(self, n)]
        else:
            wrong = ["folder"] if self.folder else []
        if wrong:
            kind = "a connector" if self.files else "files"
            raise ValueError(f"`{wrong[0]}` is a setting of a source with {kind}")
        return self


class Simulation(Strict):
    """The company does not exist: its story is made up, and its vendors are simulated."""

    customers: int = Field(5_000, ge=1, description="Real people by the end of the story.")
    seed: int = Field(7, description="Another seed is another story.")
    days: float = Field(730, gt=0, description="Length of the story when it is made.")


class Identity(Strict):
    """How much it takes for records to be one customer."""

    preset: Literal[
        "strict",
        "default",
        "loose",
        "score_alone",
        "email_exact_name_fuzzy",
        "postcode_exact_address_name_fuzzy",
    ] = Field("default", description="How pairs of records are judged; strict: identifiers alone.")
    one_account_in: list[Name] = Field(
        default_factory=list,
        description="Sources in which a person has one record, unless they were merged there.",
    )
    max_records: int = Field(500, ge=2, description="Of one customer; above, weak ties are cut.")
    labels: str | None = Field(
        None,
        description="Parquet or CSV file (source, record_id, person, noise) of records whose"
        " person is known, to measure against; relative to this mapping.",
    )


class Mapping(Strict):
    """A company's sources and what is in them."""

    version: Literal[1]
    company: Name
    title: str | None = Field(None, description="The company's name in reports.")
    folder: str = Field(
        ".",
        description="Folder of the files, relative to this mapping; $NAME is from the environment.",
    )
    timezone: TimeZone = Field("UTC", description="Zone of timestamps that name none.")
    reporting_timezone: TimeZone | None = Field(
        None, description="Zone whose days and months the KPIs count; `timezone` by default."
    )
    reporting_currency: Currency = Field(description="Currency of all reported amounts.")
    exported_at: datetime | date | None = Field(
        None, description="When the exports were taken, where they are not fresh."
    )
    simulation: Simulation | None = Field(
        None, description="Of a company made up to try this out; connectors then ask a simulator."
    )
    identity: Identity = Field(
        default_factory=lambda: Identity.model_validate({}), description="Who is who."
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
    """A mapping that was checked against the concepts, with its expressions parsed.

    `sources` are those switched on; everything else here speaks of these alone.
    """

    def __init__(
        self, path: Path, mapping: Mapping, only: Collection[str] | None, vendors_dir: Path
    ) -> None:
        self.path = path
        self.spec = _with_labels_beside(path, mapping)
        self.concepts = load_concepts()
        for name in [*(only or ()), *mapping.identity.one_account_in]:
            if name not in mapping.sources:
                raise MappingError(
                    f"{path.name}: no source {name!r}{nearest_hint(name, mapping.sources)}"
                )
        self.sources = {
            name: source
            for name, source in mapping.sources.items()
            if source.enabled and (only is None or name in only)
        }
        self.vendors: dict[str, VendorMapping] = {}  # by source
        self._tables: dict[tuple[str, str], TableMapping] = {}
        # (source, table, index of record) -> what was checked
        self.checked: dict[tuple[str, str, int], CheckedRecord] = {}
        for name, source in mapping.sources.items():
            if source.connector is None:
                self._check_files(name, source)
            elif name in self.sources:
                self._check_connector(name, source, source.connector, vendors_dir)

    @property
    def expressions(self) -> dict[tuple[str, str, int], dict[str, Expression]]:
        """(source, table, index of record) -> field -> expression."""
        return {key: checked.expressions for key, checked in self.checked.items()}

    def tables(self) -> Iterable[tuple[str, str, TableMapping]]:
        """Tables of the lake that say something."""
        for (source, table), spec in self._tables.items():
            if source in self.sources:
                yield source, table, spec

    def files(self) -> Iterable[tuple[str, str, FileMapping]]:
        """Tables that files fill."""
        for source, table, spec in self.tables():
            if isinstance(spec, FileMapping):
                yield source, table, spec

    def folder(self, source: str) -> Path:
        base = self.path.parent / os.path.expandvars(self.spec.folder)
        own = os.path.expandvars(self.spec.sources[source].folder or "")
        return (base / own if own else base).resolve()

    def timezone(self, source: str, table: str) -> str:
        """Zone of timestamps that name none."""
        spec, vendor = self.spec.sources[source], self.vendors.get(source)
        own = self._tables[source, table].timezone
        if vendor:
            return own or spec.timezone or vendor.timezone
        return own or spec.timezone or self.spec.timezone

    def currency(self, source: str, table: str) -> str:
        """Currency of amounts that name none."""
        spec, vendor = self.spec.sources[source], self.vendors.get(source)
        return (
            self._tables[source, table].currency
            or spec.currency
            or (vendor and vendor.currency)
            or self.spec.reporting_currency
        )

    def columns(self, source: str, table: str) -> list[str]:
        """Columns of a file that the mapping uses, each once, in order of first use."""
        spec = self.spec.sources[source].files[table]
        used = dict.fromkeys([*spec.key, *([spec.cursor] if spec.cursor else [])])
        for index in range(len(spec.all_records())):
            checked = self.checked[source, table, index]
            for name, place in checked.places.items():
                if not checked.levels:
                    used[name.split("[")[0] if spec.file_format() != "csv" else name] = None
                elif place.level == 0:
                    used[".".join(str(p) for p in place.path if isinstance(p, str))] = None
        return list(used)

    def reference(self, source: str, table: str, index: int, field: str) -> str | None:
        """The source whose record a field names: this one if not said otherwise.

        None where that source is not there or switched off: the field stays empty then.

        Raises:
            MappingError: several sources have the connector that the mapping names.
        """
        value = self.checked[source, table, index].record.fields.get(field)
        of = value.of if isinstance(value, FieldOf) else None
        if of is None:
            return source
        if not of.startswith("@"):
            return of if of in self.sources else None
        found = [name for name, spec in self.sources.items() if spec.connector == of[1:]]
        if len(found) > 1:
            concept = self.checked[source, table, index].record.concept
            raise MappingError(
                f"{self.path.name}: sources.{source}: {table}.{field} names a record of {of}, "
                f"which {' and '.join(found)} are; say which under sources.{source}.tables."
                f"{table}: {{concept: {concept}, fields: {{{field}: "
                f"{{value: ..., of: {found[0]}}}}}}}"
            )
        return found[0] if found else None

    def _check_files(self, name: str, source: SourceMapping) -> None:
        for table, spec in source.files.items():
            self._tables[name, table] = spec
            place = f"{self.path.name}: sources.{name}.files.{table}"
            self._check_records(name, table, spec, place, nested=spec.file_format() != "csv")

    def _check_connector(
        self, name: str, source: SourceMapping, vendor: str, vendors_dir: Path
    ) -> None:
        known = vendors(vendors_dir)
        if vendor not in known:
            raise MappingError(
                f"{self.path.name}: sources.{name}.connector: no connector {vendor!r}"
                f"{nearest_hint(vendor, known)}"
            )
        loaded = load_vendor_mapping(vendors_dir / f"{vendor}.yml")
        self.vendors[name] = loaded.spec
        for table, spec in merge_tables(loaded.spec, source.tables).items():
            if source.objects is not None and table not in source.objects:
                continue
            self._tables[name, table] = spec
            if table in source.tables:
                place = f"{self.path.name}: sources.{name}.tables.{table}"
                self._check_records(name, table, spec, place)
            else:
                for index, checked in enumerate(loaded.checked[table]):
                    self.checked[name, table, index] = checked

    def _check_records(
        self, source: str, table: str, spec: TableMapping, place: str, *, nested: bool = True
    ) -> None:
        of = [*self.spec.sources, *(f"@{v}" for v in vendors())]
        for index, record in enumerate(spec.all_records()):
            self.checked[source, table, index] = check_record(
                record,
                self.concepts,
                place,
                sources=of,
                decimal_comma=spec.decimal_comma,
                nested=nested,
            )


def _with_labels_beside(path: Path, mapping: Mapping) -> Mapping:
    """The mapping with the path of its labelled records written out."""
    if mapping.identity.labels is None:
        return mapping
    labels = (path.parent / os.path.expandvars(mapping.identity.labels)).resolve()
    identity = mapping.identity.model_copy(update={"labels": str(labels)})
    return mapping.model_copy(update={"identity": identity})


def load_mapping(
    path: Path, *, only: Collection[str] | None = None, vendors_dir: Path = VENDORS_DIR
) -> LoadedMapping:
    """Read and check a mapping file.

    Args:
        only: names of the sources to use; all that are enabled by default.

    Raises:
        MappingError: naming the file, the place in it and, where there is one, the nearest
            right name. Nothing has been loaded then.
    """
    return LoadedMapping(path, read_yaml(path, Mapping), only, vendors_dir)
