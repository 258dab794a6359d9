"""Who is who, and that an id stays with its customer whatever is learnt later."""

import pytest

from tests.pipeline.company import (
    ALONE,
    PEOPLE,
    customer,
    write_batch,
    write_mapping,
)
from tests.pipeline.conftest import Homes, build
from tests.support import Home

IDENTITY = "+bridge_customer_records"


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
