"""E.164 form of every phone number, by number as given and country."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.phones import normalise_phones

    records = dbt.ref("int_identity__person_records")
    given = records.filter("phone is not null").project("phone, country").distinct()
    return normalise_phones(given.to_arrow_table())
