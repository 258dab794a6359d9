import pytest

from ingestion.errors import SourceError
from tests.ingestion.conftest import HEADER, MAPPING, Company, order_rows

SECOND_SOURCE = """\
  crm:
    files:
      leads:
        path: leads.csv
        key: id
        concept: order
        fields: {order_id: id, status: state, ordered_at: at, person_record_id: buyer}
"""


def test_a_second_run_loads_nothing(company: Company) -> None:
    company.write("orders.csv", HEADER + order_rows(1, 2))
    first = company.load().result
    assert first.documents == {"orders": 2}
    assert [load.load_id for load in company.lake.complete_loads("acme_shop")] == [first.load_id]
    assert company.load().result.load_id is None
    assert company.loaded_keys() == ["1", "2"]
    assert [p.name for p in (company.root / "state").iterdir()] == ["acme_shop.lock"]


def test_renamed_nothing_changed_again_new_only_itself(company: Company) -> None:
    state_a, state_b = HEADER + order_rows(1), HEADER + order_rows(1, 2)
    company.write("orders_1.csv", state_a)
    assert company.load().result.documents == {"orders": 1}
    (company.root / "orders_1.csv").rename(company.root / "orders_2.csv")
    assert company.load().result.load_id is None
    company.write("orders_2.csv", state_b)
    assert company.load().result.documents["orders"] == 2
    company.write("orders_2.csv", state_a)
    assert company.load().result.documents["orders"] == 1
    company.write("orders_3.csv", HEADER + order_rows(7, 8, 9))
    assert company.load().result.documents["orders"] == 3
    assert company.loaded_keys() == ["1", "1", "2", "1", "7", "8", "9"]


def test_an_older_state_exported_under_a_new_name_counts_as_the_newest(company: Company) -> None:
    company.write("orders_1.csv", HEADER + "1,paid,2026-01-01,b\n")
    company.load()
    company.write("orders_2.csv", HEADER + "1,returned,2026-01-01,b\n")
    company.load()
    company.write("orders_3.csv", HEADER + "1,paid,2026-01-01,b\n")
    assert company.load().result.documents["orders"] == 1
    assert company.load().result.load_id is None


def test_the_same_name_in_two_folders_is_two_files(company: Company) -> None:
    company.write("mapping.yml", MAPPING.replace("orders*.csv", "*/orders.csv"))
    company.write("2025/orders.csv", HEADER + order_rows(1))
    company.write("2026/orders.csv", HEADER + order_rows(2))
    assert company.load().result.documents == {"orders": 2}
    assert company.load().result.load_id is None
    (load,) = company.lake.complete_loads("acme_shop")
    with company.lake.connect() as connection:
        origins = connection.execute(
            "select _origin from read_parquet(?) order by all", [load.files["orders"]]
        ).fetchall()
    assert origins == [("2025/orders.csv",), ("2026/orders.csv",)]


def test_a_name_with_signs_of_a_pattern_is_a_name(company: Company) -> None:
    company.write("mapping.yml", MAPPING.replace("orders*.csv", "orders [2026].csv"))
    company.write("orders [2026].csv", HEADER + order_rows(1))
    assert company.load().result.documents == {"orders": 1}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (b"\xe9", r"orders_3\.csv: is not UTF-8"),
        (b'1,"cut\n', r"orders_3\.csv: a quote opens in row \d+ and never closes"),
    ],
)
def test_a_failing_file_leaves_lake_and_state_as_they_were(
    company: Company, fault: bytes, message: str
) -> None:
    company.write("orders_1.csv", HEADER + order_rows(1))
    company.load()
    company.write("orders_2.csv", HEADER + order_rows(2))
    good = (HEADER + order_rows(*range(3, 5000))).encode()
    middle = good.index(b"2500,")
    path = company.write("orders_3.csv", good[:middle] + fault + good[middle:])
    before = company.lake.files("acme_shop")
    with pytest.raises(SourceError, match=message):
        company.load()
    assert company.lake.files("acme_shop") == before
    assert company.loaded_keys() == ["1"]
    path.write_bytes(good)
    assert company.load().result.documents["orders"] == 4998
    assert company.loaded_keys() == [str(n) for n in range(1, 5000)]


def test_a_missing_column_stops_the_source_before_anything_is_loaded(company: Company) -> None:
    company.write("orders_1.csv", HEADER + order_rows(1))
    company.write("orders_2.csv", HEADER.replace("state", "stat") + order_rows(2))
    with pytest.raises(
        SourceError, match=r"orders_2\.csv: no column 'state' \(the file has 'stat'\)"
    ):
        company.load()
    assert company.lake.files() == []


def test_a_missing_file_stops_its_source_only(company: Company) -> None:
    company.write("mapping.yml", MAPPING + SECOND_SOURCE)
    company.write("leads.csv", HEADER + order_rows(1))
    with pytest.raises(SourceError, match=r"source 'shop': no file 'orders\*\.csv' in .*optional"):
        company.load("shop")
    assert company.load("crm").result.documents == {"leads": 1}
    assert company.lake.complete_loads("acme_shop") == []


def test_an_optional_file_may_come_later(company: Company) -> None:
    company.write("mapping.yml", MAPPING.replace("key: id", "key: id\n        optional: true"))
    assert company.load().result.load_id is None
    company.write("orders.csv", HEADER + order_rows(1))
    assert company.load().result.documents == {"orders": 1}


def test_an_empty_file_is_noted_and_stops_nothing(company: Company) -> None:
    company.write("orders_1.csv", b"")
    company.write("orders_2.csv", HEADER + order_rows(1))
    load = company.load()
    assert load.notes == ["orders_1.csv: the file is empty"]
    assert load.result.documents == {"orders": 1}
    company.write("orders_1.csv", HEADER + order_rows(2))
    assert company.load().result.documents["orders"] == 1


def test_a_state_that_returns_after_another_is_read_again(company: Company) -> None:
    """Each export replaces the one before; the third is the first again, and no rename of it."""
    states = [HEADER + order_rows(1), HEADER + order_rows(2), HEADER + order_rows(1)]
    for number, state in enumerate(states, start=1):
        company.write(f"orders_{number}.csv", state)
        assert company.load().result.documents["orders"] == 1, number
        (company.root / f"orders_{number}.csv").unlink()
    assert company.loaded_keys() == ["1", "2", "1"]
