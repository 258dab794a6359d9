"""What breaks is a failed check; nothing is held open, written or sent."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import landed
from expectations.checks import suite, text
from expectations.runner import CheckResult, SuiteResult, _opened, run_suite, validate

Damaged = Callable[..., Path]


def test_a_check_whose_column_is_gone_fails_with_its_error_and_the_others_go_on(
    damaged: Damaged, capfd: pytest.CaptureFixture[str]
) -> None:
    path = damaged("alter table staging.stg__orders drop column status")
    checks = [check for suite in validate(path, "landed") for check in suite.checks]
    (failed,) = [check for check in checks if not check.passed]
    assert (failed.name, failed.severity) == ("orders_status_mix", "warning")
    assert failed.error is not None and '"status" not found' in failed.error
    assert "SQL" not in failed.error and "http" not in failed.error
    assert [c.skipped for c in checks if c.name == "orders_total_amount_mean"] == [None]
    assert capfd.readouterr().err == ""


def test_a_missing_table_fails_every_check_that_reads_it(damaged: Damaged) -> None:
    results = {s.name: s for s in validate(damaged("drop table marts.fct_orders"), "marts")}
    assert len(results) == 6
    assert results["marts_orders"].blocks
    for check in results["marts_orders"].checks:
        assert not check.passed
        assert check.error is not None and "fct_orders does not exist" in check.error
    assert results["marts_journey"].passed
    broken = {c.name for c in results["marts_kpis"].checks if not c.passed}
    assert broken == {"revenue_is_that_of_the_orders"}


def test_a_broken_expectation_is_no_pass_and_takes_no_other_with_it(clean: Path) -> None:
    import great_expectations.expectations as gxe

    checks = [
        gxe.ExpectColumnMeanToBeBetween(column="full_name", min_value=0),
        gxe.ExpectColumnValuesToBeUnique(column="no_such_column", severity="warning"),
        gxe.UnexpectedRowsExpectation(unexpected_rows_query="select {batch} from nothing at all"),
        gxe.ExpectColumnMaxToBeBetween(column="revenue_reporting", max_value=1000),
        gxe.ExpectTableRowCountToEqual(value=3),
    ]
    with _opened(clean) as source:
        result = run_suite(source, suite("broken", "marts.customer_360", checks))
    assert [check.passed for check in result.checks] == [False, False, False, True, True]
    assert [check.severity for check in result.checks[:3]] == ["critical", "warning", "critical"]
    assert all(check.error for check in result.checks[:3])
    assert not any(check.error for check in result.checks[3:])


def test_a_missing_file_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.duckdb"):
        validate(tmp_path / "no.duckdb", "marts")
    assert list(tmp_path.iterdir()) == []


WRITE = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table t as select 1')"


def test_another_process_can_write_right_afterwards(damaged: Damaged) -> None:
    path = damaged("drop table marts.fct_orders")  # errors must not keep the file open either
    validate(path, "landed")
    validate(path, "marts")
    subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True)
    with duckdb.connect(str(path)) as db:
        assert db.execute("select * from t").fetchall() == [(1,)]


def test_the_file_is_not_changed_and_may_be_open_for_reading_elsewhere(clean: Path) -> None:
    before = clean.read_bytes()
    with duckdb.connect(str(clean), read_only=True) as reader:
        validate(clean, "landed")
        assert reader.execute("select count(*) from marts.customer_360").fetchall() == [(3,)]
    assert clean.read_bytes() == before
    assert not clean.with_suffix(".duckdb.wal").exists()


def test_the_dialect_opens_for_reading_only(clean: Path) -> None:
    import sqlalchemy

    from expectations.duckdb_dialect import ENGINE_OPTIONS, read_only_url

    engine = sqlalchemy.create_engine(read_only_url(clean), **ENGINE_OPTIONS)
    try:
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text("select customer_id from marts.fct_orders"))
        # read after the connection was given back, as Great Expectations does
        assert len(rows.fetchall()) == 5
        with (
            engine.connect() as connection,
            pytest.raises(sqlalchemy.exc.DBAPIError, match="read-only"),
        ):
            connection.execute(sqlalchemy.text("drop table marts.fct_orders"))
    finally:
        engine.dispose()


def test_a_path_with_signs_in_it_is_opened(clean: Path, tmp_path: Path) -> None:
    odd = tmp_path / "100 % ä?b#c@d:e.duckdb"
    odd.write_bytes(clean.read_bytes())
    assert all(suite.passed for suite in validate(odd, "landed"))


QUIET = """
import os, socket, sys
from pathlib import Path

def refuse(*where):
    sys.stderr.write(f"connects to {where}")
    os._exit(1)

socket.socket.connect = socket.socket.connect_ex = refuse
import expectations.landed, expectations.marts, expectations.page, expectations.runner as runner
assert "great_expectations" not in sys.modules, "imported before it is needed"
runner.validate(Path(sys.argv[1]), "landed")
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
"""


def test_nothing_is_imported_early_printed_or_sent(clean: Path, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GX_")}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(clean)],
        env={**kept, "HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert list(tmp_path.rglob("*great_expectations*")) == []


def test_suites_pass_and_block_by_their_checks() -> None:
    good = CheckResult("a", "A.", None, True, "critical")
    warned = CheckResult("b", "B.", None, False, "warning")
    bad = CheckResult("c", "C.", None, False, "critical", error="broke")
    assert (SuiteResult("s", "t", [good]).passed, SuiteResult("s", "t", [good]).blocks) == (
        True,
        False,
    )
    warning = SuiteResult("s", "t", [good, warned])
    assert (warning.passed, warning.blocks) == (False, False)
    blocked = SuiteResult("s", "t", [warned, bad])
    assert (blocked.passed, blocked.blocks) == (False, True)


@settings(deadline=None)
@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    | st.text("a:\\{}'%1", max_size=8)
)
def test_any_text_survives_the_way_into_the_database(clean: Path, value: str) -> None:
    import sqlalchemy

    from expectations.duckdb_dialect import read_only_url

    query = f"select {text(value)} as value from {{batch}}".format(batch="(select 1) as t")
    engine = sqlalchemy.create_engine(read_only_url(clean))
    try:
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text(query)).scalar() == value
    finally:
        engine.dispose()


shares = st.lists(st.integers(0, 60), min_size=3, max_size=3).filter(lambda c: sum(c) >= 100)


@settings(max_examples=40, deadline=None)
@given(now=shares, before=shares)
def test_the_stability_index_is_that_of_its_formula(now: list[int], before: list[int]) -> None:
    from math import log

    psi = 0.0
    for p, q in zip(now, before, strict=True):
        if p or q:
            p_share, q_share = (
                max(n, 0.0001 * t) / t for n, t in [(p, sum(now)), (q, sum(before))]
            )
            psi += (p_share - q_share) * log(p_share / q_share)
    kinds = sum(1 for p, q in zip(now, before, strict=True) if p or q)
    psi -= (kinds - 1) * (1 / sum(now) + 1 / sum(before))

    check = next(c for c in landed.drift().expectations if c.meta["name"] == "orders_status_mix")
    query = check.unexpected_rows_query.format(batch="quality.load_accounts")
    with duckdb.connect() as db:
        db.execute("create schema staging; create schema quality")
        db.execute(
            "create table staging.stg__orders as select 'shop' as source, "
            "'orders' as source_table, load_id, chr(65 + kind) as status, false as is_deleted, "
            "null::bigint as element, [] as rejections from ("
            "select unnest([1, 1, 1, 2, 2, 2]) as load_id, "
            f"unnest([0, 1, 2, 0, 1, 2]) as kind, unnest({before + now}) as documents) as mixes, "
            "range(mixes.documents)"
        )
        db.execute(
            "create table quality.load_accounts as select source, source_table, "
            "'orders' as model, load_id, count(*) as accepted "
            "from staging.stg__orders group by all"
        )
        rows = db.execute(query).fetchall()
    assert len(rows) == (psi > 0.25)
    if rows:
        assert f"(PSI {psi:.2f})" in rows[0][0]
