"""What each system knows of a person: records, their duplicates, and what time does to them.

A record is kept as a few whole numbers: whose it is, which noise is in it and which of the
person's changes it has heard of. Its words are made from these only when a version is written.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.noise import labels
from ingestion.simulator.record_ids import base62, hashes, mix, salesforce_ids
from ingestion.simulator.systems import (
    ARCHIVED_LATER,
    BIT,
    CARELESS,
    CONSENTS,
    CONTACT,
    DUPLICATES,
    HAS,
    HUBSPOT,
    KEEPS_MAILS,
    LEAD,
    LEARN_DAYS,
    LEARNS,
    LESS_OFTEN,
    MAILCHIMP,
    MAKES_NEW,
    MERGED_LATER,
    MORE_OFTEN,
    QUALTRICS,
    RATES,
    SECOND_MAILBOX,
    SHOPIFY,
    STALE,
    SURVEYMONKEY,
    SYSTEMS,
    UNIQUE_MAIL,
    VIAS,
)
from ingestion.simulator.wording import Words, tags
from ingestion.simulator.world import table_of

Array = np.ndarray[Any, Any]

STREAM = 102

LIVE, ARCHIVED, MERGED, ERASED = range(4)
STATES = ("live", "archived", "merged", "erased")
_CONTACTED, _LEARN, _MERGE, _ARCHIVE, _ERASE = range(5)
_FIELDS = ("email", "phone", "last_name", "address")

_RECORD_COLUMNS: dict[str, type[np.generic]] = {
    "system": np.int8, "person": np.int64, "created": np.int64, "version": np.int32,
    "state": np.int8, "merged_into": np.int64, "merged_at": np.int64, "noise": np.int64,
    "email": np.int16, "phone": np.int16, "last_name": np.int16, "address": np.int16,
    "via": np.int8, "consent": np.int8, "consent_at": np.int64, "chance": np.int64,
}  # fmt: skip
_QUEUE_COLUMNS = {"at": np.int64, "record": np.int64, "op": np.int8, "value": np.int16}

_BEYOND = 1 << 40  # no record gets such a number: chance that belongs to people
_DAY = 86400_000_000
_WEEK = 7 * _DAY
_ERASED_WITHIN = 29 * _DAY


class Records:
    """All records of all systems, week by week.

    Args:
        seed: of the world.
        founding: the tables that `people.found` has made.
        state: `state` of another object of the same seed and founding, to go on from there.
    """

    def __init__(
        self,
        seed: int,
        founding: Mapping[str, pa.Table],
        state: Mapping[str, Array] | None = None,
    ) -> None:
        self._seed = seed
        self._salt = np.uint64(np.random.default_rng([seed, STREAM]).integers(1 << 62))
        self._words = Words(founding)
        n = self._words.people
        if state is None:
            self.state: dict[str, Array] = {
                "count": np.zeros(1, np.int64),
                "taken": np.zeros(0, np.uint64),
                # Per system and person: the record in use and the one before it, from 1; 0: none.
                "current": np.zeros(len(SYSTEMS) * n, np.int32),
                "before": np.zeros(len(SYSTEMS) * n, np.int32),
                **{c: np.zeros(0, t) for c, t in _RECORD_COLUMNS.items()},
                **{f"queue_{c}": np.zeros(0, t) for c, t in _QUEUE_COLUMNS.items()},
            }
        else:
            self.state = {c: np.array(v) for c, v in state.items()}

    def week(
        self, number: int, start: datetime, end: datetime, contacts: pa.Table
    ) -> tuple[pa.Table, pa.Table]:
        """One week of the life of all records.

        Args:
            number: of the week; each week is lived once, one after the other.
            start: of the week.
            end: of the week; no version is dated later.
            contacts: person_id, vendor, object, at, via and email_hint ("new": the person gives
                another address than before), in the order of time.

        Returns:
            Rows of the world's table `record`, and for every contact (its row number from 0) the
            record_id it belongs to with the email and phone that the record then has.

        Raises:
            ValueError: a contact names a system or a way that is not known here.
        """
        rng = np.random.default_rng([self._seed, STREAM, number])
        since, until = _micros(start), _micros(end)
        self._since, self._until = since, until
        self._written: list[tuple[Array, Array, dict[str, Array]]] = []
        came = _read_contacts(contacts)
        self._chance = rng.random((len(came["at"]), 2))
        self._came = came
        self._assigned = np.zeros(len(came["at"]), np.int64)
        events = self._events(rng, since, until)
        n = self._words.people
        record = np.maximum(events["record"], 0)
        contact = events["op"] == _CONTACTED
        system, person = events["system"], events["person"]
        known = ~contact
        system[known] = self.state["system"][record[known]]
        person[known] = self.state["person"][record[known]]
        key = system.astype(np.int64) * n + person
        order = np.lexsort((events["op"], events["at"], key))
        events = {c: v[order] for c, v in events.items()}
        key = key[order]
        for rows in _rounds(key):
            self._step({c: v[rows] for c, v in events.items()}, key[rows])
        versions = self._render()
        mail, phone = self._contact_words()
        assignment = pa.table(
            {
                "contact": np.arange(len(self._assigned)),
                "record_id": self._assigned,
                "email": mail,
                "phone": phone,
            }
        )
        return versions, assignment

    # ---- what happens this week ---------------------------------------------------------------
    def _events(self, rng: np.random.Generator, since: int, until: int) -> dict[str, Array]:
        """Contacts, what was due this week, and what follows from changes and erasures."""
        self._spread_changes(rng, since, until)
        self._spread_erasures(rng, since, until)
        state = self.state
        due = state["queue_at"] < until
        queue = {c: state[f"queue_{c}"][due] for c in _QUEUE_COLUMNS}
        for column in _QUEUE_COLUMNS:
            state[f"queue_{column}"] = state[f"queue_{column}"][~due]
        came, none = self._came, np.zeros(int(due.sum()), np.int64)
        size = len(came["at"])
        return {
            "at": np.concatenate([came["at"], np.maximum(queue["at"], since)]),
            "op": np.concatenate([np.full(size, _CONTACTED, np.int8), queue["op"]]),
            "record": np.concatenate([np.full(size, -1), queue["record"]]),
            "value": np.concatenate([np.zeros(size, np.int16), queue["value"]]),
            "row": np.concatenate([np.arange(size), none]),
            "system": np.concatenate([came["system"], none]),
            "person": np.concatenate([came["person"], none]),
        }

    def _spread_changes(self, rng: np.random.Generator, since: int, until: int) -> None:
        """Each system hears of a change in its own time, or never."""
        for code, field in enumerate(_FIELDS):
            person, at = self._words.versions[field].between(since, until)
            record, which = self._records_of(person)
            system = self.state["system"][record]
            hears = rng.random(len(record)) < np.array(LEARNS[field])[system]
            lag = rng.exponential(np.array(LEARN_DAYS)[system] * _DAY)
            when = at[which] + np.minimum(lag, 300 * _DAY).astype(np.int64) + 60_000_000
            self._push(when[hears], record[hears], _LEARN, code)

    def _spread_erasures(self, rng: np.random.Generator, since: int, until: int) -> None:
        person, at = self._words.erased_between(since, until)
        record, which = self._records_of(person)
        lag = (rng.uniform(0.02, 1.0, len(record)) * _ERASED_WITHIN).astype(np.int64)
        self._push(at[which] + lag, record, _ERASE, 0)

    def _records_of(self, person: Array) -> tuple[Array, Array]:
        """Records that still exist of the given people: their rows, and whose place each is of."""
        n = int(self.state["count"][0])
        mark = np.zeros(self._words.people, bool)
        mark[person] = True
        there = (self.state["state"][:n] != MERGED) & (self.state["state"][:n] != ERASED)
        rows = np.flatnonzero(mark[self.state["person"][:n]] & there)
        owner = self.state["person"][rows]
        order = np.argsort(owner, kind="stable")
        rows, owner = rows[order], owner[order]
        low = np.searchsorted(owner, person, "left")
        number = np.searchsorted(owner, person, "right") - low
        which = np.repeat(np.arange(len(person)), number)
        place = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
        return rows[np.repeat(low, number) + place], which

    def _push(self, at: Array, record: Array, op: int, value: int) -> None:
        for column, values in (
            ("at", at), ("record", record), ("op", np.full(len(at), op, np.int8)),
            ("value", np.full(len(at), value, np.int16)),
        ):  # fmt: skip
            name = f"queue_{column}"
            self.state[name] = np.concatenate([self.state[name], values])

    def _step(self, events: dict[str, Array], key: Array) -> None:
        """At most one event for each person in each system, all at once."""
        for op, act in (
            (_CONTACTED, self._meet), (_LEARN, self._learn), (_MERGE, self._merge),
            (_ARCHIVE, self._archive), (_ERASE, self._erase),
        ):  # fmt: skip
            here = events["op"] == op
            if here.any():
                act({c: v[here] for c, v in events.items()}, key[here])

    # ---- the kinds of events ------------------------------------------------------------------
    def _meet(self, events: dict[str, Array], key: Array) -> None:
        state, row = self.state, events["row"]
        current, before = state["current"][key], state["before"][key]
        system = events["system"]
        via = self._came["via"][row]
        person = key % self._words.people
        careless = self._unit(_BEYOND + person, 0) < CARELESS
        rate = np.array(DUPLICATES)[system] * np.where(careless, MORE_OFTEN, LESS_OFTEN)
        rate *= MAKES_NEW[via]
        # With two records there is hardly an address left under which one is not found.
        other = self._chance[row, 0] < np.where(before > 0, 0.5 * rate, rate)
        other |= self._came["new"][row] & (rate > 0)
        new = (current == 0) | other
        # Sometimes the older of two records is the one that is used.
        old = ~new & (before > 0) & (self._chance[row, 1] < 0.3)
        self._assigned[row] = np.where(old, before, current)
        if new.any():
            self._assigned[row[new]] = self._create(events["at"][new], key[new], row[new])
            new &= self._assigned[row] != current  # not where the person was recognised
        self._consent(events["at"], row, new)

    def _consent(self, at: Array, row: Array, new: Array) -> None:
        """Who signs up for the newsletter again, or leaves it, changes a record that is there."""
        via = self._came["via"][row]
        record = self._assigned[row] - 1
        joins, leaves = via == VIAS.index("newsletter"), via == VIAS.index("unsubscribe")
        wish = np.where(joins, 1, 0)
        changes = (joins | leaves) & ~new & (self.state["consent"][record] != wish)
        wish, changed = wish[changes], record[changes]
        self.state["consent"][changed] = wish
        self.state["consent_at"][changed] = at[changes]
        back = ~new & (self.state["state"][record] == ARCHIVED)
        self.state["state"][record[back]] = LIVE
        self._write(record[changes | back], at[changes | back])

    def _create(self, at: Array, key: Array, row: Array) -> Array:
        """New records; where a system would recognise the address, the one that is there."""
        state, words = self.state, self._words
        system, person = np.divmod(key, words.people)
        duplicate = state["current"][key] > 0
        count = int(state["count"][0])
        ids = np.arange(count, count + len(key))
        noise = self._noise(ids, system, person, duplicate)
        columns = {
            "system": system, "person": person, "created": at, "noise": noise,
            "via": self._came["via"][row], "consent_at": at, "chance": ids,
        }  # fmt: skip
        for field in _FIELDS:
            newest = words.versions[field].at(person, at)
            stale = self._unit(ids, 40 + _FIELDS.index(field)) < STALE
            columns[field] = np.maximum(newest - stale, 0)
        another = duplicate & (self._unit(ids, 50) < 0.35)
        columns["email"] = np.where(another, SECOND_MAILBOX, columns["email"])
        agrees = CONSENTS[columns["via"]]
        columns["consent"] = self._unit(ids, 51) < agrees
        columns["noise"], kept = self._free_address(columns, duplicate)
        chosen = state["current"][key]
        fresh = self._append({c: v[kept] for c, v in columns.items()})
        chosen[kept] = fresh + 1
        self._use(key[kept], fresh)
        self._write(fresh, at[kept])
        self._plan(fresh, duplicate[kept])
        return chosen

    def _noise(self, ids: Array, system: Array, person: Array, duplicate: Array) -> Array:
        """The kinds of noise in new records, as bits: those that can show in this person."""
        words = self._words
        bits = np.zeros(len(ids), np.int64)
        for number, (kind, rates) in enumerate(RATES.items()):
            chosen = self._unit(ids, number) < np.array(rates)[system]
            chosen &= words.can_show(kind, person)
            bits |= np.where(chosen, BIT[kind], 0)
        # A second record came to be because the person was not recognised by the address.
        hidden = duplicate & UNIQUE_MAIL[system]
        how = self._unit(ids, 30)
        bits |= np.where(hidden & (how < 0.3), BIT["email_typo"], 0)
        bits |= np.where(hidden & (how > 0.3) & (how < 0.5), BIT["email_plus"], 0)
        silent = hidden & (how > 0.5) & (system != MAILCHIMP) & (system != HUBSPOT)
        silent &= words.can_show("missing_email", person)
        bits |= np.where(silent, BIT["missing_email"], 0)
        bits |= np.where(duplicate, BIT["duplicate"], 0)
        guest = (system == SHOPIFY) & (self._unit(ids, 31) < np.where(duplicate, 0.6, 0.25))
        bits |= np.where(guest, BIT["guest"], 0)
        second = words.has_second_account[person] & np.isin(system, (HUBSPOT, CONTACT, LEAD))
        second &= duplicate | (self._unit(ids, 32) < 0.5)
        second |= duplicate & (system == SHOPIFY) & ~guest
        bits |= np.where(second, BIT["two_accounts"], 0)
        bits |= np.where(words.is_test[person], BIT["test_record"], 0)
        bits |= np.where(words.is_employee[person], BIT["employee_record"], 0)
        # What cannot be together: the first of each line wins.
        for first, *others in (
            ("missing_email", "missing_phone", "email_case", "shared_email", "role_email"),
            ("missing_email", "email_plus", "email_typo"),
            ("shared_email", "email_plus", "email_typo"),
            ("role_email", "email_plus", "email_typo"),
            ("email_typo", "email_plus"),
            ("missing_name", "name_typo", "nickname", "transliterated", "swapped_names"),
            ("missing_phone", "phone_national", "phone_spaces", "phone_wrong"),
            ("phone_national", "phone_spaces"),
        ):  # fmt: skip
            mask = ~np.bitwise_or.reduce([BIT[o] for o in others])
            bits = np.where(bits & BIT[first], bits & mask, bits)
        return bits

    def _free_address(self, columns: dict[str, Array], duplicate: Array) -> tuple[Array, Array]:
        """Noise such that no two records of a system share a mailbox where it forbids that.

        Returns the noise and the places of the records to be made: a duplicate with an address
        that is known is none.
        """
        noise = columns["noise"].copy()
        strict = UNIQUE_MAIL[columns["system"]]
        lent = BIT["shared_email"] | BIT["role_email"] | BIT["email_typo"]
        for attempt in range(3):
            tried = columns | {"noise": noise}
            mark = self._mail_marks(tried)
            taken = strict & (mark > 0) & self._is_taken(mark)
            if attempt == 0:
                noise = np.where(taken & ~duplicate, noise & ~lent, noise)
            elif attempt == 1:
                noise = np.where(taken & ~duplicate, noise | BIT["email_plus"], noise)
        kept = np.flatnonzero(~taken | ~duplicate)
        marks = mark[kept]
        self._take(marks[(marks > 0) & strict[kept]])
        return noise, kept

    def _mail_marks(self, columns: dict[str, Array]) -> Array:
        """A number for each address within its system; 0: no address."""
        mail = pc.utf8_lower(self._email(columns))
        return hashes(mail, columns["system"])

    def _is_taken(self, mark: Array) -> Array:
        taken = self.state["taken"]
        place = np.searchsorted(taken, mark)
        known = np.zeros(len(mark), bool)
        inside = place < len(taken)
        known[inside] = taken[place[inside]] == mark[inside]
        first = np.zeros(len(mark), bool)
        first[np.unique(mark, return_index=True)[1]] = True
        return known | ~first

    def _take(self, marks: Array) -> None:
        marks = np.unique(marks)
        place = np.searchsorted(self.state["taken"], marks)
        self.state["taken"] = np.insert(self.state["taken"], place, marks)

    def _append(self, columns: Mapping[str, Array]) -> Array:
        state = self.state
        count, size = int(state["count"][0]), len(columns["person"])
        if count + size > len(state["person"]):
            room = (count + size) * 3 // 2 - len(state["person"])
            for column, kind in _RECORD_COLUMNS.items():
                state[column] = np.concatenate([state[column], np.zeros(room, kind)])
        rows = np.arange(count, count + size)
        for column, values in columns.items():
            state[column][rows] = values
        state["count"][0] = count + size
        return rows

    def _use(self, key: Array, record: Array) -> None:
        self.state["before"][key] = self.state["current"][key]
        self.state["current"][key] = record + 1

    def _plan(self, record: Array, duplicate: Array) -> None:
        """What will become of new records, if nothing comes before it."""
        state = self.state
        system, created = state["system"][record], state["created"][record]
        merged = duplicate & (self._unit(record, 60) < np.array(MERGED_LATER)[system])
        lag = (1.1 + 14 * self._unit(record, 61) ** 2) * _WEEK
        self._push((created + lag.astype(np.int64))[merged], record[merged], _MERGE, 0)
        gone = self._unit(record, 62) < np.array(ARCHIVED_LATER)[system]
        lag = (4 + 70 * self._unit(record, 63)) * _WEEK
        self._push((created + lag.astype(np.int64))[gone], record[gone], _ARCHIVE, 0)
        # Who has asked to be forgotten before this week's end is forgotten here as well.
        asked = self._words.erased_at[state["person"][record]]
        late = asked < self._until
        when = np.maximum(np.maximum(asked, created) + _DAY, self._until)
        self._push(when[late], record[late], _ERASE, 0)

    def _learn(self, events: dict[str, Array], key: Array) -> None:
        """A record takes over what is true now of a field."""
        state = self.state
        there = state["state"][events["record"]] <= ARCHIVED
        events = {c: v[there] for c, v in events.items()}
        record, at, key = events["record"], events["at"], key[there]
        person = state["person"][record]
        for code, field in enumerate(_FIELDS):
            newest = self._words.versions[field].at(person, at)
            here = (events["value"] == code) & (state[field][record] < newest)
            if field != "email":
                state[field][record[here]] = newest[here]
                self._write(record[here], at[here])
                continue
            fixed = BIT["missing_email"] | BIT["shared_email"] | BIT["role_email"]
            here &= (state["noise"][record] & fixed) == 0
            rows, values = record[here], newest[here]
            columns = {c: state[c][rows] for c in ("system", "person", "noise", "chance")}
            columns["email"] = values
            columns["noise"] &= ~(BIT["email_typo"] | BIT["email_plus"])
            mark = self._mail_marks(columns)
            free = ~(UNIQUE_MAIL[columns["system"]] & self._is_taken(mark))
            self._take(mark[free & UNIQUE_MAIL[columns["system"]]])
            moves = columns["system"] == MAILCHIMP
            changed = rows[free & ~moves]
            state["email"][changed] = values[free & ~moves]
            state["noise"][changed] = columns["noise"][free & ~moves]
            self._write(changed, at[here][free & ~moves])
            self._new_member(rows, values, at[here], key[here], free & moves, columns["noise"])

    def _new_member(
        self, rows: Array, values: Array, at: Array, key: Array, here: Array, noise: Array
    ) -> None:
        """A member is its address: with another one it is another member."""
        rows, values, at, key, noise = (v[here] for v in (rows, values, at, key, noise))
        fresh = self._append(self._copied(rows) | {"email": values, "noise": noise, "created": at})
        self._end(rows, fresh, at)
        self._replace(key, rows, fresh)
        self._write(fresh, at)

    def _merge(self, events: dict[str, Array], key: Array) -> None:
        """Two records of one person become one, as the system does that."""
        state = self.state
        record, at = events["record"], events["at"]
        current, before = state["current"][key] - 1, state["before"][key] - 1
        other = np.where(current == record, before, current)
        alive = (other >= 0) & (state["state"][record] == LIVE)
        alive &= state["state"][np.maximum(other, 0)] == LIVE
        record, other, at, key = record[alive], other[alive], at[alive], key[alive]
        older, newer = np.minimum(record, other), np.maximum(record, other)
        # Who has an address wins over who has none; else mostly the older one.
        mute = state["noise"] & BIT["missing_email"] > 0
        turned = self._unit(record, 70) < 0.4
        turned = np.where(mute[older] == mute[newer], turned, mute[older])
        winner, loser = np.where(turned, newer, older), np.where(turned, older, newer)
        joined = state["system"][record] == HUBSPOT
        target = winner.copy()
        columns = self._copied(winner[joined]) | {"created": at[joined]}
        target[joined] = self._append(columns)
        self._end(loser, target, at)
        self._end(winner[joined], target[joined], at[joined])
        state["current"][key] = target + 1
        state["before"][key] = 0
        self._write(target, at)

    def _copied(self, rows: Array) -> dict[str, Array]:
        """What a record that follows upon another takes over from it."""
        keep = ("system", "person", "noise", *_FIELDS, "via", "consent", "consent_at", "chance")
        return {c: self.state[c][rows] for c in keep}

    def _end(self, loser: Array, winner: Array, at: Array) -> None:
        self.state["state"][loser] = MERGED
        self.state["merged_into"][loser] = winner + 1
        self.state["merged_at"][loser] = at
        self._write(loser, at)

    def _archive(self, events: dict[str, Array], key: Array) -> None:
        live = self.state["state"][events["record"]] == LIVE
        record = events["record"][live]
        self.state["state"][record] = ARCHIVED
        # A member who has been archived is the same member when it comes back.
        gone = self.state["system"][record] != MAILCHIMP
        self._drop(key[live][gone], record[gone])
        self._write(record, events["at"][live])

    def _erase(self, events: dict[str, Array], key: Array) -> None:
        there = self.state["state"][events["record"]] <= ARCHIVED
        record = events["record"][there]
        self.state["state"][record] = ERASED
        self._drop(key[there], record)
        self._write(record, events["at"][there])

    def _drop(self, key: Array, record: Array) -> None:
        """The record is in use no longer; the one before it takes its place."""
        state = self.state
        first = state["current"][key] == record + 1
        state["current"][key[first]] = state["before"][key[first]]
        again = first | (state["before"][key] == record + 1)
        state["before"][key[again]] = 0

    def _replace(self, key: Array, old: Array, new: Array) -> None:
        for place in ("current", "before"):
            same = self.state[place][key] == old + 1
            self.state[place][key[same]] = new[same] + 1

    # ---- writing it down ----------------------------------------------------------------------
    def _write(self, record: Array, at: Array) -> None:
        """Note a version of these records as they are now."""
        self.state["version"][record] += 1
        snapshot = {c: self.state[c][record] for c in _RECORD_COLUMNS}
        self._written.append((record, at, snapshot))

    def _contact_words(self) -> tuple[pa.Array, pa.Array]:
        rows = self._assigned - 1
        columns = {c: self.state[c][rows] for c in _RECORD_COLUMNS}
        return self._email(columns), self._words.phone(self._marks(columns["chance"]), columns)

    def _email(self, columns: Mapping[str, Array]) -> pa.Array:
        return self._words.email(columns["chance"], self._marks(columns["chance"]), columns)

    def _render(self) -> pa.Table:
        rows = np.concatenate([w[0] for w in self._written] or [np.zeros(0, np.int64)])
        at = np.concatenate([w[1] for w in self._written] or [np.zeros(0, np.int64)])
        columns = {
            c: np.concatenate([w[2][c] for w in self._written] or [np.zeros(0, kind)])
            for c, kind in _RECORD_COLUMNS.items()
        }
        order = np.lexsort((columns["version"], rows, at))
        rows, at = rows[order], at[order]
        columns = {c: v[order] for c, v in columns.items()}
        words = self._words
        chance = columns["chance"]
        marks = self._marks(chance)
        system, person = columns["system"], columns["person"]
        email = self._email(columns)
        first, last = words.names(marks, columns)
        kept = {c: self._unit(chance, 80 + i) < np.array(rate)[system]
                for i, (c, rate) in enumerate(HAS.items())}  # fmt: skip
        address = words.address(columns, kept["address"])
        business = kept["company"] & words.is_business[person]
        account = words.account_of(columns)
        erased = columns["state"] == ERASED
        gone = pa.array(~erased)
        others, parts = self._family(rows, at, system)
        text: dict[str, Any] = {
            "email": email,
            "phone": words.phone(marks, columns),
            "first_name": first,
            "last_name": last,
            "birth_date": words.known("birth_date", person, kept["birth_date"]),
            "company_name": words.company(account, business),
            "job_title": words.known("job_title", person, business),
            **address,
            "language": words.known("language", person, kept["language"]),
        }
        sticks = self._unit(chance, 90)
        return table_of(
            "record",
            {
                "vendor": pa.array([s[0] for s in SYSTEMS]).take(pa.array(system)),
                "object": pa.array([s[1] for s in SYSTEMS]).take(pa.array(system)),
                "record_id": rows + 1,
                "external_id": self._external_ids(rows, system, email),
                "version": columns["version"],
                "changed_at": _times(at),
                "created_at": _times(columns["created"]),
                "person_id": person + 1,
                **{c: pc.if_else(gone, v, None) for c, v in text.items()},
                "other_emails": others,
                "account_id": pa.array(
                    account, mask=~business | (account == 0) | (system == LEAD) | erased
                ),
                "email_consent": pa.array(columns["consent"] == 1, mask=erased),
                "consent_changed_at": _times(columns["consent_at"], mask=erased),
                "tags": tags(columns, words.is_business[person], sticks, erased),
                "source_channel": words.source(columns),
                "noise": labels(self._shown_noise(columns, at)),
                "state": pa.array(STATES).take(pa.array(columns["state"])),
                "merged_into": pa.array(columns["merged_into"], mask=columns["merged_into"] == 0),
                "merged_from": parts,
            },
        )

    def _shown_noise(self, columns: dict[str, Array], at: Array) -> Array:
        """The noise of each version, with that which time has brought."""
        bits = columns["noise"].copy()
        for field, kind in (
            ("email", "email_changed"), ("address", "moved"), ("last_name", "married_name"),
        ):  # fmt: skip
            past = self._words.versions[field].at(columns["person"], at) > 0
            bits |= np.where(past, BIT[kind], 0)
        return bits

    def _family(self, rows: Array, at: Array, system: Array) -> tuple[pa.Array, pa.Array]:
        """Of each version: other addresses that the record has, and the records merged into it."""
        state = self.state
        count = int(state["count"][0])
        wanted = np.zeros(count, bool)
        wanted[rows] = True
        lost = np.flatnonzero(state["state"][:count] == MERGED)
        root, since = state["merged_into"][lost] - 1, state["merged_at"][lost]
        pairs = [(root, lost, since)]
        low = lost
        while len(low):  # children, grandchildren, and so on
            more = state["merged_into"][root] > 0
            low, since, root = low[more], since[more], root[more]
            since = np.maximum(since, state["merged_at"][root])
            root = state["merged_into"][root] - 1
            pairs.append((root, low, since))
        into, child, when = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        used = wanted[into]
        into, child, when = into[used], child[used], when[used]
        direct = state["merged_into"][child] - 1 == into
        merged = _join_lists(rows, at, into[direct], child[direct], when[direct])
        parts = pa.ListArray.from_arrays(merged[0], pa.array(child[direct][merged[1]] + 1))
        keeps = KEEPS_MAILS[state["system"][into]] & (state["state"][into] != ERASED)
        into, child, when = into[keeps], child[keeps], when[keeps]
        columns = {c: state[c][child] for c in _RECORD_COLUMNS}
        mail = self._email(columns)
        owner = {c: state[c][into] for c in _RECORD_COLUMNS}
        own = self._email(owner)
        odd = pc.and_(
            pc.is_valid(mail),
            pc.not_equal(pc.utf8_lower(mail), pc.fill_null(pc.utf8_lower(own), "")),
        )
        known = np.flatnonzero(odd.fill_null(False).to_numpy(zero_copy_only=False))
        same = _first_of_pair(into[known], mail.take(pa.array(known)))
        known = known[same]
        offsets, picked = _join_lists(rows, at, into[known], child[known], when[known])
        others = pa.ListArray.from_arrays(offsets, mail.take(pa.array(known[picked])))
        return others, parts

    def _external_ids(self, rows: Array, system: Array, email: pa.Array) -> pa.Array:
        """How the vendors write the ids of the records: rising with time, but for two of them."""
        nameless = np.flatnonzero(
            (system == MAILCHIMP) & pc.is_null(email).to_numpy(zero_copy_only=False)
        )
        if len(nameless):
            who = self.state["person"][rows[nameless[0]]] + 1
            raise ValueError(
                f"simulated records: person {who} has no e-mail address and cannot be a mailchimp "
                "member; leave bots out of the contacts"
            )
        found = np.empty(len(rows), object)
        number, mark = rows + 1, self._marks(rows)
        for code in np.unique(system):
            here = np.flatnonzero(system == code)
            n, m = number[here], mark[here]
            if code == MAILCHIMP:
                mails = email.take(pa.array(here)).to_pylist()
                found[here] = [hashlib.md5(x.lower().encode()).hexdigest() for x in mails]
            elif code in (CONTACT, LEAD):
                found[here] = salesforce_ids("003" if code == CONTACT else "00Q", n)
            elif code == QUALTRICS:
                tail = base62(m.astype(np.uint64), 11)
                head = base62(n.astype(np.uint64), 4)
                found[here] = np.strings.add("CID_", np.strings.add(head, tail))
            else:
                base = {SHOPIFY: 7 * 10**9, SURVEYMONKEY: 5 * 10**9}.get(int(code), 10**8)
                step = 17 + int(code)
                digits = base + n * step + (m % np.uint64(step)).astype(np.int64)
                found[here] = digits.astype("U12")
        return pa.array(found.tolist(), pa.string())

    # ---- chance that belongs to a record ------------------------------------------------------
    def _marks(self, ids: Array) -> Array:
        """A random-looking number of each record, the same whenever it is asked for."""
        return mix(ids.astype(np.uint64) + self._salt)

    def _unit(self, ids: Array, purpose: int) -> Array:
        """A random-looking number from 0 to 1 of each record, another one for each purpose."""
        shift = np.uint64((purpose + 1) * 0x9E3779B97F4A7C15 % 2**64)
        return (mix(self._marks(ids) ^ shift) >> np.uint64(11)) * 2.0**-53


# ---- arrays ---------------------------------------------------------------------------------
def _read_contacts(contacts: pa.Table) -> dict[str, Array]:
    parts = (contacts[c].cast(pa.string()) for c in ("vendor", "object"))
    both = pc.binary_join_element_wise(*parts, " ")
    known = pa.array([" ".join(s) for s in SYSTEMS])
    system = pc.index_in(both, known)
    via = pc.index_in(contacts["via"].cast(pa.string()), pa.array(VIAS))
    for codes, values, what in ((system, both, "system"), (via, contacts["via"], "way")):
        if codes.null_count:
            odd = values.filter(pc.is_null(codes))[0]
            raise ValueError(
                f"simulated records: contact by the unknown {what} {odd}; name it in records.py"
            )
    hint = np.full(contacts.num_rows, "", object)
    if "email_hint" in contacts.column_names:
        hint = np.array(contacts["email_hint"].to_pylist(), object)
    return {
        "person": contacts["person_id"].to_numpy() - 1,
        "system": system.to_numpy().astype(np.int64),
        "via": via.to_numpy().astype(np.int64),
        "at": contacts["at"].cast(pa.int64()).to_numpy(),
        "new": hint == "new",
    }


def _rounds(key: Array) -> list[Array]:
    """Rows of equal keys in turns: the first of each, the second of each, and so on."""
    if not len(key):
        return []
    begins = np.concatenate([[True], key[1:] != key[:-1]])
    start = np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))
    turn = np.arange(len(key)) - start
    order = np.argsort(turn, kind="stable")
    return np.split(order, np.cumsum(np.bincount(turn))[:-1])


def _join_lists(
    rows: Array, at: Array, into: Array, child: Array, when: Array
) -> tuple[pa.Array, Array]:
    """For each version the children that its record had by then: list offsets, and their places."""
    order = np.lexsort((child, into))
    sorted_into = into[order]
    low = np.searchsorted(sorted_into, rows, "left")
    number = np.searchsorted(sorted_into, rows, "right") - low
    version = np.repeat(np.arange(len(rows)), number)
    place = np.arange(len(version)) - np.repeat(np.cumsum(number) - number, number)
    picked = order[np.repeat(low, number) + place]
    past = when[picked] <= at[version]
    size = np.bincount(version[past], minlength=len(rows))
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
    return pa.array(offsets), picked[past]


def _first_of_pair(number: Array, text: pa.Array) -> Array:
    """Places of the first of equal pairs, in order."""
    code = pc.utf8_lower(text).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    pair = number * (len(text) + 1) + code
    return np.sort(np.unique(pair, return_index=True)[1])


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _times(micros: Array, mask: Array | None = None) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=mask).cast(pa.timestamp("us", tz="UTC"))
