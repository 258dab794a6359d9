"""Certificates for 127.0.0.1, signed by an authority that is thrown away."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; a client trusts `authority`, nobody holds the key it signed with."""

    authority: Path
    server: Path  # private key and chain


def certificates(folder: Path, vendors: Iterable[str]) -> Certificates:
    """The certificates in a folder; made where they are absent."""
    found = Certificates(folder / "ca.pem", folder / "server.pem")
    if not (found.authority.exists() and found.server.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="Simulated company")
        # OpenSSL refuses *.localhost, one label more it takes
        names = ["localhost", "*.sim.localhost", *(f"*.{v}.sim.localhost" for v in vendors)]
        issued = authority.issue_cert("127.0.0.1", *names)
        found.server.touch(mode=0o600)
        issued.private_key_and_cert_chain_pem.write_to_path(str(found.server))
        authority.cert_pem.write_to_path(str(found.authority))
    return found
