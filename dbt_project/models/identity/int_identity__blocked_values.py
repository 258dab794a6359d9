"""Identifiers that are nobody's, or everybody's, by the patterns of their kind."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.patterns import matching_values

    patterns = dbt.ref("identity_blocked_values").fetchall()
    stated = dbt.ref("int_identity__stated_identifiers")
    return matching_values(stated, patterns)
