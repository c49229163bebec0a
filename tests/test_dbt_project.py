"""The dbt project by itself: its unit tests, its data tests on random programmes, its contracts and its manners."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from pipelines.build import PROJECT
from pipelines.errors import BuildError
from tests.line import Line
from tests.programme_activity import plan_stories
from tests.programmes import random_programme

MOST_GATE_TESTS = 12

CORRUPTIONS = {
    "mart_keys_are_unique": [
        "insert into marts.payouts select * from marts.payouts limit 1",
        "update marts.partners set partner_id = null where partner_id = (select min(partner_id) from marts.partners)",
    ],
    "statements_add_up": [
        "update marts.commission_statement_monthly set paid = paid + 0.00000001",
        "update marts.commission_statement_monthly set pending_balance = pending_balance + 1",
        "update marts.commission_statement_monthly set earned = null",
        "update marts.commission_statement_monthly set fx_revaluation_rc = 1 where currency = 'EUR'",
        "update marts.commission_statement_monthly set in_transit_rc = in_transit_rc + 1",
    ],
    "statements_follow_each_other": [
        "update marts.commission_statement_monthly set opening_balance = opening_balance + 1, earned = earned - 1",
        "update marts.commission_statement_monthly set opening_rc = opening_rc + 1, earned_rc = earned_rc - 1",
        # months in which nothing moved: the balances around them still follow each other
        "delete from marts.commission_statement_monthly where opening_balance = closing_balance "
        "and opening_balance != 0 and month < (select max(month) from marts.commission_statement_monthly)",
        "delete from marts.commission_statement_monthly where currency = 'USD' "
        "and month = (select max(month) from marts.commission_statement_monthly)",
    ],
    "money_is_conserved": [
        "update marts.commission_ledger set amount = amount + 1 where entry_type = 'earned'",
        "update marts.commission_ledger set bucket = 'payable' where bucket = 'pending'",
        "update marts.commission_ledger set amount = null where entry_type = 'paid'",
        "update marts.commissions set net_amount = net_amount + 1, calculated_amount = calculated_amount + 1",
        "update marts.commissions set adjusted_amount = adjusted_amount + 1",
        "update marts.commissions set currency = 'XXX'",
        "delete from marts.commission_statement_monthly where currency = 'EUR'",
        "update marts.commission_liability_aging set amount = amount + 1",
        "delete from marts.commission_liability_aging where age_band = (select min(age_band) from "
        "marts.commission_liability_aging)",
        "update marts.commission_liabilities_monthly set balance_amount = balance_amount + 1, payable_amount = "
        "payable_amount + 1",
        "update marts.commission_liabilities_monthly set receivable_amount = receivable_amount + 1",
        "update marts.commission_liabilities_monthly set pending_rc = pending_rc + 1 where currency = 'EUR'",
    ],
    "partners_of_marts_are_known": [
        "delete from marts.partners where partner_id in (select partner_id from marts.commission_ledger)",
        "update marts.conversions set partner_id = 'nobody'",
    ],
    "payouts_agree_with_the_ledger": [
        "update marts.payouts set status = 'completed' where status = 'failed'",
        "update marts.payouts set status = 'processing' where status = 'completed'",
        "update marts.payouts set debit_amount = debit_amount + 1 where status = 'completed'",
        "delete from marts.payouts where status = 'completed'",
    ],
    "received_lines_are_accounted_for": [
        "delete from raw.click_events where event_id = (select min(event_id) from raw.click_events)",
        "insert into raw.payout_events from raw.payout_events limit 1",
        "update raw.loads set duplicate = duplicate + 1 where batch_id = (select min(batch_id) from raw.loads)",
        "update raw.partner_events set received_at = received_at - interval 40 day",
    ],
    "economics_add_up": [
        "update marts.partner_economics set margin_rc = 1",
        "update marts.partner_economics set commission_rc = commission_rc + 1",
        "update marts.partner_economics set override_rc = override_rc + 1",
        "update marts.partner_economics set player_revenue_rc = 0",
        "update marts.customer_cohorts_monthly set margin_rc = 1",
        "update marts.revshare_monthly set variance_rc = 1",
    ],
    "partner_history_is_gapless": [
        "update marts.partner_history set valid_to = valid_to + interval 1 second where not is_current",
        "update marts.partner_history set is_current = false",
        "update marts.partner_history set status = 'dormant' where is_current",
        "delete from marts.partner_history where not is_inferred",
    ],
    "partner_tiers_do_not_overlap": [
        "update marts.partner_tiers set effective_to = null",
        "update marts.partner_tiers set effective_to = effective_from",
    ],
    "roll_ups_add_up": [
        "update marts.conversion_funnel_daily set gross_clicks = gross_clicks + 1",
        "update marts.traffic_source_daily set conversions = conversions + 1",
        "update marts.rejections_daily set cohort_rejected = cohort_rejected + 1",
        "update marts.partner_performance_daily set returned = returned + 0.00000001",
        "delete from marts.partner_performance_daily where currency = 'USD'",
    ],
    "raw_money_is_in_the_ledger": [
        "update marts.commission_ledger set amount = amount + 0.00000001 where entry_type = 'earned'",
        "update marts.commission_ledger set currency = 'XXX' where entry_type = 'adjusted'",
        "delete from marts.commission_ledger where entry_type = 'transferred'",
        "delete from raw.commission_events where event_type = 'commission.adjusted' and amount_delta != 0",
    ],
    "roll_ups_conserve_money": [
        "update marts.commission_clawbacks_monthly set earned_amount = earned_amount + 1",
        "update marts.commission_clawbacks_monthly set clawed_back_amount = clawed_back_amount + 1",
        "update marts.payout_performance_daily set failed_amount = failed_amount + 1",
        "delete from marts.payout_performance_daily where completed_payouts > 0",
        "update marts.payout_reconciliation set paid_amount = 0",
        "update marts.traffic_source_daily set value_rc = value_rc + 1",
        "update marts.sub_affiliate_overrides_monthly set override_rc = override_rc + 1",
    ],
    "moves_within_sum_to_zero": [
        "update marts.commission_ledger set amount = amount + 1 where entry_type = 'approved' and bucket = 'payable'",
        "delete from marts.commission_ledger where entry_type = 'reserved' and bucket = 'in_transit'",
        "update marts.commission_ledger set partner_id = 'nobody' where entry_type = 'released' and bucket = 'payable'",
    ],
    "transfers_sum_to_zero": [
        "update marts.commission_ledger set amount = amount + 1 where entry_type = 'transferred'",
    ],
    "rejection_rates_add_up": [
        "update marts.rejections_daily set rejection_rate = rejection_rate + 0.001",
        "delete from marts.rejections_daily where cohort_rejected > 0",
        "update marts.conversion_funnel_daily set qualified = qualified + 1 where rejected > 0",
    ],
    "marts_are_as_fresh_as_raw": [
        "delete from marts.pipeline_freshness where event_type = 'conversion.created'",
        "update marts.pipeline_freshness set received_hour = received_hour - interval 1 hour",
        "update raw.payout_events set received_at = received_at + interval 2 hour",
    ],
    "money_is_exact": [
        "alter table marts.data_exceptions alter amount_at_risk type double",
        "alter table marts.payouts alter amount type double",
        "alter table marts.commission_statement_monthly alter earned_rc type decimal(28, 4)",
    ],
}

WARNINGS = {"transfers_sum_to_zero"}
"""Tests of what a lost event breaks, and no build."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A built warehouse and what the data tests found in it, by name of the test."""

    line: Line
    after_full: dict[str, Any]
    after_incremental: dict[str, Any]


def dbt(line: Line, *arguments: str) -> dict[str, Any]:
    """Results of one dbt command on the warehouse of *line*, by name of the node."""
    os.environ["HOOKMART_DUCKDB"] = str(line.warehouse.database)
    outcome: Any = dbtRunner(manifest=line.builder._parsed_project()).invoke([*arguments, *line.builder._common()])
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    assert outcome.exception is None, outcome.exception
    return {result.node.name: result for result in outcome.result.results if result.node.resource_type != "operation"}


def failures(results: dict[str, Any]) -> dict[str, str]:
    """What did not pass; a test that only warns may find something in a programme of which half was lost."""
    return {
        name: result.message
        for name, result in results.items()
        if result.status != "pass" and not (result.status == "warn" and name in WARNINGS)
    }


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    line = Line(tmp_path_factory.mktemp("inspected"), "Europe/Malta")
    posts = [*random_programme(1), *plan_stories()]
    line.stage_posts(posts[::2])
    line.load()
    line.build()
    after_full = dbt(line, "test", "--select", "test_type:data")
    line.stage_posts(posts[1::2] + random_programme(2))
    line.load()
    assert not line.build().is_full
    return Inspected(line, after_full, dbt(line, "test", "--select", "test_type:data"))


@pytest.fixture(scope="module")
def manifest(inspected: Inspected) -> Any:
    return inspected.line.builder._parsed_project()


@pytest.fixture(scope="module")
def models(manifest: Any) -> list[Any]:
    return [node for node in manifest.nodes.values() if node.resource_type == "model"]


@pytest.fixture(scope="module")
def marts(models: list[Any]) -> list[Any]:
    return [model for model in models if model.schema == "marts"]


@pytest.fixture(scope="module")
def warehouse_copy(
    inspected: Inspected, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    # The same file name, so that the tests' SQL finds its catalog.
    copy = tmp_path_factory.mktemp("copy") / inspected.line.warehouse.database.name
    shutil.copy(inspected.line.warehouse.database, copy)
    with duckdb.connect(copy) as connection:
        yield connection


@pytest.fixture
def corruptible(warehouse_copy: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the warehouse as it was built; whatever a test does to it is undone."""
    warehouse_copy.execute("begin")
    yield warehouse_copy
    warehouse_copy.execute("rollback")


@pytest.fixture(scope="module")
def empty(inspected: Inspected, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A warehouse with events loaded and tables of models that are still empty."""
    line = Line(tmp_path_factory.mktemp("empty"), "Europe/Malta", inspected.line.builder)
    line.stage_posts(random_programme(3, conversions=1, payouts=1, sources=("acme",)))
    line.load()
    dbt(line, "run", "--empty")
    return line


def test_every_unit_test_of_the_project_passes(empty: Line, manifest: Any) -> None:
    """The lifecycles hold in two or three rows each."""
    results = dbt(empty, "test", "--select", "test_type:unit")
    assert failures(results) == {}
    assert set(results) == {test.name for test in manifest.unit_tests.values()}


def test_a_run_of_empty_models_records_no_build(empty: Line) -> None:
    """Tables made for unit tests must not count as a build that has seen what is loaded."""
    assert empty.query_warehouse("from intermediate.builds") == []


def test_data_tests_pass_after_a_full_build(inspected: Inspected) -> None:
    """Half of a random programme, its other half late or lost, breaks no key, no sum and no status."""
    assert failures(inspected.after_full) == {}


def test_data_tests_pass_after_an_incremental_build(inspected: Inspected) -> None:
    """Nor does the other half, with a second programme, derived from the touched keys only."""
    assert failures(inspected.after_incremental) == {}
    assert set(inspected.after_incremental) == set(inspected.after_full)


@pytest.mark.parametrize(("name", "corruption"), [(name, sql) for name, each in CORRUPTIONS.items() for sql in each])
def test_an_integrity_test_finds_what_is_corrupted(
    inspected: Inspected, corruptible: duckdb.DuckDBPyConnection, name: str, corruption: str
) -> None:
    """A test that could not fail would prove nothing: one wrong cell, and it does."""
    sql = inspected.after_incremental[name].node.compiled_code
    before = corruptible.execute(sql).fetchall()
    assert before == [] or name in WARNINGS
    changed = corruptible.execute(corruption).fetchone()
    assert corruption.startswith("alter") or (changed and changed[0] > 0), "the corruption changed nothing"
    assert corruptible.execute(sql).fetchall() not in ([], before)


def test_every_singular_test_is_shown_to_fail(manifest: Any) -> None:
    """No integrity test is left out above, and each says in words what it holds."""
    tests = [node for node in manifest.nodes.values() if node.resource_type == "test"]
    singular = [node for node in tests if not hasattr(node, "test_metadata")]
    assert {node.name for node in singular} == set(CORRUPTIONS)
    assert [node.name for node in singular if not node.description] == []


def test_a_repeated_row_breaks_the_key_of_every_mart(
    inspected: Inspected, corruptible: duckdb.DuckDBPyConnection, marts: list[Any]
) -> None:
    """The test beside the mart and the one of the gate both see a second row of the same key."""
    for mart in marts:
        [own] = [name for name in inspected.after_incremental if name.startswith(f"primary_key_{mart.name}_source_id")]
        corruptible.execute(f"insert into marts.{mart.name} from marts.{mart.name} limit 1")
        assert len(corruptible.execute(inspected.after_incremental[own].node.compiled_code).fetchall()) == 1
        found = corruptible.execute(inspected.after_incremental["mart_keys_are_unique"].node.compiled_code).fetchall()
        assert mart.name in {row[0] for row in found}


def test_a_broken_mart_fails_the_gate(inspected: Inspected, tmp_path: Path) -> None:
    """What the gate finds stops the build, and is named in the error."""
    line = Line(tmp_path, "Europe/Malta", inspected.line.builder)
    shutil.copy(inspected.line.warehouse.database, line.warehouse.database)
    with duckdb.connect(line.warehouse.database) as connection:
        connection.execute("delete from marts.partners")
    with pytest.raises(BuildError, match="partners_of_marts_are_known"):
        line.builder._dbt("test", "--select", "tag:gate")


def test_the_gate_is_small(manifest: Any) -> None:
    """Every build waits for the gate, so it is a few queries over many marts, not many over one each."""
    gate = [node.name for node in manifest.nodes.values() if "gate" in node.tags]
    assert 0 < len(gate) <= MOST_GATE_TESTS
    assert set(gate) <= set(CORRUPTIONS)


def test_every_model_has_its_key_tested(manifest: Any, models: list[Any], marts: list[Any]) -> None:
    """A grain that is written down and not tested is a wish; the gate tests the same keys of the marts."""
    keys = {
        re.sub(r"^.*\('|'\).*$", "", node.test_metadata.kwargs["model"]): node.test_metadata.kwargs["columns"]
        for node in manifest.nodes.values()
        if node.resource_type == "test" and hasattr(node, "test_metadata") and node.test_metadata.name == "primary_key"
    }
    assert set(keys) == {model.name for model in models}
    gate = (PROJECT / "tests" / "mart_keys_are_unique.sql").read_text()
    # The formatter breaks what is long, and puts a comma behind the last.
    in_gate = {
        name: re.findall(r'"(\w+)"', columns) for name, columns in re.findall(r'\(\s*"(\w+)",\s*\[([^\]]*)\]', gate)
    }
    assert in_gate == {mart.name: keys[mart.name] for mart in marts}


def test_every_model_says_what_a_row_is(models: list[Any], marts: list[Any]) -> None:
    """The first sentence of a description is the grain; that of a mart ends with the question it answers."""
    assert [model.name for model in models if not model.description.startswith("One row per ")] == []
    assert [mart.name for mart in marts if not re.search(r"Answers: [^?]+\?$", mart.description.strip())] == []


def test_every_mart_keeps_a_contract(marts: list[Any], inspected: Inspected) -> None:
    """Columns, their order and their types are promised to BI tools; a model that breaks them is refused."""
    assert len(marts) > 0
    columns = inspected.line.query_warehouse(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'marts' order by table_name, ordinal_position"
    )
    for mart in marts:
        assert mart.config.contract.enforced, mart.name
        assert [column.name for column in mart.columns.values() if not (column.description and column.data_type)] == []
        built = [row["column_name"] for row in columns if row["table_name"] == mart.name]
        assert built == list(mart.columns), mart.name


def test_only_staging_reads_raw(models: list[Any]) -> None:
    """What raw looks like is known in one layer, and every row is filtered there once."""
    assert {model.schema for model in models if model.sources} == {"staging"}


def test_no_model_parses_json(models: list[Any]) -> None:
    """The loader types every column, so that the models run anywhere and money is never read from a number."""
    assert [model.name for model in models if re.search(r"json|->|\bpayload\b", model.raw_code, re.IGNORECASE)] == []


def test_sql_is_formatted(tmp_path: Path) -> None:
    """One formatter decides on the layout of all SQL."""
    done = subprocess.run(
        [Path(sys.executable).parent / "sqlfmt", "--check", "--line-length", "100", "--single-process", PROJECT],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
