"""The simulator's own accountant, by the worked example and by the rules of the lifecycles."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from simulator.postings import CommissionAccount, PayoutAccount, Posting, account_adjusted
from simulator.truth import MONEY_COLUMNS, Books

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "golden_statement.json").read_text())


def account() -> CommissionAccount:
    return CommissionAccount("cms_1", "ptn_1", "EUR")


def told(postings: tuple[Posting, ...]) -> list[str]:
    """Each posting as text: flow, then what is moved to and from pending, payable and in transit."""
    return [f"{each.flow} {each.pending:+} {each.payable:+} {each.in_transit:+}" for each in postings]


def test_the_worked_example_closes_as_it_says() -> None:
    """The 21 moves of the golden statement give its four months, in the months of Malta."""
    books = Books(ZoneInfo("Europe/Malta"))
    commissions: dict[str, CommissionAccount] = {}
    payouts: dict[str, PayoutAccount] = {}
    for move in sorted(GOLDEN["moves"], key=lambda each: each["occurred_at"]):
        amount, step = Decimal(move.get("amount", "0")), move["type"].split(".")[1]
        if move["type"].startswith("payout."):
            payout = payouts.setdefault(move["payout_id"], PayoutAccount("ptn_1", GOLDEN["currency"], amount))
            steps: dict[str, Callable[[], tuple[Posting, ...]]] = {
                "scheduled": payout.reserve,
                "processing": payout.reserve,
                "completed": payout.complete,
                "failed": payout.fail,
            }
            postings = steps[step]()
        else:
            commission = commissions.setdefault(
                move["commission_id"], CommissionAccount(move["commission_id"], "ptn_1", GOLDEN["currency"])
            )
            if step == "calculated":
                postings = commission.calculate(amount)
            elif step == "adjusted":
                postings = commission.adjust(amount, f"adj_{move['event_id']}", "clawback")
            else:
                postings = commission.approve(commission.pending)
        books.book(datetime.fromisoformat(move["occurred_at"]), postings)
    statement = {row.month: {name: getattr(row, name) for name in MONEY_COLUMNS} for row in books.statement()}
    assert statement == {
        date.fromisoformat(row["month"]): {
            name: Decimal(row.get(name.removesuffix("_balance"), "0")) for name in MONEY_COLUMNS
        }
        for row in GOLDEN["statement"]
    }


def test_a_second_calculation_books_the_difference() -> None:
    """A commission that is calculated anew is worth what was said last."""
    commission = account()
    commission.calculate(Decimal(100))
    assert told(commission.calculate(Decimal(110))) == ["earned +10 +0 +0"]
    assert told(commission.approve(Decimal(110))) == ["moved -110 +110 +0"]


def test_an_approval_of_another_amount_is_a_variance() -> None:
    """What is approved becomes payable, once; the difference to what was pending is booked before."""
    commission = account()
    commission.calculate(Decimal(100))
    assert told(commission.approve(Decimal(99))) == ["adjusted -1 +0 +0", "moved -99 +99 +0"]
    assert commission.approve(Decimal(99)) == ()


def test_an_adjustment_goes_where_the_commission_is() -> None:
    """Pending before the approval, payable after it."""
    commission = account()
    commission.calculate(Decimal(100))
    assert told(commission.adjust(Decimal(-20), "adj_1", "correction")) == ["adjusted -20 +0 +0"]
    commission.approve(Decimal(80))
    assert told(commission.adjust(Decimal(-80), "adj_2", "clawback")) == ["adjusted +0 -80 +0"]


def test_an_account_is_adjusted_at_once() -> None:
    """What is for no commission in particular is payable, and a transfer is told as one."""
    assert told(account_adjusted("ptn_1", "EUR", Decimal(5), "adj_1", "bonus")) == ["adjusted +0 +5 +0"]
    assert told(account_adjusted("ptn_1", "EUR", Decimal(5), "adj_1", "partner_transfer")) == ["transferred +0 +5 +0"]


def test_what_is_late_is_booked_in_the_first_month_that_is_open() -> None:
    """As of a prior period; where its own month is open, where it happened; moves between balances are of no period."""
    books = Books(ZoneInfo("Europe/Malta"), [date(2026, 5, 1), date(2026, 6, 1)])
    commission = account()
    books.book(datetime(2026, 5, 3, tzinfo=UTC), commission.calculate(Decimal(100)), is_late=True)
    books.book(datetime(2026, 6, 30, 22, 30, tzinfo=UTC), commission.adjust(Decimal(7), "adj", "bonus"), is_late=True)
    books.book(datetime(2026, 6, 10, tzinfo=UTC), commission.approve(Decimal(107)), is_late=True)
    books.book(datetime(2026, 5, 3, tzinfo=UTC), account_adjusted("ptn_1", "EUR", Decimal(5), "other", "correction"))
    statement = [(row.month.month, row.earned, row.adjusted, row.prior_period_amount) for row in books.statement()]
    nothing, earned = Decimal(0), Decimal(100)
    assert statement == [
        (5, nothing, Decimal(5), nothing),
        (6, nothing, nothing, nothing),
        (7, earned, Decimal(7), earned),
    ]
    assert books.adjustments == {("bonus", "EUR"): 7, ("correction", "EUR"): 5}


def test_a_payout_moves_only_when_its_state_changes() -> None:
    """Set aside once, paid once, taken back once; paid straight away where nothing was set aside."""
    payout = PayoutAccount("ptn_1", "EUR", Decimal(50))
    assert told(payout.reserve()) == ["moved +0 -50 +50"]
    assert payout.reserve() == ()
    assert told(payout.complete()) == ["paid +0 +0 -50"]
    assert payout.reserve() == payout.complete() == ()
    assert told(payout.fail()) == ["returned +0 +50 +0"]
    assert payout.fail() == ()
    assert told(payout.complete()) == ["paid +0 -50 +0"]


def test_a_payout_that_failed_releases_what_was_set_aside() -> None:
    """And it may be set aside again."""
    payout = PayoutAccount("ptn_1", "EUR", Decimal(50))
    payout.reserve()
    assert told(payout.fail()) == ["moved +0 +50 -50"]
    assert told(payout.reserve()) == ["moved +0 -50 +50"]
