"""Check one vendor's mapping: `python -m ingestion.exports.check_vendor shopify`."""

import sys
from pathlib import Path

from ingestion.errors import CxmError, MappingError
from ingestion.exports.records import nearest_hint
from ingestion.exports.vendor_mapping import (
    VENDORS_DIR,
    LoadedVendorMapping,
    load_vendor_mapping,
)


def main(name: str) -> int:
    """Print what a mapping feeds, or what is wrong with it; 0 if it holds."""
    path = Path(name) if name.endswith(".yml") else VENDORS_DIR / f"{name}.yml"
    try:
        loaded = load_vendor_mapping(path)
        if path.parent.resolve() == VENDORS_DIR:
            check_tables(loaded)
    except CxmError as error:
        print(error, file=sys.stderr)
        return 2
    for table, records in loaded.checked.items():
        fed = [r.record.concept + (f" (each {r.record.each})" if r.levels else "") for r in records]
        print(f"{table}: {', '.join(fed)}")
    print(f"{path.name} holds: {len(loaded.concepts)} concepts")
    return 0


def check_tables(loaded: LoadedVendorMapping) -> None:
    """Whether the connector fills the tables that a mapping reads.

    Raises:
        MappingError: naming the table and the nearest object of the connector.
    """
    from ingestion.sources.registry import connector_class

    objects = [obj.name for obj in connector_class(loaded.spec.vendor).objects]
    for table in loaded.spec.tables:
        if table not in objects:
            raise MappingError(
                f"{loaded.path.name}: tables.{table}: the connector has no such object"
                f"{nearest_hint(table, objects)}"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
