"""Pairs of records that may be one person, or one household; only fresh records are scored."""


def model(dbt, session):
    dbt.config(materialized="table")
    import json

    import pyarrow as pa

    from dbt_project.enrichment import matching
    from dbt_project.enrichment.former import former

    preset = dbt.ref("int_identity__settings").project("preset").fetchone()[0]
    learned = dbt.ref("int_identity__match_model").project("model").fetchone()[0]
    fresh = dbt.ref("int_identity__fresh").project("record_key")
    people = dbt.ref("int_identity__comparable")
    before = former(session, dbt.this)
    learned, everybody = json.loads(learned), people.to_arrow_table()
    new = fresh.to_arrow_table()["record_key"]
    if before is None or len(new) == everybody.num_rows:
        return matching.score(everybody, learned, preset=preset)
    same = people.project("record_key").except_(fresh)
    for side in ("left_key", "right_key"):
        before = before.join(
            same.project(f"record_key as {side}").set_alias(side), side, how="semi"
        )
    kept = before.to_arrow_table()
    if not len(new):
        return kept
    return pa.concat_tables([kept, matching.score(everybody, learned, new=new, preset=preset)])
