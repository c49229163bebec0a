"""What partners bring and cost, against the oracle: with all of the optional inputs, with some, with none."""

import random
from typing import Any

import pytest

from pipelines.build import PROJECT
from tests.line import Line
from tests.oracle import PRIMARY_KEYS, expected_marts
from tests.oracle_economics import (
    EconomicInputs,
    Economics,
    customer_cohorts,
    overrides,
    partner_economics,
    program_concentration,
)
from tests.oracle_events import Posted, Row, distinct_live_events
from tests.oracle_plans import revshare, tier_impact
from tests.programme_activity import economic_inputs, plan_stories
from tests.programmes import mutate_delivery, random_programme

TIMEZONE = "Europe/Malta"
KEYS = {
    "partner_economics": ("source_id", "partner_id", "month"),
    "customer_cohorts_monthly": ("source_id", "partner_id", "acquisition_month", "age_months"),
    "program_concentration_monthly": ("source_id", "metric", "month"),
    "sub_affiliate_overrides_monthly": ("source_id", "parent_partner_id", "child_partner_id", "level", "month"),
    "revshare_monthly": ("source_id", "partner_id", "plan_id", "period_month"),
    "tier_impact": ("source_id", "tier_change_id"),
}
POSTS = [*random_programme(31, conversions=14, payouts=6, clicks=6), *plan_stories()]


def expected(posts: list[Posted], inputs: EconomicInputs) -> dict[str, list[Row]]:
    """The rows of every mart in `KEYS`."""
    economics = Economics(
        distinct_live_events(posts), expected_marts(posts, reporting_timezone=TIMEZONE), inputs, TIMEZONE
    )
    rows = partner_economics(economics)
    return {
        "partner_economics": rows,
        "customer_cohorts_monthly": customer_cohorts(economics),
        "program_concentration_monthly": program_concentration(rows),
        "sub_affiliate_overrides_monthly": overrides(economics, rows),
        "revshare_monthly": revshare(economics),
        "tier_impact": tier_impact(economics),
    }


def input_rows(inputs: EconomicInputs) -> dict[str, list[dict[str, Any]]]:
    """Rows of all of *inputs* that have any."""
    rows: dict[str, list[dict[str, Any]]] = {
        "player_activity": inputs.activity,
        "marketing_spend": inputs.spend,
        "fx_rates": [
            {"rate_date": day, "base_currency": currency, "quote_currency": "EUR", "rate": rate}
            for (day, currency), rate in inputs.quotes.items()
        ],
    }
    return {name: each for name, each in rows.items() if each}


def assert_as_the_oracle_says(line: Line, inputs: EconomicInputs) -> None:
    """Every row of every mart, and no row more."""
    for mart, rows in expected(POSTS, inputs).items():
        wanted = {tuple(row[key] for key in KEYS[mart]): row for row in rows}
        assert len(wanted) == len(rows)
        names = ", ".join(rows[0])
        found = {
            tuple(row[key] for key in KEYS[mart]): row
            for row in line.query_warehouse(f"select {names} from marts.{mart}")
        }
        assert found.keys() == wanted.keys(), mart
        for key, row in found.items():
            assert row == wanted[key], (mart, key)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A programme in two loads, with no input."""
    line = Line(tmp_path_factory.mktemp("economics"), TIMEZONE)
    for batch in mutate_delivery(POSTS, random.Random(3), batches=2):
        line.stage_posts(batch)
        line.load()
        line.build()
    return line


def test_without_inputs_nothing_is_made_up(line: Line) -> None:
    """What needs an input is null, and a flag says that it is missing; the rest is there."""
    assert_as_the_oracle_says(line, EconomicInputs())
    [row] = line.query_warehouse(
        "select count(player_revenue_rc) as revenue, count(marketing_spend_rc) as spend, count(cost_rc) as cost, "
        "count(margin_rc) as margin, count(active_customers) as active, bool_or(has_player_activity) as has_activity, "
        "bool_or(has_marketing_spend) as has_spend from marts.partner_economics"
    )
    assert not any(row.values())


@pytest.mark.parametrize("with_rates", [False, True], ids=["a rate is missing", "with rates"])
def test_with_all_inputs_every_row_is_the_oracles(line: Line, *, with_rates: bool) -> None:
    """Activity, spend and rates come after the events, and stand in the marts as if they had come before."""
    inputs = economic_inputs(4, with_rates=with_rates)
    line.load_inputs(input_rows(inputs))
    line.build()
    assert_as_the_oracle_says(line, inputs)
    raised = line.query_warehouse("select entity_id from marts.data_exceptions where rule = 'missing_fx_rate'")
    assert with_rates or "player_activity USD" in {row["entity_id"].rpartition(" ")[0] for row in raised}
    [lost] = line.query_warehouse(
        "select sum(amount_at_risk) as amount from marts.data_exceptions "
        "where rule = 'unattributed_spend' and currency = 'EUR'"
    )
    known = {(row["source_id"], row["partner_id"]) for row in line.query_warehouse("from marts.partners")}
    assert lost["amount"] == sum(
        row["amount"]
        for row in inputs.spend
        if row["currency"] == "EUR" and (row["source_id"], row["partner_id"]) not in known
    )
    if with_rates:
        incremental = line.marts()
        line.build(full_refresh=True)
        assert line.marts() == incremental


def test_revenue_counts_once_and_overrides_at_their_origin(line: Line) -> None:
    """What parents are paid is the children's cost; over all partners it is paid once and costs once."""
    [row] = line.query_warehouse(
        "select sum(override_rc) as cost, sum(override_earned_rc) as earned from marts.partner_economics "
        "where source_id = 'acme' and partner_id in ('boss', 'kid', 'tot')"
    )
    assert row["cost"] == row["earned"] != 0


def test_the_keys_are_those_of_the_marts() -> None:
    """None of these marts is compared twice."""
    assert not KEYS.keys() & PRIMARY_KEYS.keys()


def test_the_formula_of_revenue_is_one_macro() -> None:
    """Whoever reckons revenue otherwise changes one place: no model names a deduction but through it."""
    for path in (PROJECT / "models").rglob("*.sql"):
        assert "gaming_tax" not in path.read_text(encoding="utf-8") or path.stem == "stg_raw__player_activity"
