"""Person records in the form in which they are compared; only those that changed are made anew."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment import matching
    from dbt_project.enrichment.former import former, with_kept

    records = dbt.ref("int_identity__matchable").project(
        f"*, md5(content_hash || '{matching.FORM}') as form_hash"
    )
    same = "record_key, form_hash"
    before, kept = former(session, dbt.this, "form_hash"), None
    if before is not None:
        kept = before.join(records.project(same).set_alias("now"), same, how="semi")
        records = records.join(before.project(same).set_alias("was"), same, how="anti")
    fresh = records.to_arrow_table()
    if kept is not None and not fresh.num_rows:
        return kept
    made = session.from_arrow(matching.comparable(fresh))
    hashes = session.from_arrow(fresh.select(["record_key", "form_hash"]))
    return with_kept(kept, made.join(hashes, "record_key"))
