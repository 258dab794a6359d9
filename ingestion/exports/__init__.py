"""Export files as a source: a YAML mapping instead of a connector, and no SQL."""
