"""When things happen: Dagster, gates, publishing, reports and `cxm`. No business logic."""
