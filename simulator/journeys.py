"""Journeys of the played programme: from a visit to a customer, through qualification or rejection, to approval."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from simulator.cast import Member, Span
from simulator.commissions import Adjustment, Commission, Item
from simulator.conversions import Conversion, Customer, Rejection
from simulator.journal import Journal
from simulator.roster import Plot
from simulator.steps import earn, earning_step, opening_step, share
from simulator.visits import arrive, moment
from simulator.wire import actor, rounded

_REJECTIONS: tuple[tuple[int, Rejection], ...] = (
    (5, Rejection("no_activity", "quality", "rule", "no qualifying activity within the window")),
    (4, Rejection("below_min_deposit", "quality", "rule", "less than the plan asks for")),
    (3, Rejection("not_new_customer", "quality", "rule", "account known under another brand")),
    (2, Rejection("kyc_failed", "quality", "provider", "identity check failed twice")),
    (4, Rejection("refund", "commercial", "advertiser", "customer was refunded")),
    (2, Rejection("credited_other_partner", "commercial", "manual", "earlier click of another partner")),
    (2, Rejection("payment_failed", "commercial", "provider", "payment was not settled")),
    (2, Rejection("restricted_jurisdiction", "compliance", "rule", "residence outside the licence")),
    (1, Rejection("attribution_dispute", "technical", "manual", "two clicks within one second", is_final=False)),
    (3, Rejection("duplicate_device", "fraud", "fraud_engine", "device seen before", "0.81", ("dup_device_24h",))),
)
_FARM_REJECTIONS: tuple[tuple[int, Rejection], ...] = (
    (6, Rejection("duplicate_device", "fraud", "fraud_engine", "device farm", "0.97", ("dup_device_24h", "short_ctc"))),
    (5, Rejection("duplicate_ip", "fraud", "fraud_engine", "address farm", "0.92", ("dup_ip_24h",))),
    (3, Rejection("proxy_vpn", "fraud", "fraud_engine", "hosting provider's address", "0.88", ("proxy",))),
    (2, Rejection("bonus_abuse", "fraud", "manual", "deposit, bonus, withdrawal", "0.79", ("min_deposit",))),
    (1, Rejection("no_activity", "quality", "rule", "no qualifying activity within the window")),
)
_PARTNER_LEFT = Rejection("partner_not_active", "compliance", "rule", "partner had left before qualification")
_CANCELLED = Rejection("order_cancelled", "commercial", "advertiser", "customer withdrew in the first days")
_REVERSAL = Adjustment("reversal", "conversion_rejected", "conversion reversed", actor("rule", "reversal"))
_RECALCULATED = Adjustment("correction", "amount_corrected", "value was corrected", actor("system", "recalculation"))
_GOODWILL = Adjustment("correction", "rate_agreed", "rate as agreed by e-mail", actor("user", "fin_3"))


@dataclass(slots=True)
class Accounts:
    """
    What the journeys leave behind.

    Attributes:
        items: By partner id, what becomes payable; not in the order of time.
        qualified: By partner id, when its main conversions qualified.
    """

    items: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    qualified: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def add(self, member: Member, item: Item) -> None:
        self.items[member.partner_id].append(item)


def play_journeys(rng: Random, journal: Journal, members: list[Member], count: int, span: Span) -> Accounts:
    """*count* journeys, or two for every partner if that is more; the first two of each partner succeed early."""
    accounts = Accounts()
    for member in members:
        early = member.approved_at + timedelta(days=6)
        for _ in range(2):
            _Journey(rng, journal, member, accounts, is_certain=True).play(moment(rng, member.approved_at, early))
    crowd = rng.choices(members, [member.profile.weight for member in members], k=max(count - 2 * len(members), 0))
    for member in crowd:
        at = moment(rng, member.approved_at, min(member.quits_at, span.until))
        _Journey(rng, journal, member, accounts, is_certain=False).play(at)
    return accounts


@dataclass(slots=True)
class _Journey:
    rng: Random
    journal: Journal
    member: Member
    accounts: Accounts
    is_certain: bool

    def play(self, at: datetime) -> None:
        rng, journal, deal = self.rng, self.journal, self.member.profile.deal
        visit = arrive(rng, journal, self.member, at, by_coupon=rng.random() < 0.05)
        is_bad = self._is_farmed()
        haste = timedelta(seconds=rng.randint(6, 14)) if is_bad else timedelta(minutes=rng.randint(2, 2000))
        customer = Customer(journal.name("cus"), visit.country, at + haste)
        opening = None
        bought_at = customer.registered_at
        if deal.opening is not None:
            opening = opening_step(journal, deal.opening, self.member, customer, visit)
            opening.create(journal)
            opening.qualify(journal, opening.occurred_at + timedelta(minutes=rng.randint(2, 90)), None)
            if not self.is_certain and rng.random() > 0.75:
                return
            bought_at += timedelta(hours=rng.randint(2, 120), seconds=rng.randint(0, 3599))
        main = earning_step(rng, journal, self.member, customer, visit, bought_at, opening, number=1)
        main.create(journal)
        self._decide(main, is_bad=is_bad)
        if main.status == "qualified":
            self._repeat(main)

    def _is_farmed(self) -> bool:
        return self.member.profile.plot is Plot.FRAUD and not self.is_certain and self.rng.random() < 0.65

    def _decide(self, conversion: Conversion, *, is_bad: bool) -> None:
        rng, journal = self.rng, self.journal
        at = conversion.occurred_at + timedelta(hours=rng.randint(1, 72), seconds=rng.randint(1, 3599))
        fate = "qualified" if self.is_certain else rng.choices(("qualified", "rejected", "open"), (78, 17, 5))[0]
        if is_bad or fate == "rejected":
            reasons = _FARM_REJECTIONS if is_bad else _REJECTIONS
            why = rng.choices([each for _, each in reasons], [weight for weight, _ in reasons])[0]
            conversion.reject(journal, at, why)
            if not why.is_final and self.member.is_active(at + timedelta(days=2)):
                self._qualify(conversion, at + timedelta(days=2))
        elif fate == "qualified" and self.member.is_active(at):
            self._qualify(conversion, at)
        elif fate == "qualified":
            conversion.reject(journal, at, _PARTNER_LEFT)

    def _qualify(self, conversion: Conversion, at: datetime) -> None:
        """Qualify, book what is earned, let it change within the holding time, approve what is left."""
        earned = earn(self.rng, self.journal, conversion, at + timedelta(seconds=1))
        conversion.qualify(self.journal, at, earned[0].preview())
        if conversion.is_first:
            self.accounts.qualified[self.member.partner_id].append(at)
        for commission in earned:
            commission.calculate(self.journal)
        self._second_thoughts(conversion, earned, at + timedelta(hours=self.rng.randint(12, 120)))
        self._approve(earned)

    def _second_thoughts(self, conversion: Conversion, earned: list[Commission], at: datetime) -> None:
        rng, journal = self.rng, self.journal
        chance = 1.0 if self.is_certain else rng.random()
        if chance < 0.05:
            conversion.reject(journal, at, _CANCELLED)
            for commission in earned:
                commission.adjust(journal, at + timedelta(seconds=2), -commission.amount, _REVERSAL)
        elif chance < 0.18 and conversion.value is not None:
            factor = rng.choice((Decimal("0.8"), Decimal("0.9"), Decimal("1.25")))
            conversion.correct_value(journal, at, rounded(conversion.value * factor, conversion.currency))
            own = earned[0]
            if own.member.profile.deal.rate_type == "percent":
                delta = rounded(own.amount * factor, own.currency) - own.amount
                own.adjust(journal, at + timedelta(seconds=2), delta, _RECALCULATED)
        elif chance < 0.24:
            own = earned[0]
            own.adjust(journal, at, share(own.amount, Decimal(10), own.currency), _GOODWILL)

    def _approve(self, earned: list[Commission]) -> None:
        for commission in earned:
            due = commission.calculated_at + timedelta(days=commission.hold_days)
            at = due.replace(hour=6, minute=self.rng.randint(0, 29), second=self.rng.randint(0, 59))
            if commission.amount and commission.member.is_active(at):
                self.accounts.add(commission.member, commission.approve(self.journal, at))

    def _repeat(self, main: Conversion) -> None:
        rng, journal, deal = self.rng, self.journal, self.member.profile.deal
        previous = main
        for number in range(2, 6):
            if rng.random() > deal.repeat_mean / (1 + deal.repeat_mean):
                return
            at = previous.occurred_at + timedelta(days=rng.randint(10, 28), minutes=rng.randint(0, 900))
            if not self.member.is_active(at + timedelta(days=1)):
                return
            again = earning_step(rng, journal, self.member, main.customer, main.visit, at, main, number)
            again.create(journal)
            qualified_at = at + timedelta(minutes=rng.randint(5, 600))
            if deal.repeat_earns:
                self._qualify(again, qualified_at)
            else:
                again.qualify(journal, qualified_at, None)
            previous = again
