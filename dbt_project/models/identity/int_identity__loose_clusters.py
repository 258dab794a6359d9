"""Records that are one customer if all that speaks for it counts, and nothing against it.

Identifiers that a household shares tie again, and so do pairs in doubt at even odds; neither
decisions nor household pairs nor sole accounts keep records apart. Placeholders still tie nobody.
"""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.clusters import cluster_records
    from dbt_project.enrichment.neighbourhoods import rest

    settings = dbt.ref("int_identity__settings")
    columns = "record_key, identifier_type, identifier_value, strength"
    ties = dbt.ref("int_identity__ties").project(columns)
    value = "identifier_type, identifier_value"
    shared = dbt.ref("int_identity__shared_identifiers").project(value).set_alias("shared")
    given = (
        dbt.ref("int_identity__identifiers")
        .filter("blocked_by is null and sharing_records > 1")
        .set_alias("given")
    )
    again = given.join(shared, value, how="semi")
    doubtful = dbt.ref("int_identity__edges").filter(
        "level = 'review' and match_probability >= 0.5"
    )
    extra = again.project(
        "record_key, identifier_type, identifier_value,"
        " cast(100 * confidence as bigint) as strength"
    ).union(
        doubtful.project(
            "unnest([left_key, right_key]) as record_key, 'review' as identifier_type,"
            " left_key || ' ' || right_key as identifier_value, cast(1 as bigint) as strength"
        )
    )
    now = dbt.ref("int_identity__neighbourhoods")
    left = rest(session, dbt.this, now)
    made = cluster_records(
        left.of(ties.union(extra)).to_arrow_table(), settings.project("max_records").fetchone()[0]
    )
    return left.and_kept(session, made)
