"""E.164 form of every phone number, by number as given and country; known ones are kept."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment import phones
    from dbt_project.enrichment.former import former, with_kept

    records = dbt.ref("int_identity__person_records")
    given = records.filter("phone is not null").project("phone, country").distinct()
    given = given.project(
        f"*, md5(concat_ws(chr(31), phone, country, '{phones.FORM}')) as form_hash"
    )
    before = former(session, dbt.this, "form_hash")
    if before is None:
        return phones.normalise_phones(given.to_arrow_table())
    kept = before.join(given.set_alias("now"), "form_hash", how="semi")
    fresh = given.join(before.project("form_hash").set_alias("was"), "form_hash", how="anti")
    made = session.from_arrow(phones.normalise_phones(fresh.to_arrow_table()))
    return with_kept(kept, made)
