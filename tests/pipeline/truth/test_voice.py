"""What customers of a simulated company say, against its world and its truth; and how often the
intervals that the warehouse gives hold the truth."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import duckdb
import jinja2
import numpy as np
import pytest

from orchestration.settings import DBT_PROJECT_DIR
from tests.pipeline.truth.conftest import Simulated

Z = 1.959964
PROPERTIES = (
    "times_asked", "activity", "recent_orders", "recent_trouble", "mails", "tenure", "country",
)  # fmt: skip
STEP = {"month": 1, "quarter": 3, "year": 12}


def test_surveys_are_known_for_what_they_are(simulated: Simulated) -> None:
    assert simulated.ask(
        """
        select source, kind, relation, ces_version, scale_min, scale_max, is_counted
        from w.marts.dim_surveys where answers > 0 order by source
        """
    ) == [
        ("experience", "csat", None, None, 1, 5, True),
        ("marketing", "ces", "transactional", "2.0", 1, 7, True),
        ("relationship", "nps", "relationship", None, 0, 10, True),
    ]
    lost = "select count(*) from w.marts.fct_survey_responses where answer_value is null"
    assert simulated.ask(lost) == [(0,)]


def test_response_rates(simulated: Simulated) -> None:
    """HubSpot shows no invitations; the others show what became of each."""
    simulated.agree(
        """
        select kind, coalesce(strftime(period_start, '%Y-%m'), 'all'), number,
            round(case number when 1 then rr1 when 2 then rr2 when 5 then rr5 else rr6 end, 12),
            (invited - case when number > 2 then unknown else 0 end)::bigint
        from w.marts.survey_response_rates cross join (values (1), (2), (5), (6)) as r(number)
        where rr5 is not null
        """,
        """
        select dimension, period, right(kpi_id, 1)::int, round(value, 12), denominator::bigint
        from truth.kpis
        where kpi_id like 'response_rate_%' and dimension in ('nps', 'csat')
            -- of a month in which every invitation bounced there is no rate but these
            and (dimension, period) in (
                select dimension, period from truth.kpis where kpi_id = 'response_rate_5'
            )
        """,
    )


def test_one_voice_per_person_and_period(simulated: Simulated) -> None:
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for key, customer, kind, relation, value, at, day in simulated.ask(
        """
        select response_key, customer_id, kind, coalesce(relation, 'unknown'), answer_value,
            responded_at, responded_on
        from w.marts.fct_survey_responses
        where answer_value is not null and responded_at is not null
        """
    ):
        periods = {
            "month": day.replace(day=1),
            "quarter": day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1),
            "year": day.replace(day=1, month=1),
            "all": None,
        }
        for grain, start in periods.items():
            voice = (kind, relation, grain, start, customer or key)
            newest[voice] = max(newest.get(voice, (at, key, value)), (at, key, value))
            counts[voice] += 1
    assert max(counts.values()) > 1
    voices = simulated.ask(
        """
        select kind, relation, period_grain, period_start, coalesce(customer_id, response_key),
            responded_at, response_key, answer_value, answers_in_period
        from w.marts.fct_voices
        """
    )
    assert len(voices) == len(newest)
    assert {v[:5]: v[5:8] for v in voices} == newest
    assert {v[:5]: v[8] for v in voices} == counts


def test_changes_are_those_of_the_voices(simulated: Simulated) -> None:
    waves: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for kind, relation, grain, start, value in simulated.ask(
        """
        select kind, relation, period_grain, period_start, answer_value from w.marts.fct_voices
        where period_grain <> 'all' and not is_internal
        """
    ):
        waves[kind, relation, grain, start].append(value)
    changes = simulated.ask(
        """
        select kind, relation, period_grain, period_start, compared_to, n, score, earlier_n,
            difference, margin, is_changed
        from w.marts.survey_score_changes
        """
    )
    compared = 0
    for (
        kind,
        relation,
        grain,
        start,
        to,
        n,
        score,
        earlier_n,
        difference,
        margin,
        changed,
    ) in changes:
        size = 100 if kind == "nps" else 1
        now = waves[kind, relation, grain, start]
        months = start.year * 12 + start.month - 1 - (12 if to == "year before" else STEP[grain])
        before = waves.get(
            (kind, relation, grain, start.replace(year=months // 12, month=months % 12 + 1)), []
        )
        assert (n, earlier_n or 0) == (len(now), len(before))
        assert score == pytest.approx(size * np.mean(now))
        if before:
            wide = size * Z * math.sqrt(np.var(now) / n + np.var(before) / earlier_n)
            gap = size * (np.mean(now) - np.mean(before))
            assert (difference, margin) == (pytest.approx(gap), pytest.approx(wide))
            expected = bool(abs(gap) > wide) if min(n, earlier_n) >= 30 else None
            assert changed == expected
            compared += 1
    assert compared > 10
    assert len(changes) == sum(1 if k[2] == "year" else 2 for k in waves)


def test_bounds_hold_what_all_who_were_asked_feel(simulated: Simulated) -> None:
    """The raw score is what those who answered feel, and no answers tell what all do: the content
    answer more readily than others of whom the same is known. That weights come nearer to it, made
    answers show below."""
    rows = simulated.ask(
        """
        with felt as (  -- an invitation by mail has its own number, one of the shop its second
            select 'relationship:' || (5500000000 + invitation_id) as key,
                case when felt_score >= 9 then 100 when felt_score <= 6 then -100 else 0 end as felt
            from world.survey_invitation where survey_id = 1
            union all
            select seconds(sent_at)::varchar, any_value(felt_score >= 4)::int
            from world.survey_invitation where survey_id = 2 group by 1 having count(*) = 1
        ),
        truly as (
            select n.kind, n.period_grain, n.period_start, count(*) as voices,
                count(f.felt) as known, avg(f.felt) as felt,
                avg(f.felt) filter (n.has_answered) as felt_by_answered
            from w.survey.int_survey__nonresponse as n
            inner join w.marts.fct_survey_invitations as i using (invitation_key)
            left join felt as f on f.key = case
                when n.kind = 'nps' then n.invitation_key else i.sent_at::varchar
            end
            group by all
        ),
        asked as (
            select i.kind, g.grain, case
                    when g.grain <> 'all' then date_trunc(g.grain, i.sent_on)::date
                end as period_start,
                count(distinct coalesce(i.customer_id, i.invitation_key)) as people
            from w.marts.fct_survey_invitations as i
            left join w.marts.customer_360 as c using (customer_id)
            cross join (values ('month'), ('quarter'), ('year'), ('all')) as g(grain)
            where not coalesce(c.is_test or c.is_employee, false)
            group by all
        )
        select s.kind, s.period_grain, s.invited, a.people, t.voices, t.known,
            s.effective_n <= s.n + 1e-9, s.worst_score, s.weighted_score, s.best_score, t.felt,
            s.raw_score, t.felt_by_answered
        from w.marts.survey_scores_weighted as s
        left join truly as t on s.kind = t.kind and s.period_grain = t.period_grain
            and s.period_start is not distinct from t.period_start
        left join asked as a on s.kind = a.kind and s.period_grain = a.grain
            and s.period_start is not distinct from a.period_start
        """
    )
    assert {(kind, grain) for kind, grain, *_ in rows} == {
        (kind, grain) for kind in ("nps", "csat") for grain in STEP.keys() | {"all"}
    }
    for _, _, invited, people, voices, known, fewer, *scores in rows:
        worst, weighted, best, felt, raw, felt_by_answered = scores
        assert (invited, voices, known, fewer) == (people, people, people, True)
        assert worst - 1e-9 <= min(weighted, felt) <= max(weighted, felt) <= best + 1e-9
        assert raw == pytest.approx(felt_by_answered)


def test_weights_stand_for_all_who_were_asked(simulated: Simulated) -> None:
    average = "count(*) over voices / nullif(count(weight) over voices, 0)"
    simulated.ask(
        f"""
        create or replace temp table voice as
        select *, {average} as average, max(weight) over voices >= 3.99 * {average} as is_cut
        from w.survey.int_survey__nonresponse
        window voices as (partition by kind, relation, period_grain, period_start)
        """
    )
    whole = "kind, relation, period_grain, period_start"
    assert simulated.ask(
        """
        select bool_and(has_answered = (weight is not null)), max(weight / average) < 4.1
        from voice
        """
    ) == [(True, True)]
    # of so few answers nearly all speak for one group; that people are told apart, unit tests show
    for name in ("null", *PROPERTIES):
        groups = simulated.ask(
            f"""
            select count(*), count(weight), sum(weight), any_value(is_cut),
                count(*) over (partition by {whole}), {name}
            from voice where average is not null group by {whole}, {name}
            """
        )
        for asked, answered, weights, is_cut, groups_of_period, _ in groups:
            assert answered >= 20 or groups_of_period == 1
            if name == "null" or not is_cut:
                assert float(weights) == pytest.approx(asked, rel=1e-6 if name == "null" else 0.02)


def test_effort_that_is_seen_is_effort_that_is_felt(simulated: Simulated) -> None:
    # so few answers confirm nothing, but they must not contradict it
    assert simulated.ask(
        """
        select ci_low < 0 from w.marts.effort_validation
        where level = 'ticket' and part = 'effort_index'
        """
    ) == [(True,)]
    simulated.agree(  # every customer has an index; those never served have none to see
        "select count(*), count(effort_index) from w.marts.customer_effort",
        "select count(*), count(*) from w.marts.customer_360",
    )
    simulated.agree(
        """
        select was_served, min(effort_index) > 0, max(effort_index) <= 100
        from w.marts.customer_effort group by was_served
        """,
        "from (values (true, true, true), (false, false, true))",
    )
    simulated.agree(  # what was done for it is what service says of the customer
        "select customer_id, channel_switches, handoffs, repeat_contacts"
        " from w.marts.customer_effort where was_served",
        "select customer_id, switches, coalesce(handoffs, 0), repeats"
        """
        from (
            select customer_id, count(*) filter (is_channel_switch) as switches,
                count(*) filter (is_repeat) as repeats
            from w.marts.fct_service_contacts where customer_id is not null group by 1
        )
        left join (
            select customer_id, sum(handoffs) as handoffs from w.marts.fct_tickets group by 1
        ) using (customer_id)
        """,
    )


def test_reviews_to_the_star(simulated: Simulated) -> None:
    simulated.agree(
        "select n, round(raw_rating, 9) from w.marts.review_ratings where subject = 'all'",
        """
        select n, round(value, 9) from truth.kpis
        where kpi_id = 'review_rating' and period = 'all'
        """,
    )


# ---- how often intervals hold the truth ----------------------------------------------------------


def macro(call: str) -> str:
    """SQL of a macro of the project, as `wilson('k', 'n', 'low')`."""
    sources = [
        (DBT_PROJECT_DIR / "macros" / f"{name}.sql").read_text() for name in ("statistics", "voice")
    ]
    return jinja2.Environment().from_string("".join(sources) + "{{ " + call + " }}").render()


def log_factorials(n: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def samples(n: int) -> tuple[np.ndarray, np.ndarray, Callable[[Any], np.ndarray]]:
    """All samples of n answers as (promoters, detractors), and how likely each is."""
    up, down = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    up, down = up[up + down <= n], down[up + down <= n]
    f = log_factorials(n)
    ways = f[n] - f[up] - f[down] - f[n - up - down]

    def likelihood(shares: Any) -> np.ndarray:
        high, middle, low = np.log(shares)
        return np.exp(ways + up * high + down * low + (n - up - down) * middle)

    return up, down, likelihood


def bounds(call: str, **columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound that a macro gives for rows of columns; `SIDE` stands for the side."""
    with duckdb.connect() as connection:
        select = ", ".join(f"unnest(${name}::double[]) as {name}" for name in columns)
        ends = ", ".join(macro(call.replace("SIDE", side)) for side in ("low", "high"))
        got = connection.execute(
            f"select {ends} from (select {select})", {k: v.tolist() for k, v in columns.items()}
        ).fetchall()
    low, high = zip(*got, strict=True)
    return np.array(low), np.array(high)


@pytest.mark.parametrize("n", [50, 100, 200])
def test_intervals_of_shares_hold_the_truth(n: int) -> None:
    """Exactly, over all samples, in 93 to 97 of 100 on average over true shares."""
    k = np.arange(n + 1)
    low, high = bounds("wilson('k', 'n', 'SIDE')", k=k, n=np.full(n + 1, n))
    f = log_factorials(n)
    held = []
    for share in np.linspace(0.1, 0.9, 33):
        likely = np.exp(f[n] - f[k] - f[n - k] + k * np.log(share) + (n - k) * np.log(1 - share))
        held.append(likely[(low <= share) & (share <= high)].sum())
    assert 0.93 <= np.mean(held) <= 0.97
    assert min(held) > 0.9


@pytest.mark.parametrize("n", [50, 100, 200])
def test_intervals_of_net_scores_hold_the_truth(n: int) -> None:
    up, down, likelihood = samples(n)
    low, high = bounds(
        "net_score_bound('total', 'squares', 'n', 'SIDE')",
        total=up - down, squares=up + down, n=np.full(len(up), n),
    )  # fmt: skip
    for shares in [(0.5, 0.3, 0.2), (0.3, 0.3, 0.4), (0.6, 0.25, 0.15), (0.4, 0.4, 0.2)]:
        truth = shares[0] - shares[2]
        held = likelihood(shares)[(low <= truth + 1e-12) & (truth - 1e-12 <= high)].sum()
        assert 0.93 <= held <= 0.97, shares


@pytest.mark.parametrize("n", [30, 60, 120])
def test_changed_is_rarely_said_of_what_has_not(n: int) -> None:
    """Of two waves of the same people's mind 3 to 7 of 100 are said to differ; of two that differ
    by the minimum detectable change, about 80."""
    up, down, likelihood = samples(n)
    rows = {"total": up - down, "squares": up + down}
    spread = macro(f"answer_variance('total', 'squares', {n})")
    smallest = macro(f"minimum_detectable_change('variance', {n})")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select variance, {smallest} from (select {spread} as variance from ("
            "select unnest($total::double[]) as total, unnest($squares::double[]) as squares))",
            {name: column.tolist() for name, column in rows.items()},
        ).fetchall()
    variance, detectable = np.array(found).T
    rng = np.random.default_rng(1)
    score = (up - down) / n

    def said(before: Any, after: Any) -> float:
        a, b = (
            rng.choice(len(up), 40_000, p=p / p.sum()) for p in map(likelihood, (before, after))
        )
        return float(
            (abs(score[a] - score[b]) > Z * np.sqrt((variance[a] + variance[b]) / n)).mean()
        )

    for shares in [(0.5, 0.3, 0.2), (0.3, 0.3, 0.4), (0.4, 0.4, 0.2)]:
        assert 0.03 <= said(shares, shares) <= 0.07
    before = (0.3, 0.4, 0.3)
    step = (Z + 0.841621) * math.sqrt(2 * 0.6 / n) / 2
    at = np.flatnonzero((up == round(0.3 * n)) & (down == round(0.3 * n)))[0]
    assert detectable[at] / 2 == pytest.approx(step, abs=0.02)
    assert 0.7 <= said(before, (0.3 + step, 0.4, 0.3 - step)) <= 0.92


def test_intervals_of_rank_correlations_hold_the_truth() -> None:
    rng, n, rho = np.random.default_rng(1), 60, 0.5
    x = rng.normal(size=(4000, n))
    y = rho * x + math.sqrt(1 - rho * rho) * rng.normal(size=x.shape)
    ranks_x, ranks_y = (a.argsort(axis=1).argsort(axis=1) for a in (x, y))
    found = 1 - 6 * ((ranks_x - ranks_y) ** 2).sum(axis=1) / (n * (n * n - 1))
    truth = 6 / math.pi * math.asin(rho / 2)
    low, high = bounds("spearman_bound('rho', 'n', 'SIDE')", rho=found, n=np.full(len(found), n))
    assert 0.93 <= ((low <= truth) & (truth <= high)).mean() <= 0.97


# ---- whether weights come nearer to the truth ----------------------------------------------------


def asked_people(
    rng: np.random.Generator, worlds: int, people: int, *, seen: float, felt: float
) -> dict[str, np.ndarray]:
    """People of some worlds: what is known of them, what they feel, and who of them answers.

    `seen` is how much silence depends on what is known, `felt` how much on the feeling itself.
    """
    n = worlds * people
    near, trouble, country = (rng.integers(0, k, n) for k in (3, 3, 4))
    likes = 0.2 * near - 0.25 * trouble + rng.normal(0, 0.8, n)
    value = (likes > 0.3).astype(int) - (likes < -0.4).astype(int)
    ready = 0.3 * np.exp(seen * (0.4 * (near - 1) - 0.4 * (trouble - 1)) + felt * 0.1 * value)
    return {
        "period": np.repeat(np.arange(worlds), people), "near": near, "trouble": trouble,
        "country": country, "value": value, "answers": rng.random(n) < ready,
    }  # fmt: skip


def weighed(people: dict[str, np.ndarray]) -> list[tuple[float, ...]]:
    """Of each world: what all feel, what answers say, raw and weighted, effective n, squares."""
    properties = ["near", "trouble", "country"]
    known = ", ".join(f"'v' || {name} as {name}" for name in properties)
    with duckdb.connect() as connection:
        columns = ", ".join(f"unnest(${name}::int[]) as {name}" for name in people)
        connection.execute(
            f"create table people as select period, {known}, value, answers"
            f" from (select {columns})",
            {name: column.astype(int).tolist() for name, column in people.items()},
        )
        return connection.execute(
            f"""
            with profiles as (
                select period, {", ".join(properties)}, count(*)::int as invited,
                    sum(answers)::int as answered
                from people group by all
            ),
            {macro(f"raked('profiles', 'period', {properties})")}
            select avg(value), avg(value) filter (answers = 1),
                sum(value * weight) filter (answers = 1)::double
                / sum(weight) filter (answers = 1)::double,
                pow(sum(weight) filter (answers = 1)::double, 2)
                / sum(weight * weight) filter (answers = 1)::double,
                avg(value * value) filter (answers = 1)
            from people inner join raked using (period, {", ".join(properties)})
            group by period order by period
            """
        ).fetchall()


def test_weights_narrow_what_silence_distorts() -> None:
    """In at least nine of ten worlds; what is felt and not seen stays."""
    worlds = weighed(asked_people(np.random.default_rng(1), 40, 4000, seen=1, felt=1))
    truth, raw, weighted, *_ = np.array(worlds).T
    assert (abs(weighted - truth) < abs(raw - truth)).mean() >= 0.9
    assert 0.2 < abs(weighted - truth).mean() / abs(raw - truth).mean() < 0.7


def test_weights_change_little_where_silence_is_chance() -> None:
    worlds = weighed(asked_people(np.random.default_rng(2), 40, 2000, seen=0, felt=0))
    truth, raw, weighted, effective, squares = np.array(worlds).T
    margin = Z * np.sqrt((squares - raw**2) / effective)
    assert (abs(weighted - raw) < margin).all()
    assert abs(weighted - truth).mean() < 1.1 * abs(raw - truth).mean()


def test_intervals_of_weighted_scores_hold_the_truth() -> None:
    """Where silence depends on what is known alone; the truth is that of all people there are."""
    rng = np.random.default_rng(3)
    truth = asked_people(rng, 1, 1_000_000, seen=1, felt=0)["value"].mean()
    worlds = weighed(asked_people(rng, 500, 700, seen=1, felt=0))
    _, _, weighted, effective, squares = np.array(worlds).T
    margin = Z * np.sqrt((squares - weighted**2) / effective)
    assert 0.93 <= (abs(weighted - truth) < margin).mean() <= 0.97
