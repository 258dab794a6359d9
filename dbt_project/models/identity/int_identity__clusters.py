"""Records that are one person: what ties connect, within what keeps people apart."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records

    settings = dbt.ref("int_identity__settings")
    ties = dbt.ref("int_identity__ties")
    apart = dbt.ref("int_identity__apart")
    accounts = dbt.ref("int_identity__sole_accounts")
    return cluster_records(
        ties.to_arrow_table(),
        settings.project("max_records").fetchone()[0],
        apart=apart.project("left_key, right_key").to_arrow_table(),
        accounts=accounts.to_arrow_table(),
    )
