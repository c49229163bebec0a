"""The daily roll-ups and fraud signals: dense traffic against the oracle, and each hard case by itself."""

import random
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.line import Line
from tests.oracle import expected_marts
from tests.oracle_events import Posted, Row
from tests.programme_traffic import dense_traffic
from tests.programmes import mutate_delivery
from tests.test_marts import assert_as_the_oracle_says
from tests.test_oracle import conversion, money, posted

MALTA = "Europe/Malta"
SIGNALS = 13


def test_dense_traffic_gives_what_the_oracle_says(tmp_path: Path) -> None:
    """
    Weeks of traffic, shuffled and repeated over two loads, give every signal, breached and not, to the last bit.

    A full refresh changes no row.
    """
    posts = dense_traffic(3)
    signals = expected_marts(posts, reporting_timezone=MALTA)["fraud_signals_daily"]
    assert {row["signal"] for row in signals if row["is_breach"]} == {row["signal"] for row in signals}
    assert {row["signal"] for row in signals if not row["is_breach"]} == {row["signal"] for row in signals}
    assert len({row["signal"] for row in signals}) == SIGNALS
    line = Line(tmp_path, MALTA)
    for batch in mutate_delivery(posts, random.Random(3), batches=2):
        line.stage_posts(batch)
        line.load()
        line.derive()

    assert_as_the_oracle_says(line, posts, MALTA)
    incremental = line.warehouse_marts()
    line.derive(full_refresh=True)
    assert line.warehouse_marts() == incremental


def tracked(event_id: str, click_id: str, at: str, *, partner: str = "p1", **fields: Any) -> Posted:
    """A click of source `s`."""
    click = {"id": click_id, "occurred_at": at, "validity": "valid", "is_unique": True, **fields}
    return posted(event_id, "click.tracked", at, partner=partner, click=click)


def partner(event_id: str, step: str, at: str, partner_id: str, **change: Any) -> Posted:
    """A partner of source `s` takes a step."""
    whole = {"status": step, "effective_at": at, **change}
    return posted(event_id, f"partner.{step}", at, partner=partner_id, change=whole)


def deposit(event_id: str, source: str, day: str, amount: str, partner_id: str = "q1") -> Posted:
    """A first deposit of *source* that qualified on the day it was made."""
    at = f"2026-{day}T12:00:00Z"
    made = {"id": event_id, "type": "first_deposit", "occurred_at": at, "value": money(amount)}
    qualified = posted(event_id, "conversion.qualified", at, partner=partner_id, conversion=made)
    return {**qualified, "source": source}


ORDER = {"id": "v1", "type": "order", "occurred_at": "2026-01-01T00:00:00Z"}
AMENDED = {**ORDER, "value": money("7", "USD")}
DAYS = {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1, "2026-10-25": 2}
FIRST = [
    # Midnights of Malta around both changes of the clock: days of 23 and of 25 hours.
    tracked("k1", "dst1", "2026-03-28T22:59:59Z"),
    tracked("k2", "dst2", "2026-03-28T23:00:00Z"),
    tracked("k3", "dst3", "2026-03-29T21:59:59Z"),
    tracked("k4", "dst4", "2026-03-29T22:00:00Z"),
    tracked("k5", "dst5", "2026-10-24T22:00:00Z"),
    tracked("k6", "dst6", "2026-10-25T22:59:59Z"),
    tracked("k7", "dst7", "2026-10-25T23:00:00Z"),
    # Told again two days later, as a robot's, by another partner's link.
    tracked("k8", "judged", "2026-05-01T10:00:00Z"),
    # An order that will turn out to be another partner's, of another day, and rejected.
    conversion("c1", "created", "2026-05-10T10:00:00Z", value=money("40.00")),
    # The same order under two conversion ids.
    conversion("c2", "created", "2026-05-11T10:00:00Z", id="v2", external_id="o1", value=money("10.00")),
    # Nobody clicked, or only looked.
    conversion("c4", "created", "2026-05-12T10:00:00Z", id="v4"),
    posted(
        "c5",
        "conversion.created",
        "2026-05-12T11:00:00Z",
        conversion={"id": "v5", "type": "order", "occurred_at": "2026-05-12T11:00:00Z"},
        tracking={"is_view_through": True},
    ),
    # From a future that may never come.
    conversion("c6", "created", "2099-01-01T12:00:00Z", id="v6"),
    partner("p1", "approved", "2026-02-01T00:00:00Z", "p1"),
    partner("p2", "approved", "2026-02-01T00:00:00Z", "p2"),
    # What the smallest deposit was judges a share, which judges another: each within 56 days, together more than 62.
    deposit("d1", "read", "02-21", "10", "q2"),
    deposit("d2", "read", "03-31", "10"),
    deposit("d3", "read", "05-22", "30"),
    deposit("e1", "touched", "02-21", "50", "q2"),
    deposit("e2", "touched", "04-09", "20"),
    deposit("e3", "touched", "05-30", "30"),
]
LATER = [
    tracked("k9", "judged", "2026-05-03T10:00:00Z", partner="p2", validity="invalid", is_bot=True),
    posted(
        "c7",
        "conversion.updated",
        "2026-06-01T10:00:00Z",
        partner="p2",
        conversion={**ORDER, "value": money("7", "USD")},
    ),
    conversion("c3", "created", "2026-05-11T09:00:00Z", id="v3", external_id="o1", value=money("10.00")),
    # Late by months: the order was created before anything that was known of it.
    conversion("c8", "created", "2025-12-24T10:00:00Z", value=money("1.00")),
    partner("p3", "registered", "2026-01-15T00:00:00Z", "p1"),
    partner("p4", "terminated", "2026-07-01T00:00:00Z", "p2", merged_into_partner_id="p1", reason_code="merged"),
    deposit("d4", "read", "05-22", "30"),
    deposit("e4", "touched", "03-02", "5", "q2"),
]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """All hard cases, built once with their beginnings and once more with what came later."""
    line = Line(tmp_path_factory.mktemp("hard"), MALTA)
    for batch in (FIRST, LATER):
        line.stage_posts(batch)
        line.load()
        line.build()
    assert_as_the_oracle_says(line, [*FIRST, *LATER], MALTA)
    return line


def funnel(line: Line, day: str) -> list[Row]:
    """What the funnel counts on a day, partner by partner."""
    return line.query(
        "select partner_id, sum(gross_clicks) as clicks, sum(conversions) as conversions, "
        "sum(duplicate_conversions) as duplicates, max(value_rc) as value_rc "
        f"from marts.conversion_funnel_daily where event_date = '{day}' group by 1 order by 1"
    )


@pytest.mark.parametrize(
    ("day", "clicks"), [("2026-03-28", 1), ("2026-03-29", 2), ("2026-03-30", 1), ("2026-10-25", 2)]
)
def test_a_day_has_as_many_hours_as_the_clock_says(line: Line, day: str, clicks: int) -> None:
    """Days of 23 and 25 hours begin and end at midnight of the reporting timezone."""
    assert [row["clicks"] for row in funnel(line, day)] == [clicks]


def test_a_click_judged_again_leaves_the_partner_that_had_it(line: Line) -> None:
    """It keeps its first day, and is counted once, as its newest event says."""
    assert [(row["partner_id"], row["clicks"]) for row in funnel(line, "2026-05-01")] == [("p2", 1)]
    assert funnel(line, "2026-05-03") == []


def test_a_late_creation_and_another_partner_move_a_conversion(line: Line) -> None:
    """The day and the partner where it was counted before have nothing of it left, of whatever age the news is."""
    assert funnel(line, "2026-05-10") == []
    [row] = funnel(line, "2025-12-24")
    assert (row["partner_id"], row["conversions"], row["value_rc"]) == ("p2", 1, None)


def test_one_order_under_two_ids_is_one_conversion(line: Line) -> None:
    """The one that came first counts, though it was told last."""
    [row] = funnel(line, "2026-05-11")
    assert (row["conversions"], row["duplicates"], row["value_rc"]) == (1, 1, Decimal(10))


def test_conversions_without_a_click_count_and_are_told_apart(line: Line) -> None:
    """Both are conversions; the one that was only viewed is not held against the partner."""
    rows = line.query(
        "select sum(conversions) as conversions, sum(clickless_conversions) as clickless, "
        "sum(view_through_conversions) as viewed from marts.conversion_funnel_daily where event_date = '2026-05-12'"
    )
    assert rows == [{"conversions": 2, "clickless": 2, "viewed": 1}]
    signals = line.query(
        "select numerator, denominator from marts.fraud_signals_daily "
        "where event_date = '2026-05-12' and signal = 'conversions_without_click'"
    )
    assert signals == [{"numerator": 1, "denominator": 1}]


def test_an_event_from_the_future_moves_nothing_but_its_own_day(line: Line) -> None:
    """It stands where it says, and makes no other cohort mature and no other day the newest."""
    assert [row["conversions"] for row in funnel(line, "2099-01-01")] == [1]
    pending = line.query("select is_mature from marts.conversion_funnel_daily where pending > 0")
    assert pending
    assert not any(row["is_mature"] for row in pending)
    [row] = line.query("select as_of_date from marts.fraud_scorecard where partner_id = 'p2'")
    assert row["as_of_date"] < date(2099, 1, 1)


def test_a_merged_partner_keeps_its_days(line: Line) -> None:
    """Termination and merger are spells of its history; what it brought stays where it was brought."""
    spells = line.query(
        "select status, valid_from, is_current from marts.partner_history where partner_id = 'p2' order by valid_from"
    )
    assert [row["status"] for row in spells] == ["active", "terminated"]
    assert line.query("select surviving_partner_id from marts.partners where partner_id = 'p2'") == [
        {"surviving_partner_id": "p1"}
    ]
    assert [row["partner_id"] for row in funnel(line, "2025-12-24")] == ["p2"]


def test_a_late_event_back_dates_the_history_of_a_partner(line: Line) -> None:
    """A registration that came last begins the first spell of its own."""
    spells = line.query(
        "select status, valid_from from marts.partner_history where partner_id = 'p1' "
        "and not is_inferred order by valid_from"
    )
    assert [(row["status"], row["valid_from"].date()) for row in spells] == [
        ("pending", date(2026, 1, 15)),
        ("active", date(2026, 2, 1)),
    ]


def test_the_smallest_deposit_of_months_ago_judges_a_day(line: Line) -> None:
    """It decides about a share that is the past of another, which is judged anew, though far away from either."""
    baselines = line.query("""
        select source_id, baseline
        from marts.fraud_signals_daily
        where
            signal = 'first_deposits_at_minimum'
            and (source_id, event_date) in (('read', date '2026-05-22'), ('touched', date '2026-05-30'))
        order by source_id
    """)
    assert baselines == [{"source_id": "read", "baseline": 1.0}, {"source_id": "touched", "baseline": 0.0}]
