"""The weights by which pairs are scored: those the lake keeps, or learned now where they are no use."""


def model(dbt, session):
    dbt.config(materialized="table")
    import json

    import pyarrow as pa

    from dbt_project.enrichment import matching

    known = dbt.ref("int_identity__settings").project("known_model").fetchone()[0]
    people = dbt.ref("int_identity__comparable")
    records = people.count("record_key").fetchone()[0]
    learned = json.loads(known) if known else None
    is_new = not matching.is_usable(learned, records)
    if is_new:
        learned = matching.train(people.to_arrow_table())
    text = json.dumps(learned, sort_keys=True)
    return pa.table({"is_new": [is_new], "records": [learned["records"]], "model": [text]})
