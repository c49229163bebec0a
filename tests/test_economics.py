"""What partners bring and cost, against the oracle: with all of the optional inputs, with some, with none."""

import random
from dataclasses import replace
from typing import Any

import pytest

from pipelines.build import PROJECT
from tests.line import Line
from tests.oracle import PRIMARY_KEYS, expected_marts
from tests.oracle_cohorts import customer_cohorts
from tests.oracle_economics import EconomicInputs, Economics
from tests.oracle_events import Posted, Row, distinct_live_events, partners_under_test
from tests.oracle_partner_economics import overrides, partner_economics, program_concentration
from tests.oracle_plans import revshare, tier_impact
from tests.oracle_statement import ClosedMonths
from tests.programme_activity import economic_inputs, plan_stories
from tests.programme_inputs import programme_inputs
from tests.programmes import mutate_delivery, random_programme, received

# Clocks go back here on 1 November 2026: the first day of a month has 25 hours.
TIMEZONE = "America/New_York"
WITH_INPUTS = ("acme", "gulf", "rough", "zenith")
INPUTS = economic_inputs(4, sources=WITH_INPUTS)
PERIODS = programme_inputs(2)
KEYS = {
    "partner_economics": ("source_id", "partner_id", "month"),
    "customer_cohorts_monthly": ("source_id", "partner_id", "acquisition_month", "age_months"),
    "program_concentration_monthly": ("source_id", "metric", "month"),
    "sub_affiliate_overrides_monthly": ("source_id", "parent_partner_id", "child_partner_id", "level", "month"),
    "revshare_monthly": ("source_id", "partner_id", "plan_id", "period_month"),
    "tier_impact": ("source_id", "tier_change_id"),
}
POSTS = received(
    [
        *random_programme(31, conversions=14, payouts=6, clicks=6),
        *plan_stories(),
        # dinars have three decimals, yen none, and at times neither has a rate
        *random_programme(39, conversions=12, payouts=5, clicks=3, sources=("gulf",), currencies=("KWD", "JPY", "EUR")),
        # half of what may be left out is
        *random_programme(41, conversions=8, payouts=4, clicks=3, sources=("rough",), awkward=0.6),
        # no input says anything of this one
        *random_programme(43, partners=4, conversions=6, payouts=3, clicks=3, sources=("quiet",)),
    ],
    31,
)
POSTS += [
    {
        "source": "acme",
        "id": "long_day",
        "type": "commission.calculated",
        "schema_version": "1.0",
        "timestamp": "2026-11-01T04:30:00Z",
        "data": {
            "partner": {"id": "kid"},
            "commission": {"id": "cm_long_day", "model": "cpa", "amount": {"amount": "1.005", "currency": "KWD"}},
        },
    }
]
EARLY, LATE = mutate_delivery(POSTS, random.Random(3), duplicates=0, batches=2)


def expected(posts: list[Posted], inputs: EconomicInputs, closed_months: ClosedMonths) -> dict[str, list[Row]]:
    """The rows of every mart in `KEYS`."""
    marts = expected_marts(posts, reporting_timezone=TIMEZONE, closed_months=closed_months)
    economics = Economics(distinct_live_events(posts), marts, inputs, TIMEZONE)
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


def assert_as_the_oracle_says(
    line: Line, posts: list[Posted], inputs: EconomicInputs, closed_months: ClosedMonths | None = None
) -> None:
    """Every row of every mart, and no row more."""
    marts = expected(posts, inputs, closed_months or {})
    queries = [f"select {', '.join(rows[0])} from marts.{mart}" for mart, rows in marts.items()]
    for (mart, rows), answer in zip(marts.items(), line.queries_of_warehouse(queries), strict=True):
        wanted = {tuple(row[key] for key in KEYS[mart]): row for row in rows}
        assert len(wanted) == len(rows)
        found = {tuple(row[key] for key in KEYS[mart]): row for row in answer}
        assert found.keys() == wanted.keys(), mart
        for key, row in found.items():
            assert row == wanted[key], (mart, key)


def currencies_without_a_rate(line: Line) -> set[str]:
    """Where amounts stand, and in which currency."""
    rows = line.query_warehouse("select entity_id from marts.data_exceptions where rule = 'missing_fx_rate'")
    return {row["entity_id"].rpartition(" ")[0] for row in rows}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The first half of what arrives, with no input."""
    line = Line(tmp_path_factory.mktemp("economics"), TIMEZONE)
    line.stage_posts(EARLY)
    line.load()
    line.build()
    return line


def test_without_inputs_nothing_is_made_up(line: Line) -> None:
    """What needs an input is null, and a flag says that it is missing; the rest is there."""
    assert_as_the_oracle_says(line, EARLY, EconomicInputs())
    [row] = line.query_warehouse(
        "select count(player_revenue_rc) as revenue, count(marketing_spend_rc) as spend, count(cost_rc) as cost, "
        "count(margin_rc) as margin, count(active_customers) as active, bool_or(has_player_activity) as has_activity, "
        "bool_or(has_marketing_spend) as has_spend from marts.partner_economics"
    )
    assert not any(row.values())


def test_spend_alone_says_nothing_of_revenue(line: Line) -> None:
    """Of two inputs one is there: cost is known, for the sources that it tells of, and margin of nobody."""
    inputs = replace(economic_inputs(4, sources=WITH_INPUTS, with_rates=False), activity=[])
    line.load_inputs(input_rows(inputs))
    line.build()
    assert_as_the_oracle_says(line, EARLY, inputs)
    rows = line.query_warehouse(
        "select source_id, count(cost_rc) as costs, count(margin_rc) as margins, count(roi) as rois, "
        "bool_or(has_marketing_spend) as has_spend from marts.partner_economics group by all"
    )
    assert {row["source_id"] for row in rows if row["costs"] and row["has_spend"]} == set(WITH_INPUTS)
    assert not any(row["margins"] or row["rois"] for row in rows)


def test_a_missing_rate_is_missed(line: Line) -> None:
    """What would be in another currency is null, and an exception says which rate is wanted; the rest is there."""
    inputs = economic_inputs(4, sources=WITH_INPUTS, with_rates=False)
    line.load_inputs(input_rows(inputs))
    line.build()
    assert_as_the_oracle_says(line, EARLY, inputs)
    assert {"player_activity USD", "player_activity KWD"} <= currencies_without_a_rate(line)
    [lost] = line.query_warehouse(
        "select sum(amount_at_risk) as amount from marts.data_exceptions "
        "where rule = 'unattributed_spend' and currency = 'EUR'"
    )
    known = {(row["source_id"], row["partner_id"]) for row in line.query_warehouse("from marts.partners")}
    known |= partners_under_test(distinct_live_events(EARLY))
    assert lost["amount"] == sum(
        row["amount"]
        for row in inputs.spend
        if row["currency"] == "EUR" and (row["source_id"], row["partner_id"]) not in known
    )


def test_with_all_inputs_every_row_is_the_oracles(line: Line) -> None:
    """Rates with gaps and closed months come after the events, and stand in the marts as if they had come before."""
    line.load_inputs(input_rows(INPUTS) | {"accounting_periods": PERIODS.rows()["accounting_periods"]})
    line.build()
    assert_as_the_oracle_says(line, EARLY, INPUTS, PERIODS.closed_months)


def test_late_events_change_what_they_would_have_changed(line: Line) -> None:
    """The other half comes after the inputs and the closing of months; derived by touched keys, it is the same."""
    line.stage_posts(LATE)
    line.load()
    assert not line.build().is_full
    assert_as_the_oracle_says(line, [*EARLY, *LATE], INPUTS, PERIODS.closed_months)
    assert line.query_warehouse("select 1 from marts.commission_ledger where is_prior_period limit 1")
    assert "player_activity KWD" in currencies_without_a_rate(line)
    [row] = line.query_warehouse(
        "select count(*) as months, count(player_revenue_rc) as known from marts.partner_economics "
        "where source_id = 'gulf' and has_player_activity"
    )
    assert 0 < row["known"] < row["months"]


def test_the_first_hour_of_a_longer_day_is_of_the_new_month(line: Line) -> None:
    """By the winter's hour, which begins later on that day, it would be of the old one."""
    rows = line.query_warehouse(
        "select effective_date from marts.commission_ledger where commission_id = 'cm_long_day'"
    )
    assert [row["effective_date"].isoformat() for row in rows] == ["2026-11-01"]


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
