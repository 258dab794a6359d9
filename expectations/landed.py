"""Suites on landed data: did enough arrive, recently enough, and does it look as before?"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from expectations.checks import moment, no_rows, suite, text

if TYPE_CHECKING:
    import great_expectations as gx

ACCOUNTS = "quality.load_accounts"

# A load is compared with those just before it, and only where chance alone explains little.
EARLIER_LOADS_VOLUME = 10
EARLIER_LOADS_DRIFT = 5
ENOUGH_DOCUMENTS = 100
SMALLEST_VOLUME, LARGEST_VOLUME = 0.5, 3.0  # newest load / usual load
QUARANTINED_WARNING, QUARANTINED_CRITICAL = 0.05, 0.5
LARGEST_PSI = 0.25  # the usual limit above which a population counts as another one
LARGEST_CHANGE_OF_EMPTY = 0.1  # share of documents
LARGEST_CHANGE_OF_MEAN = 1.5  # factor, either way
UNSEEN_SHARE = 0.0001  # stands for a share of zero, whose logarithm is not defined

# dlt numbers its loads by time
NEWEST_FIRST = "try_cast(load_id as double) desc, load_id desc"


def suites(as_of: datetime | None, stale_after_days: dict[str, float | None] | None) -> list[Any]:
    return [volume(), freshness(as_of, stale_after_days or {}), drift()]


def volume() -> gx.ExpectationSuite:
    """The newest load of each table against the loads before it, and what was quarantined of it."""
    newest = f"""
        with newest as (
            select * from {{batch}}
            qualify row_number() over (
                partition by source, source_table, model order by {NEWEST_FIRST}
            ) = 1
        )"""
    # one table can feed several concepts; its documents count once
    compared = f"""
        with loads as (
            select source, source_table, load_id, max(received) as received
            from {{batch}} group by all
        ),
        aged as (
            select *, row_number() over (
                partition by source, source_table order by {NEWEST_FIRST}
            ) as age
            from loads
        ),
        compared as (
            select
                source,
                source_table,
                max(received) filter (where age = 1) as newest,
                quantile_disc(received, 0.5) filter (where age > 1) as usual,
                count(*) filter (where age > 1) as earlier
            from aged
            where age <= 1 + {EARLIER_LOADS_VOLUME}
            group by source, source_table
            having count(*) > 1
        )"""
    share = "quarantined / cast(received as double)"
    quarantined = """
        select printf(
            '%s / %s had %,d of %,d documents for %s quarantined',
            source, source_table, quarantined, received, replace(model, '_', ' ')
        ) || coalesce(', most of them because ' || (
            select mode(coalesce(quarantine.column_name || ' ', '') || quarantine.reason)
            from quality.quarantine as quarantine
            where quarantine.load_id = newest.load_id
                and quarantine.source = newest.source
                and quarantine.source_table = newest.source_table
                and quarantine.model = newest.model
        ), '') as what
        from newest"""
    return suite(
        "landed_volume",
        ACCOUNTS,
        [
            no_rows(
                "something_was_accepted",
                "Of every newest load that brought documents, some were accepted.",
                f"""{newest}{quarantined}
                where received > 0 and accepted = 0 order by what""",
                column="accepted",
            ),
            no_rows(
                "quarantine_is_not_the_rule",
                f"Of no newest load more than {100 * QUARANTINED_CRITICAL:g} % was quarantined.",
                f"""{newest}{quarantined}
                where {share} > {QUARANTINED_CRITICAL} and accepted > 0 order by what""",
                column="quarantined",
            ),
            no_rows(
                "quarantine_is_the_exception",
                f"Of no newest load between {100 * QUARANTINED_WARNING:g} % and "
                f"{100 * QUARANTINED_CRITICAL:g} % was quarantined.",
                f"""{newest}{quarantined}
                where {share} > {QUARANTINED_WARNING} and {share} <= {QUARANTINED_CRITICAL}
                order by what""",
                severity="warning",
                column="quarantined",
            ),
            no_rows(
                "volume_is_usual",
                f"The newest load of every table is between {SMALLEST_VOLUME:g} and "
                f"{LARGEST_VOLUME:g} times the median of the loads before it.",
                f"""{compared}
                select printf(
                    '%s / %s brought %,d documents; the median of the loads before (%d) is %,d',
                    source, source_table, newest, earlier, usual
                ) as what
                from compared
                where greatest(newest, usual) >= {ENOUGH_DOCUMENTS}
                    and (newest < {SMALLEST_VOLUME} * usual or newest > {LARGEST_VOLUME} * usual)
                order by newest / usual, what""",
                severity="warning",
                column="received",
                skip=f"""{compared}
                select 'no table has had more than one load' as reason
                having not exists (select * from compared)""",
            ),
        ],
    )


def freshness(as_of: datetime | None, stale_after_days: dict[str, float | None]) -> Any:
    """The newest extraction of each source against `as_of`, or else against that of all sources."""
    limits = {source: days for source, days in stale_after_days.items() if days is not None}
    rows = ", ".join(f"({text(source)}, {days!r})" for source, days in sorted(limits.items()))
    now = moment(as_of) if as_of else "(select max(extracted_at) from {batch})"
    return suite(
        "landed_freshness",
        ACCOUNTS,
        [
            no_rows(
                "sources_are_fresh",
                "Every source was extracted within the days it may be old.",
                f"""
                with limits as (
                    select * from (values {rows}) as given(source, days)
                ),
                sources as (
                    select source, max(extracted_at) as newest from {{batch}} group by source
                )
                select limits.source || case
                    when newest is null then ' has never been loaded'
                    else printf(
                        ' was last extracted %.1f days ago, on %s; the limit is %.1f days',
                        date_diff('second', newest, {now}) / 86400.0,
                        strftime(newest, '%Y-%m-%d'),
                        cast(limits.days as double)
                    )
                end as what
                from limits left join sources on limits.source = sources.source
                where newest is null
                    or date_diff('second', newest, {now}) / 86400.0 > limits.days
                order by what"""
                if rows
                else "select * from {batch} where false",
                severity="warning",
                column="extracted_at",
                skip=None if rows else "select 'no source has a limit' as reason",
            )
        ],
    )


def drift() -> gx.ExpectationSuite:
    """The newest load of each source against each of the loads before it, concept by concept.

    A load must differ from most of the last loads to be reported: a source that sends everything
    once and then what is new would otherwise be reported for as long as its first load is in sight.
    """
    return suite(
        "landed_drift",
        ACCOUNTS,
        [
            _mix("orders", "status"),
            _mix("orders", "channel"),
            _mean("orders", "total_amount"),
            _empty("orders", "person_record_key"),
            _mean("order_lines", "unit_price"),
            _empty("order_lines", "product_key"),
            _mean("payments", "amount"),
            _mix("payments", "method"),
            _empty("person_records", "email"),
            _mix("person_records", "country"),
            _mix("survey_responses", "score"),
            _empty("survey_responses", "person_record_key"),
            _mix("tickets", "status"),
            _mix("tickets", "channel"),
            _empty("tickets", "person_record_key"),
            _mix("opportunities", "channel"),
        ],
    )


def _loads(model: str) -> str:
    """Common table expressions: `newest` and `earlier` loads of a concept, by source and table."""
    return f"""
        with loads as (
            select source, source_table, load_id, accepted, row_number() over (
                partition by source, source_table order by {NEWEST_FIRST}
            ) as age
            from {{batch}}
            where model = '{model}'
        ),
        newest as (
            select source, source_table, load_id from loads
            where age = 1 and accepted >= {ENOUGH_DOCUMENTS}
        ),
        earlier as (
            select source, source_table, load_id from loads
            where age > 1 and accepted >= {ENOUGH_DOCUMENTS}
                and (source, source_table) in (select (source, source_table) from newest)
            qualify row_number() over (partition by source, source_table order by age)
                <= {EARLIER_LOADS_DRIFT}
        )"""


def _documents(model: str, value: str) -> str:
    """Common table expression: the accepted documents of those loads, with the value looked at."""
    return f"""
        documents as (
            select source, source_table, load_id, {value} as value
            from staging.stg__{model}
            where len(rejections) = 0 and not is_deleted and element is distinct from -1
                and load_id in (select load_id from newest union all select load_id from earlier)
        )"""


def _too_few(model: str) -> str:
    return f"""{_loads(model)}
        select case
            when not exists (select * from loads) then 'nothing was loaded'
            when not exists (select * from loads where age > 1) then 'there is only one load'
            else 'no source has two loads of {ENOUGH_DOCUMENTS} documents, the newest among them'
        end as reason
        having not exists (select * from earlier)"""


def _mix(model: str, column: str) -> Any:
    """Population stability index: sum of (p - q) ln(p / q), less what chance alone would give.

    Of two samples of n and m documents over k values chance gives (k - 1)(1/n + 1/m) on average.
    """
    name = column.replace("_", " ")
    query = f"""{_loads(model)},
        {_documents(model, f"coalesce(cast({column} as varchar), '(empty)')")},
        counts as (
            select source, source_table, load_id, value, count(*) as documents
            from documents group by all
        ),
        shares as (
            select *, documents / sum(documents) over (
                partition by source, source_table, load_id
            ) as share
            from counts
        ),
        sizes as (
            select source, source_table, load_id, sum(documents) as documents
            from counts group by all
        ),
        pairs as (
            select newest.source, newest.source_table, newest.load_id, earlier.load_id as earlier_id
            from newest join earlier using (source, source_table)
        ),
        measured as (
            select
                pairs.*,
                seen.value,
                coalesce(now.share, 0) as now_share,
                coalesce(before.share, 0) as earlier_share,
                greatest(now_share, {UNSEEN_SHARE}) as p,
                greatest(earlier_share, {UNSEEN_SHARE}) as q
            from pairs
            join (select distinct source, source_table, load_id, value from counts) as seen
                on pairs.source = seen.source and pairs.source_table = seen.source_table
                and seen.load_id in (pairs.load_id, pairs.earlier_id)
            left join shares as now
                on pairs.source = now.source and pairs.source_table = now.source_table
                and pairs.load_id = now.load_id and seen.value = now.value
            left join shares as before
                on pairs.source = before.source and pairs.source_table = before.source_table
                and pairs.earlier_id = before.load_id and seen.value = before.value
            group by all
        ),
        compared as (
            select
                source,
                source_table,
                earlier_id,
                sum((p - q) * ln(p / q)) - (count(*) - 1) * (
                    1.0 / any_value(now_size.documents) + 1.0 / any_value(earlier_size.documents)
                ) as psi,
                string_agg(
                    printf('%s %.1f %% instead of %.1f %%',
                        value, 100 * now_share, 100 * earlier_share),
                    ', ' order by abs(now_share - earlier_share) desc, value
                ) filter (where rank <= 3) as movers
            from (
                select *, row_number() over (
                    partition by source, source_table, earlier_id
                    order by abs(now_share - earlier_share) desc, value
                ) as rank
                from measured
            ) as ranked
            join sizes as now_size using (source, source_table, load_id)
            join sizes as earlier_size
                on ranked.source = earlier_size.source
                and ranked.source_table = earlier_size.source_table
                and ranked.earlier_id = earlier_size.load_id
            group by source, source_table, earlier_id
        ),
        {_median("psi", "psi")}
        select printf('%s / %s has another mix of {name} (PSI %.2f), such as %s',
            source, source_table, psi, movers) as what
        from usual
        where psi > {LARGEST_PSI}
        order by psi desc, what"""
    return no_rows(
        f"{model}_{column}_mix",
        f"The mix of {name} in {_spoken(model)} is that of the loads before "
        f"(population stability index up to {LARGEST_PSI:g}).",
        query,
        severity="warning",
        skip=_too_few(model),
    )


def _mean(model: str, column: str) -> Any:
    name = column.replace("_", " ")
    # a factor means nothing where a mean is zero or changes its sign: that counts as changed
    change = (
        "case when now_figure > 0 and earlier_figure > 0 then abs(ln(now_figure / earlier_figure))"
        " when now_figure <> earlier_figure then 'infinity' else 0 end"
    )
    query = f"""{_loads(model)},
        {_documents(model, f"cast({column} as double)")},
        {_per_load("avg(value)")},
        {_median("change", change)}
        select printf('%s / %s has a mean {name} of %.2f instead of %.2f',
            source, source_table, now_figure, earlier_figure) as what
        from usual
        where change > ln({LARGEST_CHANGE_OF_MEAN})
        order by what"""
    return no_rows(
        f"{model}_{column}_mean",
        f"The mean {name} of {_spoken(model)} is that of the loads before, give or take a factor "
        f"of {LARGEST_CHANGE_OF_MEAN:g}.",
        query,
        severity="warning",
        skip=_too_few(model),
    )


def _empty(model: str, column: str) -> Any:
    name = column.replace("_", " ")
    query = f"""{_loads(model)},
        {_documents(model, f"case when {column} is null then 1.0 else 0.0 end")},
        {_per_load("avg(value)")},
        {_median("change", "abs(now_figure - earlier_figure)")}
        select printf(
            '%s / %s has no {name} in %.1f %% of documents instead of %.1f %%',
            source, source_table, 100 * now_figure, 100 * earlier_figure) as what
        from usual
        where change > {LARGEST_CHANGE_OF_EMPTY}
        order by change desc, what"""
    return no_rows(
        f"{model}_{column}_empty",
        f"The share of {_spoken(model)} without {name} is that of the loads before, give or take "
        f"{100 * LARGEST_CHANGE_OF_EMPTY:g} percentage points.",
        query,
        severity="warning",
        skip=_too_few(model),
    )


def _per_load(figure: str) -> str:
    """Common table expressions: one figure of the newest load beside that of each earlier load."""
    return f"""
        figures as (
            select source, source_table, load_id, cast({figure} as double) as figure
            from documents group by all
        ),
        compared as (
            select
                source,
                source_table,
                earlier.load_id as earlier_id,
                now.figure as now_figure,
                before.figure as earlier_figure
            from newest
            join earlier using (source, source_table)
            join figures as now
                on newest.source = now.source and newest.source_table = now.source_table
                and newest.load_id = now.load_id
            join figures as before
                on newest.source = before.source and newest.source_table = before.source_table
                and earlier.load_id = before.load_id
        )"""


def _median(name: str, measure: str) -> str:
    """Common table expression `usual`: of a table's comparisons the median (the lower one)."""
    kept = "*" if name == measure else f"*, {measure} as {name}"
    return f"""
        usual as (
            select {kept}
            from compared
            qualify row_number() over (
                partition by source, source_table order by {measure}, earlier_id
            ) = (count(*) over (partition by source, source_table) + 1) // 2
        )"""


def _spoken(model: str) -> str:
    return model.replace("_", " ")
