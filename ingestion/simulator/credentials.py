"""What a client needs to be let in by the simulator. It opens nothing else."""

from collections.abc import Mapping

from ingestion.simulator.server.tokens import secret
from ingestion.sources.registry import connector_class
from ingestion.sources.secrets import secret_variable


def credentials(seed: int, vendor: str) -> dict[str, str]:
    """The secrets of a vendor's connector by name; of several ways to sign in, the first."""
    connector = connector_class(vendor)
    names = (*connector.secrets, *(connector.secret_choices or ((),))[0])
    return {name: secret(seed, vendor, name) for name in names}


def environment(seed: int, sources: Mapping[str, str]) -> dict[str, str]:
    """Variables with the secrets of sources, given as name of the source to its vendor."""
    return {
        secret_variable(source, name): value
        for source, vendor in sources.items()
        for name, value in credentials(seed, vendor).items()
    }
