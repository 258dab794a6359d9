"""The weights by which pairs are scored: those in the lake, or learned now for want of any."""


def model(dbt, session):
    dbt.config(materialized="table")
    import hashlib
    import json

    import pyarrow as pa

    from dbt_project.enrichment import matching

    preset, known = dbt.ref("int_identity__settings").project("preset, known_model").fetchone()
    people = dbt.ref("int_identity__comparable")
    records = people.count("record_key").fetchone()[0]
    learned = json.loads(known) if known else None
    is_scored = matching.PRESETS[preset] is not None
    is_new = is_scored and not matching.is_usable(learned, records)
    if is_new:
        learned = matching.train(people.to_arrow_table())
    text = json.dumps(learned or {}, sort_keys=True)
    scored_with = hashlib.md5((text + preset + matching.RULES_HASH).encode()).hexdigest()
    return pa.table(
        {
            "is_new": [is_new],
            "records": [records],
            "model": [text],
            "scored_with": [scored_with],
        }
    )
