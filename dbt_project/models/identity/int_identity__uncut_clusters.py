"""What the ties in use would connect if nothing kept records apart and no size were too large."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records

    return cluster_records(dbt.ref("int_identity__ties").to_arrow_table(), 2**31)
