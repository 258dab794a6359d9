"""The founded company: as many people as asked for, in families and firms, reachable and alike."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ingestion.simulator import catalogue, names
from ingestion.simulator.people import found
from ingestion.simulator.world import SCHEMAS

START = datetime(2023, 6, 1, tzinfo=UTC)
END = START + timedelta(days=700)


@pytest.fixture(scope="module")
def founding() -> dict[str, pa.Table]:
    return found(seed=7, customers=2000, started_at=START, ended_at=END)


@pytest.fixture(scope="module")
def people(founding: dict[str, pa.Table]) -> pa.Table:
    kind = founding["person"]["kind"]
    return founding["person"].filter(pc.is_in(kind, pa.array(["b2c", "b2b"])))


def _share(flags: pa.ChunkedArray) -> float:
    return float(pc.mean(pc.cast(flags, pa.float64())).as_py())


def test_tables_have_the_schemas_of_the_world(founding: dict[str, pa.Table]) -> None:
    assert all(table.schema == SCHEMAS[name] for name, table in founding.items())


@pytest.mark.parametrize(("customers", "days"), [(1, 1), (60, 30), (333, 400), (50, 1460)])
def test_exactly_so_many_customers_enter_before_the_end(customers: int, days: int) -> None:
    end = START + timedelta(days=days)
    person = found(seed=1, customers=customers, started_at=START, ended_at=end)["person"]
    real = pc.is_in(person["kind"], pa.array(["b2c", "b2b"]))
    before = pc.less(person["entered_at"], pa.scalar(end, pa.timestamp("us", tz="UTC")))
    assert pc.sum(pc.and_(real, before)).as_py() == customers


@pytest.mark.parametrize(("customers", "days"), [(0, 30), (10, 0), (10, 2000)])
def test_a_company_that_cannot_be_made_is_refused(customers: int, days: int) -> None:
    with pytest.raises(ValueError, match="give at least 1 customer"):
        found(seed=1, customers=customers, started_at=START, ended_at=START + timedelta(days=days))


def test_equal_seeds_give_equal_companies(founding: dict[str, pa.Table]) -> None:
    again = found(seed=7, customers=2000, started_at=START, ended_at=END)
    other = found(seed=8, customers=2000, started_at=START, ended_at=END)
    assert all(again[name].equals(table) for name, table in founding.items())
    assert not other["person"].equals(founding["person"])


def test_the_company_begins_with_a_base_and_goes_on_for_four_years(people: pa.Table) -> None:
    days = (people["entered_at"].cast(pa.int64()).to_numpy() - START.timestamp() * 1e6) / 86400e6
    assert 0.3 < (days < 21).sum() / 2000 < 0.4
    assert days.min() >= 0
    assert days.max() > 1440
    per_half_year = np.histogram(days[days > 21], bins=np.arange(30, 1460, 180))[0]
    assert per_half_year.min() > 150


def test_people_live_in_households_and_work_at_accounts(
    founding: dict[str, pa.Table], people: pa.Table
) -> None:
    assert _share(pc.equal(people["kind"], "b2b")) == pytest.approx(0.18, abs=0.03)
    consumers = people.filter(pc.equal(people["kind"], "b2c"))
    buyers = people.filter(pc.equal(people["kind"], "b2b"))
    assert _share(pc.is_valid(consumers["household_id"])) == pytest.approx(0.45, abs=0.04)
    sizes = consumers["household_id"].drop_null().value_counts().field("counts").to_numpy()
    assert set(sizes[:-1]) <= {1, 2, 3, 4}
    assert (sizes == 1).sum() <= 1  # only the last household may be cut short
    assert buyers["account_id"].null_count == 0
    staff = buyers["account_id"].value_counts().field("counts").to_numpy()
    assert staff.max() <= 8
    assert founding["account"].num_rows == len(staff)
    assert 0 < pc.sum(pc.is_valid(buyers["second_account_id"])).as_py() < 0.05 * buyers.num_rows
    for column in ("household_id", "account_id"):
        table = founding[column.removesuffix("_id")]
        used = pc.unique(people[column].drop_null())
        assert pc.all(pc.is_in(used, table[column].combine_chunks())).as_py()


def test_addresses_of_one_home_agree(founding: dict[str, pa.Table], people: pa.Table) -> None:
    together = people.join(founding["household"], "household_id", right_suffix="_home",
                           join_type="inner")  # fmt: skip
    assert together.num_rows > 500
    for column in ("street", "postal_code", "city", "country"):
        assert together[column].equals(together[f"{column}_home"])


def test_nobody_has_the_mailbox_of_another_and_all_domains_are_reserved(
    founding: dict[str, pa.Table],
) -> None:
    change = founding["person_change"]
    parts = [
        founding["person"]["email"].drop_null(),
        change.filter(pc.equal(change["field"], "email"))["value"],
        founding["account"]["role_email"].drop_null(),
        founding["household"]["shared_email"].drop_null(),
    ]
    mails = pa.concat_arrays([c for part in parts for c in part.chunks])
    assert pc.count_distinct(mails).as_py() == len(mails)
    assert founding["household"]["shared_email"].null_count < founding["household"].num_rows
    reserved = r"^[a-z0-9._+-]+@([a-z0-9-]+\.)*(test|example|example\.(com|net|org))$"
    odd = mails.filter(pc.invert(pc.match_substring_regex(mails, reserved)))
    assert odd.to_pylist() == []
    assert mails.filter(pc.match_substring_regex(mails, r"@(\.|-)|\.\.|@\.|^\.")).to_pylist() == []


def test_telephone_numbers_are_valid_in_the_country(people: pa.Table) -> None:
    for row in people.slice(0, 600).select(["phone", "country"]).to_pylist():
        if row["phone"] is not None:
            number = phonenumbers.parse(row["phone"])
            assert phonenumbers.is_valid_number_for_region(number, row["country"]), row
    assert 0.05 < people["phone"].null_count / people.num_rows < 0.25


def test_names_collide_as_they_do_in_life(people: pa.Table) -> None:
    def most(columns: list[str]) -> int:
        keys = people.filter(pc.is_valid(people[columns[-1]]))
        counts = keys.group_by(columns).aggregate([([], "count_all")])["count_all"]
        return int(pc.sum(pc.greater(counts, 1)).as_py())

    assert most(["first_name", "last_name"]) > 100
    assert most(["first_name", "last_name", "city"]) > 20
    # A father and a son, say, of one name at one address.
    assert most(["first_name", "last_name", "household_id"]) > 3


def test_pools_are_large_and_russian_names_have_two_scripts(people: pa.Table) -> None:
    for code in names.LANGUAGES:
        first = {n for g in ("female", "male") for n in names.first_names(code, g).to_pylist()}
        assert len(first) >= 115
        assert len(names.last_names(code, "male")) >= 200
        assert len(names.nicknames(code)) >= 30
    russian = people.filter(pc.equal(people["language"], "ru"))
    assert _share(pc.match_substring_regex(russian["native_last_name"], r"\p{Cyrillic}")) > 0.9
    assert not pc.any(pc.match_substring_regex(people["last_name"], r"\p{Cyrillic}")).as_py()
    assert names.latin("Щукин") == "Shchukin"
    assert names.fold(pa.array(["Weiß", "Gonçalves", "Müller"])).to_pylist() == [
        "Weiss", "Goncalves", "Muller",
    ]  # fmt: skip
    assert names.mail_part(pa.array(["Müller", "O'Brien"])).to_pylist() == ["mueller", "obrien"]


def test_friends_and_campaigns_were_there_before_those_they_brought(
    founding: dict[str, pa.Table], people: pa.Table
) -> None:
    entered = founding["person"]["entered_at"].cast(pa.int64()).to_numpy()
    referred = people.filter(pc.is_valid(people["referred_by"]))
    assert referred.num_rows > 50
    own, friend = referred["person_id"].to_numpy() - 1, referred["referred_by"].to_numpy() - 1
    assert (entered[friend] < entered[own]).all()
    bought = people.filter(pc.is_valid(people["acquisition_campaign_id"]))
    joined = bought.join(
        founding["campaign"], "acquisition_campaign_id", "campaign_id", right_suffix="_campaign",
        join_type="inner",
    )  # fmt: skip
    assert joined.num_rows > 500
    assert joined["acquisition_channel"].equals(joined["channel"])
    assert pc.all(pc.less_equal(joined["started_at"], joined["entered_at"])).as_py()
    assert pc.all(pc.less(joined["entered_at"], joined["ended_at"])).as_py()


def test_what_changes_changes_after_the_person_has_come(founding: dict[str, pa.Table]) -> None:
    change = founding["person_change"].join(founding["person"], "person_id")
    assert pc.all(pc.greater(change["changed_at"], change["entered_at"])).as_py()
    fields = set(change["field"].to_pylist())
    assert fields == {"email", "phone", "last_name", "street", "postal_code", "city"}
    assert change["value"].null_count == 0
    assert founding["erasure"].num_rows > 5


def test_every_person_has_a_device_and_some_families_share_one(
    founding: dict[str, pa.Table],
) -> None:
    device, person = founding["device"], founding["person"]
    assert pc.count_distinct(device["device_id"]).as_py() == device.num_rows
    assert pc.count_distinct(device["person_id"]).as_py() == person.num_rows
    shared = device.filter(device["is_shared"])
    homes = founding["household"]
    assert shared.num_rows == homes.num_rows - homes["shared_device_id"].null_count
    assert shared.num_rows / homes.num_rows == pytest.approx(0.12, abs=0.04)
    bots = person.filter(pc.equal(person["kind"], "bot"))["person_id"].combine_chunks()
    owner = device.filter(device["is_bot"])["person_id"]
    assert set(owner.to_pylist()) == set(bots.to_pylist())


def test_there_are_test_persons_bots_and_employees_from_the_beginning() -> None:
    end = START + timedelta(days=60)
    small = found(seed=3, customers=60, started_at=START, ended_at=end)
    person = small["person"].filter(
        pc.less(small["person"]["entered_at"], pa.scalar(end, pa.timestamp("us", tz="UTC")))
    )
    assert {"test", "bot", "employee", "b2c", "b2b"} == set(person["kind"].to_pylist())
    groups = small["employee"].filter(pc.equal(small["employee"]["team"], "support"))
    assert len(set(groups["support_group"].to_pylist())) == 5
    assert set(small["employee"]["team"].to_pylist()) == {"sales", "support", "marketing"}


def test_reference_data_covers_four_years(founding: dict[str, pa.Table]) -> None:
    rate = founding["exchange_rate"]
    last = START.date() + timedelta(days=1460)
    for currency in catalogue.CURRENCIES:
        days = rate.filter(pc.equal(rate["currency"], currency))
        assert pc.count_distinct(days["day"]).as_py() == days.num_rows
        assert pc.min(days["day"]).as_py() <= START.date()
        assert pc.max(days["day"]).as_py() >= last
    euro = rate.filter(pc.equal(rate["currency"], "EUR"))["to_eur"]
    assert set(euro.to_pylist()) == {1.0}
    pound = rate.filter(pc.equal(rate["currency"], "GBP"))["to_eur"].to_numpy()
    assert 0.9 < pound.min() < pound.max() < 1.5
    newest = pc.max(founding["campaign"]["started_at"]).as_py()
    assert newest > START + timedelta(days=1400)


def test_platforms_bill_what_their_campaigns_cost(founding: dict[str, pa.Table]) -> None:
    spend = founding["ad_spend"].to_pandas()
    campaigns = founding["campaign"].to_pandas().set_index("campaign_id")
    per_campaign = spend.groupby("campaign_id")
    assert set(campaigns.channel[[*per_campaign.groups]]) == {
        "paid_search",
        "paid_social",
        "display",
    }
    for campaign_id, days in per_campaign:
        campaign = campaigns.loc[campaign_id]
        rate = Decimal("1.15") if campaign.channel == "display" else 1
        assert set(days.currency) == {"USD" if campaign.channel == "display" else "EUR"}
        assert abs(days.amount.sum() - campaign.actual_cost * rate) <= Decimal("0.01")
        assert days.day.is_unique and len(days) > 7
        assert days.day.min() == campaign.started_at.date()
        assert days.day.max() == campaign.ended_at.date()
    assert (spend.impressions > spend.clicks).all() and (spend.clicks > 0).all()


def test_every_product_has_one_price_a_time_in_every_currency(
    founding: dict[str, pa.Table],
) -> None:
    price, product = founding["price"], founding["product"]
    keys = price.group_by(["product_id", "currency", "valid_from"]).aggregate([([], "count_all")])
    assert keys.num_rows == price.num_rows
    pairs = price.group_by(["product_id", "currency"]).aggregate([("valid_from", "min")])
    assert pairs.num_rows == product.num_rows * len(catalogue.CURRENCIES)
    euro = price.filter(pc.equal(price["currency"], "EUR")).join(product, "product_id")
    assert pc.all(pc.less(euro["unit_cost"], euro["amount"])).as_py()
    first = pairs.join(product, "product_id")
    start = pa.scalar(START, pa.timestamp("us", tz="UTC"))
    on_sale = pc.if_else(pc.less(first["launched_at"], start), start, first["launched_at"])
    assert pc.all(pc.less_equal(first["valid_from_min"], on_sale)).as_py()


def test_easter_and_what_follows_from_it(founding: dict[str, pa.Table]) -> None:
    known = {2023: (4, 9), 2024: (3, 31), 2025: (4, 20), 2026: (4, 5), 2038: (4, 25)}
    for year, (month, day) in known.items():
        assert catalogue.easter_sunday(year) == date(year, month, day)
    rows = {(r["day"], r["country"]): r["name"] for r in founding["holiday"].to_pylist()}
    assert rows[date(2024, 3, 29), "DE"] == "Karfreitag"
    assert rows[date(2024, 11, 28), "US"] == "Thanksgiving"
    assert rows[date(2024, 8, 26), "GB"] == "Summer bank holiday"
