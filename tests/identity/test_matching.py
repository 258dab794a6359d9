"""Scored pairs: known answers of the normal forms, traps, and figures on a small company."""

import json
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from splink.internals.linker_components.training import LinkerTraining

from dbt_project.enrichment import matching
from dbt_project.enrichment.clusters import cluster_records
from dbt_project.enrichment.matching import INPUT, Thresholds, comparable, score, settle, train
from ingestion.simulator.company import Company

END = datetime(2026, 10, 1, 6, tzinfo=UTC)
ROLES = "^(info|office|kontakt|contact|contato|hello|team|einkauf|sales)@"
HOME = {"street": "Hauptstraße 7", "postal_code": "10115", "city": "Berlin", "country": "DE"}


def records(*rows: dict[str, Any]) -> pa.Table:
    numbered = [{"record_key": f"s:{i:04}", "source": "s"} | row for i, row in enumerate(rows)]
    return pa.Table.from_pylist(numbered, schema=INPUT)


def forms(column: str, *rows: dict[str, Any]) -> list[Any]:
    return comparable(records(*rows)).sort_by("record_key")[column].to_pylist()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Live records of a company of 500 customers: `person_record`, with the true person_id."""
    folder = tmp_path_factory.mktemp("matching") / "company"
    Company.make(folder, customers=500, seed=11, days=300, end=END)
    kind = f"case when regexp_matches(lower(email), '{ROLES}') then 'group' end"
    connection = duckdb.connect()
    connection.execute(f"""
        create table person_record as
        select
            vendor || ':' || record_id as record_key, vendor as source,
            lower(email) as email, {kind} as mailbox_kind, phone,
            first_name, last_name, null::varchar as full_name,
            birth_date, street, postal_code, city, country, company_name, person_id
        from read_parquet('{folder}/world/record/*.parquet')
        where changed_at <= timestamptz '{END.isoformat()}'
        qualify
            row_number() over (partition by record_id order by version desc) = 1
            and state = 'live'
    """)
    return connection


@pytest.fixture(scope="module")
def people(world: duckdb.DuckDBPyConnection) -> pa.Table:
    return comparable(world.table("person_record").select(*INPUT.names).to_arrow_table())


@pytest.fixture(scope="module")
def model(people: pa.Table) -> dict[str, Any]:
    return train(people, seed=3)


@pytest.fixture(scope="module")
def edges(people: pa.Table, model: dict[str, Any]) -> pa.Table:
    return score(people, model)


def shared_at_home(edges: pa.Table, identifiers: pa.Table) -> pa.Table:
    """The identifiers of two people of one household."""
    with duckdb.connect() as connection:
        connection.register("edges", edges)
        connection.register("identifiers", identifiers)
        return connection.sql("""
            select distinct l.identifier_type, l.identifier_value
            from edges
            inner join identifiers as l on left_key = l.record_key
            inner join identifiers as r on right_key = r.record_key
                and l.identifier_type = r.identifier_type
                and l.identifier_value = r.identifier_value
            where level = 'household'
        """).to_arrow_table()


def judged(people: pa.Table, model: dict[str, Any], **options: Any) -> dict[tuple[str, str], str]:
    found = score(people, model, **options)
    pairs = zip(found["left_key"].to_pylist(), found["right_key"].to_pylist(), strict=True)
    return dict(zip(pairs, found["level"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    "names",
    [
        ("Юлия", "Yulia", "Julia", "Yuliya", "Iuliia", "Julija"),
        ("Müller", "Mueller", "Muller", "MÜLLER"),
        ("Дмитрий", "Dmitry", "Dmitriy", "Dmitrii"),
        ("Фёдор", "Fyodor", "Fedor"),
        ("João", "Joao"),
        ("Weiß", "Weiss"),
        ("O'Brien", "O’Brien", "OBrien"),
        ("Ayşe", "Ayse"),
        ("Dr. Anna", "Anna"),
    ],
)
def test_spellings_of_one_name_are_one(names: tuple[str, ...]) -> None:
    assert len(set(forms("first_key", *({"first_name": n} for n in names)))) == 1


@pytest.mark.parametrize("pair", [("Anna", "Hanno"), ("Paul", "Paula"), ("Иван", "Ирина")])
def test_other_names_stay_apart(pair: tuple[str, str]) -> None:
    assert len(set(forms("first_key", *({"first_name": n} for n in pair)))) == 2


@pytest.mark.parametrize(
    ("short", "name"),
    [("Bob", "Robert"), ("Sascha", "Alexander"), ("Zé", "José"), ("Маша", "Мария"),
     ("Masha", "Мария"), ("Kate", "Katherine"), ("Uli", "Ulrike")],
)  # fmt: skip
def test_short_forms_share_a_form_with_the_name(short: str, name: str) -> None:
    one, other = forms("first_forms", {"first_name": short}, {"first_name": name})
    assert set(one) & set(other)


def test_full_names_are_split() -> None:
    full = ("Anna Maria da Silva", "da Silva, Anna", "Anna", "Berginger", "a.vogel@mail.example")
    rows = [{"full_name": n} for n in full]
    assert forms("first_key", *rows) == ["ana", "ana", "ana", None, None]
    assert forms("last_written", *rows) == ["maria da silva", "da silva", None, "berginger", None]


def test_a_familys_endings_are_one_family() -> None:
    rows = [{"last_name": n} for n in ("Белова", "Belov", "Kuzmina", "Кузьмин")]
    belov, other, kuzmin, last = forms("family_key", *rows)
    assert belov == other != kuzmin == last


def test_mailboxes_addresses_telephones_and_companies() -> None:
    rows = [
        {"email": " Anna.Vogel22+shop@Mail.Example ", "phone": "+4915112345678",
         "street": "Hauptstraße 7a", "postal_code": "SE1 7AB", "company_name": "Nord Health GmbH"},
        {"email": "info@nord.example", "mailbox_kind": "group", "phone": "0151 12345678",
         "street": "7 High Street", "postal_code": "se17ab", "company_name": "NORD Health Ltd."},
        {"email": "familie.vogel@mail.example", "mailbox_kind": "family", "phone": "123",
         "street": "Hauptstr. 7 a"},
        {"email": "n/a", "first_name": "Test", "street": "Rua das Flores, 12"},
    ]  # fmt: skip
    found = comparable(records(*rows))
    assert found["mailbox"].to_pylist() == ["anna.vogel22@mail.example", None, None, None]
    assert found["group_mailbox"].to_pylist()[1:] == [
        "info@nord.example", "familie.vogel@mail.example", None,
    ]  # fmt: skip
    assert found["local_digits"][0].as_py() == "22"
    assert found["phone_tail"].to_pylist() == ["12345678", "12345678", None, None]
    assert found["street_number"].to_pylist() == ["7a", "7", "7a", "12"]
    assert found["street_key"][0] == found["street_key"][2]
    assert found["postal_key"].to_pylist()[:2] == ["SE17AB", "SE17AB"]
    assert found["company_key"][0] == found["company_key"][1]
    assert found["first_key"][3].as_py() is None  # nobody is called Test


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="lack the columns email"):
        comparable(records({}).drop_columns(["email"]))
    with pytest.raises(ValueError, match="2 records have 1 keys"):
        comparable(records({"record_key": "s:1"}, {"record_key": "s:1"}))


def test_model_is_json_and_the_same_every_time(people: pa.Table) -> None:
    some = people.slice(0, 400)
    model = train(some, seed=3)
    again = json.dumps(train(some.take(pc.sort_indices(some["last_key"])), seed=3), sort_keys=True)
    assert again == json.dumps(model, sort_keys=True)
    assert json.loads(again) == model


def test_scores_are_the_same_every_time_and_add_up(
    people: pa.Table, model: dict[str, Any], edges: pa.Table
) -> None:
    stored = json.loads(json.dumps(model))
    assert score(people.slice(0), stored).equals(edges)
    prior = model["settings"]["probability_two_random_records_match"]
    start = duckdb.sql(f"select log2({prior} / (1 - {prior}))").fetchone()
    assert start is not None
    for edge in edges.slice(0, 200).to_pylist():
        total = start[0] + sum(e["weight"] for e in edge["evidence"])
        assert edge["match_weight"] == pytest.approx(total)
        assert edge["left_key"] < edge["right_key"]


def test_increments_are_together_the_whole(
    people: pa.Table, model: dict[str, Any], edges: pa.Table
) -> None:
    rank = pa.array(range(people.num_rows))
    parts, seen = [], []
    for turn in range(3):
        seen.append(people.filter(pc.equal(pc.bit_wise_and(rank, 3), turn)))
        if turn == 2:
            seen.append(people.filter(pc.equal(pc.bit_wise_and(rank, 3), 3)))
        fresh = pa.concat_tables(seen[turn:])["record_key"]
        parts.append(score(pa.concat_tables(seen), model, new=fresh))
    together = pa.concat_tables(parts).sort_by(
        [("left_key", "ascending"), ("right_key", "ascending")]
    )
    assert together.combine_chunks().equals(edges.combine_chunks())


TRAPS = {
    "father and son": (
        {"first_name": "Hans", "last_name": "Gruber", "birth_date": date(1955, 3, 1), **HOME},
        {"first_name": "Hans", "last_name": "Gruber", "birth_date": date(1984, 7, 9), **HOME},
    ),
    "couple at one address": (
        {"first_name": "Martin", "last_name": "Vogel", **HOME},
        {"first_name": "Martina", "last_name": "Vogel", **HOME},
    ),
    "couple of one mailbox": (
        {"first_name": "Anna", "last_name": "Kaya", "email": "kaya77@mail.example"},
        {"first_name": "Mehmet", "last_name": "Kaya", "email": "kaya77@mail.example"},
    ),
}


@pytest.mark.parametrize("preset", [p for p in matching.PRESETS if p != "score_alone"])
def test_households_are_never_merged(preset: str, model: dict[str, Any]) -> None:
    people = comparable(records(*(row for pair in TRAPS.values() for row in pair)))
    expected = {(f"s:{i:04}", f"s:{i + 1:04}"): "household" for i in (0, 2, 4)}
    assert judged(people, model, preset=preset) == ({} if preset == "strict" else expected)


def test_namesakes_and_colleagues_are_never_merged(model: dict[str, Any]) -> None:
    namesakes = (
        {"first_name": "Thomas", "last_name": "Müller", "city": "Berlin", "email": "tm@a.example"},
        {
            "first_name": "Thomas",
            "last_name": "Mueller",
            "city": "Berlin",
            "email": "tom@b.example",
        },
        {
            "first_name": "Erika",
            "last_name": "Lang",
            "email": "info@c.example",
            "mailbox_kind": "group",
            "company_name": "C",
        },
        {
            "first_name": "Udo",
            "last_name": "Berg",
            "email": "info@c.example",
            "mailbox_kind": "group",
            "company_name": "C",
        },
    )
    assert "merge" not in judged(comparable(records(*namesakes)), model).values()


PETRA = {"email": "petra77@mail.example", "birth_date": date(1977, 2, 3)}
ONE_PERSON = {
    "other script, slip in the mailbox": (
        {"first_name": "Юлия", "last_name": "Щербакова", "email": "yulia.sherbakova@web.test"},
        {"first_name": "Julia", "last_name": "Shcherbakova", "email": "yulia.sherbakva@web.test"},
    ),
    "short name, same address": (
        {"first_name": "Bob", "last_name": "Wetherby", **HOME},
        {"first_name": "Robert", "last_name": "Wetherby", **HOME, "street": "Hauptstr. 7"},
    ),
    "names swapped, same telephone": (
        {"first_name": "Jörg", "last_name": "Köhler", "phone": "+4915112345678"},
        {"first_name": "Koehler", "last_name": "Joerg", "phone": "0151 12345678"},
    ),
    "married, same birth date and mailbox": (
        {"first_name": "Petra", "last_name": "Horn", **PETRA},
        {"first_name": "Petra", "last_name": "Sommer", **PETRA},
    ),
}


def test_one_person_in_two_records(model: dict[str, Any]) -> None:
    people = comparable(records(*(row for pair in ONE_PERSON.values() for row in pair)))
    found = judged(people, model)
    cases = {
        name: found.get((f"s:{2 * i:04}", f"s:{2 * i + 1:04}")) for i, name in enumerate(ONE_PERSON)
    }
    assert cases == dict.fromkeys(ONE_PERSON, "merge")


def test_presets_and_thresholds(people: pa.Table, model: dict[str, Any], edges: pa.Table) -> None:
    def merged(found: pa.Table) -> set[tuple[str, str]]:
        kept = found.filter(pc.equal(found["level"], "merge"))
        return set(zip(kept["left_key"].to_pylist(), kept["right_key"].to_pylist(), strict=True))

    default, loose = merged(edges), merged(score(people, model, preset="loose"))
    assert score(people, model, preset="strict").num_rows == 0
    assert default < loose
    by_mail = score(people, model, preset="email_exact_name_fuzzy")
    assert merged(by_mail)
    for edge in by_mail.filter(pc.equal(by_mail["level"], "merge")).to_pylist():
        said = {e["comparison"]: e["level"] for e in edge["evidence"]}
        assert said["email"] == "same mailbox" and said["first_name"] != "different"
    by_place = score(people, model, preset="postcode_exact_address_name_fuzzy")
    for edge in by_place.filter(pc.equal(by_place["level"], "merge")).to_pylist():
        said = {e["comparison"]: e["level"] for e in edge["evidence"]}
        assert said["address"] in ("same", "one slip")
    surest = score(people, model, thresholds=Thresholds(merge=0.9999, review=0.9999))
    assert merged(surest) < default
    with pytest.raises(ValueError, match="lenient is unknown"):
        score(people, model, preset="lenient")
    with pytest.raises(ValueError, match="version 0"):
        score(people, model | {"version": 0})


def test_a_level_that_no_match_has_stops_no_training(
    people: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LinkerTraining, *_: object, **__: object) -> None:
        self._linker._settings_obj.core_model_settings.comparisons.clear()
        raise ValueError("m_probability value 0.0 is below the minimum allowed value of 1e-300")

    name = "estimate_parameters_using_expectation_maximisation"
    monkeypatch.setattr(LinkerTraining, name, refuse)
    model = train(people)
    assert model["training"][0]["pairs"] > 100
    assert [t["used"] for t in model["training"]] == [False] * 3
    assert len(model["settings"]["comparisons"]) == 7


def test_too_common_blocks_are_tightened(people: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LEAST_PAIRS", 20)
    blocking = train(people.slice(0, 300), seed=3, pairs_per_record=0)["blocking"]
    name = [b for b in blocking if b["rule"] == "name"]
    assert not name[0]["used"] and len(name) > 1
    assert all(b["pairs"] <= 20 for b in blocking if b["used"])


def test_no_records_and_few_records() -> None:
    for rows in ((), ({"first_name": "Anna"},), ({"first_name": "Anna"}, {"last_name": "Kaya"})):
        few = comparable(records(*rows))
        assert score(few, train(few)).num_rows == 0


def test_settling_frees_what_a_household_shares(model: dict[str, Any]) -> None:
    shared = {"email": "kaya77@mail.example"}
    rows = (
        {"first_name": "Anna", "last_name": "Kaya", **shared},
        {"first_name": "Mehmet", "last_name": "Kaya", **shared},
        {"first_name": "Mehmet", "last_name": "Kaya", **shared},
        shared,
    )
    found = score(comparable(records(*rows)), model)
    keys = [f"s:{i:04}" for i in range(4)]
    identifiers = pa.table(
        {"record_key": keys, "identifier_type": ["email"] * 4,
         "identifier_value": [shared["email"]] * 4}
    )  # fmt: skip
    freed = shared_at_home(found, identifiers)
    settled = settle(found, identifiers, freed)
    assert freed.to_pylist() == [
        {"identifier_type": "email", "identifier_value": shared["email"]}
    ]  # fmt: skip
    merges = settled.filter(pc.equal(settled["level"], "merge"))
    assert merges.select(["left_key", "right_key"]).to_pylist() == [
        {"left_key": keys[1], "right_key": keys[2]}
    ]


def test_a_small_company_is_told_apart(world: duckdb.DuckDBPyConnection, edges: pa.Table) -> None:
    identifiers = world.sql(f"""
        with mailboxes as (
            select record_key, split_part(email, '@', 1) as local_part,
                split_part(email, '@', 2) as domain
            from person_record where not regexp_matches(email, '{ROLES}')
        )
        select record_key, 'email' as identifier_type,
            split_part(local_part, '+', 1) || '@' || domain as identifier_value, 20 as strength
        from mailboxes
        union all
        select record_key, 'phone', phone, 10 from person_record where phone similar to '\\+[0-9]+'
        union all
        select record_key, 'record', record_key, 40 from person_record
    """).to_arrow_table()  # fmt: skip
    shared = shared_at_home(edges, identifiers)
    settled = settle(edges, identifiers, shared)
    world.register("settled", settled)
    world.register("identifiers", identifiers)
    world.register("shared", shared)
    ties = world.sql("""
        from identifiers anti join shared using (identifier_type, identifier_value)
        union all
        select unnest([left_key, right_key]), 'pair', left_key || right_key, 30
        from settled where level = 'merge'
    """).to_arrow_table()
    world.register("clusters", cluster_records(ties, max_cluster_size=1000))
    row = world.sql("""
        with parts as (
            select cluster_key, person_id, count(*) as n
            from clusters inner join person_record using (record_key) group by all
        ),
        joined as (select sum(n) as n from parts group by cluster_key),
        people as (select sum(n) as n from parts group by person_id)
        select
            (select sum(n * (n - 1)) from parts) / (select sum(n * (n - 1)) from joined),
            (select sum(n * (n - 1)) from parts) / (select sum(n * (n - 1)) from people)
    """).fetchone()
    assert row is not None
    precision, recall = row
    assert precision > 0.99
    assert recall > 0.94


def test_a_model_has_no_name_of_a_few_people() -> None:
    """One person with three records is one, however often the name was written."""
    rows = [{"first_name": "Xanthippe", "last_name": "Zirbelmeier"} for _ in range(3)]
    rows += [{"first_name": name, "last_name": "Vogel"} for name in ("Anna", "Bert", "Carl")]
    rows += [{"first_name": name, "last_name": "Krause"} for name in ("Dora", "Emil")]
    frequencies = train(comparable(records(*rows)))["frequencies"]
    assert frequencies["last_key"]["values"] == forms("last_key", {"last_name": "Vogel"})
    assert frequencies["first_key"]["values"] == []
    assert frequencies["last_key"]["total"] == len(rows)
