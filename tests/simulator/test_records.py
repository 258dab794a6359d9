"""Records of people: noisy, now and then double, merged later, and always somebody's."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ingestion.simulator import noise
from ingestion.simulator.people import found
from ingestion.simulator.record_ids import salesforce_ids
from ingestion.simulator.records import Records
from ingestion.simulator.systems import KINDS, SYSTEMS
from ingestion.simulator.world import SCHEMAS, TIME

START = datetime(2023, 6, 1, tzinfo=UTC)
_VIA = ("newsletter", "lead_form", "lead_form", "checkout", "support", "survey", "survey",
        "newsletter")  # fmt: skip


def _founding(customers: int, weeks: int) -> dict[str, pa.Table]:
    end = START + timedelta(weeks=weeks)
    return found(seed=5, customers=customers, started_at=START, ended_at=end)


def _contacts(founding: dict[str, pa.Table], week: int, share: float = 0.35) -> pa.Table:
    """People get in touch with systems at random, whoever has entered by then."""
    rng = np.random.default_rng([9, week])
    person = founding["person"]
    since = (START + timedelta(weeks=week)).timestamp() * 1e6
    there = (person["entered_at"].cast(pa.int64()).to_numpy() < since) & pc.not_equal(
        person["kind"], "bot"
    ).to_numpy()
    known = np.flatnonzero(there)
    n = int(len(known) * share)
    system = rng.choice(len(SYSTEMS), n, p=[0.15, 0.05, 0.05, 0.3, 0.2, 0.05, 0.1, 0.1])
    at = np.sort(since + rng.random(n) * 7 * 86400e6).astype(np.int64)
    return pa.table(
        {
            "person_id": (rng.choice(known, n) if n else known[:0]) + 1,
            "vendor": pa.array([SYSTEMS[s][0] for s in system], pa.string()),
            "object": pa.array([SYSTEMS[s][1] for s in system], pa.string()),
            "at": pa.array(at, pa.int64()).cast(TIME),
            "via": pa.array([_VIA[s] for s in system], pa.string()),
        }
    )


def _live(
    records: Records, founding: dict[str, pa.Table], weeks: range
) -> tuple[pa.Table, list[pa.Table]]:
    versions, assigned = [], []
    for number in weeks:
        start = START + timedelta(weeks=number)
        contacts = _contacts(founding, number)
        rows, answer = records.week(number, start, start + timedelta(weeks=1), contacts)
        versions.append(rows)
        assigned.append(contacts.append_column("record_id", answer["record_id"]))
    return pa.concat_tables(versions), assigned


@pytest.fixture(scope="module")
def founding() -> dict[str, pa.Table]:
    return _founding(2000, 80)


@pytest.fixture(scope="module")
def story(founding: dict[str, pa.Table]) -> tuple[pa.Table, list[pa.Table]]:
    return _live(Records(5, founding), founding, range(80))


@pytest.fixture(scope="module")
def versions(story: tuple[pa.Table, list[pa.Table]]) -> pa.Table:
    return story[0]


def _newest(versions: pa.Table) -> dict[int, dict[str, object]]:
    return {row["record_id"]: row for row in versions.to_pylist()}  # rows are in order of time


def test_versions_have_the_schema_of_the_world(versions: pa.Table) -> None:
    assert versions.schema == SCHEMAS["record"]


def test_every_kind_of_noise_occurs(versions: pa.Table) -> None:
    assert set(pc.list_flatten(versions["noise"]).to_pylist()) == set(KINDS)


def test_versions_of_a_record_follow_each_other(versions: pa.Table) -> None:
    rows = versions.sort_by([("record_id", "ascending"), ("version", "ascending")])
    record, version = rows["record_id"].to_numpy(), rows["version"].to_numpy()
    at = rows["changed_at"].cast(pa.int64()).to_numpy()
    first = np.concatenate([[True], record[1:] != record[:-1]])
    assert (version[first] == 1).all()
    assert (np.diff(version)[~first[1:]] == 1).all()
    assert (np.diff(at)[~first[1:]] >= 0).all()
    assert pc.all(pc.less_equal(versions["created_at"], versions["changed_at"])).as_py()
    assert pc.max(pc.list_value_length(versions["merged_from"])).as_py() >= 2


def test_external_ids_are_unique_and_look_like_the_vendors(versions: pa.Table) -> None:
    looks = {
        "hubspot": r"^\d{9}$", "salesforce": r"^00[3Q][0-9A-Za-z]{15}$", "shopify": r"^7\d{9}$",
        "zendesk": r"^\d{9}$", "surveymonkey": r"^\d{10}$", "qualtrics": r"^CID_[0-9A-Za-z]{15}$",
        "mailchimp": r"^[0-9a-f]{32}$",
    }  # fmt: skip
    for vendor, look in looks.items():
        rows = versions.filter(pc.equal(versions["vendor"], vendor))
        assert pc.all(pc.match_substring_regex(rows["external_id"], look)).as_py(), vendor
        pairs = rows.group_by(["record_id", "external_id"]).aggregate([])
        assert pc.count_distinct(pairs["external_id"]).as_py() == pairs.num_rows
        assert pc.count_distinct(pairs["record_id"]).as_py() == pairs.num_rows


def test_the_salesforce_check_letters_are_right() -> None:
    (made,) = salesforce_ids("003", np.array([12345]))
    assert made == "0037Q00000003D7QAI"
    assert len(made) == 18


def test_a_mailchimp_member_is_its_address(versions: pa.Table) -> None:
    rows = versions.filter(pc.equal(versions["vendor"], "mailchimp")).to_pylist()
    for row in rows:
        if row["state"] != "erased":
            assert row["external_id"] == hashlib.md5(row["email"].lower().encode()).hexdigest()
    moved = [r for r in rows if r["state"] == "merged"]
    newest = _newest(versions)
    assert moved
    assert all(newest[r["merged_into"]]["email"] != r["email"] for r in moved)


def test_no_two_live_records_share_an_address_where_that_is_forbidden(versions: pa.Table) -> None:
    seen: dict[tuple[str, str], int] = {}
    for record, row in _newest(versions).items():
        strict = row["vendor"] in ("hubspot", "shopify", "zendesk", "mailchimp")
        if strict and row["state"] == "live" and row["email"]:
            assert seen.setdefault((row["vendor"], row["email"].lower()), record) == record, row


def test_contacts_belong_to_records_of_their_person_and_system(
    story: tuple[pa.Table, list[pa.Table]],
) -> None:
    newest = _newest(story[0])
    ended = {
        row["record_id"]: row["changed_at"]
        for row in story[0].to_pylist()
        if row["state"] in ("merged", "erased")
    }
    for week in story[1]:
        for row in week.to_pylist():
            record = newest[row["record_id"]]
            assert (record["person_id"], record["vendor"], record["object"]) == (
                row["person_id"], row["vendor"], row["object"],
            )  # fmt: skip
            assert record["created_at"] <= row["at"]
            assert ended.get(row["record_id"], row["at"]) >= row["at"]


def test_merges_join_records_of_one_person_and_chains_come_to_an_end(versions: pa.Table) -> None:
    newest = _newest(versions)
    deepest = 0
    kinds = set()
    for row in newest.values():
        if row["state"] != "merged":
            continue
        winner, depth = newest[row["merged_into"]], 1
        assert row["record_id"] in winner["merged_from"] or winner["state"] == "merged"
        while winner["state"] == "merged":
            winner, depth = newest[winner["merged_into"]], depth + 1
        assert (winner["vendor"], winner["person_id"]) == (row["vendor"], row["person_id"])
        deepest = max(deepest, depth)
        kinds.add(row["vendor"])
    assert deepest >= 2
    assert {"hubspot", "salesforce", "shopify", "zendesk", "mailchimp"} <= kinds


def test_a_hubspot_merge_makes_a_new_record_that_knows_both_addresses(versions: pa.Table) -> None:
    newest = _newest(versions)
    merged = [r for r in newest.values() if r["vendor"] == "hubspot" and r["merged_from"]]
    assert merged
    for row in merged:
        losers = [newest[i] for i in row["merged_from"]]
        assert len(losers) == 2
        assert {r["merged_into"] for r in losers} == {row["record_id"]}
        assert all(r["created_at"] < row["created_at"] for r in losers)
        mails = {r["email"].lower() for r in losers if r["email"]}
        if row["state"] == "live":
            known = {str(m).lower() for m in [row["email"], *row["other_emails"]]}
            assert mails <= known


def test_the_erased_leave_no_trace_within_thirty_days(
    founding: dict[str, pa.Table], versions: pa.Table
) -> None:
    end = START + timedelta(weeks=80)
    newest = _newest(versions)
    asked = {r["person_id"]: r["erased_at"] for r in founding["erasure"].to_pylist()}
    erased = 0
    for row in newest.values():
        at = asked.get(row["person_id"])
        if at is None or at > end - timedelta(days=31) or row["created_at"] > at:
            continue
        assert row["state"] in ("erased", "merged"), row
        if row["state"] == "erased":
            erased += 1
            assert row["changed_at"] <= at + timedelta(days=30)
            gone = ("email", "phone", "first_name", "last_name", "street", "birth_date")
            assert [row[c] for c in gone] == [None] * len(gone)
            assert not row["other_emails"]
    assert erased > 5


def test_systems_hear_of_changes_after_they_happened(
    founding: dict[str, pa.Table], versions: pa.Table
) -> None:
    mails: dict[int, list[tuple[datetime, str]]] = {}
    change = founding["person_change"]
    for row in change.filter(pc.equal(change["field"], "email")).to_pylist():
        mails.setdefault(row["person_id"], []).append((row["changed_at"], row["value"]))
    heard = 0
    for row in versions.to_pylist():
        for at, value in mails.get(row["person_id"], []):
            if row["email"] == value:
                assert row["changed_at"] >= at
                heard += 1
    assert heard > 20


def test_equal_weeks_are_lived_equally_also_after_a_pause() -> None:
    founding = _founding(300, 40)
    whole, _ = _live(Records(5, founding), founding, range(10))
    first = Records(5, founding)
    begin, _ = _live(first, founding, range(5))
    store = io.BytesIO()
    np.savez(store, allow_pickle=False, **first.state)
    store.seek(0)
    with np.load(store, allow_pickle=False) as saved:
        second = Records(5, founding, dict(saved))
    rest, _ = _live(second, founding, range(5, 10))
    assert pa.concat_tables([begin, rest]).equals(whole)
    assert whole.num_rows > 300


def test_a_week_without_contacts_still_hears_of_changes() -> None:
    founding = _founding(300, 40)
    records = Records(5, founding)
    _live(records, founding, range(30))
    start = START + timedelta(weeks=30)
    rows = []
    for number in range(30, 40):
        start = START + timedelta(weeks=number)
        nobody = _contacts(founding, number, share=0.0)
        some, answer = records.week(number, start, start + timedelta(weeks=1), nobody)
        assert answer.num_rows == 0
        rows.append(some)
    assert pa.concat_tables(rows).num_rows > 0


def test_a_new_address_makes_a_new_record_and_signing_in_never_does() -> None:
    founding = _founding(300, 40)
    week = timedelta(weeks=1)
    n = 100

    def contacts(start: datetime, via: str, hint: str | None) -> pa.Table:
        return pa.table({
            "person_id": np.arange(1, n + 1), "vendor": ["shopify"] * n,
            "object": ["customer"] * n, "at": pa.array([start] * n, TIME), "via": [via] * n,
            "email_hint": pa.array([hint] * n, pa.string()),
        })  # fmt: skip

    records = Records(5, founding)
    _, first = records.week(0, START, START + week, contacts(START, "order", None))
    again, second = records.week(1, START + week, START + 2 * week,
                                 contacts(START + week, "sign_in", None))  # fmt: skip
    assert second["record_id"].equals(first["record_id"])
    _, third = records.week(2, START + 2 * week, START + 3 * week,
                            contacts(START + 2 * week, "checkout", "new"))  # fmt: skip
    changed = np.sum(third["record_id"].to_numpy() != first["record_id"].to_numpy())
    assert changed > n / 2
    assert again.num_rows < n / 4


def test_an_unknown_system_or_way_is_named_in_the_error() -> None:
    founding = _founding(50, 10)
    contacts = _contacts(founding, 3)
    end = START + timedelta(weeks=1)
    for column, value in (("vendor", "fax"), ("via", "rumour")):
        place = contacts.column_names.index(column)
        odd = contacts.set_column(place, column, pa.array([value] * contacts.num_rows))
        with pytest.raises(ValueError, match=value):
            Records(5, founding).week(0, START, end, odd)


def test_leaving_the_newsletter_is_a_version_without_consent() -> None:
    founding = _founding(100, 10)
    records = Records(5, founding)
    week = timedelta(weeks=1)
    one = {"person_id": [1], "vendor": ["mailchimp"], "object": ["member"]}
    joins = pa.table({**one, "at": pa.array([START], TIME), "via": ["newsletter"]})
    leaves = pa.table({**one, "at": pa.array([START + week], TIME), "via": ["unsubscribe"]})
    made, _ = records.week(0, START, START + week, joins)
    left, answer = records.week(1, START + week, START + 2 * week, leaves)
    assert made["email_consent"].to_pylist() == [True]
    assert left["email_consent"].to_pylist() == [False]
    assert left["version"].to_pylist() == [2]
    assert left["consent_changed_at"].to_pylist() == [START + week]
    assert answer["record_id"].equals(made["record_id"])


def test_noise_in_words() -> None:
    marks = np.array([3, 64, 130, 7], np.uint64)
    text = pa.array(["anna.weber@mail.example", "bo@mail.example", None, "x@mail.example"])
    typed = noise.typo(text, marks, stop="@").to_pylist()
    assert typed[2] is None
    for wrong, right in zip(typed, text.to_pylist(), strict=True):
        if right is not None:
            assert wrong != right
            assert wrong.split("@")[1] == "mail.example"
    phones = pa.array(["+4915112345678", "+12125551234", "+77011234567", "+351912345678"])
    assert noise.national(phones).to_pylist() == [
        "015112345678", "2125551234", "87011234567", "912345678",
    ]  # fmt: skip
    assert noise.spaced(phones)[1].as_py() == "+1 (212) 555-1234"
    digits = [p.replace(" ", "") for p in noise.spaced(phones).to_pylist()]
    assert digits[0] == "+4915112345678"
    wrong = noise.wrong_digit(phones, marks).to_pylist()
    for new, old in zip(wrong, phones.to_pylist(), strict=True):
        assert sum(a != b for a, b in zip(new, old, strict=True)) == 1
    assert noise.tagged(text.slice(0, 1), marks[:1], np.array([9])).to_pylist() == [
        "anna.weber+nordlicht9@mail.example"
    ]


def test_tags_tell_who_is_no_customer(versions: pa.Table) -> None:
    """Where records have tags, and as long as there is a record."""
    tagged = {"shopify", "zendesk", "mailchimp"}
    seen = set()
    for row in versions.to_pylist():
        for kind, tag in (("test_record", "test"), ("employee_record", "staff")):
            is_due = kind in row["noise"] and row["vendor"] in tagged and row["state"] != "erased"
            assert (tag in row["tags"]) == is_due, row
            seen |= {tag} if is_due else set()
    assert seen == {"test", "staff"}


def test_a_bot_cannot_be_a_member() -> None:
    founding = _founding(60, 10)
    place = founding["person"]["kind"].to_pylist().index("bot")
    contact = pa.table({
        "person_id": [place + 1], "vendor": ["mailchimp"], "object": ["member"],
        "at": pa.array([START], TIME), "via": ["newsletter"],
    })  # fmt: skip
    with pytest.raises(ValueError, match="leave bots out"):
        Records(5, founding).week(0, START, START + timedelta(weeks=1), contact)


def test_every_record_is_somebodys(founding: dict[str, pa.Table], versions: pa.Table) -> None:
    known = founding["person"]["person_id"].combine_chunks()
    assert pc.all(pc.is_in(versions["person_id"], known)).as_py()
    owners = versions.group_by(["record_id", "person_id"]).aggregate([])
    assert owners.num_rows == pc.count_distinct(versions["record_id"]).as_py()
