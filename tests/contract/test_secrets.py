"""No secret of a vendor is written anywhere, be it right or refused."""

import base64
import gzip
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from ingestion.simulator.company import Company
from ingestion.simulator.credentials import credentials
from ingestion.simulator.server import RunningServer, serving
from ingestion.simulator.server.tokens import TOKEN
from ingestion.simulator.vendors.segment import push
from ingestion.sources.registry import VENDORS
from ingestion.sources.secrets import secret_variable
from tests.support import ROOT, Home

# what `cxm sources check` and `cxm run` do, but for building the warehouse from it; Dagster keeps
# its history of the run
CHECK_AND_LOAD = """
import dagster as dg
import typer
from orchestration.assets import _source_assets
from orchestration.cli import check_sources
from orchestration.settings import Settings
try:
    check_sources(None)
except typer.Exit:
    print("failed")
settings = Settings.from_env()
settings.prepare()
mapping = settings.mapping()
loads = [_source_assets(settings, mapping, source) for source in mapping.sources]
with dg.DagsterInstance.get() as instance:
    print(dg.materialize(loads, instance=instance, raise_on_error=False).success)
"""
NO_SECRETS = {"client_id", "email"}


@pytest.fixture
def server(made_company: Path, tmp_path: Path) -> Iterator[RunningServer]:
    """Its time flies, since the connectors wait in ours."""
    shutil.copytree(made_company, tmp_path / "company")
    with serving(Company.open(tmp_path / "company"), ticking=True, speed=60) as running:
        yield running


def home(server: RunningServer, folder: Path, secrets: dict[str, dict[str, str]]) -> Home:
    """An installation with every vendor as a source of that name, by its real address."""
    settings: dict[str, dict[str, object]] = {
        vendor: {"base_url": f"{server.url}/{vendor}", "ca_bundle": str(server.authority)}
        for vendor in VENDORS
    }
    push(server.simulator.company, folder / "pushed")
    settings["segment"] = {"folder": str(folder / "pushed")}
    # what else would wait for seconds, which are real here
    settings["shopify"] |= {"bulk": False}
    settings["zendesk"] |= {"exports_per_minute": 1000}
    settings["hubspot"] |= {"searches_per_second": 100}
    server.simulator.vendor("zendesk").settings["exports_per_minute"] = 1000
    server.simulator.vendor("hubspot").settings["searches_per_second"] = 100
    server.simulator.vendor("shopify").settings["restore_per_second"] = 10_000
    mapping = {
        "version": 1, "company": "nordlicht", "title": "Nordlicht", "timezone": "Europe/Berlin",
        "reporting_timezone": "Europe/Berlin", "reporting_currency": "EUR",
        "sources": {
            vendor: {"connector": vendor, "settings": settings[vendor]}
            | ({"currency": "EUR"} if vendor == "shopify" else {})
            for vendor in VENDORS
        },
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "cxm.yml").write_text(yaml.safe_dump(mapping))
    variables = {
        secret_variable(vendor, name): value
        for vendor in VENDORS
        for name, value in secrets[vendor].items()
    }
    return Home(folder / "home", folder / "cxm.yml", tuple(variables.items()))


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, as readable as can be."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content += gzip.decompress(content)
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path).to_pylist()).encode()
        yield str(path.relative_to(folder)), content


def assert_nowhere(secrets: dict[str, dict[str, str]], places: dict[str, bytes]) -> None:
    """Neither a secret, nor a form it travels in, nor a token that was got for it."""
    forms: dict[bytes, str] = {}
    for vendor, of in secrets.items():
        for name, value in of.items():
            if name in NO_SECRETS:
                continue
            plain = [value, quote(value, safe=""), of.get("client_id", "") + ":" + value]
            for text in (*plain, f"anystring:{value}", f"cxm:{value}"):
                forms[text.encode()] = forms[base64.b64encode(text.encode())] = f"{vendor} {name}"
    pattern = re.compile(b"|".join([*map(re.escape, forms), TOKEN.pattern.encode()]))
    for place, content in places.items():
        found = pattern.search(content)
        assert not found, f"{forms.get(found.group(), 'a token')} is in {place}"


@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
def test_no_secret_is_written_anywhere(
    server: RunningServer, tmp_path: Path, is_right: bool
) -> None:
    seed = server.simulator.company.seed
    secrets = {vendor: credentials(seed, vendor) for vendor in VENDORS}
    if not is_right:
        secrets = {
            vendor: {name: f"canary/{vendor}+{name}-0123456789" for name in of}
            for vendor, of in secrets.items()
        }
    installed = home(server, tmp_path / "installed", secrets)
    done = subprocess.run(
        [sys.executable, "-c", CHECK_AND_LOAD], env=installed.env, cwd=ROOT, capture_output=True
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output.decode()
    assert (b"failed" in output) != is_right, output.decode()
    places = {"output": output, **dict(written(installed.path))}
    journal = server.simulator.journal.entries()
    places["journal"] = orjson.dumps(journal)
    assert {entry["vendor"] for entry in journal} == set(VENDORS) - {"segment"}
    for place in [place for place in places if re.search("(^|/)tokens/", place)]:
        path = installed.path / place
        assert place.endswith(".lock") or stat.S_IMODE(path.stat().st_mode) == 0o600
        del places[place]
    history = b"".join(places[place] for place in places if place.startswith("dagster/"))
    for vendor in VENDORS:  # its refusal is told there, without what was refused
        assert f"{vendor}_loaded".encode() in history
        variable = f"SOURCES__{vendor.upper()}".encode()
        told = f"source '{vendor}'".encode() in history or variable in history
        assert is_right or vendor == "segment" or told, vendor
    assert_nowhere(secrets, places)
    loaded = {place.split("/")[1] for place in places if place.startswith("lake/")}
    assert (len(loaded) >= len(VENDORS)) == is_right
