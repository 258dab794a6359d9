"""What happens in the simulated company, week by week: one module an area of its life."""

from ingestion.simulator.life.story import Life

__all__ = ["Life"]
