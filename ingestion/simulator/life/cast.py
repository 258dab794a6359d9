"""Who and what the story is about, as arrays: made once from the founding tables."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ingestion.simulator.life.columns import DAYS, HOUR, NONE, SECOND, Array

CURRENCIES = ("EUR", "GBP", "BRL", "USD")
KINDS = ("b2c", "b2b", "employee", "test", "bot")
AD_CHANNELS = ("paid_search", "paid_social", "display", "affiliate", "event")
_CURRENCY_OF = {"GB": "GBP", "BR": "BRL", "US": "USD"}
_EPOCH = date(1970, 1, 1)


def numbers(table: pa.Table, column: str) -> Array:
    """A column as whole numbers (times as microseconds, money as cents), `NONE` for null."""
    values = table[column].combine_chunks()
    if pa.types.is_decimal(values.type):
        values = pa.compute.multiply(values.cast(pa.float64()), 100.0)
        values = pa.compute.round(values).cast(pa.int64())
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    return np.asarray(values.cast(pa.int64()).fill_null(NONE).to_numpy(zero_copy_only=False))


def texts(table: pa.Table, column: str) -> Array:
    """A column of texts as objects, `None` for null."""
    return np.asarray(table[column].to_numpy().astype(object))


def shares(table: pa.Table, column: str) -> Array:
    """A column of shares; 0.5 where it is not known."""
    return np.asarray(table[column].combine_chunks().fill_null(0.5).to_numpy())


def codes(values: Array, labels: tuple[str, ...], other: int = -1) -> Array:
    """The position of each text among the labels."""
    of = {label: i for i, label in enumerate(labels)}
    distinct, inverse = np.unique(values.astype(str), return_inverse=True)
    return np.array([of.get(str(v), other) for v in distinct], np.int64)[inverse]


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Cast:
    """The people, devices, products, campaigns and employees; a person is its position."""

    def __init__(self, seed: int, founding: dict[str, pa.Table]) -> None:
        rng = np.random.default_rng([seed, 40])
        self._people(founding, rng)
        self._devices(founding["device"])
        self._products(founding, rng)
        campaign = founding["campaign"]
        self.campaign_id = numbers(campaign, "campaign_id")
        self.campaign_channel = texts(campaign, "channel")
        self.campaign_start = numbers(campaign, "started_at")
        self.campaign_end = numbers(campaign, "ended_at")
        employee = founding["employee"]
        self.employee_id = numbers(employee, "employee_id")
        self.employee_team = texts(employee, "team")
        self.employee_group = texts(employee, "support_group")
        self.employee_skill = shares(employee, "skill")
        self.employee_from = numbers(employee, "hired_at")
        left = numbers(employee, "left_at")
        self.employee_until = np.where(left == NONE, np.iinfo(np.int64).max, left)

    def _people(self, founding: dict[str, pa.Table], rng: np.random.Generator) -> None:
        person = founding["person"]
        self.n = n = person.num_rows
        self.person_id = numbers(person, "person_id")
        self.kind = codes(texts(person, "kind"), KINDS, 0)
        self.b2b = self.kind == 1
        self.bot = self.kind == 4
        self.test = self.kind == 3
        self.entered = numbers(person, "entered_at")
        self.language = texts(person, "language")
        self.language[self.language == None] = "en"  # noqa: E711  (element by element)
        self.country = texts(person, "country")
        self.currency = codes(
            np.array([_CURRENCY_OF.get(str(c), "EUR") for c in self.country], object), CURRENCIES, 0
        )
        zones = texts(person, "timezone")
        zones[zones == None] = "Europe/Berlin"  # noqa: E711
        self.zones, self.zone = np.unique(zones.astype(str), return_inverse=True)
        self.address = {c: texts(person, c) for c in ("street", "postal_code", "city", "country")}
        self.email, self.phone = texts(person, "email"), texts(person, "phone")
        self.changes = _Changes(founding.get("person_change"), self.position)
        self.price_sensitivity = shares(person, "price_sensitivity")
        self.loyalty = shares(person, "loyalty")
        self.patience = shares(person, "patience")
        self.expressiveness = shares(person, "expressiveness")
        self.channel = texts(person, "acquisition_channel")
        self.first_campaign = numbers(person, "acquisition_campaign_id")
        referred = numbers(person, "referred_by")
        self.referred_by = np.where(referred == NONE, -1, self.position(referred))
        erasure = founding.get("erasure")
        self.erased = np.full(n, np.iinfo(np.int64).max)
        if erasure is not None and erasure.num_rows:
            gone = self.position(numbers(erasure, "person_id"))
            self.erased[gone] = numbers(erasure, "erased_at")

        account = founding["account"]
        account_ids = numbers(account, "account_id")
        order = np.argsort(account_ids)
        self.account_id = numbers(person, "account_id")
        self.household = numbers(person, "household_id")
        place = np.searchsorted(account_ids[order], self.account_id)
        place = np.minimum(place, max(len(order) - 1, 0))
        segments = np.append(texts(account, "segment")[order], "smb")
        names = np.append(texts(account, "name")[order], "")
        none = self.account_id == NONE
        self.enterprise = (np.where(none, "", segments[place]) == "enterprise") & self.b2b
        self.account_name = np.where(none, "", names[place])

        self.sold = np.zeros(0, bool)  # which products the shop shows this week
        # Lasting traits nobody writes down: how often they buy, what they like, how they read.
        self.appetite = rng.gamma(1.6, 1 / 1.6, n) * (0.5 + self.loyalty)
        self.taste = rng.integers(0, 1 << 30, n)
        self.apple = rng.random(n) < 0.35
        self.scanned = rng.random(n) < np.where(self.b2b, 0.3, 0.01)
        self.account_wish = rng.random(n)
        self.outlook = np.clip(rng.normal(0.62, 0.13, n) + 0.16 * (self.loyalty - 0.5), 0.1, 0.95)
        self.phase = rng.integers(0, 26, n)

    def position(self, person_id: Array) -> Array:
        """Positions of persons by their id."""
        order = np.argsort(self.person_id, kind="stable")
        place = np.searchsorted(self.person_id[order], person_id)
        return order[np.minimum(place, self.n - 1)]

    def email_at(self, person: Array, at: Array) -> Array:
        """The e-mail address that the persons had at those times."""
        return self.changes.value("email", person, at, self.email[person])

    def contact_at(self, person: Array, at: Array) -> dict[str, Array]:
        """The phone number and the address that the persons had at those times."""
        return {
            name: self.changes.value(name, person, at, values[person])
            for name, values in {"phone": self.phone, **self.address}.items()
        }

    def _devices(self, device: pa.Table) -> None:
        ids, owner = texts(device, "device_id"), numbers(device, "person_id")
        household = numbers(device, "household_id")
        seen = numbers(device, "first_seen_at")
        own = np.flatnonzero(owner != NONE)
        person, which = self.position(owner[own]), own
        shared = np.flatnonzero((owner == NONE) & (household != NONE))
        if len(shared):
            of = {int(h): int(d) for h, d in zip(household[shared], shared, strict=True)}
            homes = np.array([of.get(int(h), -1) for h in self.household], np.int64)
            users = np.flatnonzero(homes >= 0)
            person, which = np.append(person, users), np.append(which, homes[users])
        order = np.lexsort((np.where(seen[which] == NONE, 0, seen[which]), person))
        person, which = person[order], which[order]
        self.device_of = which
        self.device_first = np.searchsorted(person, np.arange(self.n))
        self.device_count = np.bincount(person, minlength=self.n)
        self.device_id, self.device_seen = ids, seen
        self.device_kind = texts(device, "kind")

    def _products(self, founding: dict[str, pa.Table], rng: np.random.Generator) -> None:
        product, price = founding["product"], founding["price"]
        order = np.argsort(texts(product, "category").astype(str), kind="stable")
        product = product.take(order)
        self.product_id = numbers(product, "product_id")
        self.product_name = texts(product, "name")
        self.categories, self.category = np.unique(
            texts(product, "category").astype(str), return_inverse=True
        )
        self.quality = shares(product, "quality")
        self.launched = numbers(product, "launched_at")
        withdrawn = numbers(product, "withdrawn_at")
        self.withdrawn = np.where(withdrawn == NONE, np.iinfo(np.int64).max, withdrawn)
        m = len(self.product_id)
        by_id = np.argsort(self.product_id)
        place = by_id[np.searchsorted(self.product_id[by_id], numbers(price, "product_id"))]
        currency = codes(texts(price, "currency"), CURRENCIES)
        start, amount = numbers(price, "valid_from"), numbers(price, "amount")
        known = currency >= 0
        order = np.argsort(start[known], kind="stable")
        self._price = tuple(a[known][order] for a in (place, currency, start, amount))
        # Some things are liked more than others, and the cheaper is bought more often.
        cheap = np.maximum(self.prices(NONE)[:, 0], 100) ** -0.6
        self.popularity = (1 + rng.permutation(m)) ** -0.6 * cheap

    def prices(self, at: int) -> Array:
        """Cents by product and currency at a moment; the first price where none holds yet."""
        place, currency, start, amount = self._price
        table = np.zeros((len(self.product_id), len(CURRENCIES)), np.int64)
        table[place[::-1], currency[::-1]] = amount[::-1]
        held = start <= at
        table[place[held], currency[held]] = amount[held]
        return np.where(table == 0, table[:, :1], table)

    def agents(self, at: int, team: str) -> Array:
        """Positions of the employees of a team who work there at a moment (all, if nobody is)."""
        of_team = self.employee_team == team
        now = of_team & (self.employee_from <= at) & (at < self.employee_until)
        return np.flatnonzero(now if now.any() else of_team)

    def offsets(self, at: int) -> Array:
        """Microseconds by which each person's local time is ahead of UTC."""
        moment = datetime.fromtimestamp(at // SECOND, UTC)
        ahead = [
            (moment.astimezone(ZoneInfo(str(z))).utcoffset() or timedelta(0)).total_seconds()
            for z in self.zones
        ]
        return (np.array(ahead) * SECOND).astype(np.int64)[self.zone]


class _Changes:
    """What of a person changed when: the newest change up to a time wins."""

    def __init__(self, table: pa.Table | None, position: object) -> None:
        self.by_field: dict[str, tuple[Array, Array, Array]] = {}
        if table is None or not table.num_rows:
            return
        fields = texts(table, "field")
        for name in ("email", "phone", "street", "postal_code", "city"):
            of = table.filter(pa.array(fields == name))
            person = position(numbers(of, "person_id"))  # type: ignore[operator]
            at = numbers(of, "changed_at")
            order = np.lexsort((at, person))
            self.by_field[name] = (person[order], at[order], texts(of, "value")[order])

    def value(self, name: str, person: Array, at: Array, otherwise: Array) -> Array:
        if name not in self.by_field or not len(self.by_field[name][0]):
            return otherwise
        who, since, values = self.by_field[name]
        # Few change twice: the n-th change of each is looked at in turn.
        first = np.searchsorted(who, person, side="left")
        last = np.searchsorted(who, person, side="right")
        result = otherwise.copy()
        for k in range(int((last - first).max(initial=0))):
            place = np.minimum(first + k, len(who) - 1)
            holds = (first + k < last) & (since[place] <= at)
            result = np.where(holds, values[place], result)
        return result


class Hours:
    """Business hours Monday to Friday 8-18 in Berlin without holidays, as a clock to count on."""

    _YEARS = 40

    def __init__(self, started_at: datetime, holiday: pa.Table) -> None:
        zone = ZoneInfo("Europe/Berlin")
        first = started_at.date() - timedelta(days=14)
        off = {
            d
            for d, c in zip(holiday["day"].to_pylist(), holiday["country"].to_pylist(), strict=True)
            if c == "DE"
        }
        days = [first + timedelta(days=i) for i in range(366 * self._YEARS)]
        noon = [datetime(d.year, d.month, d.day, 12, tzinfo=zone).utcoffset() for d in days]
        ahead = np.array([(o or timedelta(0)).seconds for o in noon], np.int64) * SECOND
        number = np.array([(d - _EPOCH).days for d in days], np.int64)
        works = np.array([d.weekday() < 5 and d not in off for d in days])
        self.opens = (number * DAYS + 8 * HOUR - ahead)[works]

    def worked(self, at: Array) -> Array:
        """Business microseconds from the beginning until these times."""
        day = np.searchsorted(self.opens, at, side="right") - 1
        return day * (10 * HOUR) + np.minimum(at - self.opens[day], 10 * HOUR)

    def plus(self, at: Array, work: Array | int) -> Array:
        """The time when that much business time has passed since these times."""
        total = self.worked(at) + work
        day = total // (10 * HOUR)
        return self.opens[day] + total - day * (10 * HOUR)
