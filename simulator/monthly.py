"""What the played programme books by the month: shares of revenue, and moves between tiers."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from simulator.cast import Member, Span, TierMove
from simulator.commissions import Adjustment, Commission, adjust_account
from simulator.journal import Journal
from simulator.journeys import Accounts
from simulator.roster import Plot
from simulator.steps import share
from simulator.wire import JsonObject, actor, day, money, price

_BONUS = Adjustment("bonus", "campaign_bonus", "seasonal campaign, agreed in writing", actor("user", "mgr_12"))


def book_revenue_shares(rng: Random, journal: Journal, members: list[Member], span: Span, accounts: Accounts) -> None:
    """On the third of each month, the last month's share of those whose deal has one; approved the day after."""
    for first in span.first_of_months():
        for member in members:
            at = first + timedelta(days=2, hours=7, minutes=member.number)
            if not member.profile.deal.revshare or member.approved_at >= first or not member.is_active(at):
                continue
            is_first_share = first - timedelta(days=31) < member.approved_at
            is_lost = is_first_share and member.profile.plot is Plot.NEGATIVE_MONTH
            commission = _revenue_share(rng, journal, member, first, at, is_lost=is_lost)
            commission.calculate(journal)
            accounts.add(member, commission.approve(journal, at + timedelta(hours=23)))


def pay_bonuses(journal: Journal, members: list[Member], span: Span, accounts: Accounts) -> None:
    """A bonus on the account of the partner that earns most, for no commission in particular."""
    at = span.at(0.6)
    for member in members:
        if member.profile.plot is Plot.CLAWED_BACK and member.is_active(at):
            bonus = price(Decimal(250), member.profile.currency)
            accounts.add(member, adjust_account(journal, member, at, bonus, _BONUS))


def write_tier_changes(journal: Journal, members: list[Member], accounts: Accounts) -> None:
    """Every move between tiers, with the number of qualified customers of the month before as its reason."""
    for member in members:
        for move in member.tier_moves:
            last_month = (move.at - timedelta(days=2)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            qualified = accounts.qualified[member.partner_id]
            count = sum(1 for at in qualified if last_month <= at < move.at)
            data: JsonObject = {"partner": member.snapshot(move.at), "tier_change": _move(journal, member, move, count)}
            journal.write(move.at, "commission.tier_changed", data)


def _revenue_share(
    rng: Random, journal: Journal, member: Member, first: datetime, at: datetime, *, is_lost: bool
) -> Commission:
    currency, deal, tier = member.profile.currency, member.profile.deal, member.tier(first - timedelta(days=1))
    turnover = price(Decimal(rng.randint(500, 900) * member.profile.weight), currency)
    gross = -share(turnover, Decimal(20), currency) if is_lost else turnover
    deductions = {
        "bonus_cost": share(turnover, Decimal(rng.randint(12, 22)), currency),
        "chargebacks": share(turnover, Decimal(rng.randint(0, 3)), currency),
        "payment_fees": share(turnover, Decimal(rng.randint(5, 7)), currency),
        "gaming_tax": Decimal(0) if is_lost else share(turnover, Decimal(18), currency),
        "platform_fee": share(turnover, Decimal(3), currency),
        "jackpot_contribution": share(turnover, Decimal(0), currency),
        "other": share(turnover, Decimal(0), currency),
    }
    net = gross - sum(deductions.values())
    breakdown = {name: money(amount, currency)["amount"] for name, amount in {"ggr": gross, **deductions}.items()}
    last_day = first - timedelta(days=1)
    return Commission(
        commission_id=journal.name("cms"),
        member=member,
        conversion=None,
        model="revshare",
        component="revshare",
        rate=deal.revshare_view(tier),
        amount=share(net, deal.revshare[tier.rank - 1], currency),
        calculated_at=at,
        hold_days=1,
        basis={"kind": "ngr", "amount": money(net, currency), "breakdown": breakdown},
        period={"start": day(last_day.replace(day=1)), "end": day(last_day)},
    )


def _move(journal: Journal, member: Member, move: TierMove, count: int) -> JsonObject:
    deal, currency = member.profile.deal, member.profile.currency
    is_up = move.new.rank > move.previous.rank
    last_day = move.at - timedelta(days=1)
    return {
        "id": journal.name("tch"),
        "plan_id": deal.plan_id,
        "previous_tier": move.previous.view() | {"rate": deal.rate_view(move.previous, currency)},
        "new_tier": move.new.view() | {"rate": deal.rate_view(move.new, currency)},
        "effective_from": day(move.at),
        "effective_to": None,
        "is_retroactive": False,
        "retroactive_from": None,
        "trigger": {
            "metric": "qualified_customers",
            "value": str(count),
            "threshold": str(count if is_up else count + 2),
            "period": {"start": day(last_day.replace(day=1)), "end": day(last_day)},
        },
        "direction": "up" if is_up else "down",
        "actor": actor("system", "tier-engine"),
    }
