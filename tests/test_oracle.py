"""The oracle against the worked example and, rule by rule, against events made for one rule each."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import expected_marts
from tests.oracle_events import Posted, Row, read_timestamp
from tests.programmes import wrap_golden

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / "golden_statement.json").read_text())
EUR = "EUR"


def posted(event_id: str, event_type: str, at: str, *, partner: str = "p1", **data: Any) -> Posted:
    """One event of source `s` with nothing in it but what the test is about."""
    return {
        "source": "s",
        "id": event_id,
        "type": event_type,
        "schema_version": "1.0",
        "timestamp": at,
        "data": {"partner": {"id": partner}, **data},
    }


def money(amount: str, currency: str = EUR) -> dict[str, str]:
    """A money object."""
    return {"amount": amount, "currency": currency}


def calculated(event_id: str, at: str, amount: str, *, partner: str = "p1", version: int | None = None) -> Posted:
    """Commission c1 is calculated."""
    commission = {"id": "c1", "model": "cpa", "amount": money(amount), "version": version}
    return posted(event_id, "commission.calculated", at, partner=partner, commission=commission)


def approved(event_id: str, at: str, amount: str, *, partner: str = "p1", currency: str = EUR) -> Posted:
    """Commission c1 is approved."""
    commission = {"id": "c1", "model": "cpa", "amount": money(amount)}
    approval = {"approved_amount": money(amount, currency), "approved_at": at}
    return posted(event_id, "commission.approved", at, partner=partner, commission=commission, approval=approval)


def adjusted(event_id: str, at: str, delta: str, *, partner: str = "p1", is_account_level: bool = False) -> Posted:
    """Commission c1, or the partner's account, is adjusted."""
    commission = None if is_account_level else {"id": "c1", "model": "cpa", "amount": money("0")}
    adjustment = {"id": f"a-{event_id}", "type": "correction", "amount_delta": money(delta)}
    return posted(event_id, "commission.adjusted", at, partner=partner, commission=commission, adjustment=adjustment)


def payout(event_id: str, step: str, at: str, debit: str = "70") -> Posted:
    """Payout w1 takes a step."""
    moment: dict[str, Any] = {
        "completed": {"completion": {"completed_at": at}},
        "failed": {"failure": {"failed_at": at}},
    }.get(step, {})
    return posted(
        event_id, f"payout.{step}", at, payout={"id": "w1", "amount": money("9"), "debit": money(debit)}, **moment
    )


def conversion(event_id: str, step: str, at: str, **fields: Any) -> Posted:
    """Conversion v1, an order, takes a step."""
    snapshot = {"id": "v1", "type": "order", "occurred_at": "2026-01-01T00:00:00Z", **fields}
    rejection = {"reason_code": "refund", "category": "commercial", "rejected_at": at}
    more: dict[str, Any] = {"rejection": rejection} if step == "rejected" else {}
    return posted(event_id, f"conversion.{step}", at, conversion=snapshot, **more)


def legs(posts: list[Posted]) -> dict[str, tuple[str, str, str]]:
    """Ledger entry id to (entry type, bucket, signed amount and partner)."""
    return {
        row["ledger_entry_id"]: (row["entry_type"], row["bucket"], f"{row['amount']} {row['partner_id']}")
        for row in expected_marts(posts)["commission_ledger"]
    }


def as_golden(row: Row) -> dict[str, str]:
    """A row of the statement in the words of the worked example."""
    names = {
        "opening_balance": "opening",
        "earned": "earned",
        "adjusted": "adjusted",
        "paid": "paid",
        "returned": "returned",
        "closing_balance": "closing",
        "pending_balance": "pending",
        "payable_balance": "payable",
        "in_transit_balance": "in_transit",
    }
    return {"month": row["month"].isoformat()} | {short: f"{row[long]:.2f}" for long, short in names.items()}


# ---------- the worked example


def test_worked_example_gives_its_statement_to_the_cent() -> None:
    """The 21 moves, cut in Malta, give the four printed months exactly."""
    marts = expected_marts(wrap_golden(GOLDEN), reporting_timezone="Europe/Malta")

    assert [as_golden(row) for row in marts["commission_statement_monthly"]] == GOLDEN["statement"]
    assert all(row["transferred"] == 0 for row in marts["commission_statement_monthly"])


def test_worked_example_books_no_variance() -> None:
    """Every approval of the worked example approves just what is pending."""
    ledger = expected_marts(wrap_golden(GOLDEN))["commission_ledger"]

    assert "approval_variance" not in {row["entry_type"] for row in ledger}


def test_month_ends_where_the_reporting_timezone_says() -> None:
    """The commission of half past ten in the evening of 30 June is June's in UTC, and July's in Malta."""
    statement = expected_marts(wrap_golden(GOLDEN), reporting_timezone="UTC")["commission_statement_monthly"]

    assert {row["month"]: row["closing_balance"] for row in statement}[date(2026, 6, 1)] == Decimal("-320.00")


# ---------- the ledger, rule by rule


def test_adjustment_is_payable_from_the_moment_of_the_approval() -> None:
    """A delta at the very time of the approval goes to payable, one a second before to pending and moves."""
    posts = [
        calculated("e1", "2026-01-01T00:00:00Z", "100"),
        adjusted("e2", "2026-01-02T23:59:59Z", "-30"),
        adjusted("e3", "2026-01-03T00:00:00Z", "5"),
        approved("e4", "2026-01-03T00:00:00Z", "70"),
    ]

    assert legs(posts) == {
        "e1:earned": ("earned", "pending", "100 p1"),
        "e2:adjusted": ("adjusted", "pending", "-30 p1"),
        "e3:adjusted": ("adjusted", "payable", "5 p1"),
        "e4:approved_out": ("approved", "pending", "-70 p1"),
        "e4:approved_in": ("approved", "payable", "70 p1"),
    }


def test_approval_before_calculation_moves_at_the_calculation() -> None:
    """An approval dated first waits for the amount it approves."""
    posts = [approved("e1", "2026-01-01T00:00:00Z", "100"), calculated("e2", "2026-02-01T00:00:00Z", "100")]
    ledger = expected_marts(posts)["commission_ledger"]

    assert {row["effective_at"] for row in ledger} == {datetime(2026, 2, 1)}
    assert sum(row["amount"] for row in ledger if row["bucket"] == "payable") == 100


def test_approved_amount_that_differs_is_booked_as_variance() -> None:
    """What was approved is what becomes payable; the difference has a line of its own."""
    posts = [calculated("e1", "2026-01-01T00:00:00Z", "100"), approved("e2", "2026-01-02T00:00:00Z", "90")]

    assert legs(posts)["e2:approval_variance"] == ("approval_variance", "pending", "-10 p1")
    assert legs(posts)["e2:approved_in"] == ("approved", "payable", "90 p1")


def test_second_approval_changes_nothing() -> None:
    """The first approval by order key counts, whatever a later one says."""
    once = [calculated("e1", "2026-01-01T00:00:00Z", "100"), approved("e2", "2026-01-02T00:00:00Z", "100")]

    assert legs([*once, approved("e3", "2026-01-03T00:00:00Z", "999")]) == legs(once)


def test_approval_moves_each_partner_and_currency_apart() -> None:
    """Pending money of two partners moves in two pairs of legs, each named by its partner and currency."""
    posts = [
        calculated("e1", "2026-01-01T00:00:00Z", "100"),
        adjusted("e2", "2026-01-01T12:00:00Z", "7", partner="p2"),
        # What was approved is compared with all that is pending of the commission, whoever's it is.
        approved("e3", "2026-01-02T00:00:00Z", "107"),
    ]

    assert {leg: row for leg, row in legs(posts).items() if leg.startswith("e3")} == {
        "e3:approved_out:p1:EUR": ("approved", "pending", "-100 p1"),
        "e3:approved_in:p1:EUR": ("approved", "payable", "100 p1"),
        "e3:approved_out:p2:EUR": ("approved", "pending", "-7 p2"),
        "e3:approved_in:p2:EUR": ("approved", "payable", "7 p2"),
    }


@pytest.mark.parametrize(
    ("old", "new", "restated"),
    [(1, 2, "50 p1"), (2, 2, None), (2, 1, None), (None, 2, None), (1, None, None)],
)
def test_calculated_again_counts_only_with_a_grown_version(
    old: int | None, new: int | None, restated: str | None
) -> None:
    """A second calculation books the difference when both carry a version and it grew, and else nothing."""
    posts = [
        calculated("e1", "2026-01-01T00:00:00Z", "100", version=old),
        calculated("e2", "2026-01-02T00:00:00Z", "150", version=new),
    ]
    entry = legs(posts).get("e2:restated")

    assert entry == (None if restated is None else ("restated", "pending", restated))


def test_account_level_adjustment_is_payable_at_once_and_an_orphan_waits() -> None:
    """Money of no commission is owed at once; money of a commission nobody calculated waits for its approval."""
    at = "2026-01-01T00:00:00Z"

    assert legs([adjusted("e1", at, "5", is_account_level=True)])["e1:adjusted"] == ("adjusted", "payable", "5 p1")
    assert legs([adjusted("e1", at, "5")])["e1:adjusted"] == ("adjusted", "pending", "5 p1")


@pytest.mark.parametrize(
    ("steps", "entries"),
    [
        ("scheduled processing completed", "reserved_payable reserved_in_transit | | paid_in_transit"),
        ("completed", "paid_payable"),
        ("failed", ""),
        ("scheduled failed", "reserved_payable reserved_in_transit | released_payable released_in_transit"),
        ("completed failed", "paid_payable | returned_payable"),
        ("completed failed completed", "paid_payable | returned_payable | paid_payable"),
        ("completed scheduled processing", "paid_payable | |"),
        (
            "completed failed processing completed",
            "paid_payable | returned_payable | reserved_payable reserved_in_transit | paid_in_transit",
        ),
        ("failed failed scheduled", "| | reserved_payable reserved_in_transit"),
        ("completed completed", "paid_payable |"),
    ],
)
def test_payout_books_transitions_not_events(steps: str, entries: str) -> None:
    """Each change of state books its legs; a step that changes no state books nothing."""
    posts = [payout(f"e{day}", step, f"2026-01-{day:02}T00:00:00Z") for day, step in enumerate(steps.split(), start=1)]
    expected = {f"e{day}:{leg}" for day, found in enumerate(entries.split("|"), start=1) for leg in found.split()}

    assert set(legs(posts)) == expected


def test_payout_moves_the_debit_of_its_newest_event() -> None:
    """A corrected debit corrects every leg, so that what was reserved is what is paid."""
    posts = [
        payout("e1", "scheduled", "2026-01-01T00:00:00Z", "70"),
        payout("e2", "completed", "2026-01-02T00:00:00Z", "60"),
    ]

    assert {row[2] for row in legs(posts).values()} == {"60 p1", "-60 p1"}


def test_late_event_is_booked_in_the_first_open_month() -> None:
    """January and February were closed before the event came: it is effective in January and booked in March."""
    late = calculated("e1", "2026-01-10T00:00:00Z", "100") | {"received_at": "2026-03-05T00:00:00Z"}
    closed = {
        date(2026, 1, 1): datetime(2026, 2, 3),
        date(2026, 2, 1): datetime(2026, 3, 5),
        date(2026, 3, 1): datetime(2026, 4, 2),
    }
    marts = expected_marts([late], closed_months=closed)
    entry, month = marts["commission_ledger"][0], marts["commission_statement_monthly"][0]

    assert (entry["effective_date"], entry["booking_date"]) == (date(2026, 1, 10), date(2026, 3, 1))
    assert (entry["is_prior_period"], month["month"], month["prior_period_amount"]) == (True, date(2026, 3, 1), 100)


# ---------- the other marts, rule by rule


def test_conversion_status_is_walked_event_by_event() -> None:
    """Qualified, rejected, qualified again by an update: twice qualified, reversed and reinstated."""
    posts = [
        conversion("e1", "created", "2026-01-01T00:00:00Z"),
        conversion("e2", "qualified", "2026-01-02T00:00:00.900Z"),
        conversion("e3", "rejected", "2026-01-03T00:00:00Z"),
        conversion("e4", "updated", "2026-01-04T00:00:00Z", status="qualified"),
        conversion("e5", "created", "2026-01-05T00:00:00Z"),
    ]
    marts = expected_marts(posts)
    row, rejection = marts["conversions"][0], marts["fraud_rejections"][0]

    assert (row["status"], row["qualified_count"], row["was_reversed"], row["was_reinstated"]) == (
        "qualified",
        2,
        True,
        True,
    )
    assert (row["seconds_to_qualify"], row["last_rejected_at"]) == (86_400, datetime(2026, 1, 3))
    assert (rejection["previous_status"], rejection["was_reinstated"], rejection["is_fraud"]) == (
        "qualified",
        True,
        False,
    )


def test_conversion_without_created_begins_when_it_says() -> None:
    """A lost first event leaves the conversion its own time, and says so."""
    row = expected_marts([conversion("e1", "updated", "2026-01-09T00:00:00Z", status=None)])["conversions"][0]

    assert (row["status"], row["created_at"], row["is_created_missing"]) == ("pending", datetime(2026, 1, 1), True)


def test_empty_object_does_not_hide_an_older_one() -> None:
    """A snapshot that carries nothing leaves the newest that carried something, as a whole."""
    first = conversion("e1", "created", "2026-01-01T00:00:00Z")
    first["data"]["tracking"] = {"campaign_id": "k1", "click_id": "x1"}
    second = conversion("e2", "updated", "2026-01-02T00:00:00Z")
    second["data"]["tracking"] = {"campaign_id": None, "sub_ids": {"sub1": None}}
    third = conversion("e3", "updated", "2026-01-03T00:00:00Z")
    third["data"]["tracking"] = {"campaign_id": "k2"}

    assert expected_marts([first, second])["conversions"][0]["campaign_id"] == "k1"
    assert expected_marts([first, second, third])["conversions"][0]["click_id"] is None


def test_rejection_of_unbooked_conversion_avoids_its_preview() -> None:
    """Nothing booked by then: the preview was avoided; booked: the ledger's sum is to be clawed back."""
    qualified = conversion("e1", "qualified", "2026-01-01T00:00:00Z")
    qualified["data"]["commission_preview"] = {"amount": money("200")}
    rejected = conversion("e2", "rejected", "2026-01-05T00:00:00Z")
    booked = calculated("e3", "2026-01-05T00:00:00Z", "180")
    booked["data"]["commission"]["conversion_id"] = "v1"
    names = ("commission_avoided_amount", "commission_to_claw_back_amount")

    def amounts(posts: list[Posted]) -> list[Decimal | None]:
        row = expected_marts(posts)["fraud_rejections"][0]
        return [row[name] for name in names]

    assert amounts([qualified, rejected]) == [Decimal(200), None]
    assert amounts([qualified, rejected, booked]) == [None, Decimal(180)]


def test_returned_payout_is_returned_until_completed_again() -> None:
    """A failure after a completion is a return, whatever follows it but a completion."""
    steps = ["scheduled", "completed", "failed", "failed", "completed", "processing"]
    posts = [payout(f"e{day}", step, f"2026-01-{day:02}T00:00:00Z") for day, step in enumerate(steps, start=1)]
    seen = [expected_marts(posts[:count])["payouts"][0] for count in range(1, 7)]

    assert [row["is_returned"] for row in seen] == [False, False, True, True, False, False]
    assert [row["status"] for row in seen] == ["scheduled", "completed", "failed", "failed", "completed", "completed"]
    assert seen[-1]["processing_at"] is None


def test_test_events_and_test_partners_leave_no_trace() -> None:
    """Neither an event that is not live nor a partner whose newest word says test is in any mart."""
    change = {"status": "active", "effective_at": "2026-01-01T00:00:00Z"}
    was_real = posted("e1", "partner.registered", "2026-01-01T00:00:00Z", change=change)
    was_real["data"]["partner"]["is_test"] = False
    is_test = posted("e2", "partner.approved", "2026-01-02T00:00:00Z", change=change)
    is_test["data"]["partner"]["is_test"] = True
    money_of_test_partner = calculated("e3", "2026-01-03T00:00:00Z", "100")
    not_live = calculated("e4", "2026-01-03T00:00:00Z", "100", partner="p2") | {"livemode": False}

    assert not any(expected_marts([was_real, is_test, money_of_test_partner, not_live]).values())


def test_partner_known_from_money_only_is_inferred() -> None:
    """No money is without a partner row, and two sources never share one."""
    other_source = calculated("e1", "2026-01-03T00:00:00Z", "1") | {"source": "t"}
    partners = expected_marts([calculated("e1", "2026-01-03T00:00:00Z", "1"), other_source])["partners"]

    assert [(row["source_id"], row["partner_id"], row["is_inferred"]) for row in partners] == [
        ("s", "p1", True),
        ("t", "p1", True),
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T23:30:00Z", datetime(2026, 1, 31, 23, 30)),
        ("2026-01-31t23:30:00.1234569z", datetime(2026, 1, 31, 23, 30, 0, 123456)),
        ("2026-02-01T01:30:00.5+02:00", datetime(2026, 1, 31, 23, 30, 0, 500000)),
        ("2026-01-31T18:00:00-05:30", datetime(2026, 1, 31, 23, 30)),
    ],
)
def test_timestamps_are_read_to_the_microsecond(text: str, moment: datetime) -> None:
    """Any offset, any number of digits, either case: the same moment in UTC, cut and not rounded."""
    assert read_timestamp(text) == moment
