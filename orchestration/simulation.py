"""A company whose configuration says that it is simulated: it is made, and asked, by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestration import progress
from orchestration.settings import Settings, now

if TYPE_CHECKING:
    from ingestion.exports.mapping import LoadedMapping
    from ingestion.sources.api import Clock


def prepare_company(settings: Settings, mapping: "LoadedMapping") -> None:
    """Make the company of a simulated configuration if there is none yet."""
    spec = mapping.spec.simulation
    if spec is None or (settings.simulation / "company.json").exists():
        return
    from ingestion.simulator.connection import begin_push, make_company

    with progress.step(f"simulating {spec.customers:,} customers over {spec.days:,.0f} days"):
        make_company(
            settings.simulation, customers=spec.customers, seed=spec.seed, days=spec.days,
            end=now().replace(microsecond=0),
        )  # fmt: skip
    if any(source.connector == "segment" for source in mapping.sources.values()):
        begin_push(settings.simulation)


@contextmanager
def connection(
    settings: Settings, mapping: "LoadedMapping", source: str
) -> Iterator[tuple[dict[str, Any], "Clock | None"]]:
    """Settings and clock for the connector of a source: its own, or those of the simulation."""
    spec = mapping.sources[source]
    if mapping.spec.simulation is None:
        yield dict(spec.settings), None
        return
    prepare_company(settings, mapping)
    from ingestion.simulator.connection import connected

    with connected(settings.simulation, source, str(spec.connector)) as simulated:
        yield {**spec.settings, **simulated.settings}, simulated.clock


def tell_known_people(settings: Settings, mapping: "LoadedMapping") -> None:
    """Write which record of which source is whose, in the words of the configuration."""
    spec = mapping.spec
    if spec.simulation is None or spec.identity.labels is None:
        return
    from ingestion.simulator.connection import write_known_people

    names = [(n, source.connector) for n, source in mapping.sources.items() if source.connector]
    write_known_people(settings.simulation, names)
