"""Attribution against the definitions' vectors, brute force, and properties of any paths."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from itertools import permutations, product

import duckdb
import jinja2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_project.enrichment.attribution import attribute, markov_shares, poisson_weights
from orchestration.settings import DBT_PROJECT_DIR

HALF_LIFE = 7
Path = tuple[str, ...]
# path, conversions, paths that led nowhere
DEFINITIONS: list[tuple[str, int, int]] = [
    ("AB", 3, 0), ("A", 0, 3), ("B", 2, 0), ("CB", 0, 1), ("AC", 1, 0)
]  # fmt: skip


# ---- the macro's weights, run in DuckDB ----------------------------------------------------------


def weights() -> dict[str, str]:
    """The models of the macro, each with the SQL of a touch's weight."""
    found: list[dict[str, str]] = []
    source = (DBT_PROJECT_DIR / "macros" / "marketing.sql").read_text()
    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(source)
    template.make_module({"return": lambda value: found.append(value) or ""}).attribution_weights()
    return found[0]


def by_model(path: Sequence[str], ages: Sequence[int] | None = None) -> dict[str, list[Fraction]]:
    """Credit of each touch of a path by each model; `ages` in seconds before the last touch."""
    ages = ages or [0] * len(path)
    named = [i for i, c in enumerate(path, 1) if c not in ("direct", "unknown")]
    with duckdb.connect() as connection:
        connection.execute("create table touch (position int, channel text, age bigint)")
        connection.executemany(
            "insert into touch values (?, ?, ?)",
            [(i, c, a) for i, (c, a) in enumerate(zip(path, ages, strict=True), 1)],
        )
        rows = connection.execute(
            f"""
            with touches as (
                select *, {len(path)}::bigint as path_length, age as seconds_before_last,
                    {named[-1] if named else "null"}::bigint as last_named_position,
                    position = {len(path)} as is_in_conversion_visit,
                    {HALF_LIFE} as half_life_days,
                    count(*) over (partition by channel) as touches_of_channel,
                    count(*) over (
                        partition by channel order by position desc
                    ) as touches_of_channel_left
                from touch
            )
            select {", ".join(f"({sql})::hugeint as {model}" for model, sql in weights().items())}
            from touches order by position
            """
        ).fetchall()
    credit = {}
    for model, column in zip(weights(), zip(*rows, strict=True), strict=True):
        total = 1 if model == "participation" else sum(column)
        credit[model] = [Fraction(weight, total) for weight in column]
    return credit


def sums(paths: list[tuple[str, int, int]], model: str) -> dict[str, float]:
    """Conversions by channel that a model of single paths gives."""
    total: dict[str, Fraction] = defaultdict(Fraction)
    for path, conversions, _ in paths:
        if conversions:
            for channel, credit in zip(path, by_model(path)[model], strict=True):
                total[channel] += conversions * credit
    return {channel: float(total[channel]) for channel in "ABC"}


# ---- the same, written down anew -----------------------------------------------------------------


def expected(path: Sequence[str], ages: Sequence[int]) -> dict[str, list[float]]:
    """Every model in the words of the definitions."""
    k = len(path)
    one = [[float(i == j) for i in range(k)] for j in range(k)]
    between = [0.2 / (k - 2) if 0 < i < k - 1 else 0.0 for i in range(k)] if k > 2 else []

    def ends(first: float, last: float, two: tuple[float, float]) -> list[float]:
        if k == 1:
            return [1.0]
        if k == 2:
            return list(two)
        return [first, *between[1:-1], last]

    halves = [2 ** (-age / 86400 / HALF_LIFE) for age in ages]
    counts = Counter(path)
    last_of = {channel: i for i, channel in enumerate(path)}
    named = [i for i, channel in enumerate(path) if channel not in ("direct", "unknown")]
    return {
        "first": one[0],
        "last": one[-1],
        "same_touch": one[-1],
        "last_non_direct": one[named[-1] if named else k - 1],
        "linear": [1 / k] * k,
        "position_based": ends(0.4, 0.4, (0.5, 0.5)),
        "j_shaped": ends(0.2, 0.6, (0.25, 0.75)),
        "inverse_j": ends(0.6, 0.2, (0.75, 0.25)),
        "time_decay": [h / sum(halves) for h in halves],
        "participation": [float(last_of[c] == i) for i, c in enumerate(path)],
        "shapley": [1 / len(counts) / counts[c] for c in path],
    }


def shapley_by_orders(paths: list[tuple[Path, int]], channels: Sequence[str]) -> dict[str, float]:
    """Mean marginal contribution over all orders; v(S) = conversions of paths within S."""

    def worth(chosen: set[str]) -> int:
        return sum(n for path, n in paths if set(path) <= chosen)

    value: dict[str, float] = defaultdict(float)
    orders = list(permutations(channels))
    for order in orders:
        before: set[str] = set()
        for channel in order:
            value[channel] += (worth(before | {channel}) - worth(before)) / len(orders)
            before.add(channel)
    return value


def markov_by_walking(paths: list[tuple[Path, int, int]], channels: Sequence[str]) -> list[float]:
    """Removal effects: walk the chain until nobody is left, once without each channel."""
    steps: Counter[tuple[str, str]] = Counter()
    for path, conversions, nothing in paths:
        for a, b in zip(("start", *path[:-1]), path, strict=True):
            steps[a, b] += conversions + nothing
        steps[path[-1], "won"] += conversions
        steps[path[-1], "gone"] += nothing
    leaving = Counter[str]()
    for (a, _), n in steps.items():
        leaving[a] += n

    def chance(removed: str | None) -> float:
        here, won = {"start": 1.0}, 0.0
        for _ in range(3000):
            there: dict[str, float] = defaultdict(float)
            for (a, b), n in steps.items():
                if n and a in here:
                    there[b] += here[a] * n / leaving[a]
            won += there.pop("won", 0.0)
            there.pop("gone", None)
            if removed:
                there.pop(removed, None)
            here = there
            if sum(here.values()) < 1e-14:
                break
        return won

    everything = chance(None)
    effects = [1 - chance(channel) / everything for channel in channels]
    return [effect / sum(effects) for effect in effects]


def steps_of(paths: list[tuple[Path, int, int]], channels: Sequence[str]) -> np.ndarray:
    """Counts of steps as `markov_shares` takes them, repeated touches as stays."""
    place = {channel: i for i, channel in enumerate(channels)}
    start, won, gone = len(channels), len(channels) + 1, len(channels) + 2
    steps = np.zeros((len(channels) + 3, len(channels) + 3))
    for path, conversions, nothing in paths:
        at = start
        for channel in path:
            steps[at, place[channel]] += conversions + nothing
            at = place[channel]
        steps[at, won] += conversions
        steps[at, gone] += nothing
    return steps


# ---- vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "credit"),
    [
        ("first", (4, 2, 0)),
        ("last", (0, 5, 1)),
        ("last_non_direct", (0, 5, 1)),
        ("linear", (2, 3.5, 0.5)),
        ("position_based", (2, 3.5, 0.5)),
        ("shapley", (2, 3.5, 0.5)),
        ("j_shaped", (1, 4.25, 0.75)),
        ("inverse_j", (3, 2.75, 0.25)),
        ("participation", (4, 5, 1)),
    ],
)
def test_paths_of_the_definitions(model: str, credit: tuple[float, ...]) -> None:
    assert tuple(sums(DEFINITIONS, model).values()) == pytest.approx(credit, abs=1e-12)


def test_chain_of_the_definitions() -> None:
    shares = markov_shares(steps_of([(tuple(p), c, n) for p, c, n in DEFINITIONS], "ABC"))
    assert 6 * shares == pytest.approx([2.0, 2.9268, 1.0732], abs=5e-5)
    effects = np.array([0.569444, 0.833333, 0.305556])
    assert shares == pytest.approx(effects / effects.sum(), abs=1e-6)


def test_time_decay_and_position_of_the_definitions() -> None:
    decay = by_model("ABC", [21 * 86400, 7 * 86400, 0])["time_decay"]
    assert [float(c) for c in decay] == pytest.approx([0.0769, 0.3077, 0.6154], abs=5e-5)
    assert [float(c) for c in by_model("ABCD")["position_based"]] == [0.4, 0.1, 0.1, 0.4]
    assert [float(c) for c in by_model("AB")["position_based"]] == [0.5, 0.5]
    assert [float(c) for c in by_model("AB")["j_shaped"]] == [0.25, 0.75]


# ---- properties ----------------------------------------------------------------------------------

CHANNELS = ("A", "B", "C", "direct")
some_path = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=7).map(tuple)


@settings(max_examples=60, deadline=None)
@given(path=some_path, data=st.data())
def test_every_model_is_as_defined(path: Path, data: st.DataObject) -> None:
    age = st.lists(st.integers(0, 90 * 86400), min_size=len(path) - 1, max_size=len(path) - 1)
    ages = [*sorted(data.draw(age), reverse=True), 0]
    found, meant = by_model(path, ages), expected(path, ages)
    assert found.keys() == meant.keys()
    for model, credit in found.items():
        assert [float(c) for c in credit] == pytest.approx(meant[model], abs=1e-9), model
        if model != "participation":
            assert sum(credit) == 1


some_paths = st.lists(
    st.tuples(some_path, st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8
).filter(lambda paths: any(conversions for _, conversions, _ in paths))


@settings(max_examples=60, deadline=None)
@given(paths=some_paths)
def test_shapley_value_is_the_mean_over_all_orders(
    paths: list[tuple[Path, int, int]],
) -> None:
    total: dict[str, float] = defaultdict(float)
    for path, conversions, _ in paths:
        for channel, credit in zip(path, expected(path, [0] * len(path))["shapley"], strict=True):
            total[channel] += conversions * credit
    meant = shapley_by_orders([(path, n) for path, n, _ in paths], CHANNELS)
    assert [total[c] for c in CHANNELS] == pytest.approx([meant[c] for c in CHANNELS], abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(paths=some_paths)
def test_removal_effects_are_what_removing_does(paths: list[tuple[Path, int, int]]) -> None:
    assert markov_shares(steps_of(paths, CHANNELS)) == pytest.approx(
        markov_by_walking(paths, CHANNELS), abs=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(paths=some_paths, order=st.permutations(range(len(CHANNELS))))
def test_the_chain_does_not_mind_names(
    paths: list[tuple[Path, int, int]], order: list[int]
) -> None:
    plain = markov_shares(steps_of(paths, CHANNELS))
    renamed = markov_shares(steps_of(paths, [CHANNELS[i] for i in order]))
    assert renamed == pytest.approx(plain[order], abs=1e-12)
    assert plain.sum() == pytest.approx(1)


def test_a_chain_without_conversions_credits_nobody() -> None:
    assert markov_shares(steps_of([(("A",), 0, 3)], "AB")).tolist() == [0, 0]


# ---- the whole function --------------------------------------------------------------------------


def company(
    conversions: int, draw: Callable[[np.random.Generator], Path | None], seed: int = 1
) -> tuple[pa.Table, pa.Table]:
    """Tables of one path per bucket: converted ones in two months, one null path for each."""
    rng = np.random.default_rng(seed)
    credits, steps = [], []
    for i in range(conversions):
        path, month = draw(rng), date(2026, 1 + i % 2, 1)
        key = {"conversion_kind": "order", "month_start": month, "bucket": i % 4096}
        if path is None:
            credits.append({**key, "model": "linear", "channel": "(none)", "credit": 1.0})
        else:
            for channel in path:
                credits.append({**key, "model": "linear", "channel": channel,
                                "credit": 1 / len(path)})  # fmt: skip
            for a, b in zip(("(start)", *path), (*path, "(conversion)"), strict=True):
                steps.append({**key, "from_channel": a, "to_channel": b, "steps": 1})
        for a, b in (("(start)", "A"), ("A", "(null)")):
            steps.append({**key, "from_channel": a, "to_channel": b, "steps": 1})
    table = pa.Table.from_pylist(credits)
    return table.append_column("revenue", pa.array([10 * c["credit"] for c in credits])), (
        pa.Table.from_pylist(steps)
    )


def test_what_followed_no_touch_stays_with_nobody() -> None:
    kinds: list[Path | None] = [None, ("A", "B"), ("B",), ("B", "A")]
    credits, steps = company(400, lambda rng: kinds[rng.integers(4)])
    found = attribute(credits, steps, 50).to_pylist()
    for month in (None, date(2026, 1, 1), date(2026, 2, 1)):
        shares = {(r["model"], r["channel"]): r for r in found if r["month_start"] == month}
        assert {model for model, _ in shares} == {"linear", "markov"}
        for model in ("linear", "markov"):
            of_model = [r for (m, _), r in shares.items() if m == model]
            assert sum(r["credit_share"] for r in of_model) == pytest.approx(1)
            assert sum(r["revenue_share"] for r in of_model) == pytest.approx(1)
        nobody = shares["markov", "(none)"]
        assert nobody["credit_share"] == shares["linear", "(none)"]["credit_share"]
        assert nobody["credit_low"] < nobody["credit_share"] < nobody["credit_high"]


def test_every_build_draws_the_same() -> None:
    credits, steps = company(200, lambda rng: ("A", "B") if rng.random() < 0.5 else ("B",))
    shuffled = np.random.default_rng(0).permutation(steps.num_rows)
    assert attribute(credits, steps, 30).equals(attribute(credits, steps, 30))
    assert attribute(credits, steps.take(pa.array(shuffled)), 30).equals(
        attribute(credits, steps, 30)
    )
    drawn = poisson_weights(4096, 200)
    assert (drawn[:, 0] == 1).all()
    assert drawn[:, 1:].mean() == pytest.approx(1, abs=0.01)
    assert drawn[:, 1:].var() == pytest.approx(1, abs=0.01)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 80 companies whose true share is 0.3, about 76 have it within their interval."""
    held = 0
    for seed in range(80):
        draw = lambda rng: ("B",) if rng.random() < 0.3 else ("A",)  # noqa: E731
        credits, steps = company(150, draw, seed)
        [row] = [
            r
            for r in attribute(credits, steps, 100).to_pylist()
            if (r["month_start"], r["model"], r["channel"]) == (None, "linear", "B")
        ]
        held += row["credit_low"] <= 0.3 <= row["credit_high"]
    assert 70 <= held < 80


def test_nothing_gives_nothing() -> None:
    credits, steps = company(2, lambda rng: ("A",))
    empty = attribute(credits.slice(0, 0), steps.slice(0, 0), 5)
    assert empty.num_rows == 0
    assert "credit_low" in empty.column_names


# ---- the rules of channels -----------------------------------------------------------------------


def rule_of(
    source: str = "", medium: str = "", referrer: str = "", stated: str = ""
) -> tuple[str, bool]:
    """Channel, and whether it is paid, by the first rule of the seed that fits."""
    import csv

    told = {"utm_source": source, "utm_medium": medium, "referrer_host": referrer, "stated": stated}
    with (DBT_PROJECT_DIR / "seeds" / "marketing_channels.csv").open(newline="") as handle:
        for rule in sorted(csv.DictReader(handle), key=lambda r: int(r["rank"])):
            if all(
                not rule[name] or (value and re.fullmatch(rule[name], value))
                for name, value in told.items()
            ):
                return rule["channel"], rule["is_paid"] == "true"
    return "no rule", False


@pytest.mark.parametrize(
    ("told", "channel"),
    [
        ({"source": "google", "medium": "cpc"}, "paid_search"),
        ({"source": "facebook", "medium": "cpc"}, "paid_social"),
        ({"source": "meta", "medium": "paid_social"}, "paid_social"),
        ({"source": "facebook", "medium": "social"}, "organic_social"),
        ({"source": "mailchimp", "medium": "email", "referrer": "google.com"}, "email"),
        ({"source": "partners", "medium": "affiliate"}, "affiliate"),
        ({"referrer": "google.co.uk"}, "organic_search"),
        ({"referrer": "de.search.yahoo.com"}, "organic_search"),
        ({"referrer": "t.co"}, "organic_social"),
        ({"referrer": "l.facebook.com"}, "organic_social"),
        ({"referrer": "mail.google.com"}, "email"),
        ({"referrer": "blog.example.org"}, "referral"),
        ({"referrer": "pets.com"}, "referral"),
        ({"stated": "trade show"}, "event"),
        ({"stated": "employee referral"}, "word_of_mouth"),
        ({"stated": "web"}, "no rule"),
        ({"source": "banana"}, "no rule"),
        ({}, "no rule"),
    ],
)
def test_channels(told: dict[str, str], channel: str) -> None:
    assert rule_of(**told)[0] == channel


def test_paid_media_is_paid_in_whatever_words() -> None:
    said = ("paid_search", "Paid Social", "display network", "Google Ads", "Advertisement", "cpc",
            "affiliate", "social", "prepaid leads", "unpaid", "organic_search", "Web")  # fmt: skip
    assert [word for word in said if rule_of(stated=word.lower())[1]] == [*said[:6]]
    assert rule_of(source="google", medium="cpc")[1]
    assert not rule_of(source="mailchimp", medium="email")[1]


def test_the_seed_names_the_models_of_the_macro() -> None:
    import csv

    with (DBT_PROJECT_DIR / "seeds" / "attribution_models.csv").open(newline="") as handle:
        models = {row["model"]: row["adds_up"] for row in csv.DictReader(handle)}
    assert models.keys() == {*weights(), "markov"}
    assert [model for model, adds_up in models.items() if adds_up == "false"] == ["participation"]


def test_all_paths_of_two_channels_agree_with_walking() -> None:
    """Sets of paths up to three touches over two channels, each converted once and once not."""
    paths = [p for k in (1, 2, 3) for p in product("AB", repeat=k)]
    for chosen in range(1, 2 ** len(paths), 37):
        some = [(p, 1, 1) for i, p in enumerate(paths) if chosen >> i & 1]
        assert markov_shares(steps_of(some, "AB")) == pytest.approx(
            markov_by_walking(some, "AB"), abs=1e-9
        )
