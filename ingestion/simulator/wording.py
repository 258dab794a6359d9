"""The words in which the systems speak of people: what their records say, noise and all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator import names, noise
from ingestion.simulator.systems import (
    BIT,
    MAILCHIMP,
    QUALTRICS,
    SECOND_MAILBOX,
    SHOPIFY,
    SOURCES,
    SURVEYMONKEY,
    SYSTEMS,
    VIAS,
    ZENDESK,
)

Array = np.ndarray[Any, Any]


class Versions:
    """The values of one field of all people, those of the beginning and the later ones."""

    def __init__(self, first: list[pa.Array], change: pa.Table, fields: tuple[str, ...]) -> None:
        people = len(first[0])
        tables = [change.filter(pc.equal(change["field"], f)) for f in fields]
        order = [("person_id", "ascending"), ("changed_at", "ascending")]
        tables = [t.sort_by(order) for t in tables]
        self._person = tables[0]["person_id"].to_numpy() - 1
        self._at = tables[0]["changed_at"].cast(pa.int64()).to_numpy()
        self._start = np.searchsorted(self._person, np.arange(people + 1))
        self._deepest = int(np.diff(self._start).max(initial=0))
        self._by_time = np.argsort(self._at, kind="stable")
        self._times = self._at[self._by_time]
        self._values = [
            pa.concat_arrays([begin, t["value"].combine_chunks()])
            for begin, t in zip(first, tables, strict=True)
        ]
        self._people = people

    def at(self, person: Array, at: Array) -> Array:
        """Which value is true at a time: 0 that of the beginning, 1 the next one."""
        start, end = self._start[person], self._start[person + 1]
        number = np.zeros(len(person), np.int64)
        for step in range(self._deepest):
            place = start + step
            there = place < end
            number[there] += self._at[place[there]] <= at[there]
        return number

    def between(self, since: int, until: int) -> tuple[Array, Array]:
        """Changes of a span: people and times, in the order of time."""
        low, high = np.searchsorted(self._times, [since, until])
        rows = self._by_time[low:high]
        return self._person[rows], self._at[rows]

    def value(self, person: Array, number: Array, column: int = 0) -> pa.Array:
        """Values of these numbers of these people; `column`: which part of a change."""
        row = np.where(number > 0, self._people + self._start[person] + number - 1, person)
        return self._values[column].take(pa.array(row))


class Words:
    """The words in which records speak of people."""

    def __init__(self, founding: Mapping[str, pa.Table]) -> None:
        person, change = founding["person"], founding["person_change"]
        self.people = person.num_rows
        column = {c: person[c].combine_chunks() for c in person.column_names}
        self._column = column
        self.versions = {
            f: Versions([column[f]], change, (f,)) for f in ("email", "phone", "last_name")
        }
        parts = ("street", "postal_code", "city")
        self.versions["address"] = Versions([column[p] for p in parts], change, parts)
        self.is_business = flags(pc.equal(column["kind"], "b2b"))
        self.is_test = flags(pc.equal(column["kind"], "test"))
        self.is_employee = flags(pc.equal(column["kind"], "employee"))
        self._account = column["account_id"].fill_null(0).to_numpy()
        self._second = column["second_account_id"].fill_null(0).to_numpy()
        self.has_second_account = self._second > 0
        self._account_name = founding["account"]["name"].combine_chunks()
        home, office = founding["household"], founding["account"]
        self._shared = (
            home["shared_email"].combine_chunks().take(pc.subtract(column["household_id"], 1))
        )
        self._role = (
            office["role_email"].combine_chunks().take(pc.subtract(column["account_id"], 1))
        )
        plain = pc.and_(
            pc.equal(names.fold(column["native_first_name"]), column["native_first_name"]),
            pc.equal(names.fold(column["native_last_name"]), column["native_last_name"]),
        )
        self._foreign = flags(pc.not_equal(column["native_last_name"], column["last_name"]))
        differs = ~flags(plain) | self._foreign
        phone = flags(pc.is_valid(column["phone"]))
        named = flags(pc.is_valid(column["first_name"]))
        self._shows = {
            "shared_email": flags(pc.is_valid(self._shared)),
            "role_email": flags(pc.is_valid(self._role)),
            "nickname": flags(pc.is_valid(column["nickname"])) & ~self.is_test,
            "transliterated": differs & named,
            "missing_email": phone,
            **dict.fromkeys(("phone_national", "phone_spaces", "phone_wrong"), phone),
        }
        erasure = founding["erasure"]
        self.erased_at = np.full(self.people, np.iinfo(np.int64).max)
        at = erasure["erased_at"].cast(pa.int64()).to_numpy()
        self.erased_at[erasure["person_id"].to_numpy() - 1] = at
        self._channel = column["acquisition_channel"]

    def can_show(self, kind: str, person: Array) -> Array:
        """Whether a kind of noise would be seen in records of these people."""
        shows = self._shows.get(kind)
        return np.ones(len(person), bool) if shows is None else shows[person]

    def erased_between(self, since: int, until: int) -> tuple[Array, Array]:
        """Who asks to be forgotten in a span: people and times."""
        person = np.flatnonzero((self.erased_at >= since) & (self.erased_at < until))
        return person, self.erased_at[person]

    def known(self, column: str, person: Array, keep: Array) -> pa.Array:
        """A column of the person, where the record has it."""
        return pc.if_else(pa.array(keep), self._column[column].take(pa.array(person)), None)

    def account_of(self, columns: Mapping[str, Array]) -> Array:
        """The account that a record stands at; 0: none."""
        second = (columns["noise"] & BIT["two_accounts"]) > 0
        person = columns["person"]
        second &= self._second[person] > 0
        return np.where(second, self._second[person], self._account[person])

    def company(self, account: Array, keep: Array) -> pa.Array:
        """Names of accounts (0: none), where the record has them."""
        row = pa.array(account - 1, mask=(account == 0) | ~keep)
        return self._account_name.take(row)

    def source(self, columns: Mapping[str, Array]) -> pa.Array:
        """How records came to be, in the words of their systems."""
        channel = self._channel.take(pa.array(columns["person"]))
        found = pa.array(VIAS).take(pa.array(columns["via"]))
        for vendor, codes in SOURCES.items():
            here = np.isin(columns["system"], [i for i, s in enumerate(SYSTEMS) if s[0] == vendor])
            words = pa.array(list(codes.values())).take(pc.index_in(channel, pa.array(list(codes))))
            found = pc.if_else(pa.array(here), words, found)
        return found

    def email(self, ids: Array, marks: Array, columns: Mapping[str, Array]) -> pa.Array:
        """The address in each record; null: it has none."""
        person, bits, number = columns["person"], columns["noise"], columns["email"]
        mail = self.versions["email"].value(person, np.maximum(number, 0))
        mail = noise.edit(
            mail, number == SECOND_MAILBOX, lambda x, at: noise.second_mailbox(x, person[at])
        )
        mail = noise.edit(mail, noise.has(bits, "role_email"),
                     lambda x, at: self._role.take(pa.array(person[at])))  # fmt: skip
        mail = noise.edit(mail, noise.has(bits, "shared_email"),
                     lambda x, at: self._shared.take(pa.array(person[at])))  # fmt: skip
        mail = noise.edit(
            mail, noise.has(bits, "email_typo"), lambda x, at: noise.typo(x, marks[at], stop="@")
        )
        mail = noise.edit(
            mail, noise.has(bits, "email_plus"), lambda x, at: noise.tagged(x, marks[at], ids[at])
        )
        mail = noise.edit(
            mail, noise.has(bits, "email_case"), lambda x, at: noise.cased(x, marks[at])
        )
        return noise.edit(
            mail, noise.has(bits, "missing_email"), lambda x, at: pa.nulls(len(at), pa.string())
        )

    def phone(self, marks: Array, columns: Mapping[str, Array]) -> pa.Array:
        """The telephone number in each record, as it was typed."""
        bits = columns["noise"]
        phone = self.versions["phone"].value(columns["person"], columns["phone"])
        phone = noise.edit(
            phone, noise.has(bits, "phone_wrong"), lambda x, at: noise.wrong_digit(x, marks[at])
        )
        phone = noise.edit(
            phone, noise.has(bits, "phone_national"), lambda x, at: noise.national(x)
        )
        phone = noise.edit(phone, noise.has(bits, "phone_spaces"), lambda x, at: noise.spaced(x))
        return noise.edit(
            phone, noise.has(bits, "missing_phone"), lambda x, at: pa.nulls(len(at), pa.string())
        )

    def names(self, marks: Array, columns: Mapping[str, Array]) -> tuple[pa.Array, pa.Array]:
        """First and last names in each record."""
        bits, person, number = columns["noise"], columns["person"], columns["last_name"]
        take = pa.array(person)
        first = self._column["first_name"].take(take)
        last = self.versions["last_name"].value(person, number)
        script = noise.has(bits, "transliterated")
        first = noise.edit(
            first, script, lambda x, at: self._other_script("first_name", x, person[at])
        )
        last = noise.edit(
            last, script & (number == 0),
            lambda x, at: self._other_script("last_name", x, person[at]),
        )  # fmt: skip
        last = noise.edit(last, script & (number > 0), lambda x, at: names.fold(x))
        short = noise.has(bits, "nickname")
        first = noise.edit(
            first, short, lambda x, at: self._column["nickname"].take(pa.array(person[at]))
        )
        wrong, in_first = noise.has(bits, "name_typo"), marks % np.uint64(2) == 0
        first = noise.edit(first, wrong & in_first, lambda x, at: noise.typo(x, marks[at]))
        last = noise.edit(last, wrong & ~in_first, lambda x, at: noise.typo(x, marks[at]))
        missing = noise.has(bits, "missing_name")
        first = noise.edit(first, missing, lambda x, at: pa.nulls(len(at), pa.string()))
        none = missing & (marks % np.uint64(3) > 0)
        last = noise.edit(last, none, lambda x, at: pa.nulls(len(at), pa.string()))
        swapped = pa.array(noise.has(bits, "swapped_names"))
        return pc.if_else(swapped, last, first), pc.if_else(swapped, first, last)

    def _other_script(self, column: str, text: pa.Array, person: Array) -> pa.Array:
        """Cyrillic names in their own letters, others without marks on the letters."""
        native = self._column[f"native_{column}"].take(pa.array(person))
        return pc.if_else(pc.equal(native, text), names.fold(text), native)

    def address(self, columns: Mapping[str, Array], keep: Array) -> dict[str, pa.Array]:
        """The address in each record that has one, by column."""
        person, number = columns["person"], columns["address"]
        moved, shown = self.versions["address"], pa.array(keep)
        parts = {c: pc.if_else(shown, moved.value(person, number, i), None)
                 for i, c in enumerate(("street", "postal_code", "city"))}  # fmt: skip
        return parts | {"country": self.known("country", person, keep)}


def flags(values: pa.Array | pa.ChunkedArray) -> Array:
    """Truth values as an array; null is false."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), bool)


def tags(columns: Mapping[str, Array], business: Array, unit: Array, erased: Array) -> pa.ListArray:
    """Words that the systems' people stick to records."""
    marked = np.isin(columns["system"], (SHOPIFY, ZENDESK, MAILCHIMP))
    shown = {
        "guest": (columns["noise"] & BIT["guest"]) > 0,
        "newsletter": (columns["consent"] == 1) & (unit < 0.7),
        "team-sales": business & (unit > 0.3),
        "outdoor-club": ~business & (unit > 0.85),
        "test": marked & ((columns["noise"] & BIT["test_record"]) > 0),
        "staff": marked & ((columns["noise"] & BIT["employee_record"]) > 0),
    }
    # Surveys have no tags, and erased records have nothing.
    may = ~np.isin(columns["system"], (SURVEYMONKEY, QUALTRICS)) & (~erased)
    chosen = np.stack(list(shown.values()), axis=1) & may[:, None]
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
    words = pa.array(list(shown)).take(pa.array(np.nonzero(chosen)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), words)
