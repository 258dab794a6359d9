"""Vendors by name. A vendor's module is imported only where the vendor is used."""

from importlib import import_module

from ingestion.errors import SettingError
from ingestion.sources.connector import Connector

VENDORS = {
    "hubspot": "HubSpot",
    "mailchimp": "Mailchimp",
    "qualtrics": "Qualtrics",
    "salesforce": "Salesforce",
    "segment": "Segment",
    "shopify": "Shopify",
    "surveymonkey": "SurveyMonkey",
    "zendesk": "Zendesk",
}


def connector_class(vendor: str) -> type[Connector]:
    """The connector of `ingestion/sources/<vendor>.py`.

    Raises:
        SettingError: there is no such vendor.
    """
    if vendor not in VENDORS:
        raise SettingError(f"no connector {vendor!r}; there are: {', '.join(VENDORS)}")
    module = import_module(f"ingestion.sources.{vendor}")
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Connector)
        and value.__dict__.get("vendor") == vendor
    ]
    return found
