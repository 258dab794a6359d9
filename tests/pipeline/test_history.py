"""What is kept of publications: why figures changed, what was known when, and of whom nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ingestion.exports.mapping import load_mapping
from ingestion.lake import PUBLISHED_DATASET
from orchestration.history import published_before
from orchestration.publish import publish_build
from orchestration.warehouse import read_plan, recorded_build, write_plan
from tests.pipeline.company import BATCHES, customer, write_batch, write_mapping
from tests.pipeline.conftest import Homes, build, dbt, settings_of
from tests.support import Home, table_hashes

DAYS = ("2026-10-02", "2026-10-03", "2026-10-04")
Rows = dict[tuple[str, str], tuple[float, ...]]


@dataclass(frozen=True)
class Story:
    home: Home
    warehouses: list[Path]  # as each publication left it
    ids: dict[str, str]  # of records, at first

    def ask(self, day: int, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.warehouses[day]), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def changes(self, day: int, where: str) -> list[tuple]:
        return self.ask(
            day,
            "select kpi_id, strftime(period_start, '%Y-%m'), change, late_data, identity,"
            " definition, remainder from marts.kpi_changes"
            f" where comparison = 'publication before' and {where} order by all",
        )


@pytest.fixture(scope="module")
def story(homes: Homes) -> Story:
    """Three publications: at first; two customers turn out to be one and another is erased; late
    orders come in."""
    folder = homes.base / "story"
    write_batch(folder, 1)
    write_batch(folder, 2, BATCHES[1] | {"shop/customers": [
        *BATCHES[1]["shop/customers"], customer(90, "zoe@elv.no")]})  # fmt: skip
    write_batch(folder, 1, {"crm/contacts": [["K9", "nine@mail.no", "", "NO", ""]]})
    config = write_mapping(folder)
    text = config.read_text().replace(
        "        concept: person_record\n        fields:\n          person_record_id: customer_id",
        "        concept: person_record\n        where: email is null or email <> 'erased'\n"
        "        fields:\n          person_record_id: customer_id",
    )
    config.write_text(text)
    home = homes.make("story-home", config)
    warehouses: list[Path] = []

    def publish(day: int) -> None:
        build(home, at=f"{DAYS[day]}T06:00:00+00:00")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CXM_NOW", f"{DAYS[day]}T07:00:00+00:00")
            publish_build(settings_of(home))
        copy = home.path / f"day-{day}.duckdb"
        shutil.copyfile(home.path / "warehouse.duckdb", copy)
        warehouses.append(copy)

    publish(0)
    ids = dict(
        home.warehouse("select record_key, customer_id from identity.int_identity__assignments")
    )
    write_batch(folder, 3, {"crm/contacts": [["K2", "Bea@Fjord.no", "+49 30 901820", "", ""]]})
    write_batch(folder, 3, {"shop/customers": [customer(90, "erased", day=20)]})
    publish(1)
    late = {name: rows for name, rows in BATCHES[2].items() if "customers" not in name}
    write_batch(folder, 4, late | {"crm/contacts": []})
    publish(2)
    return Story(home, warehouses, ids)


def test_the_first_publication_has_nothing_to_compare_with(story: Story) -> None:
    assert story.changes(0, "true") == []
    assert story.ask(0, "select count(*) from marts.kpi_changes where comparison = 'month before'")


def test_two_customers_that_are_one_change_identity_and_nothing_else(story: Story) -> None:
    assert story.ids["shop:C10"] != story.ids["shop:C11"]
    changed = story.changes(1, "change <> 0")
    assert changed and {row[0] for row in changed} <= {
        "new_customers", "repeat_customers", "repeat_purchase_rate", "csat", "csat_per_order",
    }  # fmt: skip
    for kpi_id, month, change, late, identity, definition, remainder in changed:
        assert (late, definition, remainder) == (0, 0, 0), (kpi_id, month)
        assert identity == change
    assert sum(row[4] for row in changed if row[0] == "new_customers") == -1


def test_orders_that_come_late_are_late_data(story: Story) -> None:
    changed = story.changes(2, "change <> 0")
    assert {"orders", "revenue", "new_customers"} <= {row[0] for row in changed}
    for kpi_id, month, change, late, identity, definition, remainder in changed:
        assert (identity, definition, remainder) == (0, 0, 0), (kpi_id, month)
        assert late == change
    more = story.ask(2, "select count(*) from marts.fct_orders")[0][0]
    less = story.ask(1, "select count(*) from marts.fct_orders")[0][0]
    assert sum(row[2] for row in changed if row[0] == "orders") == more - less


def test_a_month_that_did_not_change_says_so(story: Story) -> None:
    same = story.changes(1, "kpi_id = 'orders'")
    assert same and {row[2] for row in same} == {0.0}


def as_of(story: Story, day: int, at: str) -> dict[str, tuple]:
    return {
        row[0]: row[1:]
        for row in story.ask(
            day,
            "select customer_id, orders_placed, revenue_reporting, lifecycle, journey_stage"
            f" from marts.customer_360_history where known_from <= timestamp '{at}'"
            f" and (known_to > timestamp '{at}' or known_to is null)",
        )
    }


def test_what_was_known_then_is_what_was_published_then(story: Story) -> None:
    erased = story.ids["shop:C90"]
    for then in range(3):
        published = {
            row[0]: row[1:]
            for row in story.ask(
                then,
                "select customer_id, orders_placed, revenue_reporting, lifecycle, journey_stage"
                " from marts.customer_360",
            )
        }
        assert (erased in published) == (then == 0)
        published.pop(erased, None)
        assert as_of(story, 2, f"{DAYS[then]} 12:00") == published
    rows = "select count(*), count(distinct customer_id) from marts.customer_360_history"
    [(states, customers)] = story.ask(2, rows)
    assert customers < states < 2 * customers  # only what changed is kept


def test_an_id_that_went_into_another_ends_there(story: Story) -> None:
    bea = {story.ids["shop:C10"], story.ids["shop:C11"]}
    [(gone, known_to)] = story.ask(
        2,
        "select customer_id, max(known_to) from marts.customer_360_history"
        f" where customer_id in {tuple(bea)} group by 1 having bool_and(known_to is not null)",
    )
    assert gone in bea and str(known_to).startswith(DAYS[1])


def test_who_is_erased_leaves_no_trace_in_what_is_kept(story: Story) -> None:
    erased = story.ids["shop:C90"]
    assert story.ask(0, f"from marts.customer_360_history where customer_id = '{erased}'")
    assert not story.ask(1, f"from marts.customer_360_history where customer_id = '{erased}'")
    kept = list((story.home.path / "lake" / PUBLISHED_DATASET).rglob("*.parquet"))
    assert len(kept) == 3 + 3 + 2  # figures, customers, and of the last two what customers add
    for file in kept:
        columns = [row[0] for row in duckdb.sql(f"describe from '{file}'").fetchall()]
        assert not {"email", "full_name", "phone", "last_comment"} & set(columns)
        if "customer_id" in columns:
            found = duckdb.sql(f"from '{file}' where customer_id = '{erased}'").fetchall()
            assert found == [], file


def test_a_build_that_is_repeated_does_not_see_its_own_publication(story: Story) -> None:
    settings = settings_of(story.home)
    fingerprint, _ = recorded_build(settings.warehouse)
    before = published_before(settings.lake, "harbor", fingerprint)
    assert [len(before[kind]) for kind in ("kpi_values", "customers")] == [2, 2]
    write_plan(settings, load_mapping(story.home.config))
    assert [len(files) for files in read_plan(settings)["published"].values()] == [2, 1, 2]
    hashes = table_hashes(settings.warehouse)
    dbt(story.home, "run", "--select",
        "int_kpis__published int_kpis__published_customers int_history__published"
        " int_kpis__publication_changes kpi_changes customer_360_history")  # fmt: skip
    assert table_hashes(settings.warehouse) == hashes
    publish_build(settings)
    assert published_before(settings.lake, "harbor", fingerprint) == before
    assert len(list((story.home.path / "lake" / PUBLISHED_DATASET).rglob("*.parquet"))) == 8


def test_the_past_as_known_now_ends_at_today(story: Story) -> None:
    """At its last month end a customer has what customer_360 says, and earlier ones have less."""
    assert story.ask(2, """
        select customer_id from marts.customer_month_ends as ends
        inner join marts.customer_360 as customers using (customer_id)
        where next_month_end is null and (
            ends.orders_placed <> customers.orders_placed
            or ends.valid_orders <> customers.valid_orders
            or ends.revenue_reporting <> customers.revenue_reporting
            or ends.tickets <> customers.tickets
            or ends.journey_stage is distinct from customers.journey_stage
        )
    """) == []  # fmt: skip
    april = story.ask(2, """
        select sum(orders_placed) from marts.customer_month_ends
        where month_end <= date '2026-04-30' and coalesce(next_month_end > date '2026-04-30', true)
    """)  # fmt: skip
    ordered = "select count(*) from marts.fct_orders where ordered_on <= date '2026-04-30'"
    assert april == story.ask(2, f"{ordered} and customer_id is not null")
