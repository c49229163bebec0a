"""The partners of a played programme through time: who they are, when they join and leave, what tier they stand in."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from random import Random

from simulator.deals import BRONZE, GOLD, SILVER, Tier
from simulator.journal import Journal
from simulator.roster import CROOKED, Plot, Profile, profiles
from simulator.wire import JsonObject, actor, instant, money, price

_MIN_PAYOUT = Decimal(20)
_LEAVING = {Plot.RING: 0.72, Plot.ACCOMPLICE: 0.9}
"""After which share of the span a partner with such a plot goes."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is played: aware UTC, *until* excluded."""

    start: datetime
    until: datetime

    def at(self, share: float) -> datetime:
        """The moment after *share* of the span, a fraction."""
        return self.start + (self.until - self.start) * share

    @property
    def days(self) -> float:
        return (self.until - self.start) / timedelta(days=1)

    def first_of_months(self) -> list[datetime]:
        """Midnight of the first day of each month that begins within the span."""
        first = self.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        found: list[datetime] = []
        while first < self.until:
            if first >= self.start:
                found.append(first)
            first = (first + timedelta(days=32)).replace(day=1)
        return found

    def closed_months(self) -> list[date]:
        """First days of the months that the operator closes once they are told: all but the last."""
        return [first.date() for first in self.first_of_months()[:-1]]


@dataclass(frozen=True, slots=True)
class TierMove:
    """
    A step up or down.

    Attributes:
        retroactive_from: From when on commissions are to be as if it had been taken then; None where not.
    """

    at: datetime
    previous: Tier
    new: Tier
    retroactive_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """
    One partner.

    Attributes:
        found_out_at: When the farm of a ring's partner begins to be turned away.
        quits_at: When its traffic ends; the end of the span for those who stay.
        left_at: When it was suspended or terminated, as its plot says.
    """

    partner_id: str
    number: int
    profile: Profile
    parent: "Member | None"
    heir: "Member | None"
    destination: str
    registered_at: datetime
    approved_at: datetime
    found_out_at: datetime
    quits_at: datetime
    left_at: datetime | None
    tier_moves: tuple[TierMove, ...]

    @property
    def plot(self) -> Plot:
        return self.profile.plot

    def status(self, at: datetime) -> str:
        if self.left_at is not None and at >= self.left_at:
            return "suspended" if self.plot in CROOKED else "terminated"
        return "active" if at >= self.approved_at else "pending"

    def is_active(self, at: datetime) -> bool:
        return at >= self.approved_at and (self.left_at is None or at < self.left_at)

    def tier(self, at: datetime) -> Tier:
        current = self.tier_moves[0].previous if self.tier_moves else BRONZE
        for move in self.tier_moves:
            current = move.new if at >= move.at else current
        return current

    def move_behind(self, at: datetime) -> TierMove | None:
        """The later move, if any, that is to hold at *at* already."""
        for move in self.tier_moves:
            if move.retroactive_from is not None and move.retroactive_from <= at < move.at:
                return move
        return None

    @property
    def is_test(self) -> bool:
        return self.plot is Plot.SANDBOX

    def snapshot(self, at: datetime) -> JsonObject:
        """The partner as every event carries it."""
        return {
            "id": self.partner_id,
            "name": self.profile.name,
            "external_id": f"AFF-{7000 + self.number}",
            "type": self.profile.kind,
            "status": self.status(at),
            "group_id": self.profile.group,
            "manager_id": self.manager_id,
            "parent_id": self.parent.partner_id if self.parent else None,
            "country": self.profile.country,
        }

    def full_snapshot(self, at: datetime, version: int) -> JsonObject:
        """The partner as its own events carry it."""
        is_approved = at >= self.approved_at
        return self.snapshot(at) | {
            "company_name": self.profile.name,
            "email_hash": f"eml_{sha256(self.partner_id.encode()).hexdigest()[:16]}",
            "language": self.profile.language,
            "plan_id": self.profile.deal.plan_id,
            "tier": self.tier(at).view(),
            "payout_method": self.profile.method,
            "payout_currency": self.profile.payout_currency,
            "min_payout": money(self.min_payout, self.profile.currency),
            "kyc_status": "verified" if is_approved else "pending",
            "tax_status": "verified" if is_approved else "unknown",
            "terms_version": "2026-01",
            "signup_source": "conference" if self.number % 3 == 1 else "website",
            "registered_at": instant(self.registered_at),
            "version": version,
            "is_test": self.is_test,
        }

    @property
    def manager_id(self) -> str:
        return f"mgr_{11 + self.number % 3}"

    @property
    def min_payout(self) -> Decimal:
        """In the currency of its commissions."""
        return price(_MIN_PAYOUT, self.profile.currency)


def gather(principals: tuple[Profile, ...], count: int, span: Span, journal: Journal, rng: Random) -> list[Member]:
    """*count* partners; whom another one refers to, a parent or an heir, stands before it."""
    members: list[Member] = []
    for index, profile in enumerate(profiles(principals, count, rng)):
        # The principals are there from the beginning, to have time for their stories; the others join as it grows.
        joins_after = 0.003 * index if index < len(principals) else 0.02 + 0.4 * index / count
        registered_at = span.at(joins_after) + timedelta(minutes=rng.randint(480, 1020))
        approved_at = registered_at + timedelta(hours=rng.randint(20, 50), seconds=rng.randint(0, 3599))
        left_at = _leaves_at(profile.plot, span, rng)
        partner_id = journal.name("ptn")
        if profile.plot is Plot.SANDBOX:
            journal.test_partners.add(partner_id)
        account = profile.shares_account_with
        members.append(
            Member(
                partner_id=partner_id,
                number=index + 1,
                profile=profile,
                parent=members[profile.parent] if profile.parent is not None else None,
                heir=members[profile.heir] if profile.heir is not None else None,
                destination=_destination(partner_id) if account is None else members[account].destination,
                registered_at=registered_at,
                approved_at=approved_at,
                found_out_at=span.at(0.55),
                quits_at=left_at - timedelta(days=1) if left_at else span.until,
                left_at=left_at,
                tier_moves=_tier_moves(profile.plot, span, approved_at, rng),
            )
        )
    return members


def write_partner_events(members: list[Member], journal: Journal) -> None:
    """Every registration, approval, suspension and termination."""
    for member in members:
        manager = actor("user", member.manager_id)
        themselves = actor("partner", member.partner_id)
        _write_change(journal, member, member.registered_at, "partner.registered", 1, themselves)
        _write_change(journal, member, member.approved_at, "partner.approved", 2, manager, previous="pending")
        if member.left_at is not None:
            event_type, reason, detail, balance = _PARTINGS[member.plot]
            _write_change(journal, member, member.left_at, event_type, 3, manager, "active", reason, detail, balance)


_PARTINGS = {
    Plot.RING: ("partner.suspended", "fraud_review", "rejections far above the baseline", "hold"),
    Plot.ACCOMPLICE: ("partner.suspended", "fraud", "paid to the account of a suspended partner", "hold"),
    Plot.TERMINATED: ("partner.terminated", "brand_abuse", "search ads on the brand name", "forfeit"),
    Plot.MERGED: ("partner.terminated", "merged", "bought by another partner", "transfer"),
}


def _destination(partner_id: str) -> str:
    return f"dst_{sha256(partner_id.encode()).hexdigest()[:12]}"


def _leaves_at(plot: Plot, span: Span, rng: Random) -> datetime | None:
    if plot in {Plot.MERGED, Plot.TERMINATED}:
        # Just before a payout run, so that there is something left.
        return span.first_of_months()[2] + timedelta(days=3, minutes=rng.randint(0, 600))
    share = _LEAVING.get(plot)
    return None if share is None else span.at(share) + timedelta(minutes=rng.randint(0, 600))


def _tier_moves(plot: Plot, span: Span, approved_at: datetime, rng: Random) -> tuple[TierMove, ...]:
    months = [first + timedelta(minutes=5) for first in span.first_of_months() if first > approved_at]
    if plot is Plot.CLAWED_BACK and months:
        return (TierMove(months[0], BRONZE, SILVER), *(_reached_within(month, SILVER, GOLD) for month in months[1:2]))
    if plot is Plot.NEGATIVE_MONTH and len(months) > 1:
        return (TierMove(months[1], SILVER, BRONZE),)
    if plot is Plot.ORDINARY and months and rng.random() < 0.4:
        month = rng.choice(months)
        return ((_reached_within if rng.random() < 0.4 else TierMove)(month, BRONZE, SILVER),)
    return ()


def _reached_within(month: datetime, previous: Tier, new: Tier) -> TierMove:
    """A tier that is reached in the course of *month*, and holds for the whole of it."""
    # Before anything of the month can have been paid and taken back.
    first = month.replace(hour=0, minute=0)
    return TierMove(first + timedelta(days=11, hours=12, minutes=15), previous, new, retroactive_from=first)


def _write_change(
    journal: Journal,
    member: Member,
    at: datetime,
    event_type: str,
    version: int,
    by: JsonObject,
    previous: str | None = None,
    reason: str | None = None,
    detail: str | None = None,
    balance: str | None = None,
) -> None:
    merged_into = member.heir.partner_id if member.heir and balance == "transfer" else None
    change: JsonObject = {
        "previous_status": previous,
        "status": member.status(at),
        "reason_code": reason,
        "reason_detail": detail,
        "actor": by,
        "effective_at": instant(at),
        "balance_disposition": balance,
        "merged_into_partner_id": merged_into,
    }
    journal.write(at, event_type, {"partner": member.full_snapshot(at, version), "change": change})
