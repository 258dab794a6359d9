"""A local server that answers as the vendors' APIs do, from the state of a simulated company."""

from ingestion.simulator.server.app import RunningServer, Simulator, serving
from ingestion.simulator.server.engine import VendorApi

__all__ = ["RunningServer", "Simulator", "VendorApi", "serving"]
