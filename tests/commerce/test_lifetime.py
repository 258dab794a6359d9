"""BG/NBD and Gamma-Gamma, against published values, integrals and models that are known."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, gamma

from dbt_project.enrichment.lifetime import (
    BuyingModel,
    Floats,
    ValueModel,
    fit_buying,
    fit_models,
    fit_value,
    predict,
)

CDNOW = BuyingModel(0.243, 4.414, 0.793, 2.426)
VALUES = ValueModel(6.25, 3.74, 15.44)


def one(value: float) -> Floats:
    return np.array([float(value)])


def test_published_values_of_cdnow() -> None:
    bought_twice = one(2), one(30.43), one(38.86)
    assert CDNOW.expected_purchases(*bought_twice, 39)[0] == pytest.approx(1.226, abs=5e-4)
    assert CDNOW.p_alive(*bought_twice)[0] == pytest.approx(0.7266, abs=5e-5)
    bought_once = one(0), one(0), one(38.86)
    assert CDNOW.expected_purchases(*bought_once, 39)[0] == pytest.approx(0.1951, abs=5e-5)
    assert CDNOW.p_alive(*bought_once)[0] == 1  # the known weakness
    assert VALUES.expected_value(one(2), one(22.35))[0] == pytest.approx(24.66, abs=5e-3)
    assert VALUES.expected_value(one(0), one(0))[0] == pytest.approx(35.22, abs=5e-3)


models = st.builds(BuyingModel, *[st.floats(0.4, 4, allow_nan=False)] * 4)


@settings(max_examples=40, deadline=None)
@given(models, st.integers(0, 6), st.floats(0.1, 1), st.floats(1, 20))
def test_likelihood_is_the_integral_over_all_customers(
    model: BuyingModel, x: int, share: float, age: float
) -> None:
    """Given its rate and dropout, the likelihood of one customer's purchases is simple."""
    t_x = share * age if x else 0.0
    rates, dropouts = gamma(model.r, scale=1 / model.alpha), beta(model.a, model.b)

    def mean(distribution: Any, of: Any, upper: float) -> float:
        return float(quad(lambda v: of(v) * distribution.pdf(v), 0, upper, limit=200)[0])

    stays = mean(dropouts, lambda p: (1 - p) ** x, 1)
    stays *= mean(rates, lambda u: u**x * np.exp(-u * age), np.inf)
    goes = 0.0
    if x:
        goes = mean(dropouts, lambda p: p * (1 - p) ** (x - 1), 1)
        goes *= mean(rates, lambda u: u**x * np.exp(-u * t_x), np.inf)
    found = np.exp(model.log_likelihood(one(x), one(t_x), one(age)))[0]
    assert found == pytest.approx(stays + goes, rel=1e-4)
    alive = model.p_alive(one(x), one(t_x), one(age))[0]
    assert alive == pytest.approx(stays / (stays + goes), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(models, st.integers(0, 30), st.floats(0, 1), st.floats(1, 150), st.floats(0.1, 52))
def test_more_time_brings_more_purchases(
    model: BuyingModel, x: int, share: float, age: float, t: float
) -> None:
    history = one(x), one(share * age if x else 0), one(age)
    nothing, some, more = (model.expected_purchases(*history, s)[0] for s in (0, t, 2 * t))
    assert nothing == pytest.approx(0, abs=1e-6) and -1e-6 <= some <= more + 1e-6
    # as long as a customer stays the rate is (r + x) / (alpha + age)
    assert some <= t * (model.r + x) / (model.alpha + age) + 1e-6


def customers(n: int, model: BuyingModel, seed: int) -> tuple[Floats, Floats, Floats]:
    """Histories of customers who buy as the model says."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(model.r, 1 / model.alpha, n)
    dropout, age = rng.beta(model.a, model.b, n), rng.uniform(10, 60, n)
    x, t_x, now, alive = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    while alive.any():
        now = np.where(alive, now + rng.exponential(1, n) / rate, now)
        buys = alive & (now < age)
        x, t_x = x + buys, np.where(buys, now, t_x)
        alive = buys & (rng.random(n) > dropout)
    return x, t_x, age


def test_the_model_that_made_the_data_is_found() -> None:
    true = BuyingModel(0.8, 6.0, 0.8, 2.5)
    x, t_x, age = customers(4_000, true, seed=3)
    found = fit_buying(x, t_x, age)
    ours = found.log_likelihood(x, t_x, age).sum()
    assert ours >= true.log_likelihood(x, t_x, age).sum()  # nothing is likelier than the likeliest
    assert found.r / found.alpha == pytest.approx(true.r / true.alpha, rel=0.15)
    later = found.expected_purchases(x, t_x, age, 13).sum()
    assert later == pytest.approx(true.expected_purchases(x, t_x, age, 13).sum(), rel=0.1)

    rng = np.random.default_rng(4)
    x = x[x > 0]
    m = rng.gamma(6 * x, 1 / (x * rng.gamma(3.7, 1 / 15, len(x))))
    value = fit_value(x, m)
    known = ValueModel(6, 3.7, 15)
    assert value.log_likelihood(x, m).sum() >= known.log_likelihood(x, m).sum()
    assert value.expected_value(one(0), one(0)) == pytest.approx(
        known.expected_value(one(0), one(0)), rel=0.1
    )


def histories(n: int, later: int | None = None) -> pa.Table:
    x, t_x, age = customers(n, BuyingModel(0.8, 6.0, 0.8, 2.5), seed=5)
    return pa.table(
        {
            "cutoff": pa.array([date(2026, 1, 1)] * n, pa.date32()),
            "customer_id": [f"c{i:04}" for i in range(n)],
            "x": x.astype(int),
            "t_x": t_x,
            "age": age,
            "m": pa.array(np.where(x > 0, 20 + x, 0), mask=x == 0),
            "bought_later": pa.array([later] * n, pa.int64()),
        }
    )


def test_forecasts_of_customers_who_bought_alike_are_alike() -> None:
    bought = histories(400)
    bought = pa.concat_tables([bought, bought.slice(0, 1)])
    fitted = fit_models(bought, 90 / 7)
    (row,) = fitted.to_pylist()
    assert row["repeaters"] > 50 and row["r"] and row["predicted_purchases"] is None
    assert row["correlation"] > 0.9  # the values above rise with the purchases
    found = predict(bought, fitted, 12, 0.1).to_pylist()
    assert found[0] == found[-1] and len(found) == 401
    whole = predict(bought, fitted, 12, 0.0).to_pylist()
    for ours, undiscounted in zip(found, whole, strict=True):
        assert undiscounted["expected_revenue"] == pytest.approx(
            ours["expected_purchases"] * ours["expected_order_value"], abs=1e-3
        )
        assert ours["expected_revenue"] <= undiscounted["expected_revenue"]


def test_what_was_bought_later_is_held_against_the_forecast() -> None:
    (row,) = fit_models(histories(400, later=2), 90 / 7).to_pylist()
    assert row["actual_purchases"] == 800 and 0 < row["predicted_purchases"] < 800


def test_too_few_who_came_back_give_no_forecast() -> None:
    few = histories(40)
    fitted = fit_models(few, 90 / 7)
    assert fitted.to_pylist()[0]["customers"] == 40 and fitted.to_pylist()[0]["r"] is None
    assert predict(few, fitted, 12, 0.1).num_rows == 0
    nobody = fit_models(few.slice(0, 0), 90 / 7)
    assert nobody.num_rows == 0 and predict(few.slice(0, 0), nobody, 12, 0.1).num_rows == 0
