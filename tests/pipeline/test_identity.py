"""Who is who, and that an id stays with its customer whatever is learnt later."""

import json
import shutil

import pytest

from ingestion.lake import PUBLISHED_DATASET
from tests.pipeline.company import (
    ALONE,
    PEOPLE,
    customer,
    write_batch,
    write_company,
    write_mapping,
)
from tests.pipeline.conftest import KEPT_BETWEEN_BUILDS, Homes, build
from tests.support import Home, table_hashes

IDENTITY = "+bridge_customer_records +identity_ledger +int_identity__household_moves"


def customers_of(home: Home) -> dict[str, str]:
    """The customer of every record, as the warehouse has it."""
    return dict(
        home.warehouse("select record_key, customer_id from identity.int_identity__assignments")
    )


@pytest.mark.parametrize("why", PEOPLE)
def test_records_of_one_person_are_one_customer(harbor: Home, why: str) -> None:
    ids = customers_of(harbor)
    assert sorted(r for r, i in ids.items() if i == ids[PEOPLE[why][0]]) == sorted(PEOPLE[why])


@pytest.mark.parametrize("why", ALONE)
def test_what_many_share_ties_nobody(harbor: Home, why: str) -> None:
    ids = customers_of(harbor)
    assert len({ids[record] for record in ALONE[why]}) == len(ALONE[why])
    assert harbor.warehouse(
        "select distinct blocked_by from identity.int_identity__identifiers"
        f" where record_key in {tuple(ALONE[why])} and identifier_type in ('email', 'phone')"
    ) == [(why,)]


@pytest.fixture(scope="module")
def history(homes: Homes) -> tuple[dict[str, str], dict[str, str]]:
    """Ids before and after: a second system is added, a wrong e-mail is put right."""
    folder = homes.base / "history"
    doras = [customer(n, "dora@elv.no") for n in (1, 2, 3)]
    eves = [customer(4, "dora@elv.no", "030 901821"), customer(5, phone="030 901821")]
    bea = customer(10, "bea@fjord.no")
    write_batch(folder, 1)  # for the other files
    write_batch(folder, 1, {"shop/customers": [*doras, *eves, bea]})
    home = homes.make("history-home", write_mapping(folder, crm=False))
    build(home, IDENTITY)
    before = customers_of(home)
    write_batch(folder, 2, {"shop/customers": [customer(4, "eve@elv.no", "030 901821", day=2)]})
    write_batch(folder, 2, {"crm/contacts": [["A1", "Bea+crm@fjord.no", "", "NO", ""]]})
    write_mapping(folder)
    build(home, IDENTITY)
    return before, customers_of(home)


def test_an_id_stays_when_a_source_is_added(history: tuple[dict[str, str], dict[str, str]]) -> None:
    before, after = history
    assert after["shop:C10"] == before["shop:C10"]
    assert after["crm:A1"] == after["shop:C10"]  # though a record that sorts before it came in


def test_a_corrected_email_splits_and_the_larger_part_keeps_the_id(
    history: tuple[dict[str, str], dict[str, str]],
) -> None:
    before, after = history
    doras, eves = ["shop:C1", "shop:C2", "shop:C3"], ["shop:C4", "shop:C5"]
    assert len({before[r] for r in doras + eves}) == 1
    assert {after[r] for r in doras} == {before["shop:C1"]}
    assert len({after[r] for r in eves}) == 1
    assert after["shop:C4"] not in before.values()


def test_a_merge_that_is_undone_leaves_every_mart_as_it_was(homes: Homes, harbor: Home) -> None:
    folder = homes.base / "decided"
    home = homes.make("decided-home", write_company(folder))
    shutil.copytree(harbor.path / "lake", home.path / "lake")
    shutil.rmtree(home.path / "lake" / PUBLISHED_DATASET)  # nothing is published here
    shutil.copy(harbor.path / "warehouse.duckdb", home.path)
    before = table_hashes(home.path / "warehouse.duckdb")
    ids = customers_of(home)
    one, other = ids["shop:C10"], next(i for r, i in ids.items() if i != ids["shop:C10"])
    home.cxm("identity", "merge", one, other, "--reason", "they told us")
    touches = dict(
        home.warehouse("select customer_id, count(*) from marts.fct_interactions group by 1")
    )
    build(home, KEPT_BETWEEN_BUILDS)
    moved = home.warehouse(
        "select from_id, touches from quality.identity_ledger where kind = 'merge'"
    )
    assert [n for gone, n in moved if gone in (one, other)] == [
        touches.get(gone, 0) for gone, _ in moved if gone in (one, other)
    ]
    assert sum(touches.get(i, 0) for i in (one, other)) > 0
    joined = customers_of(home)
    assert {joined[r] for r, i in ids.items() if i in (one, other)} == {joined["shop:C10"]}
    assert table_hashes(home.path / "warehouse.duckdb") != before
    away = sorted(r for r, i in ids.items() if i == other)
    home.cxm("identity", "unmerge", joined["shop:C10"], *away, "--reason", "they took it back")
    build(home)
    assert customers_of(home) == ids
    assert table_hashes(home.path / "warehouse.duckdb") == before
    assert moved == home.warehouse(
        "select from_id, touches from quality.identity_ledger where kind = 'merge'"
    ), "what was counted stays as it was"
    told = home.warehouse(
        "select kind, reason from quality.identity_ledger where kind <> 'source_merge'"
        " order by occurred_at, kind, record_keys[1]"
    )
    assert ("merge", "decision") in told and ("split", "decision") in told
    assert ("decision", "they told us") in told and ("decision", "they took it back") in told
    explained = json.loads(home.cxm("identity", "explain", "shop:C10", "--json").stdout)
    assert {r["record_key"] for r in explained["records"]} == {
        r for r, i in ids.items() if i == one
    }
    assert {e["kind"] for e in explained["events"]} >= {"merge", "split", "decision"}
    refused = home.cxm("identity", "unmerge", one, "shop:nobody", "--reason", "x", check=False)
    assert refused.returncode == 2 and "no record of" in refused.stderr
