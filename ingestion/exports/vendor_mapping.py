"""What a vendor's documents say: one mapping per connector, shipped beside its code."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from ingestion.concepts import load_concepts
from ingestion.errors import MappingError
from ingestion.exports.records import (
    CheckedRecord,
    Currency,
    FieldOf,
    Name,
    Record,
    Strict,
    TableMapping,
    TimeZone,
    check_record,
)
from ingestion.exports.yaml_files import read_yaml

VENDORS_DIR = Path(__file__).parent.parent / "sources"


class VendorMapping(Strict):
    """The mapping of one vendor's objects to the concepts."""

    vendor: Name
    timezone: TimeZone = Field("UTC", description="Zone of timestamps that name none.")
    currency: Currency | None = Field(None, description="Currency of amounts that name none.")
    tables: dict[Name, TableMapping] = Field(min_length=1)


@dataclass(frozen=True)
class LoadedVendorMapping:
    """A vendor's mapping that was checked against the concepts; `checked` by table."""

    path: Path
    spec: VendorMapping
    checked: dict[str, list[CheckedRecord]]

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts it feeds."""
        return sorted({c.record.concept for table in self.checked.values() for c in table})


def vendors(folder: Path = VENDORS_DIR) -> list[str]:
    """Names of the vendors that have a mapping."""
    return sorted(path.stem for path in folder.glob("*.yml"))


def load_vendor_mapping(path: Path) -> LoadedVendorMapping:
    """Read and check the mapping of one vendor.

    Raises:
        MappingError: naming the file, the table, the field and, where there is one, the nearest
            right name.
    """
    spec = read_yaml(path, VendorMapping)
    if spec.vendor != path.stem:
        raise MappingError(f"{path.name}: vendor: {spec.vendor!r} is not the name of the file")
    checked = {}
    of = {
        value.of
        for mapping in spec.tables.values()
        for record in mapping.all_records()
        for value in record.fields.values()
        if isinstance(value, FieldOf) and value.of and value.of.startswith("@")
    }
    for table, mapping in spec.tables.items():
        records = mapping.all_records()
        checked[table] = [
            check_record(
                record,
                load_concepts(),
                f"{path.name}: tables.{table}" + (f".records.{n}" if len(records) > 1 else ""),
                sources=of or {"@<connector>"},
                decimal_comma=mapping.decimal_comma,
            )
            for n, record in enumerate(records)
        ]
    return LoadedVendorMapping(path, spec, checked)


def merge_tables(vendor: VendorMapping, own: dict[str, TableMapping]) -> dict[str, TableMapping]:
    """The tables of a vendor with what a company adds: its fields win over the vendor's.

    A record of the company is added to the vendor's one of the same concept (and the same `each`,
    where there are several); one that the vendor has not is a record more.
    """
    merged = dict(vendor.tables)
    for name, table in own.items():
        if name not in merged:
            merged[name] = table
            continue
        records = list(merged[name].all_records())
        for record in table.all_records():
            same = [n for n, r in enumerate(records) if r.concept == record.concept]
            if len(same) > 1 or record.each:
                same = [n for n in same if records[n].each == record.each]
            if same:
                records[same[0]] = _merge(records[same[0]], record)
            else:
                records.append(record)
        merged[name] = TableMapping(
            records=records,
            timezone=table.timezone or merged[name].timezone,
            currency=table.currency or merged[name].currency,
            timestamp_format=table.timestamp_format or merged[name].timestamp_format,
            decimal_comma=table.decimal_comma or merged[name].decimal_comma,
        )
    return merged


def _merge(vendor: Record, own: Record) -> Record:
    fields = {n: v for n, v in vendor.fields.items() if n not in own.constants} | own.fields
    constants = {n: v for n, v in vendor.constants.items() if n not in own.fields} | own.constants
    return vendor.model_copy(
        update={
            "fields": fields,
            "constants": constants,
            "where": own.where or vendor.where,
            "scale": own.scale or vendor.scale,
            "distinct": own.distinct or vendor.distinct,
            "history": own.history or vendor.history,
        }
    )
