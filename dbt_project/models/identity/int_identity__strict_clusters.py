"""Records that are one customer if identifiers alone count: no score, no decision, no household."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records
    from dbt_project.enrichment.neighbourhoods import rest

    settings = dbt.ref("int_identity__settings")
    identifiers = dbt.ref("int_identity__identifiers").filter(
        "blocked_by is null and (sharing_records > 1 or identifier_value = record_key)"
    )
    accounts = dbt.ref("int_identity__sole_accounts")
    ties = identifiers.project("record_key, identifier_type, identifier_value, strength")
    now = dbt.ref("int_identity__neighbourhoods")
    left = rest(session, dbt.this, now)
    made = cluster_records(
        left.of(ties).to_arrow_table(),
        settings.project("max_records").fetchone()[0],
        accounts=left.of(accounts).to_arrow_table(),
    )
    return left.and_kept(session, made)
