"""Pairs of records that may be one person, or one household; only fresh records are scored."""


def model(dbt, session):
    dbt.config(materialized="table")
    import json

    from dbt_project.enrichment import matching
    from dbt_project.enrichment.former import former, with_kept

    preset = dbt.ref("int_identity__settings").project("preset").fetchone()[0]
    learned = dbt.ref("int_identity__match_model").project("model").fetchone()[0]
    fresh = dbt.ref("int_identity__fresh").project("record_key")
    people = dbt.ref("int_identity__comparable")
    before = former(session, dbt.this)
    learned, new = json.loads(learned), fresh.to_arrow_table()["record_key"]
    if before is None or len(new) == people.count("*").fetchone()[0]:
        return matching.score(people.to_arrow_table(), learned, preset=preset)
    same = people.project("record_key").except_(fresh)
    for side in ("left_key", "right_key"):
        before = before.join(
            same.project(f"record_key as {side}").set_alias(side), side, how="semi"
        )
    if not len(new) or matching.PRESETS[preset] is None:
        return before
    around = matching.near(session, people, fresh, learned).to_arrow_table()
    made = session.from_arrow(matching.score(around, learned, new=new, preset=preset))
    return with_kept(before, made)
