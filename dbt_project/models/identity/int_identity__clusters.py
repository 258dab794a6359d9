"""Records that are one person: what ties connect, within what keeps people apart."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records
    from dbt_project.enrichment.neighbourhoods import rest

    settings = dbt.ref("int_identity__settings")
    ties = dbt.ref("int_identity__ties")
    apart = dbt.ref("int_identity__apart").project("left_key, right_key")
    accounts = dbt.ref("int_identity__sole_accounts")
    now = dbt.ref("int_identity__neighbourhoods")
    left = rest(session, dbt.this, now)
    made = cluster_records(
        left.of(ties).to_arrow_table(),
        settings.project("max_records").fetchone()[0],
        apart=left.of(apart, "left_key").to_arrow_table(),
        accounts=left.of(accounts).to_arrow_table(),
    )
    return left.and_kept(session, made)
