"""Scored pairs and what they say together: who could be either of two is nobody's yet."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment import matching
    from dbt_project.enrichment.neighbourhoods import rest

    pairs = dbt.ref("int_identity__scored_pairs")
    tie = "record_key, identifier_type, identifier_value"
    identifiers = dbt.ref("int_identity__identifiers").filter(
        "blocked_by is null and sharing_records > 1"
    )
    odd = dbt.ref("int_identity__odd_records").project(tie)
    shared = dbt.ref("int_identity__shared_identifiers")
    everybody = dbt.ref("int_identity__neighbourhoods")
    paired = everybody.join(pairs.project("left_key as record_key"), "record_key", how="semi")
    now = everybody.set_alias("everybody").join(
        paired.project("neighbourhood").set_alias("paired"), "neighbourhood", how="semi"
    )
    left = rest(session, dbt.this, now)
    made = matching.settle(
        left.of(pairs, "left_key").to_arrow_table(),
        left.of(identifiers.project(tie).except_(odd)).to_arrow_table(),
        shared.project("identifier_type, identifier_value").to_arrow_table(),
    )
    return left.and_kept(session, made, "left_key")
