"""Scored pairs and what they say together: who could be either of two is nobody's yet."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment import matching

    pairs = dbt.ref("int_identity__scored_pairs")
    tie = "record_key, identifier_type, identifier_value"
    identifiers = dbt.ref("int_identity__identifiers").filter("blocked_by is null").project(tie)
    odd = dbt.ref("int_identity__odd_records").project(tie)
    shared = dbt.ref("int_identity__shared_identifiers")
    return matching.settle(
        pairs.to_arrow_table(),
        identifiers.except_(odd).to_arrow_table(),
        shared.project("identifier_type, identifier_value").to_arrow_table(),
    )
