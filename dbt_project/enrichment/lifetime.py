"""What customers without a contract will still buy: BG/NBD and Gamma-Gamma.

Fader, Hardie and Lee (2005), "Counting your customers the easy way", and their notes on the
Gamma-Gamma model of monetary value. Of each customer four figures are known: repeat purchases x,
age at the last one t_x, age now T (any unit of time, the same for both) and the mean value m of
the repeat purchases.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

Floats = NDArray[np.float64]
WEEKS_A_MONTH = 365.25 / 12 / 7
# fewer tell too little about those who come back
MIN_REPEATERS = 50
# enough for three digits of every parameter; the likelihood of all takes long and moves little
FITTED = 50_000


@dataclass(frozen=True)
class BuyingModel:
    """BG/NBD: purchases are Poisson at rate Gamma(r, alpha), dropout after each Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """Probability of being a customer still; 1 for x = 0, a known weakness of the model."""
        return 1 / (1 + self._odds_of_being_gone(x, t_x, age))

    def expected_purchases(self, x: Floats, t_x: Floats, age: Floats, t: float) -> Floats:
        """Purchases in the time t from now."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        if abs(a - 1) < 1e-6:  # where the expression is 0 / 0, and smooth
            a = 1 + 1e-6
        shrunk = ((alpha + age) / (alpha + age + t)) ** (r + x)
        growth = 1 - shrunk * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
        return (a + b + x - 1) / (a - 1) * growth / (1 + self._odds_of_being_gone(x, t_x, age))

    def _odds_of_being_gone(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        repeated = np.maximum(x, 1)  # of those without a repeat nobody can have gone
        odds = self.a / (self.b + repeated - 1)
        odds = odds * ((self.alpha + age) / (self.alpha + t_x)) ** (self.r + x)
        return np.where(x > 0, odds, 0.0)

    def log_likelihood(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        bought = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        stays = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
        goes = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b)
        goes = goes - (r + x) * np.log(alpha + t_x)
        return bought + np.where(x > 0, np.logaddexp(stays, goes), stays)


@dataclass(frozen=True)
class ValueModel:
    """Gamma-Gamma: purchase values are Gamma(p, nu), nu is Gamma(q, v); needs q > 1 for a mean."""

    p: float
    q: float
    v: float

    def expected_value(self, x: Floats, m: Floats) -> Floats:
        """Mean value of a customer's purchases: between that of all and the customer's own."""
        own = self.p * x / (self.p * x + self.q - 1)
        return (1 - own) * self.p * self.v / (self.q - 1) + own * np.where(x > 0, m, 0.0)

    def log_likelihood(self, x: Floats, m: Floats) -> Floats:
        p, q, v = self.p, self.q, self.v
        shape = p * x
        return (
            gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v)
            + (shape - 1) * np.log(m) + shape * np.log(x) - (shape + q) * np.log(x * m + v)
        )  # fmt: skip


def fit_buying(x: Floats, t_x: Floats, age: Floats) -> BuyingModel:
    """The likeliest BG/NBD model."""

    def loss(logs: Floats) -> float:
        return -float(BuyingModel(*np.exp(logs)).log_likelihood(x, t_x, age).mean())

    start = [0.0, float(np.log(max(age.mean(), 1e-3))), 0.0, 1.0]
    return BuyingModel(*_likeliest(loss, start))


def fit_value(x: Floats, m: Floats) -> ValueModel:
    """The likeliest Gamma-Gamma model; all x and m above 0."""

    unit = float(m.mean())  # whatever the currency, the search begins near 1

    def loss(logs: Floats) -> float:
        p, more_than_one, v = np.exp(logs)
        return -float(ValueModel(p, 1 + more_than_one, v).log_likelihood(x, m / unit).mean())

    p, more_than_one, v = _likeliest(loss, [1.0, 1.0, 0.0])
    return ValueModel(p, round(1 + more_than_one, 8), float(f"{v * unit:.6g}"))


def _likeliest(loss: Callable[[Floats], float], start: list[float]) -> list[float]:
    found = minimize(
        loss, start, method="L-BFGS-B", bounds=[(-12, 12)] * len(start),
        options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8},
    )  # fmt: skip
    # six digits are more than the data tell, and the same on every machine
    return [float(f"{value:.6g}") for value in np.exp(found.x)]


def fit_models(histories: pa.Table, holdout_weeks: float) -> pa.Table:
    """Fit both models to the customers as of each cutoff.

    Args:
        histories: cutoff, customer_id (text), x, t_x, age (weeks), m, bought_later (purchases
            within `holdout_weeks` of the cutoff; null where these have not passed). Customers
            must not lie in an order that tells of their buying: the first are fitted.
        holdout_weeks: time over which predictions are held against what was bought.

    Returns:
        One row per cutoff: cutoff, customers, repeaters, r, alpha, a, b, p, q, v (null where too
        few repeat), correlation (of x and m among repeaters; the value model assumes none),
        predicted_purchases, actual_purchases (null where the weeks have not passed).
    """
    rows = []
    for cutoff in sorted(set(histories["cutoff"].to_pylist())):
        of_cutoff = histories.filter(pc.equal(histories["cutoff"], cutoff))
        x, t_x, age, m = (_floats(of_cutoff, name) for name in ("x", "t_x", "age", "m"))
        paid = (x > 0) & (m > 0)
        row: dict[str, object] = dict.fromkeys(_FITTED_SCHEMA.names)
        row |= {"cutoff": cutoff, "customers": len(x), "repeaters": int((x > 0).sum())}
        if paid.sum() >= MIN_REPEATERS:
            buying = fit_buying(x[:FITTED], t_x[:FITTED], age[:FITTED])
            value = fit_value(x[paid][:FITTED], m[paid][:FITTED])
            row |= vars(buying) | vars(value)
            if x[paid].std() > 0 and m[paid].std() > 0:
                row["correlation"] = round(float(np.corrcoef(x[paid], m[paid])[0, 1]), 4)
            if of_cutoff["bought_later"].null_count == 0:
                expected = buying.expected_purchases(x, t_x, age, holdout_weeks)
                row["predicted_purchases"] = round(float(expected.sum()), 3)
                row["actual_purchases"] = int(_floats(of_cutoff, "bought_later").sum())
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_FITTED_SCHEMA)


def predict(histories: pa.Table, fitted: pa.Table, months: int, annual_discount: float) -> pa.Table:
    """What each customer will still bring.

    Args:
        histories: customer_id, x, t_x, age (weeks), m.
        fitted: one row of `fit_models`.
        months: how far to look.
        annual_discount: what money a year later is worth less, 0.1 for a tenth.

    Returns:
        Per customer: customer_id, p_alive, expected_purchases, expected_order_value,
        expected_revenue (discounted by month); without rows where nothing could be fitted.
    """
    parameters = fitted.to_pylist()[0] if fitted.num_rows else {}
    if parameters.get("r") is None:
        return _PREDICTED_SCHEMA.empty_table()
    buying = BuyingModel(*(parameters[name] for name in ("r", "alpha", "a", "b")))
    value = ValueModel(*(parameters[name] for name in ("p", "q", "v")))
    x, t_x, age, m = (_floats(histories, name) for name in ("x", "t_x", "age", "m"))
    # customers of the same history have the same future
    alike, place = np.unique(np.column_stack([x, t_x, age]), axis=0, return_inverse=True)
    x_alike, t_x_alike, age_alike = alike.T
    before, discounted = np.zeros(len(alike)), np.zeros(len(alike))
    for month in range(1, months + 1):
        to_date = buying.expected_purchases(x_alike, t_x_alike, age_alike, month * WEEKS_A_MONTH)
        discounted += (to_date - before) / (1 + annual_discount) ** (month / 12)
        before = to_date
    order_value = value.expected_value(x, m)
    return pa.table(
        {
            "customer_id": histories["customer_id"],
            "p_alive": np.round(buying.p_alive(x_alike, t_x_alike, age_alike), 6)[place],
            "expected_purchases": np.round(before, 6)[place],
            "expected_order_value": np.round(order_value, 4),
            "expected_revenue": np.round(discounted[place] * order_value, 4),
        },
        schema=_PREDICTED_SCHEMA,
    )


def _floats(table: pa.Table, name: str) -> Floats:
    return table[name].cast(pa.float64()).fill_null(0.0).to_numpy()


_FITTED_SCHEMA = pa.schema(
    [("cutoff", pa.date32()), ("customers", pa.int64()), ("repeaters", pa.int64())]
    + [(name, pa.float64()) for name in ("r", "alpha", "a", "b", "p", "q", "v", "correlation")]
    + [("predicted_purchases", pa.float64()), ("actual_purchases", pa.int64())]
)
_PREDICTED_SCHEMA = pa.schema(
    [("customer_id", pa.string())]
    + [
        (name, pa.float64())
        for name in ("p_alive", "expected_purchases", "expected_order_value", "expected_revenue")
    ]
)
