"""How right the identity is, and identifiers alone would be, by records of known people."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.accuracy import measure

    labels = dbt.ref("int_identity__labels").project("record_key, source, person, noise, draw")
    columns = "record_key, cluster_key"
    clusters = (
        dbt.ref("int_identity__clusters")
        .project(f"'default' as method, {columns}")
        .union(
            dbt.ref("int_identity__strict_clusters").project(f"'identifiers' as method, {columns}")
        )
    )
    return measure(labels.to_arrow_table(), clusters.to_arrow_table())
