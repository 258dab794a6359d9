"""Groups of records that nothing connects, and one number for all that is in each of them."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.neighbourhoods import CODE_HASH, neighbourhoods

    records = dbt.ref("int_identity__person_records").project("record_key")
    identifiers = dbt.ref("int_identity__identifiers")
    pairs = dbt.ref("int_identity__scored_pairs")
    decisions = dbt.ref("int_identity__decisions")
    accounts = dbt.ref("int_identity__sole_accounts")
    settings = dbt.ref("int_identity__settings")
    code = f"{CODE_HASH}-{settings.project('max_records').fetchone()[0]}"
    # what shares a mailbox, and whom it does not tie, follows from these
    facts = [
        records.project(
            "hash(record_key) as record, hash(record_key) as node,"
            f" hash(record_key, '{code}') as content"
        ),
        identifiers.filter("blocked_by is null and sharing_records > 1").project(
            "hash(record_key), hash(identifier_type, identifier_value),"
            " hash(identifier_type, identifier_value, strength, confidence)"
        ),
        pairs.project(
            "unnest([hash(left_key), hash(right_key)]), hash(left_key, right_key),"
            " hash(left_key, right_key, match_weight, match_probability, level, evidence)"
        ),
        decisions.project(
            "unnest([hash(left_key), hash(right_key)]), hash(left_key, right_key),"
            " hash(left_key, right_key, decision)"
        ),
        accounts.project("hash(record_key), hash(record_key), hash(namespace, account)"),
    ]
    together = facts[0]
    for more in facts[1:]:
        together = together.union(more)
    found = session.from_arrow(neighbourhoods(together.to_arrow_table()))
    return (
        records.project("record_key, hash(record_key) as record")
        .join(found, "record")
        .project("record_key, neighbourhood")
    )
