"""When things happen: Dagster, the gates, publishing, reports and the `cxm` command. No business logic."""
