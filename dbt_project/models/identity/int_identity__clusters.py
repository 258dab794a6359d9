"""Records that are one person: connected components of the usable identifiers."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records

    usable = (
        dbt.ref("int_identity__identifiers")
        .filter("blocked_by is null")
        .project("record_key, identifier_type, identifier_value, confidence")
    )
    return cluster_records(
        usable.to_arrow_table(), max_cluster_size=int(dbt.config.meta_get("max_cluster_size"))
    )
