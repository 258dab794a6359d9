"""Statistics that SQL cannot express: plain functions from Arrow to Arrow."""
