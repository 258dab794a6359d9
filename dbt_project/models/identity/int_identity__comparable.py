"""Person records in the form in which they are compared; only those that changed are made anew."""


def model(dbt, session):
    dbt.config(materialized="table")
    import pyarrow as pa
    import pyarrow.compute as pc

    from dbt_project.enrichment import matching
    from dbt_project.enrichment.former import former

    records = dbt.ref("int_identity__matchable").project(
        f"*, md5(content_hash || '{matching.FORM}') as form_hash"
    )
    before = former(session, dbt.this)
    if before is None:
        kept, fresh = None, records.to_arrow_table()
    else:
        same = "record_key, form_hash"
        kept = before.join(
            records.project(same).set_alias("now"), same, how="semi"
        ).to_arrow_table()
        fresh = records.join(
            before.project(same).set_alias("was"), same, how="anti"
        ).to_arrow_table()
    if kept is not None and not fresh.num_rows:
        return kept
    made = matching.comparable(fresh)
    # `made` is in the order of its keys, `fresh` in none
    place = pc.index_in(made["record_key"], fresh["record_key"])
    made = made.append_column("form_hash", fresh["form_hash"].take(place))
    return made if kept is None else pa.concat_tables([kept.cast(made.schema), made])
