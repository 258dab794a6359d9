"""What the simulated company sells and does: products, prices, rates, campaigns, holidays."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ingestion.simulator.world import table_of

CURRENCIES = ("EUR", "GBP", "BRL", "USD")
YEARS = 4  # of which the reference data is made at the beginning
_EUR_PER_UNIT = {"EUR": 1.0, "GBP": 1.17, "BRL": 0.17, "USD": 0.92}

# Category: kinds of goods, price in EUR from and to, weight in grams from and to.
_GOODS = {
    "tents": ("Tunnel Tent,Dome Tent,Tarp,Bivy Bag,Family Tent", 119, 749, 900, 9000),
    "sleeping": ("Sleeping Bag,Down Bag,Sleeping Mat,Air Mattress,Liner", 29, 399, 200, 2200),
    "packs": ("Daypack,Trekking Pack,Duffel,Dry Bag,Hip Pack", 25, 289, 150, 2600),
    "footwear": ("Hiking Boot,Trail Shoe,Sandal,Winter Boot,Camp Slipper", 39, 259, 300, 1600),
    "jackets": ("Rain Jacket,Down Jacket,Softshell,Fleece,Windbreaker", 59, 479, 180, 1100),
    "clothing": ("Trekking Trousers,Merino Shirt,Base Layer,Cap,Gloves,Socks", 15, 149, 50, 600),
    "cooking": ("Gas Stove,Cook Set,Bottle,Thermos,Water Filter,Spork", 9, 169, 40, 1200),
    "climbing": ("Harness,Rope,Helmet,Carabiner Set,Chalk Bag", 19, 229, 90, 4200),
    "navigation": ("GPS Watch,Compass,Headlamp,Power Bank,Map Case", 15, 449, 40, 600),
    "travel": ("Cabin Trolley,Toiletry Bag,Neck Pillow,Travel Towel,Adapter", 9, 189, 60, 3400),
}
_LINES = (
    "Fjell", "Skog", "Tind", "Vidda", "Elv", "Storm", "Breeze", "Summit", "Nomad", "Polar", "Alta",
    "Solis",
)  # fmt: skip
_BRANDS = ("Nordlicht", "Nordlicht", "Bergwind", "Kaap", "Tremola", "Ostwand", "Serra Azul")

GROWTH = 0.15  # of those who newly come, a year
NEWCOMERS = 2800  # a year, for whom the budgets below are
_LEAST = 0.02  # of them: no campaign is too small to be seen
_PAID = {  # channel: source, medium, how many start a year, EUR of budget
    "paid_search": ("google", "cpc", 8, 9000.0),
    "paid_social": ("meta", "paid_social", 8, 7000.0),
    "display": ("display_network", "display", 4, 3500.0),
    "affiliate": ("partners", "affiliate", 4, 2500.0),
    "event": ("fair", "event", 3, 12000.0),
}
# channel: currency of the platform's bills, for one euro, what a click costs, impressions per click
_PLATFORMS = {
    "paid_search": ("EUR", 1.0, 0.80, 30),
    "paid_social": ("EUR", 1.0, 0.55, 90),
    "display": ("USD", 1.15, 0.30, 400),
}
_THEMES = {  # by month
    1: "Winter sale", 2: "Indoor climbing", 3: "Spring trails", 4: "Easter tours",
    5: "Camping season", 6: "Summer peaks", 7: "Light travel", 8: "Late summer nights",
    9: "Autumn hikes", 10: "Rain or shine", 11: "Black week", 12: "Gifts for outdoors",
}  # fmt: skip
_SUBJECTS = (
    "{}: our favourites", "{} - 15 % off until Sunday", "New in the shop: {}",
    "{}: tips from our team", "Your guide to {}", "Last days: {}",
)  # fmt: skip

_FIXED_HOLIDAYS = {
    "DE": {"01-01": "Neujahr", "05-01": "Tag der Arbeit", "10-03": "Tag der Deutschen Einheit",
           "12-25": "1. Weihnachtstag", "12-26": "2. Weihnachtstag"},
    "AT": {"01-01": "Neujahr", "01-06": "Heilige Drei Könige", "05-01": "Staatsfeiertag",
           "08-15": "Mariä Himmelfahrt", "10-26": "Nationalfeiertag", "11-01": "Allerheiligen",
           "12-08": "Mariä Empfängnis", "12-25": "Christtag", "12-26": "Stefanitag"},
    "GB": {"01-01": "New Year's Day", "12-25": "Christmas Day", "12-26": "Boxing Day"},
    "US": {"01-01": "New Year's Day", "06-19": "Juneteenth", "07-04": "Independence Day",
           "11-11": "Veterans Day", "12-25": "Christmas Day"},
    "BR": {"01-01": "Confraternização Universal", "04-21": "Tiradentes", "05-01": "Dia do Trabalho",
           "09-07": "Independência", "10-12": "Nossa Senhora Aparecida", "11-02": "Finados",
           "11-15": "Proclamação da República", "11-20": "Consciência Negra", "12-25": "Natal"},
    "PT": {"01-01": "Ano Novo", "04-25": "Dia da Liberdade", "05-01": "Dia do Trabalhador",
           "06-10": "Dia de Portugal", "08-15": "Assunção", "10-05": "Implantação da República",
           "11-01": "Todos os Santos", "12-01": "Restauração da Independência",
           "12-08": "Imaculada Conceição", "12-25": "Natal"},
    "KZ": {"01-01": "New Year's Day", "01-02": "New Year", "03-08": "Women's Day",
           "03-21": "Nauryz", "03-22": "Nauryz", "03-23": "Nauryz", "05-01": "Unity Day",
           "05-07": "Defender's Day", "05-09": "Victory Day", "07-06": "Capital Day",
           "08-30": "Constitution Day", "10-25": "Republic Day", "12-16": "Independence Day"},
}  # fmt: skip
_EASTER_HOLIDAYS = {  # days from Easter Sunday
    "DE": {-2: "Karfreitag", 1: "Ostermontag", 39: "Christi Himmelfahrt", 50: "Pfingstmontag"},
    "AT": {1: "Ostermontag", 39: "Christi Himmelfahrt", 50: "Pfingstmontag", 60: "Fronleichnam"},
    "GB": {-2: "Good Friday", 1: "Easter Monday"},
    "BR": {-2: "Sexta-feira Santa"},
    "PT": {-2: "Sexta-feira Santa", 60: "Corpo de Deus"},
}
# Month, weekday (0 is Monday), which one of the month (-1: the last).
_WEEKDAY_HOLIDAYS = {
    "GB": [(5, 0, 1, "Early May bank holiday"), (5, 0, -1, "Spring bank holiday"),
           (8, 0, -1, "Summer bank holiday")],
    "US": [(1, 0, 3, "Martin Luther King Jr. Day"), (2, 0, 3, "Presidents' Day"),
           (5, 0, -1, "Memorial Day"), (9, 0, 1, "Labor Day"), (10, 0, 2, "Columbus Day"),
           (11, 3, 4, "Thanksgiving")],
}  # fmt: skip


def products(rng: np.random.Generator, started_at: datetime) -> tuple[pa.Table, pa.Table]:
    """The range of goods and its list prices: new goods appear, some are withdrawn, prices rise."""
    rows = []
    for category, (kinds, low, high, light, heavy) in _GOODS.items():
        for kind in kinds.split(","):
            for line in rng.choice(_LINES, 4, replace=False):
                at = rng.beta(1.4, 3.0)  # most of a kind are at its cheaper end
                rows.append((f"{line} {kind}", category, low + at * (high - low),
                             int(light + rng.random() * (heavy - light))))  # fmt: skip
    names, categories, euros, grams = zip(*rows, strict=True)
    n = len(rows)
    charm = np.floor(np.array(euros) / 5) * 5 + 4.95
    new, gone = rng.random(n) < 0.25, rng.random(n) < 0.12
    age = np.where(new, rng.uniform(0, 365 * 3, n), -rng.uniform(30, 1500, n))
    left = np.maximum(age, 0) + rng.uniform(120, 1000, n)
    days = [started_at + timedelta(days=int(d)) for d in age]
    product = table_of(
        "product",
        {
            "product_id": np.arange(1, n + 1),
            "sku": [f"NL-{c[:3].upper()}-{i:04d}" for i, c in enumerate(categories, 1)],
            "name": names,
            "category": categories,
            "brand": rng.choice(_BRANDS, n),
            "weight_grams": grams,
            "unit_cost": pa.array(np.round(charm * rng.uniform(0.38, 0.62, n), 2)).cast(
                pa.decimal128(18, 2), safe=False
            ),
            "quality": np.round(rng.beta(6, 2, n), 3),
            "launched_at": days,
            "withdrawn_at": [
                started_at + timedelta(days=int(d)) if g else None
                for d, g in zip(left, gone, strict=True)
            ],
        },
    )
    columns: dict[str, list[object]] = {
        c: [] for c in ("product_id", "currency", "amount", "valid_from")
    }
    for year in range(YEARS + 1):
        # A rise of 2 to 5 % every January for what is then on sale.
        new_year = datetime(started_at.year + year, 1, 15, tzinfo=started_at.tzinfo)
        if year:
            charm = np.round(charm * rng.uniform(1.02, 1.05, n) - 0.95) + 0.95
        starts = [max(d, started_at - timedelta(days=1)) for d in days]
        for currency, rate in _EUR_PER_UNIT.items():
            amount = np.maximum(np.round(charm / rate / 5) * 5 - 0.05, 4.95)
            amount = charm if currency == "EUR" else amount
            for i in range(n):
                since = starts[i] if year == 0 else new_year
                if year and since <= starts[i]:
                    continue
                columns["product_id"].append(i + 1)
                columns["currency"].append(currency)
                columns["amount"].append(f"{amount[i]:.2f}")
                columns["valid_from"].append(since)
    columns["amount"] = pa.array(columns["amount"]).cast(pa.decimal128(18, 2))
    return product, table_of("price", columns)


def exchange_rates(rng: np.random.Generator, started_at: datetime) -> pa.Table:
    """Daily rates of the shop's currencies in EUR: a seeded walk that stays near real levels."""
    n = YEARS * 366 + 2
    days = np.datetime64(started_at.date()) - 1 + np.arange(n)
    tables = []
    for currency, level in _EUR_PER_UNIT.items():
        drift = np.zeros(n)
        if currency != "EUR":
            steps = rng.normal(0, 0.004, n)
            for i in range(1, n):
                drift[i] = drift[i - 1] * 0.995 + steps[i]
        tables.append(
            table_of(
                "exchange_rate",
                {"day": days, "currency": [currency] * n,
                 "to_eur": np.round(level * np.exp(drift), 6)},
            )
        )  # fmt: skip
    return pa.concat_tables(tables).combine_chunks()


def campaigns(rng: np.random.Generator, started_at: datetime, newcomers: float) -> pa.Table:
    """Newsletters every week and paid campaigns over the years, in order of their beginning.

    Budgets grow with how many come to know the company: `newcomers` in its first year.
    """
    rows: list[dict[str, object]] = []
    for week in range(YEARS * 52 + 2):
        at = started_at + timedelta(days=7 * week + 1 + int(rng.integers(0, 3)), hours=8)
        theme = _THEMES[at.month]
        kind = "Newsletter" if week % 4 else "Offer"
        rows.append(
            _campaign(f"{kind} {at:%G-W%V}", "email", at, at + timedelta(days=7),
                      120.0 + 60 * rng.random(), "mailchimp", "email",
                      str(rng.choice(_SUBJECTS)).format(theme))
        )  # fmt: skip
    for channel, (source, medium, yearly, budget) in _PAID.items():
        for number in range(YEARS * yearly):
            span = 365 / yearly
            at = started_at + timedelta(days=span * number + rng.uniform(0, span / 4))
            length = rng.uniform(2, 4) if channel == "event" else rng.uniform(0.7, 1.2) * span
            size = max(newcomers / NEWCOMERS, _LEAST) * (1 + GROWTH) ** (span * number / 365)
            name = f"{_THEMES[at.month]} {channel.replace('_', ' ')} {at:%Y-%m}"
            rows.append(
                _campaign(name, channel, at, at + timedelta(days=length),
                          size * budget * rng.uniform(0.6, 1.5), source, medium, None)
            )  # fmt: skip
    rows.sort(key=lambda r: (r["started_at"], r["name"]))
    for number, row in enumerate(rows, 1):
        spent = float(row["budget"]) * rng.uniform(0.8, 1.08)  # type: ignore[arg-type]
        row["campaign_id"] = number
        row["utm_campaign"] = f"{str(row['name']).lower().replace(' ', '_')}_{number}"
        row["budget"], row["actual_cost"] = f"{row['budget']:.2f}", f"{spent:.2f}"
    columns = {c: [r[c] for r in rows] for c in rows[0]}
    for money in ("budget", "actual_cost"):
        columns[money] = pa.array(columns[money]).cast(pa.decimal128(18, 2))
    return table_of("campaign", columns)


def ad_spend(campaign: pa.Table) -> pa.Table:
    """What the platforms bill for campaigns, by the day: more at weekends, the cost in all."""
    parts: list[dict[str, Any]] = []
    for row in campaign.to_pylist():
        if row["channel"] not in _PLATFORMS:
            continue
        currency, per_euro, per_click, impressions = _PLATFORMS[row["channel"]]
        days = np.arange(row["started_at"].date(), row["ended_at"].date() + timedelta(days=1))
        weight = np.where(np.is_busday(days), 10, 13)
        cents = round(float(row["actual_cost"]) * per_euro * 100)
        spent = np.diff(cents * np.cumsum(weight) // weight.sum(), prepend=0)
        clicks = (spent / 100 / per_click).astype(np.int64)
        parts.append({
            "day": days, "campaign_id": np.full(len(days), row["campaign_id"]), "amount": spent,
            "currency": np.full(len(days), currency, object),
            "impressions": clicks * impressions, "clicks": clicks,
        })  # fmt: skip
    columns: dict[str, Any] = {c: np.concatenate([p[c] for p in parts]) for c in parts[0]}
    columns["amount"] = pa.array(columns["amount"] / 100).cast(pa.decimal128(18, 2), safe=False)
    return table_of("ad_spend", columns)


def holidays(started_at: datetime) -> pa.Table:
    """Public holidays of the countries that the company works in."""
    rows = []
    for year in range(started_at.year - 1, started_at.year + YEARS + 2):
        easter = easter_sunday(year)
        for country, fixed in _FIXED_HOLIDAYS.items():
            rows += [(date.fromisoformat(f"{year}-{d}"), country, n) for d, n in fixed.items()]
        for country, movable in _EASTER_HOLIDAYS.items():
            rows += [(easter + timedelta(days=d), country, n) for d, n in movable.items()]
        for country, weekdays in _WEEKDAY_HOLIDAYS.items():
            rows += [(_nth_weekday(year, m, d, k), country, n) for m, d, k, n in weekdays]
    rows.sort()
    day, country_, name = zip(*rows, strict=True)
    return table_of("holiday", {"day": day, "country": country_, "name": name})


def easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar, by the rule of Gauss and Lilius."""
    golden, century = year % 19, year // 100
    moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= moon // 28 * (1 - 29 // (moon + 1) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    if nth < 0:
        last = date(year, month, 31)  # only asked of months of 31 days
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _campaign(
    name: str, channel: str, started_at: datetime, ended_at: datetime, budget: float,
    source: str, medium: str, subject: str | None,
) -> dict[str, object]:  # fmt: skip
    return {
        "name": name, "channel": channel, "started_at": started_at, "ended_at": ended_at,
        "budget": budget, "currency": "EUR", "utm_source": source, "utm_medium": medium,
        "subject": subject,
    }  # fmt: skip
