"""Make the example: fifteen months of a fictitious outdoor shop, as four systems would export them.

Run by hand (`python examples/make_exports.py`); the same seed writes the same files.
"""

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

TEXTS = yaml.safe_load((Path(__file__).parent / "texts.yml").read_text(encoding="utf-8"))
STAFF: list[list[str]] = TEXTS["staff"]
SEED = 20260930
PEOPLE = 600
START, END = pd.Timestamp("2025-07-01"), pd.Timestamp("2026-10-01")
# A new carrier takes over and loses its way: the story of September 2026.
TROUBLE = pd.Timestamp("2026-08-28")
MONTHS = pd.date_range(START, END, freq="MS", inclusive="left")
SEASON = dict(enumerate([0.7, 0.75, 1.0, 1.1, 1.2, 1.15, 1.0, 1.0, 0.9, 1.0, 1.35, 1.5], start=1))
VAT = {"DE": 190, "AT": 200, "CH": 81, "GB": 200}  # per mille
CURRENCY = {"DE": "EUR", "AT": "EUR", "CH": "CHF", "GB": "GBP"}
COUNTRY_DE = {
    "DE": "Deutschland",
    "AT": "Österreich",
    "CH": "Schweiz",
    "GB": "Vereinigtes Königreich",
}


@dataclass(frozen=True)
class Sold:
    """Orders and what hangs on them, in true (not yet exported) form."""

    orders: pd.DataFrame
    lines: pd.DataFrame
    mood: np.ndarray  # month x person, after what happened in that month


# helpers: everything below works on whole columns


def days(values: np.ndarray) -> pd.TimedeltaIndex:
    return pd.to_timedelta(np.round(values * 86400), unit="s")


def daytime(rng: np.random.Generator, at: pd.Series, first: int = 7, last: int = 22) -> pd.Series:
    """Some second between two full hours of the same day."""
    seconds = rng.integers(first * 3600, last * 3600, len(at))
    return at.dt.normalize() + pd.to_timedelta(seconds, unit="s")


def known(at: pd.Series) -> pd.Series:
    """What lies behind the day of the export is not in it."""
    return at.where(at < END)


def iso(at: pd.Series, form: str = "%Y-%m-%d %H:%M:%S") -> pd.Series:
    return at.dt.strftime(form)


def german(at: pd.Series) -> pd.Series:
    return at.dt.strftime("%d.%m.%Y %H:%M")


def utc(at: pd.Series) -> pd.Series:
    return at.dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def money(cents: pd.Series) -> pd.Series:
    return (cents / 100).map("{:.2f}".format, na_action="ignore")


def german_money(cents: pd.Series) -> pd.Series:
    swap = str.maketrans(",.", ".,")
    return (cents / 100).map(lambda v: f"{v:,.2f}".translate(swap), na_action="ignore")


def ids(prefix: str, first: int, n: int) -> np.ndarray:
    return np.char.add(prefix, np.arange(first, first + n).astype(str)).astype(object)


def chance(rng: np.random.Generator, p: object, n: int) -> np.ndarray:
    return rng.random(n) < np.asarray(p)


def pick(rng: np.random.Generator, pool: list[str], n: int) -> np.ndarray:
    return np.array(pool, dtype=object)[rng.integers(0, len(pool), n)]


def spoken(rng: np.random.Generator, texts: dict[str, list[str]], kinds: pd.Series) -> pd.Series:
    """A text out of the pool of each row's kind."""
    number = rng.integers(0, 1 << 16, len(kinds))
    pairs = zip(kinds, number, strict=True)
    return pd.Series([texts[kind][i % len(texts[kind])] for kind, i in pairs], kinds.index)


# the people


def make_people(rng: np.random.Generator) -> pd.DataFrame:
    """Who there is, and in which systems; `mail`, `number` are what each is really reached by."""
    n = PEOPLE
    pair = rng.choice(len(TEXTS["first_names"]) * len(TEXTS["last_names"]), n, replace=False)
    people = pd.DataFrame(
        {
            "first": np.array(TEXTS["first_names"], dtype=object)[pair % len(TEXTS["first_names"])],
            "last": np.array(TEXTS["last_names"], dtype=object)[pair // len(TEXTS["first_names"])],
            "country": rng.choice(["DE", "AT", "CH", "GB"], n, p=[0.78, 0.08, 0.08, 0.06]),
        }
    ).astype(object)
    for (first, last, *_), row in zip(STAFF, range(4), strict=False):  # employees that also buy
        people.loc[row, ["first", "last", "country"]] = [first, last, "DE"]
    city = pd.Series(rng.integers(0, 100, n))
    for column, place in (("city", 0), ("postal", 1)):
        pools = people.country.map(lambda c, place=place: [v[place] for v in TEXTS["cities"][c]])
        people[column] = [pool[i % len(pool)] for pool, i in zip(pools, city, strict=True)]
    people["street"] = pick(
        rng, ["Birkenweg", "Hauptstr.", "Am Anger", "Seestraße", "Mühlgasse"], n
    )
    people["street"] += " " + pd.Series(rng.integers(1, 120, n)).astype(str)
    people["born"] = START - days(rng.integers(20 * 365, 72 * 365, n).astype(float))
    ascii_name = (people["first"] + "." + people["last"]).str.lower()
    for letter, plain in {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e"}.items():
        ascii_name = ascii_name.str.replace(letter, plain)
    people["mail"] = (
        ascii_name + "@" + pick(rng, ["post.example", "mail.example", "web.example"], n)
    )
    people["old_mail"] = ascii_name.str.replace(".", "_") + "@alt.example"
    people.loc[:3, "mail"] = ascii_name[:4] + "@nordlicht-outdoor.example"
    # a household: two people, one mailbox, one address
    people.loc[11, ["last", "country", "city", "postal", "street"]] = people.loc[
        10, ["last", "country", "city", "postal", "street"]
    ]
    people.loc[10:11, "mail"] = "familie." + str(people.loc[10, "last"]).lower() + "@post.example"

    # numbers out of the blocks that are kept free for fiction
    code, area, block = (
        pd.Series(v, dtype=object)
        for v in zip(
            *np.array(TEXTS["phone_blocks"], dtype=object)[
                np.where(people.country == "GB", 0, rng.integers(1, len(TEXTS["phone_blocks"]), n))
            ],
            strict=True,
        )
    )
    people["code"], people["area"] = code, area
    last_digits = pd.Series(rng.choice(1000, n, replace=False)).astype(str).str.zfill(3)
    has_phone = people.country.isin(["DE", "GB"]) & chance(rng, 0.85, n)
    people["number"] = (block + last_digits).where(has_phone)

    people["language"] = np.where((people.country == "GB") | chance(rng, 0.05, n), "en", "de")
    people["joined"] = START + days(np.where(chance(rng, 0.5, n), -700, 450) * rng.random(n))
    people["joined"] = daytime(rng, people.joined)
    people["mood"] = rng.normal(0.3, 0.7, n)
    people["activity"] = rng.gamma(2.0, 0.5, n)
    in_shop = chance(rng, 0.86, n)
    in_shop[:12] = True
    in_crm = chance(rng, 0.52, n) | ~in_shop
    in_crm[20:24] = True
    people["customer"] = np.where(in_shop, ids("", 10001, n), None)
    people["contact"] = np.where(in_crm, ids("K-", 2001, n), None)
    people["member"] = in_shop & chance(rng, 0.35, n)
    return people


def phone(people: pd.DataFrame, style: np.ndarray) -> pd.Series:
    """The same numbers as five people would write them."""
    code, area, number = people.code, people.area, people.number
    forms = [
        "+" + code + " " + area + " " + number,
        "0" + area + " " + number,
        "(0" + area + ") " + number.str[:3] + " " + number.str[3:],
        "00" + code + area + number,
        "0" + area + "/" + number.str[:-3] + "-" + number.str[-3:],
    ]
    return pd.Series(np.select([style == i for i in range(5)], forms, None), people.index)


# the shop


def make_products() -> pd.DataFrame:
    rows = [
        (c, name, price, grams)
        for c, (_, items) in TEXTS["products"].items()
        for name, price, grams in items
    ]
    products = pd.DataFrame(rows, columns=["category", "name", "price", "grams"])
    products["product"] = ids("A", 5001, len(products))
    products["cents"] = products.price * 100 - 5
    return products


def make_rates(rng: np.random.Generator) -> pd.DataFrame:
    """One rate a month; `rate` is what one unit is worth in euros."""
    steps = rng.normal(0, 0.008, (2, len(MONTHS))).cumsum(axis=1)
    worth = np.round(np.array([[1.06], [1.16]]) + steps, 4)
    return pd.DataFrame(
        {
            "month": np.tile(MONTHS, 2),
            "currency": np.repeat(["CHF", "GBP"], len(MONTHS)),
            "rate": worth.ravel(),
        }
    )


def make_sales(
    rng: np.random.Generator, people: pd.DataFrame, products: pd.DataFrame, rates: pd.DataFrame
) -> Sold:
    """Month by month, because whoever waited too long does not come back."""
    n = len(people)
    mood = people.mood.to_numpy(float).copy()
    moods, parts = [], []
    hits = np.zeros((len(MONTHS) + 2, n))
    for number, month in enumerate(MONTHS):
        length = month.days_in_month
        since = (people.joined - month).dt.days.clip(lower=0).to_numpy()
        rate = people.activity * 0.15 * SEASON[month.month] * np.exp(1.4 * np.minimum(mood, 0.6))
        rate = np.where(since > 0, 0.45, rate.to_numpy()) * (since < length)  # newcomers try it
        buyer = np.repeat(np.arange(n), rng.poisson(rate))
        day = since[buyer] + rng.random(len(buyer)) * (length - since[buyer])
        placed = daytime(rng, pd.Series(month + days(np.floor(day))))
        placed = placed.where(
            placed > people.joined.iloc[buyer].to_numpy(),
            placed.dt.normalize() + pd.Timedelta("22:30:00"),
        )
        risk = np.where(placed >= TROUBLE, 0.65, 0.12 if month.month == 12 else 0.06)
        late = chance(rng, risk, len(buyer))
        due = number + ((placed + pd.Timedelta(days=5)).dt.month != month.month).to_numpy()
        np.add.at(hits, (due, buyer), np.where(late, 1.9, -0.05))
        mood = np.clip(mood - hits[number], -3, 1.5)
        moods.append(mood)
        parts.append(pd.DataFrame({"person": buyer, "placed": placed, "late": late}))
    orders = pd.concat(parts).sort_values(["placed", "person"], ignore_index=True)
    return _priced(rng, orders, people, products, rates, np.array(moods))


def _priced(
    rng: np.random.Generator,
    orders: pd.DataFrame,
    people: pd.DataFrame,
    products: pd.DataFrame,
    rates: pd.DataFrame,
    mood: np.ndarray,
) -> Sold:
    m = len(orders)
    orders["order"] = ids("NO-", 100001, m)
    country = orders.person.map(people.country)
    orders["currency"] = country.map(CURRENCY)
    orders["month"] = orders.placed.dt.to_period("M").dt.to_timestamp()
    worth = orders.merge(rates, how="left", on=["month", "currency"]).rate.fillna(1.0)
    orders["worth"] = worth

    # lines: net prices in the currency of the order
    per_order = 1 + rng.binomial(3, 0.22, m)
    lines = pd.DataFrame({"row": np.repeat(np.arange(m), per_order)})
    lines["order"] = orders.order.to_numpy()[lines.row]
    lines["line"] = lines.groupby("row").cumcount() + 1
    lines["item"] = rng.integers(0, len(products), len(lines))
    lines["quantity"] = 1 + chance(rng, 0.12, len(lines))
    cents = products.cents.to_numpy()[lines["item"]] / worth.to_numpy()[lines.row]
    lines["cents"] = (np.round(cents / 10) * 10).astype(int)
    lines["net"] = lines.quantity * lines.cents
    goods = lines.groupby("row").net.sum()

    # the total is lines + tax + shipping - discount, to the cent
    orders["campaign"] = np.where(chance(rng, 0.22, m), campaign_of(orders.placed), None)
    coupon = chance(rng, 0.6, m) & orders.campaign.notna()
    orders["coupon"] = np.where(coupon, "DRAUSSEN10", None)
    orders["discount"] = np.where(coupon, goods // 10, 0)
    orders["shipping"] = np.where(goods >= 9000, 0, 490)
    base = goods - orders.discount + orders.shipping
    orders["vat"] = country.map(VAT).astype(int)
    orders["tax"] = (base * orders.vat + 500) // 1000
    orders["total"] = base + orders.tax

    # what became of it
    cancelled = chance(rng, 0.03, m)
    cancelled_at = orders.placed + days(rng.uniform(0.05, 0.8, m))
    orders["paid"] = (orders.placed + days(rng.uniform(0.0005, 0.08, m))).where(
        ~cancelled | chance(rng, 0.5, m)
    )
    shipped = daytime(rng, orders.placed + days(rng.integers(1, 3, m)), 8, 18)
    orders["promised"] = orders.placed.dt.normalize() + pd.Timedelta(days=5)
    transit = np.where(orders.late, rng.integers(5, 13, m), rng.integers(1, 3, m))
    delivered = daytime(rng, shipped + days(transit), 9, 19)
    orders["cancelled"] = known(cancelled_at.where(cancelled))
    orders["shipped"] = known(shipped.where(~cancelled))
    orders["delivered"] = known(delivered.where(~cancelled))
    returned_at = daytime(rng, delivered + days(rng.integers(6, 18, m)), 8, 18)
    unhappy = mood[orders.month.map({v: i for i, v in enumerate(MONTHS)}), orders.person] < -0.5
    returned = chance(rng, np.where(unhappy, 0.14, 0.05), m) & orders.delivered.notna()
    orders["returned"] = known(returned_at.where(returned))
    orders["status"] = np.select(
        [orders.cancelled.notna(), orders.returned.notna(), orders.delivered.notna(),
         orders.shipped.notna(), orders.paid.notna()],
        ["cancelled", "returned", "complete", "in transit", "paid"], "open",
    )  # fmt: skip
    orders["channel"] = rng.choice(["web", "app", "phone"], m, p=[0.72, 0.2, 0.08])
    orders["customer"] = orders.person.map(people.customer)
    orders["guest"] = orders.person.map(people.mail).where(orders.customer.isna())
    # two that have an account order as guests all the same
    habit = orders.index[orders.customer.notna()][[40, 90]]
    orders.loc[habit, "guest"] = orders.person[habit].map(people.mail)
    orders.loc[habit, "customer"] = None
    return Sold(orders, lines, mood)


def write_shop(
    rng: np.random.Generator,
    out: "Exports",
    people: pd.DataFrame,
    products: pd.DataFrame,
    rates: pd.DataFrame,
    sold: Sold,
) -> None:
    orders, lines = sold.orders, sold.lines
    style = {"encoding": "utf-8-sig"}
    mine = people[people.customer.notna()]
    n = len(mine)
    mail = mine.mail.where(~chance(rng, 0.06, n), mine.mail.str.replace("@", "+shop@"))
    customers = pd.DataFrame(
        {
            "Customer ID": mine.customer,
            "First Name": mine["first"],
            "Last Name": mine["last"],
            "E-mail": mail,
            "Phone": phone(mine, rng.integers(0, 2, n)),
            "Date of Birth": iso(mine.born, "%Y-%m-%d").where(chance(rng, 0.5, n)),
            "Street": mine.street,
            "Postcode": mine.postal,
            "City": mine.city,
            "Country": mine.country,
            "Group": np.where(mine.index < 4, "staff", "retail"),
            "Created": iso(mine.joined),
        }
    )
    tester = ["19999", "Test", "Kunde", "test@nordlicht-outdoor.example", None, None, "Testweg 1",
              "10115", "Berlin", "DE", "test", "2025-08-04 09:00:00"]  # fmt: skip
    customers.loc[len(people)] = tester
    out.csv("shop/customers.csv", customers, **style)
    out.csv(
        "shop/products.csv",
        pd.DataFrame(
            {
                "Article": products["product"],
                "Name": products["name"],
                "Category": products.category,
                "Brand": np.where(products.index % 3 == 0, "Nordlicht", "Fjellheim"),
                "List Price": money(products.cents),
                "Unit Cost": money((products.cents * 0.55).astype(int)),
                "Weight (g)": products.grams,
            }
        ),
        **style,
    )
    names = pd.DataFrame(
        {"Category": list(TEXTS["products"]), "English": [v[0] for v in TEXTS["products"].values()]}
    )
    out.csv("shop/categories.csv", names, **style)

    table = pd.DataFrame(
        {
            "Order No.": orders.order,
            "Customer ID": orders.customer,
            "Guest E-mail": orders.guest,
            "Status": orders.status,
            "Channel": orders.channel,
            "Campaign": orders.campaign,
            "Coupon": orders.coupon,
            "Currency": orders.currency,
            "Total": money(orders.total),
            "Discount": money(orders.discount),
            "Shipping": money(orders.shipping),
            "Tax": money(orders.tax),
            "Ordered At": iso(orders.placed),
            "Paid At": iso(known(orders.paid)),
            "Shipped At": iso(orders.shipped),
            "Delivered At": iso(orders.delivered),
            "Promised By": iso(orders.promised, "%Y-%m-%d"),
            "Cancelled At": iso(orders.cancelled),
        }
    )
    for year in (2025, 2026):
        name = f"shop/orders_{year}.csv" + (".gz" if year < END.year else "")
        out.csv(name, table[orders.placed.dt.year == year], **style)
    out.csv(
        "shop/order_lines.csv",
        pd.DataFrame(
            {
                "Order No.": lines.order,
                "Line": lines.line,
                "Article": products["product"].to_numpy()[lines["item"]],
                "Qty": lines.quantity,
                "Unit Price": money(lines.cents),
            }
        ),
        **style,
    )
    shipped = orders[orders.shipped.notna()]
    out.csv(
        "shop/shipments.csv.gz",
        pd.DataFrame(
            {
                "Shipment": ids("S-", 400001, len(shipped)),
                "Order No.": shipped.order,
                "Carrier": np.where(shipped.placed >= TROUBLE, "PaketBlitz", "Alpenpost"),
                "State": np.where(shipped.delivered.notna(), "delivered", "on its way"),
                "Handed Over": iso(shipped.shipped),
                "Delivered": iso(shipped.delivered),
            }
        ),
    )
    _write_payments(rng, out, orders, lines)
    _write_carts(rng, out, people, orders)
    _write_loyalty(rng, out, people, orders)
    out.csv(
        "shop/exchange_rates.csv",
        pd.DataFrame(
            {
                "Valid From": iso(rates.month, "%Y-%m-%d"),
                "Currency": rates.currency,
                "EUR": rates.rate.map("{:.4f}".format),
            }
        ),
        **style,
    )


def _write_payments(
    rng: np.random.Generator, out: "Exports", orders: pd.DataFrame, lines: pd.DataFrame
) -> None:
    paid = orders[known(orders.paid).notna()].assign(state="success")
    failed = paid[chance(rng, 0.03, len(paid))].assign(state="failure")
    failed = failed.assign(paid=failed.paid - pd.Timedelta(seconds=40))
    booked = pd.concat([paid, failed]).sort_values(["paid", "order"], ignore_index=True)
    out.csv(
        "shop/payments.csv.gz",
        pd.DataFrame(
            {
                "Payment": ids("P", 700001, len(booked)),
                "Order No.": booked.order,
                "State": booked.state,
                "Method": pick(rng, ["card", "paypal", "invoice", "sepa"], len(booked)),
                "Amount": money(booked.total),
                "Currency": booked.currency,
                "Booked At": iso(booked.paid),
            }
        ),
    )
    first = orders.merge(lines[lines.line == 1], on="order")
    first["gross"] = (first.net * (1000 + first.vat) // 1000).clip(upper=first.total)
    whole = first.cancelled.notna() & first.paid.notna()
    back = first[whole | first.returned.notna()]
    out.csv(
        "shop/refunds.csv",
        pd.DataFrame(
            {
                "Refund": ids("R", 900001, len(back)),
                "Order No.": back.order,
                "Line": np.where(back.returned.notna(), "1", ""),
                "Amount": money(back.gross.where(back.returned.notna(), back.total)),
                "Currency": back.currency,
                "Reason": np.where(back.returned.notna(), "returned", "cancelled"),
                "Refunded At": iso(back.returned.fillna(back.cancelled)),
            }
        ),
        encoding="utf-8-sig",
    )


def _write_carts(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, orders: pd.DataFrame
) -> None:
    done = orders[orders.channel != "phone"]
    begun = done.placed - days(rng.uniform(0.002, 0.03, len(done)))
    carts = pd.DataFrame(
        {"customer": done.customer, "mail": done.guest, "order": done.order,
         "cents": done.total - done.tax - done.shipping + done.discount,
         "currency": done.currency, "begun": begun, "completed": done.placed}
    )  # fmt: skip
    left = done.sample(frac=0.45, random_state=rng)
    later = left.placed + days(rng.uniform(-25, 25, len(left)))
    left_at = daytime(rng, later.clip(START, END - pd.Timedelta(days=1)))
    # who has not joined yet is but a visitor
    is_known = left_at > left.person.map(people.joined)
    abandoned = pd.DataFrame(
        {"customer": left.customer.where(is_known), "mail": None, "order": None,
         "cents": left.total // 100 * 90, "currency": left.currency, "begun": left_at}
    )  # fmt: skip
    carts = pd.concat([carts, abandoned]).sort_values(["begun", "cents"], ignore_index=True)
    out.csv(
        "shop/carts.csv.gz",
        pd.DataFrame(
            {
                "Cart": ids("", 600001, len(carts)),
                "Customer ID": carts.customer,
                "E-mail": carts["mail"],
                "Order No.": carts.order,
                "Value": money(carts.cents),
                "Currency": carts.currency,
                "Begun": iso(carts.begun),
                "Completed": iso(carts.completed),
            }
        ),
    )


def _write_loyalty(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, orders: pd.DataFrame
) -> None:
    members = people[people.member]
    enrolled = pd.DataFrame(
        {"customer": members.customer, "at": members.joined.clip(lower=START), "kind": "enrolled"}
    )
    theirs = orders[orders.person.isin(members.index) & orders.customer.notna()]
    theirs = theirs[theirs.delivered.notna()]
    earned = pd.DataFrame(
        {"customer": theirs.customer, "at": theirs.delivered, "kind": "earned",
         "points": (theirs.total * theirs.worth // 100).astype(int), "order": theirs.order}
    )  # fmt: skip
    spent = earned[chance(rng, 0.12, len(earned))].assign(kind="redeemed", order=None)
    spent = spent.assign(points=-(spent.points // 2), at=known(spent["at"] + pd.Timedelta(days=9)))
    tier = earned.assign(sum=earned.groupby("customer").points.cumsum())
    tier = tier[tier["sum"].gt(500) & (tier["sum"] - tier.points).le(500)]
    tier = tier.assign(kind="tier_changed", points=None, order=None, tier="gold")
    frames = [enrolled, earned, spent[spent["at"].notna()], tier]
    events = pd.concat([f.astype(object) for f in frames])
    events = events.sort_values(["at", "customer", "kind"], ignore_index=True)
    out.csv(
        "shop/loyalty_events.csv.gz",
        pd.DataFrame(
            {
                "Event": ids("LP", 1, len(events)),
                "Customer ID": events.customer,
                "Kind": events.kind,
                "Points": events.points,
                "Tier": events.tier,
                "Order No.": events.order,
                "At": iso(pd.to_datetime(events["at"])),
            }
        ),
    )
    newcomers = people[(people.joined > START) & people.customer.notna()].sample(
        40, random_state=rng
    )
    friends = members[members.joined < START].sample(40, random_state=rng)
    asked = newcomers.joined - days(rng.uniform(1, 12, 40))
    came = chance(rng, 0.7, 40)
    out.csv(
        "shop/referrals.csv",
        pd.DataFrame(
            {
                "Referral": ids("E", 1, 40),
                "By Customer": friends.customer.to_numpy(),
                "Code": friends["first"].str.upper().to_numpy() + "-" + friends.customer.to_numpy(),
                "To E-mail": newcomers["mail"].to_numpy(),
                "New Customer": np.where(came, newcomers.customer, ""),
                "Sent": iso(asked).to_numpy(),
                "Joined": iso(newcomers.joined).where(came).to_numpy(),
            }
        ),
        encoding="utf-8-sig",
    )


def write_web(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, products: pd.DataFrame
) -> dict[int, str]:
    """Visits of 150 browsers; returns the visitor identifier of those people that log in later."""
    visitors = 150
    visitor = pd.Series([f"v-{v:08x}" for v in rng.choice(1 << 32, visitors, replace=False)])
    shoppers = people.index[people.customer.notna()]
    person = np.repeat(-1, visitors)
    person[:100] = rng.choice(shoppers, 100, replace=False)
    person[85:100] = person[:15]  # a second device
    logs_in = chance(rng, 0.85, visitors) & (person >= 0)
    # newcomers look around before they join, the others come at any time
    joined = people.joined.reindex(person).to_numpy()
    around = START + days(rng.uniform(20, 455, visitors))
    around = pd.Series(np.where(joined > START.to_datetime64(), joined, around)).to_numpy()

    visits = pd.DataFrame({"v": np.repeat(np.arange(visitors), rng.integers(2, 6, visitors))})
    visits["number"] = visits.groupby("v").cumcount()
    visits["of"] = visits.groupby("v")["v"].transform("size")
    start = pd.Series(around[visits["v"]]) + days(9.0 * (visits.number - visits["of"] + 2))
    visits["start"] = daytime(rng, start)
    visits["source"] = pick(rng, ["google", "newsletter", "instagram", ""], len(visits))
    visits["device"] = pick(rng, ["desktop", "mobile", "tablet"], len(visits))
    visits["logs_in"] = (visits.number == visits["of"] - 1) & logs_in[visits["v"]]

    steps = rng.integers(3, 9, len(visits))
    events = visits.loc[np.repeat(visits.index, steps)].rename_axis("visit").reset_index()
    events["step"] = events.groupby("visit").cumcount()
    kinds = ["page_view", "product_view", "product_view", "search", "add_to_cart", "checkout"]
    events["kind"] = pick(rng, kinds, len(events))
    events.loc[events.step == 0, "kind"] = "page_view"
    events.loc[(events.step == 2) & events.logs_in, "kind"] = "sign_in"
    signed_in = events.logs_in & (events.step >= 2)
    events["at"] = events.start + pd.to_timedelta(events.step * 47, unit="s")
    events = events[(events["at"] >= START) & (events["at"] < END)]
    events = events.sort_values(["at", "visit", "step"], ignore_index=True)
    signed_in = events.logs_in & (events.step >= 2)
    looks = events.kind.isin(["product_view", "add_to_cart"])
    item = products["product"].to_numpy()[rng.integers(0, len(products), len(events))]
    customer = people.customer.reindex(person[events["v"]]).to_numpy()
    path = np.where(looks, "/p/" + item, events.kind.map({"search": "/suche"}).fillna("/"))
    out.parquet(
        "shop/web_events.parquet",
        pd.DataFrame(
            {
                "event_id": ids("w", 1, len(events)),
                "visitor": visitor.to_numpy()[events["v"]],
                "customer_id": pd.Series(customer).where(signed_in),
                "visit": "s" + events.visit.astype(str),
                "kind": events.kind,
                "url": "https://www.nordlicht-outdoor.example" + path,
                "utm_source": events.source.where(events.source != ""),
                "product": pd.Series(item).where(looks),
                "device": events.device,
                "at": events["at"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC"),
            }
        ),
    )
    return dict(zip(person[logs_in][::-1].tolist(), visitor[logs_in][::-1], strict=True))


# the CRM


def campaign_of(at: pd.Series) -> np.ndarray:
    """The newsletter of the month an order fell into."""
    return ("M-" + at.dt.strftime("%Y%m")).to_numpy()


def write_crm(
    rng: np.random.Generator,
    out: "Exports",
    people: pd.DataFrame,
    sold: Sold,
    visitors: dict[int, str],
) -> None:
    style = {"sep": ";", "encoding": "cp1252"}
    accounts = pd.DataFrame(TEXTS["companies"], columns=["name", "domain", "industry", "city"])
    accounts["account"] = ids("F-", 1, len(accounts))
    out.csv(
        "crm/accounts.csv",
        accounts.set_axis(["Name", "Domain", "Branche", "Ort", "Firmen-Nr."], axis=1),
        **style,
    )
    contacts = _write_contacts(rng, out, people, accounts)
    _write_funnel(rng, out, people, sold, accounts, contacts, visitors)
    _write_marketing(rng, out, people)

    granted = contacts[contacts.Newsletter == "ja"]
    gone = granted[chance(rng, 0.07, len(granted))]
    since = granted.created.clip(lower=START)
    left = gone.created.clip(lower=START) + days(rng.uniform(20, 200, len(gone)))
    consents = pd.concat(
        [
            pd.DataFrame({"Kontakt": granted["Kontakt-Nr."], "Erteilt": "ja", "at": since}),
            pd.DataFrame({"Kontakt": gone["Kontakt-Nr."], "Erteilt": "nein", "at": known(left)}),
        ]
    )
    consents = consents.dropna().sort_values(["at", "Kontakt"], ignore_index=True)
    consents.insert(0, "Nr.", ids("E-", 1, len(consents)))
    consents["Am"] = german(consents.pop("at"))
    out.csv("crm/consents.csv", consents, **style)


def _write_contacts(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, accounts: pd.DataFrame
) -> pd.DataFrame:
    mine = people[people.contact.notna()].copy()
    n = len(mine)
    mine["Firma"] = np.where(chance(rng, 0.12, n), rng.integers(1, len(accounts), n), -1)
    mine.loc[20:23, "Firma"] = 0
    names = mine.Firma.map(accounts["name"])
    mine["mail_crm"] = np.where(chance(rng, 0.15, n), mine["mail"].str.title(), mine["mail"])
    linked = chance(rng, 0.25, n)
    # an address of old is safe to have where a number or the shop's own tells who it is
    sure = mine.customer.notna() & (linked | mine.number.notna()) & (mine.index > 30)
    moved = sure & chance(rng, 0.16, n)
    mine.loc[moved, "mail_crm"] = mine.old_mail[moved]
    mine.loc[20:23, "mail_crm"] = "info@" + accounts.domain[0]
    created = mine.joined + days(rng.uniform(0, 30, n))
    contacts = pd.DataFrame(
        {
            "Kontakt-Nr.": mine.contact,
            "Vorname": mine["first"],
            "Nachname": mine["last"],
            "E-Mail": mine.mail_crm,
            "Telefon": phone(mine, rng.integers(0, 5, n)),
            "Firma": names,
            "Firmen-Nr.": mine.Firma.map(accounts.account),
            "PLZ": mine.postal,
            "Ort": mine.city,
            "Land": mine.country.map(COUNTRY_DE),
            "Sprache": mine.language.str.upper(),
            "Status": np.where(mine.customer.notna(), "Kunde", "Interessent"),
            "Newsletter": np.where(chance(rng, 0.7, n), "ja", "nein"),
            "Kundennummer": mine.customer.where(linked),
            "Aufgegangen in": None,
            "created": created.where(created < END, END - pd.Timedelta(days=3)),
        }
    )
    contacts["changed"] = contacts.created
    # double entries, found and merged by the CRM's own clerks
    twins = contacts[mine.number.notna() & (mine.index > 30)].iloc[5:85:10].copy()
    twins["Aufgegangen in"] = twins["Kontakt-Nr."]
    twins["Kontakt-Nr."] = ids("K-", 2901, len(twins))
    twins["E-Mail"], twins["Kundennummer"] = None, None
    test = contacts.iloc[[0]].assign(
        **{"Kontakt-Nr.": "K-2999", "Vorname": "Test", "Nachname": "Kontakt", "Status": "Test",
           "E-Mail": "test@nordlicht-outdoor.example", "Telefon": None, "Kundennummer": None}
    )  # fmt: skip
    contacts = pd.concat([contacts, twins, test], ignore_index=True)
    # the summer's export has everybody, the next one only who is new or has changed since
    cut = pd.Timestamp("2026-07-01")
    old = contacts[contacts.created < cut]
    renewed = old[old["E-Mail"].str.endswith("@alt.example", na=False)].iloc[::2].copy()
    by_contact = mine.set_index("contact")["mail"]
    renewed["E-Mail"] = renewed["Kontakt-Nr."].map(by_contact)
    renewed["changed"] = cut + days(rng.uniform(2, 80, len(renewed)))
    for name, frame in (
        ("2026-06-30", old),
        ("2026-09-30", pd.concat([contacts[contacts.created >= cut], renewed])),
    ):
        table = frame.drop(columns=["created", "changed"])
        table["Angelegt am"], table["Geändert am"] = german(frame.created), german(frame.changed)
        out.csv(f"crm/contacts_{name}.csv", table, sep=";", encoding="cp1252")
    return contacts[contacts["Aufgegangen in"].isna() & (contacts.Status != "Test")]


def _write_funnel(
    rng: np.random.Generator,
    out: "Exports",
    people: pd.DataFrame,
    sold: Sold,
    accounts: pd.DataFrame,
    contacts: pd.DataFrame,
    visitors: dict[int, str],
) -> None:
    """Leads are people before they buy, deals are offers to companies; the stages are common."""
    owner = [code for *_, code, team in STAFF if team == "Vertrieb"]
    newer = people[people.joined > START + pd.Timedelta(days=50)]
    leads = newer.sample(150, random_state=rng).sort_values("joined")
    n = len(leads)
    first_order = sold.orders.groupby("person").placed.min().reindex(leads.index)
    asked = daytime(rng, leads.joined - days(rng.uniform(5, 45, n)))
    channel = pick(rng, ["Suche", "Social", "Messe", "Empfehlung"], n)
    lead_ids = ids("L-", 3001, n)
    out.csv(
        "crm/leads.csv",
        pd.DataFrame(
            {
                "Lead-Nr.": lead_ids,
                "Name": leads["first"] + " " + leads["last"],
                "E-Mail": leads["mail"],
                "Land": leads.country.map(COUNTRY_DE),
                "Herkunft": channel,
                "Besucher": leads.index.map(visitors),
                "Kontakt-Nr.": leads.contact,
                "Betreut von": pick(rng, owner, n),
                "Eingang": german(asked),
            }
        ),
        sep=";",
        encoding="cp1252",
    )
    d = 70
    business = contacts[contacts["Firmen-Nr."].notna()].sample(d, replace=True, random_state=rng)
    begun = daytime(rng, pd.Series(START + days(np.sort(rng.uniform(0, 450, d)))), 8, 18)
    worth = pd.Series(np.round(rng.lognormal(7.6, 0.6, d)) * 100)
    deal_ids = ids("D-", 4001, d)
    lost = chance(rng, 0.5, d)
    reason = pick(rng, ["Preis", "Mitbewerber", "kein Bedarf"], d)
    end = begun + days(rng.uniform(25, 70, d))
    out.csv(
        "crm/deals.csv",
        pd.DataFrame(
            {
                "Chance-Nr.": deal_ids,
                "Kontakt-Nr.": business["Kontakt-Nr."].to_numpy(),
                "Firmen-Nr.": business["Firmen-Nr."].to_numpy(),
                "Betreut von": pick(rng, owner, d),
                "Wert": german_money(worth),
                "Verlustgrund": np.where(lost & (end < END), reason, ""),
                "Eingang": german(begun),
            }
        ),
        sep=";",
        encoding="cp1252",
    )
    quick = chance(rng, 0.75, n)
    none = pd.Series(pd.NaT, leads.index)
    lead_steps = {
        "Neu": asked,
        "Qualifiziert": (asked + days(rng.uniform(1, 4, n))).where(quick),
        "Gewonnen": first_order,
        "Verloren": (asked + pd.Timedelta(days=60)).where(first_order.isna(), none),
    }
    deal_steps = {
        "Neu": begun,
        "Qualifiziert": begun + days(rng.uniform(2, 8, d)),
        "Angebot": begun + days(rng.uniform(10, 20, d)),
        "Gewonnen": end.where(~lost),
        "Verloren": end.where(lost),
    }
    frames = []
    for code, steps, value in ((lead_ids, lead_steps, None), (deal_ids, deal_steps, worth)):
        for stage, at in steps.items():
            row = pd.DataFrame({"Vorgang": code, "Stufe": stage, "at": at.to_numpy()})
            row["Wert"] = None if value is None else german_money(value)
            frames.append(row)
    steps = pd.concat([f.astype({"Wert": object}) for f in frames])
    steps = steps[steps["at"] < END].sort_values(["at", "Vorgang"], ignore_index=True)
    steps["Seit"] = german(steps.pop("at"))
    out.csv("crm/stages.csv", steps, sep=";", encoding="cp1252")


def _write_marketing(rng: np.random.Generator, out: "Exports", people: pd.DataFrame) -> None:
    style = {"sep": ";", "encoding": "cp1252"}
    mailings = pd.DataFrame({"start": MONTHS + pd.Timedelta(days=9, hours=9)})
    mailings["code"] = campaign_of(mailings.start)
    mailings["name"] = "Newsletter " + mailings.start.dt.strftime("%m/%Y")
    mailings["channel"], mailings["budget"] = "email", 30000
    ads = pd.DataFrame(
        {"start": START, "code": ["W-SUCHE", "W-SOCIAL"], "name": ["Suchanzeigen", "Social Ads"],
         "channel": ["search", "social"], "budget": [1500000, 900000]}
    )  # fmt: skip
    campaigns = pd.concat([mailings, ads], ignore_index=True)
    out.csv(
        "crm/campaigns.csv",
        pd.DataFrame(
            {
                "Kampagne": campaigns.code,
                "Titel": campaigns["name"],
                "Kanal": campaigns.channel,
                "Budget": german_money(campaigns.budget),
                "Beginn": german(campaigns.start),
            }
        ),
        **style,
    )
    dates = pd.date_range(START, END, inclusive="left")
    spend = pd.DataFrame(
        {"day": np.tile(dates, 2), "code": np.repeat(["W-SUCHE", "W-SOCIAL"], len(dates))}
    )
    spend = spend[(spend.code == "W-SUCHE") | (spend.day.dt.day_of_week < 4)].sort_values(
        ["day", "code"]
    )
    level = np.where(spend.code == "W-SUCHE", 2400, 1900) * spend.day.dt.month.map(SEASON)
    cents = (level * rng.uniform(0.7, 1.3, len(spend))).astype(int)
    shown = (cents * rng.uniform(0.7, 1.1, len(spend))).astype(int)
    out.csv(
        "crm/ad_spend.csv",
        pd.DataFrame(
            {
                "Tag": spend.day.dt.strftime("%d.%m.%Y"),
                "Kampagne": spend.code,
                "Kosten": german_money(cents),
                "Einblendungen": shown,
                "Klicks": (shown * rng.uniform(0.01, 0.03, len(spend))).astype(int),
            }
        ),
        **style,
    )

    pool = people[people.contact.notna()]
    recipients = pd.concat(
        [
            pool[pool.joined < m.start]
            .sample(130, random_state=rng)
            .assign(code=m.code, start=m.start)
            for m in mailings.itertuples()
        ],
        ignore_index=True,
    )
    n = len(recipients)
    sent = recipients.start + pd.to_timedelta(rng.integers(0, 600, n), unit="s")
    bounced = chance(rng, 0.02, n)
    opened = ~bounced & chance(rng, 0.35 + 0.06 * recipients.mood.clip(-2, 2), n)
    bot = ~bounced & ~opened & chance(rng, 0.04, n)
    clicked = opened & chance(rng, 0.25, n)
    opened_at = sent + days(rng.exponential(0.4, n) + 0.001)
    stages = {
        "sent": sent,
        "bounced": (sent + pd.Timedelta(seconds=4)).where(bounced),
        "delivered": (sent + pd.Timedelta(seconds=3)).where(~bounced),
        "opened": opened_at.where(opened).fillna((sent + pd.Timedelta(seconds=5)).where(bot)),
        "clicked": (opened_at + pd.Timedelta(seconds=50)).where(clicked),
        "unsubscribed": (opened_at + pd.Timedelta(seconds=90)).where(opened & chance(rng, 0.01, n)),
    }
    events = pd.concat(
        [
            pd.DataFrame(
                {"event": kind, "at": at, "row": at.index, "bot": bot & (kind == "opened")}
            )
            for kind, at in stages.items()
        ]
    )
    events = events[events["at"] < END].sort_values(["at", "row"], kind="stable", ignore_index=True)
    records = pd.DataFrame(
        {
            "id": np.arange(1, len(events) + 1),
            "event": events.event,
            "campaign": recipients.code.loc[events["row"]].to_numpy(),
            "contact": recipients.contact.loc[events["row"]].to_numpy(),
            "machine": events.bot,
            "at": utc(events["at"]),
        }
    )
    out.ndjson("crm/campaign_events.ndjson.gz", records)


# support


def make_tickets(rng: np.random.Generator, people: pd.DataFrame, sold: Sold) -> pd.DataFrame:
    """Who waits too long writes; whoever writes in September 2026 waits again."""
    orders = sold.orders
    m = len(orders)
    gone = orders.cancelled.notna()
    risk = np.where(orders.late, 0.7, np.where(orders.returned.notna(), 0.45, 0.07))
    about = orders[chance(rng, risk, m) & ~gone]
    k = len(about)
    other = pick(rng, ["product", "payment", "delivery"], k)
    reason = np.where(about.late, about.promised, about.delivered.fillna(about.promised))
    asked = pd.DataFrame(
        {"person": about.person, "order": about.order, "late": about.late,
         "created": pd.to_datetime(reason) + days(rng.uniform(1, 4, k)),
         "topic": np.select([about.late, about.returned.notna()], ["delivery", "return"], other)}
    )  # fmt: skip
    q = 45
    general = pd.DataFrame(
        {"person": rng.integers(0, len(people), q), "order": None, "late": False,
         "created": START + days(rng.uniform(0, 455, q)),
         "topic": pick(rng, ["product", "account"], q)}
    )  # fmt: skip
    tickets = pd.concat([asked, general], ignore_index=True)
    tickets["created"] = daytime(rng, tickets.created)
    tickets = tickets[(tickets.created < END) & (tickets.created > START)]
    tickets = tickets.sort_values(["created", "person"], ignore_index=True)
    n = len(tickets)
    tickets["ticket"] = np.arange(50001, 50001 + n)
    rush = tickets.created >= TROUBLE + pd.Timedelta(days=4)
    tickets["wait"] = rng.lognormal(np.log(4), 0.7, n) * np.where(rush, 4.5, 1.0)  # hours
    tickets["replied"] = tickets.created + days(tickets.wait.to_numpy() / 24)
    work = rng.exponential(18, n) * np.where(rush, 2.5, 1.0) + 0.5
    first_solved = tickets.replied + days(work / 24)
    reopened = chance(rng, np.where(rush, 0.22, 0.07), n) & (first_solved < END)
    tickets["reopened"] = known((first_solved + days(rng.uniform(0.1, 2, n))).where(reopened))
    last = first_solved.where(~reopened, first_solved + days(rng.uniform(2.5, 5, n)))
    tickets["closed"] = known(last + pd.Timedelta(days=4))
    tickets["replied"], tickets["first_solved"] = known(tickets.replied), known(first_solved)
    tickets["solved"] = known(last)
    tickets["status"] = np.select(
        [tickets.closed.notna(), tickets.solved.notna(), tickets.replied.notna()],
        ["closed", "solved", np.where(chance(rng, 0.3, n), "pending", "open")], "new",
    )  # fmt: skip
    happy = chance(rng, 0.9 - 0.3 * tickets.late - 0.3 * (tickets.wait > 18), n)
    rated = chance(rng, 0.4, n)
    tickets["rating"] = np.select(
        [tickets.solved.isna(), ~rated], ["unoffered", "offered"], np.where(happy, "good", "bad")
    )
    tickets["agent"] = pick(rng, [code for *_, code, team in STAFF if team == "Service"], n)
    tickets["language"] = tickets.person.map(people.language)
    return tickets


def write_support(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, tickets: pd.DataFrame
) -> None:
    staff = pd.DataFrame(STAFF, columns=["first", "last", "started", "id", "team"])
    lower = (staff["first"] + "." + staff["last"]).str.lower()
    out.ndjson(
        "support/employees.ndjson",
        pd.DataFrame(
            {
                "id": staff["id"],
                "name": staff["first"] + " " + staff["last"],
                "email": lower.str.replace("ö", "oe") + "@nordlicht-outdoor.example",
                "team": staff.team,
                "started": staff.started,
            }
        ),
    )
    n = len(tickets)
    who = people.loc[tickets.person].reset_index(drop=True)
    # most write from their usual address, some leave a number only
    by_phone = who.number.notna() & chance(rng, 0.12, n)
    upper = np.where(chance(rng, 0.08, n), who["mail"].str.upper(), who["mail"])
    requester = pd.DataFrame(
        {
            "id": 7001 + tickets.person,
            "name": who["first"] + " " + who["last"],
            "email": pd.Series(upper).where(~by_phone),
            "phone": phone(who, np.full(n, 0)).where(by_phone | chance(rng, 0.2, n)),
            "shop_id": who.customer.where(chance(rng, 0.2, n)),
        }
    ).astype(object)
    requester = requester.where(requester.notna(), None)
    out.ndjson(
        "support/tickets.ndjson",
        pd.DataFrame(
            {
                "id": tickets.ticket,
                "subject": tickets.topic.map(TEXTS["subjects"]),
                "topic": tickets.topic,
                "status": tickets.status,
                "priority": np.where(tickets.late, "high", "normal"),
                "channel": np.where(by_phone, "phone", pick(rng, ["email", "form", "chat"], n)),
                "requester": requester.to_dict("records"),
                "order_no": tickets.order,
                "assignee": pd.DataFrame({"id": tickets.agent}).to_dict("records"),
                "rating": tickets.rating,
                "reopens": tickets.reopened.notna().astype(int),
                "created_at": utc(tickets.created),
                "first_replied_at": utc(tickets.replied),
                "first_solved_at": utc(tickets.first_solved),
                "solved_at": utc(tickets.solved),
                "closed_at": utc(tickets.closed),
            }
        ),
    )  # fmt: skip
    changes = [
        (None, "new", tickets.created, "customer"),
        ("new", "open", tickets.replied, "agent"),
        ("open", "solved", tickets.first_solved, "agent"),
        ("solved", "open", tickets.reopened, "customer"),
        ("open", "solved", tickets.solved.where(tickets.reopened.notna()), "agent"),
        ("solved", "closed", tickets.closed, "system"),
    ]
    events = pd.concat(
        [
            pd.DataFrame({"ticket_id": tickets.ticket, "from": a, "to": b, "role": role, "at": at})
            for a, b, at, role in changes
        ]
    )
    events = events[events["at"].notna()].sort_values(["at", "ticket_id"], ignore_index=True)
    events.insert(0, "id", np.arange(1, len(events) + 1))
    out.ndjson("support/ticket_events.ndjson.gz", events.assign(at=utc(events["at"])))
    _write_messages(rng, out, tickets)
    _write_conversations(rng, out, people, tickets)


def _write_messages(rng: np.random.Generator, out: "Exports", tickets: pd.DataFrame) -> None:
    n = len(tickets)
    slow = tickets.wait > 18
    key = tickets.language + " " + tickets.topic
    back = (tickets.replied + days(rng.uniform(0.02, 0.3, n))).where(chance(rng, 0.5, n))
    mood = tickets.language + np.where(slow | tickets.late, " angry", " thanks")
    turns = [
        ("customer", tickets.created, spoken(rng, TEXTS["questions"], key)),
        ("agent", tickets.replied, spoken(rng, TEXTS["replies"], tickets.language + " agent")),
        ("customer", known(back), spoken(rng, TEXTS["replies"], mood)),
    ]
    messages = pd.concat(
        [
            pd.DataFrame(
                {
                    "ticket_id": tickets.ticket,
                    "author": role,
                    "language": tickets.language,
                    "body": body,
                    "at": at,
                }
            )
            for role, at, body in turns
        ]
    )
    messages = messages[messages["at"].notna()].sort_values(["at", "ticket_id"], ignore_index=True)
    messages.insert(0, "id", np.arange(1, len(messages) + 1))
    out.ndjson("support/messages.ndjson.gz", messages.assign(at=utc(messages["at"])))


def _write_conversations(
    rng: np.random.Generator, out: "Exports", people: pd.DataFrame, tickets: pd.DataFrame
) -> None:
    """Calls and chats, a third of them about a ticket; the lines are busy in September 2026."""
    led = tickets[chance(rng, 0.3, len(tickets))]
    weight = MONTHS.month.map(SEASON).to_numpy() * np.where(MONTHS >= TROUBLE, 2.6, 1.0)
    month = rng.choice(len(MONTHS), 230, p=weight / weight.sum())
    about = pd.DataFrame(
        {"person": led.person, "ticket": led.ticket.astype(str), "at": led.created}
    )
    other = pd.DataFrame(
        {
            "person": rng.integers(0, len(people), 230),
            "at": MONTHS[month] + days(rng.uniform(0, 28, 230)),
        }
    )
    talks = pd.concat([about, other], ignore_index=True)
    talks["at"] = daytime(rng, talks["at"], 9, 18)
    talks = talks.sort_values(["at", "person"], ignore_index=True)
    n = len(talks)
    who = people.loc[talks.person].reset_index(drop=True)
    call = who.number.notna() & chance(rng, 0.65, n)
    busy = talks["at"] >= TROUBLE + pd.Timedelta(days=4)
    queue = np.round(rng.exponential(70, n) * np.where(busy, 4, 1)).astype(int)
    given_up = queue > 300 + rng.integers(0, 300, n)
    answered = (talks["at"] + pd.to_timedelta(queue, unit="s")).where(~given_up)
    ended = answered + pd.to_timedelta(rng.integers(60, 900, n), unit="s")
    ended = ended.fillna(talks["at"] + pd.to_timedelta(queue, unit="s"))
    agents = [code for *_, code, team in STAFF if team == "Service"]
    out.csv(
        "support/conversations.csv.gz",
        pd.DataFrame(
            {
                "id": ids("g", 80001, n),
                "kind": np.where(call, "call", "chat"),
                "phone": phone(who, np.full(n, 3)).where(call),
                "email": who["mail"].where(~call),
                "ticket_id": talks.ticket,
                "agent": pd.Series(pick(rng, agents, n)).where(~given_up),
                "queue_seconds": queue,
                "outcome": np.where(given_up, "abandoned", "answered"),
                "started_at": utc(talks["at"]),
                "answered_at": utc(answered),
                "ended_at": utc(ended),
            }
        ),
    )


# surveys


def write_surveys(
    rng: np.random.Generator,
    out: "Exports",
    people: pd.DataFrame,
    products: pd.DataFrame,
    sold: Sold,
    tickets: pd.DataFrame,
) -> None:
    columns = ["Survey", "Title", "Occasion", "Question", "From", "To"]
    surveys = pd.DataFrame(TEXTS["surveys"], columns=columns)
    out.csv("survey/surveys.csv", surveys, encoding="utf-16")

    orders, frames = sold.orders, []
    got = orders[orders.delivered.notna()]
    for number, month in enumerate(MONTHS):
        recent = got.person[
            got.delivered.between(month - pd.Timedelta(days=150), month + pd.Timedelta(days=12))
        ]
        asked = np.flatnonzero(people.index.isin(recent) & chance(rng, 0.35, len(people)))
        score = 8.3 + 1.4 * sold.mood[number, asked] + rng.normal(0, 1.1, len(asked))
        sent = pd.Series(month + days(rng.uniform(14, 26, len(asked))))
        frames.append(
            pd.DataFrame({"survey": "NPS", "person": asked, "sent": sent, "score": score})
        )
    given = orders[orders.delivered.notna() & chance(rng, 0.75, len(orders))]
    felt = (
        4.5
        + 0.3 * given.person.map(people.mood)
        - 2.2 * given.late
        + rng.normal(0, 0.7, len(given))
    )
    frames.append(
        pd.DataFrame(
            {"survey": "CSAT", "person": given.person, "order": given.order, "score": felt,
             "sent": given.delivered + pd.Timedelta(days=1)}
        )
    )  # fmt: skip
    solved = tickets[tickets.first_solved.notna()]
    ease = 6.2 - 0.06 * solved.wait + rng.normal(0, 0.9, len(solved))
    frames.append(
        pd.DataFrame(
            {"survey": "CES", "person": solved.person, "ticket": solved.ticket.astype(str),
             "score": ease, "sent": solved.first_solved + pd.Timedelta(hours=20)}
        )
    )  # fmt: skip
    asked = pd.concat(frames)
    asked["sent"] = daytime(rng, asked.sent, 10, 12)
    asked = asked[asked.sent < END].sort_values(["sent", "survey", "person"], ignore_index=True)
    n = len(asked)
    asked["invitation"] = ids("I", 300001, n)
    asked["recipient"] = "T" + (1000 + asked.person).astype(str)
    asked["mail"] = asked.person.map(people["mail"])
    asked["language"] = asked.person.map(people.language)
    low, high = (asked.survey.map(surveys.set_index("Survey")[c]) for c in ("From", "To"))
    asked["score"] = asked.score.round().clip(low, high).astype(int)
    asked["answered"] = known(asked.sent + days(rng.exponential(0.8, n) + 0.01))
    answers = chance(rng, 0.42, n) & asked.answered.notna()
    out.parquet(
        "survey/invitations.parquet",
        pd.DataFrame(
            {
                "invitation": asked.invitation,
                "survey": asked.survey,
                "recipient": asked.recipient,
                "email": asked["mail"],
                "language": asked.language,
                "order_no": asked.order,
                "ticket_id": asked.ticket,
                "status": np.where(answers, "completed", pick(rng, ["sent", "opened"], n)),
                "sent_at": asked.sent.dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC"),
            }
        ),
    )
    replies = asked[answers].reset_index(drop=True)
    place = (replies.score - low[answers].to_numpy()) / (high - low)[answers].to_numpy()
    feeling = np.select([place >= 0.85, place >= 0.6], ["good", "fair"], "bad")
    about = replies.language + " " + replies.survey + " " + feeling
    comment = spoken(rng, TEXTS["comments"], about).where(chance(rng, 0.45, len(replies)))
    table = pd.DataFrame(
        {
            "response": ids("A", 1, len(replies)),
            "survey": replies.survey,
            "invitation": replies.invitation,
            "recipient": replies.recipient,
            "order_no": replies.order,
            "ticket_id": replies.ticket,
            "score": replies.score,
            "language": replies.language,
            "comment": comment,
            "answered_at": replies.answered.dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC"),
        }
    )
    # the eleven on a scale that ends at five
    faulty = table[table.survey == "CSAT"].iloc[[7]].assign(response="A-FEHLER", score=11)
    out.parquet("survey/responses.parquet", pd.concat([table, faulty], ignore_index=True))

    bought = given[chance(rng, 0.1, len(given))]
    stars = (felt.loc[bought.index] + 0.3).round().clip(1, 5).astype(int)
    article = sold.lines[sold.lines.line == 1].set_index("order")["item"].loc[bought.order]
    tongue = bought.person.map(people.language)
    opinion = tongue + " CSAT " + np.select([stars >= 5, stars >= 4], ["good", "fair"], "bad")
    published = daytime(rng, bought.delivered + days(rng.uniform(2, 15, len(bought))))
    reviews = pd.DataFrame(
        {
            "Review": ids("B", 1, len(bought)),
            "Article": products["product"].to_numpy()[article],
            "Order No.": bought.order,
            "E-mail": bought.person.map(people["mail"]),
            "Stars": stars,
            "Text": spoken(rng, TEXTS["comments"], opinion),
            "Language": tongue,
            "Published": iso(known(published)),
        }
    )
    out.csv("survey/reviews.csv", reviews[known(published).notna()], encoding="utf-16", sep="\t")


# files


@dataclass(frozen=True)
class Exports:
    """Writes tables below a folder, each with the faulty rows that belong to it at its end."""

    folder: Path

    def csv(self, name: str, table: pd.DataFrame, sep: str = ",", encoding: str = "utf-8") -> None:
        text = table.to_csv(index=False, sep=sep, lineterminator="\n")
        self._write(name, text + TEXTS["faults"].get(name, ""), encoding)

    def ndjson(self, name: str, table: pd.DataFrame) -> None:
        text = table.to_json(orient="records", lines=True, force_ascii=False)
        self._write(name, text + TEXTS["faults"].get(name, ""), "utf-8")

    def parquet(self, name: str, table: pd.DataFrame) -> None:
        content = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(content, self._path(name), compression="zstd")

    def _write(self, name: str, text: str, encoding: str) -> None:
        # the mark of UTF-16 says the byte order; little-endian on every machine
        data = (
            b"\xff\xfe" + text.encode("utf-16-le")
            if encoding == "utf-16"
            else text.encode(encoding)
        )
        self._path(name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)

    def _path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def make_exports(folder: Path) -> None:
    """Write every export below `folder`."""
    rng = np.random.default_rng(SEED)
    out = Exports(folder)
    people = make_people(rng)
    products, rates = make_products(), make_rates(rng)
    sold = make_sales(rng, people, products, rates)
    tickets = make_tickets(rng, people, sold)
    write_shop(rng, out, people, products, rates, sold)
    visitors = write_web(rng, out, people, products)
    write_crm(rng, out, people, sold, visitors)
    write_support(rng, out, people, tickets)
    write_surveys(rng, out, people, products, sold, tickets)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "exports")
    make_exports(parser.parse_args().folder)
