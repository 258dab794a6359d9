"""The people of the simulated company: who they are, whom they belong to, what becomes of them.

Everybody who enters within four years is made at once, so that moving the clock on needs nothing
new: the number of customers and the time they come in only set how many enter a week.
"""

import math
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator import catalogue, names
from ingestion.simulator.world import table_of

Array = np.ndarray[Any, Any]

STREAM = 101
COMPANY_DOMAIN = "nordlicht.test"
TEAMS = ("sales", "support", "marketing")
SUPPORT_GROUPS = ("delivery", "returns", "product", "billing", "business")
CHANNELS = (
    "paid_search", "paid_social", "display", "affiliate", "event", "word_of_mouth", "organic",
)  # fmt: skip

_YEAR = 365.25 * 86400
_BASE_SHARE = 0.35  # of the customers are there when the story begins
_BASE_DAYS = 17
_SEASON = (0.85, 0.85, 1.0, 1.1, 1.15, 1.05, 1.0, 0.9, 0.95, 0.95, 1.35, 1.3)  # by month
_B2B_SHARE = 0.18
_HOUSEHOLD_SHARE = 0.45
# Where people live, what they speak, and how many of them there are.
_PROFILES = (
    ("DE", "de", 0.34), ("DE", "ru", 0.05), ("DE", "en", 0.02), ("AT", "de", 0.10),
    ("GB", "en", 0.15), ("US", "en", 0.10), ("BR", "pt", 0.12), ("PT", "pt", 0.07),
    ("KZ", "ru", 0.05),
)  # fmt: skip
_CHANNEL_SHARES = {
    "b2c": (0.24, 0.18, 0.06, 0.07, 0.04, 0.16, 0.25),
    "b2b": (0.18, 0.04, 0.03, 0.02, 0.23, 0.20, 0.30),
}
# What changes in a year: share of the people it happens to.
_CHANGES = {"email": 0.05, "phone": 0.035, "last_name": 0.012, "address": 0.06}
_ERASURES = 0.006
_INDUSTRIES = (
    "sports retail", "tourism", "education", "public sector", "construction", "logistics",
    "software", "health", "clubs and associations", "events",
)  # fmt: skip
_COMPANY_WORDS = (
    "Alpin", "Nord", "West", "Blau", "Green", "Silver", "Stein", "Rio", "Atlas", "Delta",
    "Orbit", "Prisma", "Vento", "Luna", "Terra", "Pico", "Norte", "Baltic", "Steppe", "Ural",
    "Anker", "Fokus", "Trail", "Summit", "River", "Forest", "Urban", "Global", "Prime", "Vista",
)  # fmt: skip
_COMPANY_KINDS = (
    "Sport", "Reisen", "Academy", "Logistik", "Bau", "Events", "Tours", "Systems", "Health",
    "Outdoor", "Schulen", "Consulting", "Media", "Verein", "Works", "Services", "Energia",
    "Viagens", "Trade", "Labs",
)  # fmt: skip
_LEGAL_FORMS = {
    "DE": "GmbH", "AT": "GmbH", "GB": "Ltd", "US": "Inc.", "BR": "Ltda.", "PT": "Lda.",
    "KZ": "LLP",
}  # fmt: skip
_JOBS = (
    "Purchasing Manager", "Office Manager", "Head of Procurement", "Managing Director",
    "Team Lead", "HR Manager", "Event Manager", "Buyer", "Facility Manager", "Assistant",
)  # fmt: skip
_ROLE_MAILBOXES = ("info", "office", "einkauf", "sales", "team", "contact")
_BROWSERS = {
    "desktop": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 "
        "Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    ),
    "mobile": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "Version/17.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile "
        "Safari/537.36",
    ),
    "tablet": (
        "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 "
        "Safari/604.1",
    ),
    "app": ("NordlichtApp/3.2 (iOS 17.5)", "NordlichtApp/3.2 (Android 14)"),
}
_BOTS = (
    "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)",
    "python-requests/2.31.0",
    "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/125.0",
)


def found(
    *,
    seed: int,
    customers: int,
    started_at: datetime,
    ended_at: datetime,
    horizon: timedelta = timedelta(days=catalogue.YEARS * 365),
) -> dict[str, pa.Table]:
    """The founding tables of a world, by name.

    Args:
        seed: equal seeds give equal worlds.
        customers: real people (b2c and b2b) who enter before `ended_at`.
        started_at: beginning of the story, UTC.
        ended_at: sets, with `customers`, how many people enter a week.
        horizon: who would enter later than so long after the beginning is left out.

    Raises:
        ValueError: there are no customers, or the story ends before it begins or too late.
    """
    length = ended_at - started_at
    if customers < 1 or not timedelta(0) < length <= timedelta(days=catalogue.YEARS * 365):
        raise ValueError(
            f"simulated people: {customers} customers over {length.days} days cannot be made; "
            f"give at least 1 customer and 1 to {catalogue.YEARS * 365} days"
        )
    streams = iter(range(100))

    def rng() -> np.random.Generator:
        return np.random.default_rng([seed, STREAM, next(streams)])

    newcomers = customers * (1 - _BASE_SHARE) / (length / timedelta(days=365))
    campaign = catalogue.campaigns(rng(), started_at, newcomers)
    product, price = catalogue.products(rng(), started_at)
    rates = catalogue.exchange_rates(rng(), started_at)
    employee = _employees(rng(), customers, started_at)
    crowd = _Crowd(rng(), customers, started_at, ended_at, horizon, employee)
    crowd.belong(rng())
    crowd.be_named(rng())
    changes = crowd.change(rng())
    crowd.write_down(rng(), changes)
    crowd.come(rng(), campaign)
    device, household = crowd.devices(rng())
    return {
        "household": household,
        "account": crowd.account,
        "employee": employee,
        "holiday": catalogue.holidays(started_at),
        "product": product,
        "price": price,
        "exchange_rate": rates,
        "campaign": campaign,
        "ad_spend": catalogue.ad_spend(campaign),
        "person": table_of("person", crowd.columns),
        "device": device,
        "person_change": crowd.person_change,
        "erasure": crowd.erasures(rng()),
    }


class _Crowd:
    """All people as arrays in the order in which they enter; row i is person i + 1."""

    account: pa.Table
    person_change: pa.Table

    def __init__(
        self, rng: np.random.Generator, customers: int, started_at: datetime, ended_at: datetime,
        horizon: timedelta, employee: pa.Table,
    ) -> None:  # fmt: skip
        self.start = _micros(started_at)
        self.end = _micros(started_at + horizon)
        real = _entries(rng, customers, started_at, ended_at)
        real = real[real < self.end]
        total = len(real)
        extra = {
            "test": max(4, total // 300),
            "bot": max(3, total // 500),
            "employee": min(employee.num_rows, max(4, total // 250)),
        }
        kinds = np.where(rng.random(total) < _B2B_SHARE, "b2b", "b2c").astype("U8")
        entered = [real]
        for kind, number in extra.items():
            # Half of them are there soon, so that a short story has them as well.
            late = rng.random(number) * (np.arange(number) % 2)
            soon = rng.random(number) * _BASE_DAYS * 86400e6
            entered.append((self.start + soon + late * (self.end - self.start)).astype(np.int64))
            kinds = np.concatenate([kinds, np.full(number, kind)])
        when = np.concatenate(entered)
        order = np.argsort(when, kind="stable")
        self.entered, self.kind = when[order], kinds[order]
        self.n = len(order)
        self.ids = np.arange(1, self.n + 1)
        self.employee = employee
        self.columns: dict[str, Any] = {
            "person_id": self.ids, "kind": self.kind, "entered_at": _times(self.entered),
        }  # fmt: skip

    def belong(self, rng: np.random.Generator) -> None:
        """Households, accounts, and where each of them is: the units that people live in."""
        n = self.n
        self.unit = np.full(n, -1)
        self.place = np.zeros(n, np.int64)  # 0: the first of a unit
        members = np.flatnonzero((self.kind == "b2c") & (rng.random(n) < _HOUSEHOLD_SHARE))
        sizes = rng.choice([2, 3, 4], len(members), p=[0.5, 0.3, 0.2])
        self.households = self._group(self._about_when(rng, members, 60), sizes, 0)
        buyers = np.flatnonzero(self.kind == "b2b")
        buyers = self._about_when(rng, buyers, 100)
        sizes = rng.choice(
            np.arange(1, 9), len(buyers), p=[0.34, 0.24, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02]
        )
        self.accounts = self._group(buyers, sizes, self.households)
        alone = np.flatnonzero(self.unit < 0)
        self.unit[alone] = self.households + self.accounts + np.arange(len(alone))
        units = int(self.unit.max()) + 1
        shares = np.array([p[2] for p in _PROFILES])
        profile = rng.choice(len(_PROFILES), units, p=shares / shares.sum())
        self.unit_country = np.array([p[0] for p in _PROFILES])[profile]
        self.country = self.unit_country[self.unit]
        self.language = np.array([p[1] for p in _PROFILES])[profile][self.unit]
        # Some people at work speak another language than their office.
        other = (self.kind == "b2b") & (rng.random(n) < 0.06)
        self.language[other] = "en"
        self.address = addresses(rng, self.unit_country)
        self.house = self.unit < self.households
        self.office = (self.unit >= self.households) & (self.unit < self.households + self.accounts)
        self._make_accounts(rng)

    def _about_when(self, rng: np.random.Generator, people: Array, days: float) -> Array:
        """People in the order of their coming, shaken: those of one unit come near each other."""
        shaken = self.entered[people] + rng.normal(0, days * 86400e6, len(people))
        return people[np.argsort(shaken, kind="stable")]

    def _group(self, members: Array, sizes: Array, first: int) -> int:
        """Cut `members` into units of the given sizes; returns how many units there are."""
        if not len(members):
            return 0
        starts = np.concatenate([[0], np.cumsum(sizes)])
        number = np.searchsorted(starts, np.arange(len(members)), side="right") - 1
        self.unit[members] = first + number
        self.place[members] = np.arange(len(members)) - starts[number]
        return int(number[-1]) + 1

    def _make_accounts(self, rng: np.random.Generator) -> None:
        n = self.accounts
        here = slice(self.households, self.households + n)
        numbers = np.arange(n)
        country = self.unit_country[here]
        front = pa.array(_COMPANY_WORDS).take(pa.array(names.draw(rng, n, len(_COMPANY_WORDS))))
        back = pa.array(_COMPANY_KINDS).take(pa.array(names.draw(rng, n, len(_COMPANY_KINDS))))
        plain = pc.binary_join_element_wise(front, back, " ")
        again = _occurrence(plain)
        plain = pc.if_else(
            pa.array(again == 0), plain,
            pc.binary_join_element_wise(plain, pa.array((again + 1).astype("U8")), " "),
        )  # fmt: skip
        domain = pc.binary_join_element_wise(
            pc.replace_substring_regex(pc.utf8_lower(plain), "[^a-z0-9]+", "-"), "test", "."
        )
        form = pa.array([_LEGAL_FORMS[c] for c in country], pa.string())
        size = np.bincount(self.unit[self.office] - self.households, minlength=n)
        enterprise = rng.random(n) < np.where(size >= 4, 0.55, 0.18)
        staff = np.where(enterprise, 10 ** rng.uniform(2.4, 4.3, n), 10 ** rng.uniform(0.6, 2.3, n))
        since = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(since, self.unit[self.office] - self.households, self.entered[self.office])
        parent = rng.integers(0, max(n, 1), n)
        has_parent = (rng.random(n) < 0.08) & (parent < numbers) & enterprise[parent]
        role = pa.array(rng.choice(_ROLE_MAILBOXES, n))
        self.domain = domain
        self.account = table_of(
            "account",
            {
                "account_id": numbers + 1,
                "name": pc.binary_join_element_wise(plain, form, " "),
                "domain": domain,
                "industry": rng.choice(_INDUSTRIES, n),
                "segment": np.where(enterprise, "enterprise", "smb"),
                "employees": staff.astype(np.int64),
                "annual_revenue": pa.array((staff * rng.uniform(6e4, 2.4e5, n)).round(-3)).cast(
                    pa.decimal128(18, 2), safe=False
                ),
                **{c: v.slice(self.households, n) for c, v in self.address.items()},
                "parent_account_id": pa.array(parent + 1, mask=~has_parent),
                "role_email": pc.if_else(
                    pa.array(rng.random(n) < 0.5),
                    pc.binary_join_element_wise(role, domain, "@"),
                    None,
                ),
                "created_at": _times(since),
            },
        )

    def be_named(self, rng: np.random.Generator) -> None:
        """Names, gender, age: families share a last name, some fathers a first name with a son."""
        n = self.n
        female = rng.random(n) < 0.5
        pool = np.searchsorted(np.array(names.LANGUAGES), self.language)
        stranger = rng.random(n) < 0.06  # a name from elsewhere
        pool = np.where(stranger, rng.integers(0, len(names.LANGUAGES), n), pool)
        head = _first_of(self.unit, self.place)
        family = self.house & (self.place > 0)
        pool = np.where(family, pool[head], pool)
        age = np.where(rng.random(n) < 0.2, rng.uniform(55, 80, n), rng.uniform(20, 55, n))
        age = np.where(self.house & ~family, np.maximum(age, 40), age)
        partner = family & (self.place == 1) & (rng.random(n) < 0.8)
        child = family & ~partner
        female = np.where(partner & (rng.random(n) < 0.95), ~female[head], female)
        age = np.where(partner, age[head] + rng.normal(0, 4, n), age)
        age = np.where(child, np.maximum(age[head] - rng.uniform(22, 36, n), 16), age)
        first = names.NAMES.first(rng, pool, female)
        junior = child & (rng.random(n) < 0.12)
        female = np.where(junior, female[head], female)
        first = np.where(junior, first[head], first)
        last = names.NAMES.last(rng, pool)
        shared = family & (rng.random(n) < np.where(partner, 0.85, 0.96))
        last = np.where(shared, last[head], last)
        self.female, self.pool, self.first, self.last = female, pool, first, last
        birth = self.start / 86400e6 - age * 365.25 + rng.integers(0, 365, n)
        self.birth = birth.astype(np.int64)
        self.is_person = self.kind != "bot"

    def change(self, rng: np.random.Generator) -> list[tuple[str, Array, Array]]:
        """What becomes different for whom and when: (field, rows of people, times)."""
        found_: list[tuple[str, Array, Array]] = []
        real = (self.kind == "b2c") | (self.kind == "b2b")
        for field, share in _CHANGES.items():
            at = self.entered.astype(np.float64)
            for _ in range(2):  # at most twice
                at = at + (rng.exponential(1 / share, self.n) + 0.05) * _YEAR * 1e6
                age = (at / 86400e6 - self.birth) / 365.25
                may = real & (at < self.end)
                if field == "last_name":
                    may &= (self.kind == "b2c") & self.female & (age < 45) & (age > 19)
                elif field == "address":
                    may &= self.kind == "b2c"
                who = np.flatnonzero(may)
                found_.append((field, who, at[who].astype(np.int64)))
                if field == "last_name":
                    # Half of those who marry also take a mailbox in the new name.
                    mailbox = who[rng.random(len(who)) < 0.5]
                    found_.append(("email", mailbox, at[mailbox].astype(np.int64) + 86400_000_000))
                    break
        return found_

    def write_down(
        self, rng: np.random.Generator, changes: list[tuple[str, Array, Array]]
    ) -> None:  # fmt: skip
        """Names, addresses, mailboxes and numbers as text, those of the beginning and the new."""
        n = self.n
        staff = np.flatnonzero(self.kind == "employee")
        tests = np.flatnonzero(self.kind == "test")
        who = (self.pool, self.first, self.female), (self.pool, self.last, self.female)
        text = {
            "first_name": names.NAMES.text("first", *who[0]),
            "last_name": names.NAMES.text("last", *who[1]),
            "native_first_name": names.NAMES.text("first", *who[0], native=True),
            "native_last_name": names.NAMES.text("last", *who[1], native=True),
        }
        colleague = self.employee.slice(0, len(staff))
        for field in ("first_name", "last_name"):
            made_up = ["Test", "John", "Max", "QA"] if field == "first_name" else ["Test", "Tester"]
            for column in (field, f"native_{field}"):
                text[column] = _put(text[column], staff, colleague[field].combine_chunks())
                invented = pa.array([made_up[i % len(made_up)] for i in range(len(tests))])
                text[column] = _put(text[column], tests, invented)
        # Everybody's mailbox and every later one at once, so that no two people have the same.
        wed, wed_at = next((rows, at) for field, rows, at in changes if field == "last_name")
        wed_last = names.NAMES.last(rng, self.pool[wed])
        last_then = np.full(n, -1)
        last_then[wed] = wed_last
        since = np.full(n, np.iinfo(np.int64).max)
        since[wed] = wed_at
        owners = [np.arange(n)] + [rows for field, rows, _ in changes if field == "email"]
        moments = [self.entered] + [at for field, _, at in changes if field == "email"]
        owner, moment = np.concatenate(owners), np.concatenate(moments)
        married = moment >= since[owner]
        last = np.where(married, last_then[owner], self.last[owner])
        last_text = names.NAMES.text("last", self.pool[owner], last, self.female[owner])
        last_text = pc.if_else(
            pa.array(married), last_text, text["last_name"].take(pa.array(owner))
        )
        mail = self._mailboxes(rng, owner, text["first_name"].take(pa.array(owner)), last_text)
        email = mail.slice(0, n)
        at_work = np.flatnonzero((self.kind == "employee") & (rng.random(n) < 0.5))
        work = colleague["email"].combine_chunks().take(pa.array(np.searchsorted(staff, at_work)))
        email = _put(email, at_work, work)
        dummy = [f"test{'' if i == 0 else f'+{i}'}@{'example.com' if i % 2 else COMPANY_DOMAIN}"
                 for i in range(len(tests))]  # fmt: skip
        email = _put(email, tests, pa.array(dummy))
        phone = self._phones(rng, np.arange(n))
        # A landline that a family shares.
        line = self.house & (self.place > 0) & (rng.random(self.unit.max() + 1) < 0.06)[self.unit]
        own = np.where(line, _first_of(self.unit, self.place), np.arange(n))
        phone = phone.take(pa.array(own))
        silent = rng.random(n) < np.where(self.kind == "b2b", 0.06, 0.14)
        human = pa.array(self.is_person)
        text |= {"email": email, "phone": pc.if_else(pa.array(~silent), phone, None)}
        text["nickname"] = names.nickname(rng, text["first_name"])
        self.columns |= {c: pc.if_else(human, v, None) for c, v in text.items()}
        unit = pa.array(self.unit)
        account = pa.array(self.unit - self.households + 1, mask=~self.office)
        second = rng.integers(1, max(self.accounts, 1) + 1, n)
        twice = self.office & (rng.random(n) < 0.02) & (second != self.unit - self.households + 1)
        self.columns |= {
            "gender": pc.if_else(human, pa.array(np.where(self.female, "female", "male")), None),
            "birth_date": pa.array(self.birth.astype("datetime64[D]"), mask=~self.is_person),
            "language": self.language,
            "timezone": [names.TIMEZONES[c] for c in self.country],
            **{c: pc.if_else(human, v.take(unit), None) for c, v in self.address.items()},
            "household_id": pa.array(self.unit + 1, mask=~self.house),
            "account_id": account,
            "second_account_id": pa.array(second, mask=~twice),
            "job_title": pa.array(rng.choice(_JOBS, n), mask=~self.office),
        }
        self._write_changes(rng, changes, mail.slice(n), wed_last)

    def _mailboxes(
        self, rng: np.random.Generator, owner: Array, first: pa.Array, last: pa.Array
    ) -> pa.Array:
        n = len(owner)
        first, last = names.mail_part(first), names.mail_part(last)
        letter = pc.utf8_slice_codeunits(first, 0, 1)
        year = pa.array(np.char.mod("%02d", (self.birth[owner] / 365.25 + 1970).astype(int) % 100))
        number = pa.array(rng.integers(1, 999, n).astype("U3"))
        none = pa.scalar("")
        patterns = [
            (first, ".", last, none), (first, ".", last, year), (letter, ".", last, number),
            (first, none, last, none), (last, ".", first, none), (first, "_", last, number),
        ]  # fmt: skip
        private = pa.chunked_array([pc.binary_join_element_wise(*p, "") for p in patterns])
        which = rng.choice(len(patterns), n, p=[0.3, 0.2, 0.15, 0.12, 0.08, 0.15])
        office = self.office[owner]
        # A firm writes all addresses in one way, and in another one when they change.
        usual = (np.arange(n) < self.n) & (rng.random(n) < 0.9)
        which = np.where(office, np.where(usual, 0, 2), which)
        local = private.combine_chunks().take(pa.array(which * n + np.arange(n)))
        pools = [pa.array(names.MAIL_DOMAINS[code]) for code in names.LANGUAGES]
        width = len(pools[0])
        code = np.searchsorted(np.array(names.LANGUAGES), self.language[owner])
        home = pa.concat_arrays(pools).take(pa.array(code * width + names.draw(rng, n, width)))
        unit = np.where(office, self.unit[owner] - self.households, 0)
        work = self.domain.take(pa.array(unit)) if self.accounts else pa.nulls(n, pa.string())
        mail = pc.binary_join_element_wise(local, pc.if_else(pa.array(office), work, home), "@")
        taken = _occurrence(mail) > 0
        told_apart = pc.binary_join_element_wise(local, pa.array(np.arange(n).astype("U9")), ".")
        again = pc.binary_join_element_wise(
            told_apart, pc.if_else(pa.array(office), work, home), "@"
        )
        return pc.if_else(pa.array(taken), again, mail)

    def _phones(self, rng: np.random.Generator, owner: Array) -> pa.Array:
        return _by_country(self.country[owner], lambda c, size: names.phones(rng, c, size))

    def _write_changes(
        self, rng: np.random.Generator, changes: list[tuple[str, Array, Array]], mail: pa.Array,
        new_last: Array,
    ) -> None:  # fmt: skip
        tables, used = [], 0
        for field, who, at in changes:
            if field == "email":
                values = {"email": mail.slice(used, len(who))}
                used += len(who)
            elif field == "phone":
                values = {"phone": self._phones(rng, who)}
            elif field == "last_name":
                values = {
                    field: names.NAMES.text("last", self.pool[who], new_last, self.female[who])
                }
            else:
                moved = addresses(rng, self.country[who])
                values = {c: moved[c] for c in ("street", "postal_code", "city")}
            for name, value in values.items():
                tables.append(
                    table_of(
                        "person_change",
                        {"person_id": self.ids[who], "changed_at": _times(at),
                         "field": [name] * len(who), "value": value},
                    )
                )  # fmt: skip
        rows = pa.concat_tables(tables)
        order = [("changed_at", "ascending"), ("person_id", "ascending"), ("field", "ascending")]
        self.person_change = rows.sort_by(order).combine_chunks()

    def come(self, rng: np.random.Generator, campaign: pa.Table) -> None:
        """By what way people came to the company, and what they are like."""
        n = self.n
        business = self.kind == "b2b"
        channel = np.where(
            business,
            rng.choice(CHANNELS, n, p=_CHANNEL_SHARES["b2b"]),
            rng.choice(CHANNELS, n, p=_CHANNEL_SHARES["b2c"]),
        )
        campaign_id = np.zeros(n, np.int64)
        for name in CHANNELS[:5]:
            there = campaign.filter(pc.equal(campaign["channel"], name))
            starts = there["started_at"].cast(pa.int64()).to_numpy()
            ends = there["ended_at"].cast(pa.int64()).to_numpy()
            latest = np.maximum(np.searchsorted(starts, self.entered, side="right") - 1, 0)
            runs = (starts[latest] <= self.entered) & (self.entered < ends[latest])
            here = (channel == name) & runs
            campaign_id[here] = there["campaign_id"].to_numpy()[latest[here]]
        friend = (rng.random(n) * np.arange(n)).astype(np.int64)
        by_friend = (channel == "word_of_mouth") & (rng.random(n) < 0.6)
        by_friend &= (
            (self.kind[friend] == "b2c") & ~business & (self.entered > self.entered[friend])
        )
        real = (self.kind == "b2c") | business
        self.columns |= {
            "acquisition_channel": pa.array(channel, mask=~real),
            "acquisition_campaign_id": pa.array(campaign_id, mask=(campaign_id == 0) | ~real),
            "referred_by": pa.array(friend + 1, mask=~by_friend),
        }
        for trait, (a, b) in {
            "price_sensitivity": (2.0, 2.0), "loyalty": (3.0, 2.2), "patience": (3.0, 2.0),
            "expressiveness": (2.0, 2.6),
        }.items():  # fmt: skip
            self.columns[trait] = np.round(rng.beta(a, b, n), 4)

    def devices(self, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
        """Devices of people, and the households with those that they share."""
        number = rng.choice([1, 2, 3], self.n, p=[0.45, 0.40, 0.15])
        owner = np.repeat(np.arange(self.n), number)
        kinds = list(_BROWSERS)
        kind = rng.choice(len(kinds), len(owner), p=[0.38, 0.36, 0.11, 0.15])
        # Many have looked around for some days before the company heard of them.
        before = np.where(rng.random(len(owner)) < 0.4, rng.exponential(6 * 86400e6, len(owner)), 0)
        later = np.concatenate([[False], owner[1:] == owner[:-1]])
        shift = np.where(later, rng.exponential(120 * 86400e6, len(owner)), -before)
        seen = np.maximum(self.entered[owner] + shift, self.start).astype(np.int64)
        bot = self.kind[owner] == "bot"
        agents = np.array([(_BROWSERS[k] * 6)[:6] for k in kinds], object)
        agent = agents[kind, rng.integers(0, 6, len(owner))]
        agent = np.where(bot, rng.choice(np.array(_BOTS, object), len(owner)), agent)
        family = rng.random(self.households)
        tablet = np.flatnonzero(rng.random(self.households) < 0.12)
        since = np.full(self.households, np.iinfo(np.int64).max)
        np.minimum.at(since, self.unit[self.house], self.entered[self.house])
        ids = _uuids(rng, len(owner) + len(tablet))
        own_ids, shared_ids = ids.slice(0, len(owner)), ids.slice(len(owner))
        own = table_of(
            "device",
            {
                "device_id": own_ids,
                "person_id": self.ids[owner],
                "household_id": pa.array(self.unit[owner] + 1, mask=~self.house[owner]),
                "is_shared": np.zeros(len(owner), bool),
                "is_bot": bot,
                "kind": np.where(bot, "desktop", np.array(kinds)[kind]),
                "user_agent": agent.tolist(),
                "first_seen_at": _times(seen),
            },
        )
        shared = table_of(
            "device",
            {
                "device_id": shared_ids,
                "household_id": tablet + 1,
                "is_shared": np.ones(len(tablet), bool),
                "is_bot": np.zeros(len(tablet), bool),
                "kind": ["tablet"] * len(tablet),
                "user_agent": [_BROWSERS["tablet"][0]] * len(tablet),
                "first_seen_at": _times(since[tablet]),
            },
        )
        n = self.households
        head = np.zeros(n, np.int64)
        heads = self.house & (self.place == 0)
        head[self.unit[heads]] = np.flatnonzero(heads)
        last = names.mail_part(self.columns["last_name"].take(pa.array(head)))
        local = pc.binary_join_element_wise(
            "family", last, pa.array(np.arange(1, n + 1).astype("U9")), "."
        )
        tablet_id = np.full(n, None, object)
        tablet_id[tablet] = shared_ids.to_pylist()
        household = table_of(
            "household",
            {
                "household_id": np.arange(1, n + 1),
                **{c: v.slice(0, n) for c, v in self.address.items()},
                "shared_email": pc.if_else(
                    pa.array(family < 0.08),
                    pc.binary_join_element_wise(local, "mail.example", "@"),
                    None,
                ),
                "shared_device_id": tablet_id.tolist(),
            },
        )
        return pa.concat_tables([own, shared]).combine_chunks(), household

    def erasures(self, rng: np.random.Generator) -> pa.Table:
        """Who asks to be forgotten, some time after having come."""
        at = self.entered + (0.02 + rng.exponential(1 / _ERASURES, self.n)) * _YEAR * 1e6
        who = np.flatnonzero((at < self.end) & ((self.kind == "b2c") | (self.kind == "b2b")))
        who = who[np.argsort(at[who], kind="stable")]
        return table_of(
            "erasure",
            {"person_id": self.ids[who], "erased_at": _times(at[who].astype(np.int64))},
        )


def addresses(rng: np.random.Generator, country: Array) -> dict[str, pa.Array]:
    """Street, postal code, city and country, one for every country code given."""
    city = np.zeros(len(country), np.int64)
    cities: list[pa.Array] = []
    fronts: list[pa.Array] = []
    for code in np.unique(country):
        here = country == code
        towns, codes = names.cities(str(code))
        offset = sum(len(c) for c in cities)
        city[here] = offset + names.draw(rng, int(here.sum()), len(towns), steep=1.1)
        cities.append(towns)
        fronts.append(codes)
    if not cities:
        return {c: pa.nulls(0, pa.string()) for c in ("street", "postal_code", "city", "country")}
    index = pa.array(city)
    front = pa.concat_arrays(fronts).take(index)
    place = iter([np.flatnonzero(country == code) for code in np.unique(country)])
    return {
        "street": _by_country(country, lambda c, size: names.streets(rng, c, size)),
        "postal_code": _by_country(
            country, lambda c, size: names.postal_codes(rng, c, front.take(pa.array(next(place))))
        ),
        "city": pa.concat_arrays(cities).take(index),
        "country": pa.array(country),
    }


def _by_country(country: Array, make: Any) -> pa.Array:
    """What `make(country, size)` gives for each country, in the order of `country`."""
    order = np.argsort(country, kind="stable")
    parts = [make(str(c), int((country == c).sum())) for c in np.unique(country)]
    if not parts:
        return pa.nulls(0, pa.string())
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return pa.chunked_array(parts).combine_chunks().take(pa.array(back))


def _entries(
    rng: np.random.Generator, customers: int, started_at: datetime, ended_at: datetime
) -> Array:
    """When real people enter, in microseconds: the base at once, then a stream with seasons."""
    base = math.floor(customers * _BASE_SHARE)
    days = catalogue.YEARS * 365
    dates = [started_at + timedelta(days=d) for d in range(days)]
    flow = np.array([_SEASON[d.month - 1] for d in dates]) * (1 + catalogue.GROWTH) ** (
        np.arange(days) / 365
    )
    grid = np.concatenate([[0.0], np.cumsum(flow)])
    length = (ended_at - started_at) / timedelta(days=1)
    scale = (customers - base) / np.interp(length, np.arange(days + 1), grid)
    total = math.floor(grid[-1] * scale)
    reached = (np.arange(total) + rng.random(total)) / scale
    after = np.interp(reached, grid, np.arange(days + 1)) * 86400e6
    there = np.sort(rng.random(base)) * min(_BASE_DAYS, length * 0.9) * 86400e6
    return _micros(started_at) + np.sort(np.concatenate([there, after])).astype(np.int64)


def _employees(rng: np.random.Generator, customers: int, started_at: datetime) -> pa.Table:
    n = int(np.clip(customers // 120, 15, 400))
    female = rng.random(n) < 0.5
    pool = rng.choice(len(names.LANGUAGES), n, p=[0.5, 0.2, 0.2, 0.1])
    first = names.NAMES.text("first", pool, names.NAMES.first(rng, pool, female), female)
    last = names.NAMES.text("last", pool, names.NAMES.last(rng, pool), female)
    local = pc.binary_join_element_wise(names.mail_part(first), names.mail_part(last), ".")
    again = _occurrence(local)
    local = pc.if_else(
        pa.array(again == 0), local,
        pc.binary_join_element_wise(local, pa.array((again + 1).astype("U4")), ""),
    )  # fmt: skip
    team = np.array(TEAMS)[np.array([1, 0, 1, 1, 1, 0, 1, 2])[np.arange(n) % 8]]
    # Every support group has somebody, however small the company is.
    group = np.array(SUPPORT_GROUPS)[(np.cumsum(team == "support") - 1) % len(SUPPORT_GROUPS)]
    lead = rng.random(n) < 0.15
    roles = {"sales": ("account_executive", "sales_manager"), "support": ("agent", "team_lead"),
             "marketing": ("marketer", "marketing_manager")}  # fmt: skip
    since = _micros(started_at) - (rng.uniform(60, 3000, n) * 86400e6).astype(np.int64)
    # Those who are first in the list stay: no team or group is ever empty.
    leaves = (rng.random(n) < 0.2) & (np.arange(n) >= 12)
    left = _micros(started_at) + (rng.uniform(90, 1400, n) * 86400e6).astype(np.int64)
    return table_of(
        "employee",
        {
            "employee_id": np.arange(1, n + 1),
            "first_name": first,
            "last_name": last,
            "email": pc.binary_join_element_wise(local, COMPANY_DOMAIN, "@"),
            "team": team,
            "support_group": pa.array(group, mask=team != "support"),
            "role": [roles[t][int(is_lead)] for t, is_lead in zip(team, lead, strict=True)],
            "skill": np.round(rng.beta(5, 2, n), 3),
            "hired_at": _times(since),
            "left_at": _times(left, mask=~leaves),
        },
    )


def _first_of(unit: Array, place: Array) -> Array:
    """For every person, the row of the first person of the same unit."""
    head = np.zeros(int(unit.max()) + 1, np.int64)
    first = np.flatnonzero(place == 0)
    head[unit[first]] = first
    return head[unit]


def _occurrence(values: pa.Array) -> Array:
    """0 for the first of equal values, 1 for the second, and so on."""
    codes = values.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    run = codes[order]
    begins = np.concatenate([[True], run[1:] != run[:-1]]) if len(run) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(begins, np.arange(len(run)), 0))
    found_ = np.empty(len(run), np.int64)
    found_[order] = np.arange(len(run)) - start
    return found_


def _put(values: pa.Array, rows: Array, new: pa.Array) -> pa.Array:
    """The values with `new` in the given rows."""
    index = np.arange(len(values))
    index[rows] = len(values) + np.arange(len(rows))
    return pa.concat_arrays([values, new.cast(values.type)]).take(pa.array(index))


def _uuids(rng: np.random.Generator, n: int) -> pa.Array:
    """Random identifiers in the form of a version 4 UUID."""
    bits = rng.integers(0, 16, (n, 32), np.uint8)
    bits[:, 12] = 4
    bits[:, 16] = 8 + bits[:, 16] % 4
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)[bits]
    text = pa.array(letters.view("S32").ravel().astype("U32"))
    cuts = (0, 8, 12, 16, 20, 32)
    parts = [pc.utf8_slice_codeunits(text, a, b) for a, b in pairwise(cuts)]
    return pc.binary_join_element_wise(*parts, "-")


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _times(micros: Array, mask: Array | None = None) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=mask).cast(pa.timestamp("us", tz="UTC"))
