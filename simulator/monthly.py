"""What a played programme books by the month: shares of what customers were worth, bonuses, and moves between tiers."""

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal

from simulator.activity import Activity
from simulator.agenda import Diary, Note, Task
from simulator.cast import Member, Span, TierMove
from simulator.commissions import Commission, adjust_account
from simulator.deals import Earning
from simulator.journal import Journal
from simulator.roster import Plot
from simulator.verdicts import BONUS
from simulator.wire import JsonObject, actor, day, money, price, share


class MonthEnd:
    """
    Books shares on the third of each month, and approves them the day after; moves tiers on the first.

    Everything that customers were worth by the end of a month has to be known then.
    """

    def __init__(
        self,
        journal: Journal,
        diary: Diary,
        members: list[Member],
        span: Span,
        activity: Activity,
        qualified: Counter[tuple[str, date]],
    ) -> None:
        self._journal = journal
        self._activity = activity
        self._qualified = qualified
        for member in members:
            for first in span.first_of_months():
                if member.profile.deal.monthly is not None and member.approved_at < first:
                    diary.add(
                        first + timedelta(days=2, hours=7, minutes=member.number % 600),
                        self._sharing_with(member, first),
                    )
            for move in member.tier_moves:
                diary.add(move.at, self._moving(member, move))
            if member.plot is Plot.CLAWED_BACK:
                diary.add(span.at(0.6), self._rewarding(member))

    def _sharing_with(self, member: Member, first: datetime) -> Task:
        def book(at: datetime) -> None:
            earning = member.profile.deal.monthly
            if earning is None or not member.is_active(at):
                return
            commission = self._share(member, earning, first, at)
            if commission.amount:
                commission.calculate(self._journal)
                commission.approve(self._journal, at + timedelta(hours=23))

        return book

    def _share(self, member: Member, earning: Earning, first: datetime, at: datetime) -> Commission:
        last_day = first - timedelta(days=1)
        currency, tier = member.profile.currency, member.tier(last_day)
        worth = self._activity.of_month(member, last_day.date())
        breakdown = {name: money(amount, currency)["amount"] for name, amount in worth._asdict().items()}
        return Commission(
            commission_id=self._journal.name("cms"),
            member=member,
            conversion=None,
            model=earning.model,
            component=earning.component,
            rate=earning.rate_view(tier, currency),
            amount=share(worth.net, earning.rates[tier.rank - 1], currency),
            calculated_at=at,
            hold_days=1,
            basis={"kind": "ngr", "amount": money(worth.net, currency), "breakdown": breakdown},
            period={"start": day(last_day.replace(day=1)), "end": day(last_day)},
        )

    def _rewarding(self, member: Member) -> Task:
        def pay(at: datetime) -> None:
            if member.is_active(at):
                adjust_account(self._journal, member, at, price(Decimal(250), member.profile.currency), BONUS)

        return pay

    def _moving(self, member: Member, move: TierMove) -> Task:
        def write(at: datetime) -> None:
            counted_month = (at - timedelta(days=2)).date().replace(day=1)
            count = self._qualified[member.partner_id, counted_month]
            data: JsonObject = {
                "partner": member.snapshot(at),
                "tier_change": _tier_change(self._journal, member, move, count),
            }
            kind = f"{'retroactive ' if move.retroactive_from else ''}{_direction(move)}"
            notes = () if member.is_test else (Note("tier_changes", kind),)
            self._journal.write(at, "commission.tier_changed", data, (), notes)

        return write


def _tier_change(journal: Journal, member: Member, move: TierMove, count: int) -> JsonObject:
    deal, currency = member.profile.deal, member.profile.currency
    rate = deal.main
    is_up = _direction(move) == "up"
    last_day = move.at - timedelta(days=1)
    return {
        "id": journal.name("tch"),
        "plan_id": deal.plan_id,
        "previous_tier": move.previous.view() | {"rate": rate and rate.rate_view(move.previous, currency)},
        "new_tier": move.new.view() | {"rate": rate and rate.rate_view(move.new, currency)},
        "effective_from": day(move.at),
        "effective_to": None,
        "is_retroactive": move.retroactive_from is not None,
        "retroactive_from": None if move.retroactive_from is None else day(move.retroactive_from),
        "trigger": {
            "metric": "qualified_customers",
            "value": str(count),
            "threshold": str(count if is_up else count + 2),
            "period": {"start": day(last_day.replace(day=1)), "end": day(last_day)},
        },
        "direction": _direction(move),
        "actor": actor("system", "tier-engine"),
    }


def _direction(move: TierMove) -> str:
    return "up" if move.new.rank > move.previous.rank else "down"
