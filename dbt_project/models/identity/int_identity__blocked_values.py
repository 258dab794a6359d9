"""Identifiers that are nobody's, or everybody's, by the patterns of their kind."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.patterns import matching_values

    patterns = dbt.ref("identity_blocked_values").fetchall()
    return matching_values(dbt.ref("int_identity__stated_identifiers"), patterns)
