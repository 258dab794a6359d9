"""Writes docs/sources.md out of what the connectors declare: `python docs/make_sources.py`."""

from pathlib import Path

from pydantic_core import PydanticUndefined

from ingestion.sources.connector import Connector, ConnectorSettings
from ingestion.sources.registry import VENDORS, connector_class
from ingestion.sources.secrets import secret_variable

TARGET = Path(__file__).with_name("sources.md")
INTRODUCTION = """\
# Sources

Written by `docs/make_sources.py` out of what the connectors declare in `ingestion/sources/`.

A source is one account of one vendor. In the configuration:

    sources:
      shop:                       # the source's name: prefix of its ids, of its credentials
        connector: shopify
        settings:                 # below, per vendor; never secrets
          base_url: https://acme.myshopify.com
        objects: [orders, customers]   # all by default

Credentials come from the environment, `SOURCES__<SOURCE>__<NAME>`, or from dlt's `secrets.toml`
(`[sources.<source>]`). `cxm sources check shop` proves them with one cheap call and names what is
missing; `cxm sources` lists when each was last loaded, what it brought and what it cost.

Every load asks for what changed since the last complete one, less the look-back: records show later
than they are stamped. Where a vendor says nothing of what it deletes, ids are compared every
`reconcile_every_days` (or by `cxm sources reconcile NAME`). `cxm sources backfill NAME --since ...
--until ...` reads a span again. What arrives twice is counted once.
"""


def document() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _common()]
    for vendor, name in VENDORS.items():
        parts.append(_section(vendor, name, connector_class(vendor)))
    return "\n".join(parts)


def _common() -> str:
    return "Settings of every source:\n\n" + _settings(ConnectorSettings, known=set())


def _section(vendor: str, name: str, connector: type[Connector]) -> str:
    example = vendor
    lines = [f"## {name}", ""]
    ways = [connector.secrets] if connector.secrets else []
    choices = connector.secret_choices or ((),)
    for choice in choices:
        wanted = [*(ways[0] if ways else ()), *choice]
        if wanted:
            lead = "Credentials" if choice is choices[0] else "or"
            variables = ", ".join(f"`{secret_variable(example, secret)}`" for secret in wanted)
            lines.append(f"{lead}: {variables}.  ")
    if not ways and choices == ((),):
        lines.append("Credentials: none of its own.")
    lines += ["", _settings(connector.Settings, known=set(ConnectorSettings.model_fields)), ""]
    lines += [
        "| object | key | cursor | look-back | what is deleted | what is merged | permission |",
        "|---|---|---|---|---|---|---|",
    ]
    for obj in connector.objects:
        row = (
            f"`{obj.name}`",
            " + ".join(f"`{part}`" for part in obj.key),
            f"`{obj.cursor}`" if obj.cursor else "read whole" if obj.snapshot else "",
            _span(obj.lookback.total_seconds()),
            obj.deletes + ("; ids compared" if obj.reconcile else ""),
            obj.merges,
            f"`{obj.scope}`" if obj.scope else "",
        )
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _settings(model: type[ConnectorSettings], known: set[str]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        if name in known:
            continue
        default = "required" if field.default is PydanticUndefined else f"`{field.default}`"
        rows.append(f"| `{name}` | {default} | {field.description or ''} |")
    if not rows:
        return "No settings of its own."
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def _span(seconds: float) -> str:
    if not seconds:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
