"""Customers that are one household: what ties connect, in groups of at most 12."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records

    ties = dbt.ref("int_identity__household_ties").project(
        "customer_id as record_key, identifier_type, identifier_value, strength"
    )
    return cluster_records(ties.to_arrow_table(), 12)
