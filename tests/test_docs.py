"""What is written out of the code is written again when the code changes."""

from docs.make_sources import TARGET, document
from ingestion.sources.registry import VENDORS, connector_class


def test_the_page_of_sources_says_what_the_connectors_declare() -> None:
    assert TARGET.read_text(encoding="utf-8") == document(), "run `python docs/make_sources.py`"


def test_every_setting_of_every_connector_is_described() -> None:
    for vendor in VENDORS:
        for name, setting in connector_class(vendor).Settings.model_fields.items():
            assert setting.description, f"{vendor}: {name}"
