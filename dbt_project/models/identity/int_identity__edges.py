"""Scored pairs and what they say together: who could be either of two is nobody's yet."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment import matching

    pairs = dbt.ref("int_identity__scored_pairs")
    identifiers = dbt.ref("int_identity__identifiers").filter("blocked_by is null")
    shared = dbt.ref("int_identity__shared_identifiers")
    return matching.settle(
        pairs.to_arrow_table(),
        identifiers.project("record_key, identifier_type, identifier_value").to_arrow_table(),
        shared.project("identifier_type, identifier_value").to_arrow_table(),
    )
