"""What becomes of ids when records come, change and go: known answers, and no churn ever."""

import random
from datetime import date
from hashlib import md5
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_project.enrichment.matching import FORM
from ingestion.errors import SettingError
from orchestration.identity import joining
from tests.identity.resolution import Models, Resolution, compile_models, groups

REGISTRIES = ("identity.int_identity__registry", "identity.int_identity__household_registry")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return compile_models(tmp_path_factory.mktemp("identity"), one_account_in=["bank"])


@pytest.fixture
def company(models: Models) -> Resolution:
    return Resolution(models)


def test_a_chain_is_one_customer(company: Resolution) -> None:
    company.put(
        {"id": "shop:1", "email": "a@x.org"},
        {"id": "crm:1", "email": "A+crm@x.org", "phone": "+4930901820"},
        {"id": "desk:1", "phone": "+49 30 901820"},
    )
    assert groups(company.build()) == [["crm:1", "desk:1", "shop:1"]]


def test_a_new_source_changes_no_id_though_its_records_sort_before(company: Resolution) -> None:
    company.put({"id": "shop:1", "email": "a@x.org"}, {"id": "shop:2", "email": "b@x.org"})
    before = company.build()
    company.put({"id": "crm:9", "email": "a@x.org"}, {"id": "crm:8", "email": "c@x.org"})
    after = company.build()
    assert before.items() <= after.items()
    assert after["crm:9"] == before["shop:1"]
    assert company.events() == []


def test_a_corrected_key_moves_the_record_and_the_ledger_says_so(company: Resolution) -> None:
    company.put(
        {"id": "shop:1", "email": "dora@x.org"},
        {"id": "shop:2", "email": "dora@x.org"},
        {"id": "shop:3", "email": "dora@x.org"},
        {"id": "crm:3", "email": "eve@x.org"},
    )
    before = company.build()
    company.put({"id": "shop:3", "email": "eve@x.org"})
    after = company.build()
    assert {r: after[r] for r in ("shop:1", "shop:2", "crm:3")} == {
        r: before[r] for r in ("shop:1", "shop:2", "crm:3")
    }
    assert after["shop:3"] == after["crm:3"]
    assert company.events() == [
        ("move", before["shop:1"], before["crm:3"], "email", ["shop:3"])
    ]  # fmt: skip


def test_a_union_keeps_one_id_and_a_split_leaves_it_with_the_larger_part(
    company: Resolution,
) -> None:
    company.put(*({"id": f"shop:{n}", "email": "a@x.org"} for n in (1, 2, 3)))
    company.put(*({"id": f"shop:{n}", "email": "b@x.org"} for n in (4, 5)))
    before = company.build()
    company.put({"id": "crm:1", "email": "a@x.org", "phone": "+4930901820"})
    company.put({"id": "shop:4", "email": "b@x.org", "phone": "+4930901820"})
    joined = company.build()
    assert set(joined.values()) == {before["shop:1"]}
    assert [e[:3] for e in company.events()] == [("merge", before["shop:4"], before["shop:1"])]
    company.put({"id": "shop:4", "email": "b@x.org", "phone": None})
    parted = company.build()
    assert parted == {**before, "crm:1": before["shop:1"]}  # who leaves gets back what was his
    kinds = [e[0] for e in company.events()]
    assert sorted(kinds) == ["merge", "split"]


def test_who_is_erased_and_comes_again_is_somebody_new(company: Resolution) -> None:
    company.put({"id": "shop:1", "email": "a@x.org"}, {"id": "shop:2", "email": "b@x.org"})
    before = company.build()
    company.remove("shop:1")
    assert company.build() == {"shop:2": before["shop:2"]}
    assert company.events() == [
        ("erasure", before["shop:1"], None, "no record is left", ["shop:1"])
    ]  # fmt: skip
    company.put({"id": "shop:7", "email": "a@x.org"})
    again = company.build()
    assert again["shop:7"] not in before.values()
    company.put({"id": "shop:1", "email": "other@x.org"})  # the deletion was taken back
    assert company.build()["shop:1"] == before["shop:1"]


def test_a_shared_tablet_is_nobodys_and_one_of_ones_own_is(company: Resolution) -> None:
    company.put({"id": "web:anna", "email": "a@x.org"}, {"id": "web:bert", "email": "b@x.org"})
    seen = [("1", "anna", "tablet"), ("2", "bert", "tablet"), ("3", "anna", "phone"),
            ("4", None, "tablet"), ("5", None, "phone")]  # fmt: skip
    company.put(
        *(
            {"id": f"web:{n}", "person_record_key": who and f"web:{who}", "anonymous_id": device,
             "kind": "page_view"}
            for n, who, device in seen
        ),
        model="web_events",
    )  # fmt: skip
    assert groups(company.build()) == [
        ["web:anna", "web:visitor:phone"], ["web:bert"], ["web:visitor:tablet"],
    ]  # fmt: skip


def test_a_device_is_of_the_guest_who_bought_with_it(company: Resolution) -> None:
    """Two guests share it; where somebody is logged in, a guest says nothing of it."""
    orders = [("1", "a@x.org", "own"), ("2", "a@x.org", "own"), ("3", "b@x.org", "shared"),
              ("4", "c@x.org", "shared"), ("5", "d@x.org", "known")]  # fmt: skip
    company.put({"id": "web:erna", "email": "e@x.org"})
    company.put(*({"id": f"shop:{n}", "email": email} for n, email, _ in orders), model="orders")
    company.put(
        {"id": "web:0", "person_record_key": "web:erna", "anonymous_id": "known"},
        *(
            {"id": f"web:{n}", "anonymous_id": device, "order_key": f"shop:{n}"}
            for n, _, device in orders
        ),
        model="web_events",
    )
    ids = company.build()
    guests = {email: f"shop:guest:{md5(email.encode()).hexdigest()}" for _, email, _ in orders}
    assert ids["web:visitor:own"] == ids[guests["a@x.org"]]
    assert ids["web:visitor:known"] == ids["web:erna"]
    assert len(set(ids.values())) == 6  # a, b, c, d, e and the shared device


def test_ten_thousand_records_with_one_role_mailbox_are_ten_thousand_customers(
    company: Resolution,
) -> None:
    company.put(*({"id": f"shop:{n}", "email": "info@reseller.org"} for n in range(5_000)))
    company.put(*({"id": f"crm:{n}", "email": "everybody@reseller.org"} for n in range(5_000)))
    ids = company.build()
    assert len(set(ids.values())) == 10_000
    assert company.connection.execute(
        "select blocked_by, count(*) from identity.int_identity__identifiers"
        " where identifier_type = 'email' group by 1 order by 1"
    ).fetchall() == [("role mailbox", 5_000), ("shared by more than 50 records", 5_000)]


def test_a_source_merge_leads_to_the_winner_and_is_in_the_ledger_once(company: Resolution) -> None:
    company.put({"id": "crm:1", "email": "a@x.org"}, {"id": "crm:2", "email": "z@x.org"})
    before = company.build()
    company.put({"id": "crm:2", "merged_into_id": "1"})
    for _ in range(2):
        after = company.build()
    assert after["crm:2"] == after["crm:1"] == before["crm:1"]
    assert company.events("source_merge") == [
        ("source_merge", before["crm:1"], before["crm:1"], "merged in crm", ["crm:2", "crm:1"])
    ]


def test_decisions_tie_and_part_and_the_last_word_counts(company: Resolution) -> None:
    company.put(
        {"id": "shop:1", "email": "a@x.org"},
        {"id": "shop:2", "email": "a@x.org"},
        {"id": "shop:3", "email": "c@x.org"},
    )
    before = company.build()
    company.decide("merge", "shop:1", "shop:3")
    assert groups(company.build()) == [["shop:1", "shop:2", "shop:3"]]
    company.decide("apart", "shop:1", "shop:3")
    company.build()
    company.decide("apart", "shop:2", "shop:3")
    assert company.build() == before
    company.decide("apart", "shop:1", "shop:2")
    parted = company.build()
    assert parted["shop:1"] != parted["shop:2"]
    assert [e[3] for e in company.events("split")][-1] == "decision"
    company.decide("merge", "shop:1", "shop:2")
    assert company.build() == before


def test_one_account_where_the_configuration_says_so(company: Resolution) -> None:
    company.put(
        {"id": "bank:1", "email": "a@x.org"},
        {"id": "bank:2", "email": "a@x.org"},
        {"id": "crm:1", "email": "b@x.org"},
        {"id": "crm:2", "email": "b@x.org"},
    )
    assert groups(company.build()) == [["bank:1"], ["bank:2"], ["crm:1", "crm:2"]]
    company.put({"id": "bank:2", "email": "a@x.org", "merged_into_id": "1"})
    assert groups(company.build()) == [["bank:1", "bank:2"], ["crm:1", "crm:2"]]


def people(seed: int) -> list[dict[str, object]]:
    """Records of some twenty people, of whom some share a mailbox, a telephone, a device."""
    pick = random.Random(seed)
    return [
        {
            "id": f"{pick.choice(('shop', 'crm', 'desk'))}:{n}",
            "email": pick.choice([None, f"p{pick.randrange(20)}@x.org"]),
            "phone": pick.choice([None, None, f"+49309018{pick.randrange(10, 40)}"]),
            "anonymous_id": pick.choice([None, None, None, f"d{pick.randrange(9)}"]),
        }
        for n in range(60)
    ]


def test_ids_change_by_merges_and_splits_alone_in_any_order_and_batching(models: Models) -> None:
    rows = people(7)
    at_once = Resolution(models)
    at_once.put(*rows)
    truth = groups(at_once.build())
    for seed in range(50):
        pick, company = random.Random(seed), Resolution(models)
        shuffled = pick.sample(rows, len(rows))
        cuts = sorted(pick.sample(range(1, len(rows)), pick.randrange(1, 3)))
        before: dict[str, str] = {}
        for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            company.put(*shuffled[start:end])
            known = len(company.events())
            after = company.build()
            told = {
                (record, kind) for kind, _, _, _, keys in company.events() for record in keys
            }  # fmt: skip
            changed = {r for r in before if after[r] != before[r]}
            assert {(r, "merge") for r in changed} | {(r, "move") for r in changed} >= {
                (r, k) for r, k in told if r in changed
            }
            assert changed <= {record for record, _ in told}
            assert len(company.events()) - known <= len(changed)
            before = after
        assert groups(before) == truth
        if seed % 5 == 0:
            assert company.build() == before  # nothing new, nothing changes


def test_scored_pairs_tie_and_only_fresh_records_are_scored(models: Models) -> None:
    born = {"birth_date": date(1977, 2, 3), "street": "Hauptstr. 7", "city": "Berlin"}
    julia = [
        {"id": "shop:1", "first_name": "Юлия", "last_name": "Щербакова", **born},
        {"id": "crm:1", "full_name": "Julia Shcherbakova", **born},
    ]
    igor = {"id": "crm:2", "full_name": "Igor Shcherbakov", "street": "Hauptstr. 7",
            "city": "Berlin"}  # fmt: skip
    others = [
        {"id": f"shop:{100 + n}", "first_name": f"{a}{b}o", "last_name": f"{b}{a}mann"}
        for n, (a, b) in enumerate(product(("kar", "lem", "tis", "bun"), ("del", "pra", "nuk")))
    ]
    company = Resolution(models, preset="default")
    company.put(*julia, igor, *others)
    before = company.build()
    assert [g for g in groups(before) if len(g) > 1] == [["crm:1", "shop:1"]]
    company.put({"id": "desk:1", "full_name": "Yulia Scherbakova", **born})
    after = company.build()
    assert after["desk:1"] == before["shop:1"]
    fresh = company.connection.execute("select record_key from identity.int_identity__fresh")
    assert fresh.fetchall() == [("desk:1",)]
    at_once = Resolution(models, preset="default")
    at_once.put({"id": "desk:1", "full_name": "Yulia Scherbakova", **born}, *others, igor, *julia)
    at_once.connection.execute(
        "update identity.int_identity__settings set known_model = ?",
        company.connection.execute(
            "select known_model from identity.int_identity__settings"
        ).fetchone(),
    )
    at_once.build()
    edges = "select * from identity.int_identity__edges order by left_key, right_key"
    assert (
        company.connection.execute(edges).fetchall() == at_once.connection.execute(edges).fetchall()
    )


def test_a_form_is_known_by_the_content_of_its_own_record(models: Models) -> None:
    rows = [
        {"id": f"{source}:{n}", "first_name": f"{a}{b}o", "last_name": f"{b}{a}mann"}
        for n, (source, a, b) in enumerate(
            product(("shop", "crm"), ("kar", "lem", "tis"), ("del", "pra"))
        )
    ]
    company = Resolution(models, preset="default")
    company.put(*random.Random(3).sample(rows, len(rows)))

    def build() -> list[str]:
        company.build()
        assert company.connection.execute(
            f"""
            select count(*), count(*) filter (form_hash = md5(content_hash || '{FORM}'))
            from identity.int_identity__comparable
            inner join identity.int_identity__matchable using (record_key)
            """
        ).fetchone() == (len(rows), len(rows))
        fresh = "select record_key from identity.int_identity__fresh order by record_key"
        return [key for (key,) in company.connection.execute(fresh).fetchall()]

    assert len(build()) == len(rows)
    assert build() == []
    company.put(*(rows[n] | {"last_name": "Novak"} for n in (9, 2)))
    assert build() == [rows[9]["id"], rows[2]["id"]]


def test_a_record_that_turns_out_to_be_somebody_else_leaves(models: Models) -> None:
    home = {"street": "Hauptstr. 7", "city": "Berlin"}
    names = ("Anna Vogel", "Bernd Krause", "Clara Lang", "Dora Specht", "Emil Fuchs", "Gina Wolf")
    company = Resolution(models, preset="default")
    company.put(
        {"id": "crm:6", "full_name": "Anna Vogel", "birth_date": date(1980, 1, 1), **home},
        *(
            {"id": f"shop:{9 - n}", "full_name": name, "birth_date": date(1980, 1, 1 + n), **home}
            for n, name in enumerate(names)
        ),
    )
    company.build()
    before = company.build()
    assert before["crm:6"] == before["shop:9"]
    company.put(
        {"id": "crm:6", "full_name": "Zora Petrova", "birth_date": date(1955, 5, 5),
         "street": "Ringweg 3", "city": "Köln"}
    )  # fmt: skip
    after = company.build()
    assert after["crm:6"] != after["shop:9"]


def test_a_merge_of_two_accounts_of_one_bank_takes_nobody_apart(company: Resolution) -> None:
    company.put(
        {"id": "app:1", "email": "a@x.org"},
        {"id": "bank:1", "email": "a@x.org"},
        {"id": "bank:2", "email": "b@x.org"},
        {"id": "bank:3", "email": "a@x.org"},
    )
    assert groups(company.build()) == [["app:1", "bank:1"], ["bank:2"], ["bank:3"]]
    pairs = joining(company.connection, "app:1", "bank:2").to_pylist()
    assert {tuple(p.values()) for p in pairs} == {("app:1", "bank:2"), ("bank:1", "bank:2")}
    for pair in pairs:
        company.decide("merge", *pair.values())
    # a third account is not covered by what was decided on two
    assert groups(company.build()) == [["app:1", "bank:1", "bank:2"], ["bank:3"]]
    for key in ("app:1", "bank:1"):
        company.decide("apart", key, "bank:2")
    assert groups(company.build()) == [["app:1", "bank:1"], ["bank:2"], ["bank:3"]]


def test_the_decision_that_two_are_one_overrules_what_keeps_their_other_records_apart(
    company: Resolution,
) -> None:
    company.put(*({"id": f"shop:{n}", "email": "a@x.org"} for n in (1, 2)))
    company.put(*({"id": f"shop:{n}", "email": "b@x.org"} for n in (3, 4)))
    company.decide("apart", "shop:2", "shop:3")
    company.build()
    for pair in joining(company.connection, "shop:1", "shop:4").to_pylist():
        company.decide("merge", *pair.values())
    assert groups(company.build()) == [["shop:1", "shop:2", "shop:3", "shop:4"]]


def test_a_merge_that_would_not_hold_is_refused(models: Models) -> None:
    company = Resolution(models, max_records=3)
    company.put(*({"id": f"shop:{n}", "email": "a@x.org"} for n in (1, 2)))
    company.put(*({"id": f"shop:{n}", "email": "b@x.org"} for n in (3, 4)))
    company.build()
    with pytest.raises(SettingError, match="have 4 records, and a customer has at most 3"):
        joining(company.connection, "shop:1", "shop:4")


def test_other_rules_judge_all_pairs_anew(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    company = Resolution(models, preset="default")
    company.put(*({"id": f"shop:{n}", "full_name": f"Kar{n}o Nuk{n}mann"} for n in range(4)))
    fresh = "select count(*) from identity.int_identity__fresh"
    for rules, expected in (("some", 4), ("some", 0), ("others", 4)):
        monkeypatch.setattr("dbt_project.enrichment.matching.RULES_HASH", rules)
        company.build()
        assert company.connection.execute(fresh).fetchone() == (expected,)


def test_an_erasure_is_told_once_and_again_only_after_a_return(company: Resolution) -> None:
    company.put({"id": "shop:1", "email": "a@x.org"}, {"id": "shop:2", "email": "b@x.org"})
    before = company.build()
    company.remove("shop:1")
    for n in range(3):
        company.put({"id": f"crm:{n}", "email": f"{n}@x.org"})  # the registry grows
        company.build()
    assert [e[0] for e in company.events()] == ["erasure"]
    company.put({"id": "shop:1", "email": "a@x.org"})
    assert company.build()["shop:1"] == before["shop:1"]
    company.build()
    assert sorted(e[0] for e in company.events()) == ["erasure", "return"]
    company.remove("shop:1")
    for n in range(3, 5):
        company.put({"id": f"crm:{n}", "email": f"{n}@x.org"})
        company.build()
    assert [e[1] for e in company.events("erasure")] == [before["shop:1"]] * 2
    ids = "select count(distinct event_id) from identity.int_identity__ledger"
    assert company.connection.execute(ids).fetchone() == (3,)


_KEPT = ("registry", "household_registry", "ledger", "decisions", "settings")
first = st.sampled_from(["Anna", "Bernd", "Clara", None])
last = st.sampled_from(["Vogel", "Krause", None])
row = st.fixed_dictionaries(
    {
        "id": st.sampled_from([f"{s}:{n}" for s in ("shop", "crm", "bank") for n in range(5)]),
        "first_name": first, "last_name": last,
        "email": st.sampled_from([None, "a@x.org", "b@x.org", "c@x.org", "info@x.org"]),
        "phone": st.sampled_from([None, None, "+4930901820", "+4930901821"]),
        "street": st.sampled_from([None, "Hauptstr. 7"]), "city": st.just("Berlin"),
    }
)  # fmt: skip
step = st.one_of(
    st.tuples(st.just("put"), st.lists(row, min_size=1, max_size=6, unique_by=lambda r: r["id"])),
    st.tuples(st.just("remove"), st.lists(row, min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["merge", "apart"]), st.lists(row, min_size=2, max_size=2)),
)


@settings(max_examples=4, deadline=None)
@given(steps=st.lists(step, min_size=2, max_size=3))
def test_a_company_that_grew_is_the_one_that_is_built_from_nothing(
    models: Models, steps: list[tuple[str, list[dict[str, object]]]]
) -> None:
    """Records come, change and go, people decide: all tables are those of one build of all."""
    grown = Resolution(models, preset="default", max_records=6)
    grown.put(*({"id": f"shop:{n}", "first_name": f"Kar{n}o", "last_name": f"Nuk{n}mann"}
                for n in range(10, 14)))  # fmt: skip
    grown.build()
    for kind, rows in steps:
        keys = [str(r["id"]) for r in rows]
        if kind == "put":
            grown.put(*rows)
        elif kind == "remove":
            grown.remove(*keys)
        elif keys[0] != keys[1]:
            grown.decide(kind, *keys)
        kept = {
            t: grown.connection.table(f"identity.int_identity__{t}").to_arrow_table() for t in _KEPT
        }
        grown.build()
    fresh = Resolution(models, preset="default", max_records=6)
    for table, rows_before in kept.items():
        name = f"identity.int_identity__{table}"
        fresh.connection.execute(f"delete from {name}")
        fresh.connection.register("rows", rows_before)
        fresh.connection.execute(f"insert into {name} from rows")
    people = grown.connection.table("unified.person_records").to_arrow_table()
    fresh.connection.register("rows", people)
    fresh.connection.execute("insert into unified.person_records from rows")
    fresh.build()
    for table in ("identifiers", "edges", "ties", "clusters", "strict_clusters",
                  "loose_clusters", "assignments", "candidates", "events"):  # fmt: skip
        query = f"select * from identity.int_identity__{table} order by all"
        assert (
            grown.connection.execute(query).fetchall() == fresh.connection.execute(query).fetchall()
        ), table


def at_home(company: Resolution, **homes: int) -> dict[str, str]:
    """People write from the mailboxes of these homes now; returns whose household is which."""
    company.put(*(
        {"id": f"shop:{name}", "email": f"family.berg{home}@x.org"} for name, home in homes.items()
    ))  # fmt: skip
    return households(company)


def households(company: Resolution) -> dict[str, str]:
    company.build()
    return dict(company.connection.execute("""
        select split_part(a.record_key, ':', 2), h.household_id
        from identity.int_identity__households as h
        inner join identity.int_identity__assignments as a using (customer_id)
    """).fetchall())  # fmt: skip


def test_who_joins_a_household_gets_the_id_and_who_leaves_takes_it_from_nobody(
    company: Resolution,
) -> None:
    first = at_home(company, ben=1, cara=1)
    assert set(first) == {"ben", "cara"} and len(set(first.values())) == 1
    home = first["ben"]
    assert set(at_home(company, ann=1).values()) == {home}
    # whoever it is that goes: the one it was named after is among them
    for name, number in (("ann", 2), ("ben", 3), ("cara", 4)):
        rest = at_home(company, **{name: number})
        assert name not in rest and set(rest.values()) == {home}
        assert set(at_home(company, **{name: 1}).values()) == {home}


def test_of_a_split_household_the_larger_part_inherits(company: Resolution) -> None:
    home = at_home(company, ann=1, ben=1, cara=1, dan=1, eve=1)["ann"]
    parted = at_home(company, ann=2, ben=2)
    assert {parted[name] for name in ("cara", "dan", "eve")} == {home}
    assert parted["ann"] == parted["ben"] != home
    # and where the larger part joins others, the id goes with it
    assert set(at_home(company, ann=1, ben=1).values()) == {home}


def test_a_union_of_households_keeps_one_and_undone_gives_back_the_other(
    company: Resolution,
) -> None:
    before = at_home(company, ann=1, ben=1, cara=2, dan=2, eve=2)
    assert before["ann"] != before["cara"]
    assert set(at_home(company, ann=2, ben=2).values()) == {before["cara"]}
    assert at_home(company, ann=1, ben=1) == before


def test_those_who_left_one_by_one_take_no_id_with_them(company: Resolution) -> None:
    home = at_home(company, ann=1, ben=1, cara=1, dan=1, eve=1)["ann"]
    for number, name in enumerate(("cara", "dan", "eve"), 2):
        at_home(company, **{name: number})
    after = at_home(company, cara=5, dan=5, eve=5)
    assert after["ann"] == after["ben"] == home
    assert len({after[name] for name in ("cara", "dan", "eve")} - {home}) == 1


def test_a_household_survives_that_its_customers_become_others(company: Resolution) -> None:
    home = at_home(company, ann=1, ben=1, cara=1)["ann"]
    # cara's record turns out to be an older customer's, whose id wins
    company.put({"id": "crm:1", "phone": "+4930901820"}, {"id": "crm:2", "phone": "+4930901820"})
    company.build()
    company.put({"id": "shop:cara", "email": "family.berg1@x.org", "phone": "+4930901820"})
    assert {households(company)[name] for name in ("ann", "ben", "cara")} == {home}


def test_without_the_warehouse_household_ids_are_the_same(
    company: Resolution, models: Models
) -> None:
    at_home(company, ann=1, ben=1, cara=1, dan=2, eve=2)
    before = at_home(company, ann=2)
    other = Resolution(models, sequence=company.sequence)
    for table in REGISTRIES:
        kept = company.connection.execute(f"from {table}").to_arrow_table()
        other.connection.register("kept", kept)
        other.connection.execute(f"insert into {table} from kept")
    assert at_home(other, ann=2, ben=1, cara=1, dan=2, eve=2) == before


def test_no_household_id_is_shared_and_none_changes_for_no_reason(company: Resolution) -> None:
    pick, names = random.Random(5), ["ann", "ben", "cara", "dan", "eve", "finn", "gus"]
    where = {name: pick.randint(1, 3) for name in names}
    before = at_home(company, **where)
    for _ in range(12):
        moving = {name: pick.randint(1, 4) for name in pick.sample(names, 2)}
        now = at_home(company, **moving)
        old, where = where, where | moving
        for home in range(1, 5):
            here = [name for name in names if where[name] == home]
            ids = {now[name] for name in here if name in now}
            assert len(ids) == (len(here) > 1)
            if len(here) > 1 and here == [name for name in names if old[name] == home]:
                assert ids == {before[here[0]]}, "nothing happened here"
        assert len(set(now.values())) == len({where[name] for name in now})
        before = now
    assert households(company) == before
