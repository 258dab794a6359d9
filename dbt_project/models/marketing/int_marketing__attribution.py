"""Credit of each channel by every model, the Markov chain among them, with bootstrap intervals."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.attribution import attribute

    credits = dbt.ref("int_marketing__channel_credits").project(
        "conversion_kind, month_start, bucket, model, channel, "
        "credit::double as credit, revenue_reporting::double as revenue"
    )
    transitions = dbt.ref("int_marketing__transitions").project(
        "conversion_kind, month_start, bucket, from_channel, to_channel, steps"
    )
    return attribute(
        credits.order("all").to_arrow_table(),
        transitions.order("all").to_arrow_table(),
        replicates=int(dbt.config.meta_get("replicates")),
    )
