"""Journeys of a played programme: from a visit to a customer, through qualification or rejection, to approval."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from simulator.activity import Activity
from simulator.cast import Member
from simulator.commissions import Commission
from simulator.conversions import Conversion, Customer
from simulator.deals import Earning, Step
from simulator.journal import Journal
from simulator.mishaps import Chances, Mishap
from simulator.rises import Rise
from simulator.roster import CROOKED, Plot
from simulator.steps import Luck, convert, earn
from simulator.verdicts import (
    CANCELLED,
    CHARGEBACK,
    CHARGED_BACK,
    DUPLICATE,
    GOODWILL,
    PARTNER_LEFT,
    REATTRIBUTED,
    RECALCULATED,
    REVERSAL,
    SELF_REFERRAL,
    a_rejection,
    a_rejection_of_farmed,
)
from simulator.visits import Door, Machine, Manner, Visit, any_machine, machine_of_farm
from simulator.wire import rounded, share


@dataclass(slots=True)
class Stage:
    """
    What every journey of a programme has to do with.

    Attributes:
        qualified: By partner id and month, how many customers qualified.
        on_doubtful: Called with a commission that is to be taken back once it has been paid.
        chances: Of mishaps.
        members: All partners.
    """

    rng: Random
    journal: Journal
    door: Door
    activity: Activity
    on_doubtful: Callable[[Commission], None]
    chances: Chances
    members: list[Member]
    qualified: Counter[tuple[str, date]] = field(default_factory=Counter)


def play_journey(
    stage: Stage,
    member: Member,
    at: datetime,
    *,
    is_certain: bool = False,
    is_deceit: bool = False,
    mishap: Mishap | None = None,
) -> None:
    """
    Write down, ahead, what becomes of a visitor who comes through *member* at *at*.

    Args:
        is_certain: It goes well, and its partner earns by it.
        is_deceit: It is one of those that a crooked partner makes up.
        mishap: What goes wrong with its order.
    """
    rng = stage.rng
    if member.plot is Plot.RING and not is_certain and (is_deceit or rng.random() < 0.5):
        # Somebody works off a list of names at one machine.
        machine = machine_of_farm(rng, member)
        for number in range(rng.randint(3, 4)):
            journey = _Journey(stage, member, is_certain=False, is_farmed=True, mishap=None)
            # The first to be made is the partner's own account.
            journey.is_own = is_deceit and number == 0
            journey.play(at, Manner.FARMED, machine)
            at += timedelta(minutes=rng.randint(3, 25))
        return
    manner = Manner.COUPON if rng.random() < 0.05 else Manner.LINK
    if member.plot is Plot.ACCOMPLICE and not is_certain and rng.random() < 0.4:
        manner = Manner.CLICKLESS
    _Journey(stage, member, is_certain, is_farmed=False, mishap=mishap).play(at, manner, any_machine(rng))


def try_out(stage: Stage, member: Member, at: datetime) -> None:
    """Write down, ahead, how somebody tries the link of *member*, from the click to the commission: all test events."""
    rng, journal = stage.rng, stage.journal
    step = next((step for step in member.profile.deal.steps if step.earning), member.profile.deal.steps[0])
    visit = stage.door.arrive(member, at, Manner.LINK, any_machine(rng), is_live=False)
    customer = Customer(journal.name("cus"), visit.country, at)
    conversion = convert(rng, journal, member, customer, visit, step, at + timedelta(minutes=2), None, is_live=False)
    conversion.create(journal)
    conversion.qualify(journal, conversion.occurred_at + timedelta(minutes=5), None)
    if step.earning is not None:
        earn(journal, conversion, step.earning, conversion.occurred_at + timedelta(minutes=5, seconds=1), 7)[
            0
        ].calculate(journal)


def peers_of(members: list[Member], member: Member, at: datetime) -> list[Member]:
    """Whoever *member* may have a dispute with: on the same deal, paid in the same currency, honest, and to stay."""
    profile = member.profile
    return [
        each
        for each in members
        if each is not member
        and each.profile.deal is profile.deal
        and each.profile.currency == profile.currency
        and each.plot not in CROOKED
        and not each.is_test
        and each.left_at is None
        and each.is_active(at)
    ]


@dataclass(slots=True)
class _Journey:
    stage: Stage
    member: Member
    is_certain: bool
    is_farmed: bool
    mishap: Mishap | None
    is_own: bool = False
    _visit: Visit = field(init=False)
    _customer: Customer = field(init=False)
    _before: list[Conversion] = field(default_factory=list)

    def play(self, at: datetime, manner: Manner, machine: Machine) -> None:
        rng, journal = self.stage.rng, self.stage.journal
        self._visit = self.stage.door.arrive(self.member, at, manner, machine)
        at += self._haste()
        self._customer = Customer(journal.name("cus"), self._visit.country, at)
        previous: Conversion | None = None
        is_sure = self.is_certain
        for number, step in enumerate(self.member.profile.deal.steps):
            if number and not is_sure and rng.random() > step.chance:
                return
            if number:
                at += timedelta(hours=rng.randint(*step.hours), seconds=rng.randint(0, 3599))
            if at >= journal.until:
                return
            conversion = self._convert(step, at, previous)
            if conversion.status != "qualified":
                return
            is_sure = is_sure and not step.is_judged
            previous = conversion
            self._before.append(conversion)

    @property
    def _luck(self) -> Luck:
        if self.is_certain:
            return Luck.large
        return Luck.smallest if self.is_farmed else Luck.any

    def _haste(self) -> timedelta:
        """From the click to the first step."""
        rng = self.stage.rng
        if self.is_farmed:
            return timedelta(seconds=rng.randint(6, 14))
        if self.member.plot is Plot.ACCOMPLICE and rng.random() < 0.6:
            # A click that nobody made waits for somebody who comes anyway.
            return timedelta(minutes=rng.randint(1500, 6000))
        longest = rng.choices((40, 600, 2500), (75, 21, 4))[0]
        return timedelta(minutes=rng.randint(2, longest), seconds=rng.randint(0, 59))

    def _convert(self, step: Step, at: datetime, previous: Conversion | None) -> Conversion:
        rng, journal = self.stage.rng, self.stage.journal
        conversion = convert(
            rng, journal, self.member, self._customer, self._visit, step, at, previous, luck=self._luck
        )
        conversion.create(journal)
        if step.is_judged:
            self._decide(step, conversion)
        else:
            self._qualify(step, conversion, conversion.occurred_at + timedelta(minutes=rng.randint(2, 90)))
        if conversion.status == "qualified":
            self._be_worth(step, conversion)
            self._repeat(step, conversion)
        return conversion

    def _decide(self, step: Step, conversion: Conversion) -> None:
        rng, journal = self.stage.rng, self.stage.journal
        at = conversion.occurred_at + timedelta(hours=rng.randint(1, 72), seconds=rng.randint(1, 3599))
        fate = "qualified" if self.is_certain else rng.choices(("qualified", "rejected", "open"), (80, 15, 5))[0]
        if self.is_farmed:
            fate = "rejected" if at >= self.member.found_out_at else "qualified"
        if fate == "qualified" and not self.member.is_active(at):
            conversion.reject(journal, at, PARTNER_LEFT)
        elif fate == "qualified":
            self._qualify(step, conversion, at)
            month = at.date().replace(day=1)
            self.stage.qualified[self.member.partner_id, month] += 1
        elif fate == "rejected":
            why = a_rejection_of_farmed(rng) if self.is_farmed else a_rejection(rng)
            why = SELF_REFERRAL if self.is_own else why
            conversion.reject(journal, at, why)
            if not why.is_final and self.member.is_active(at + timedelta(days=2)):
                self._qualify(step, conversion, at + timedelta(days=2))

    def _qualify(self, step: Step, conversion: Conversion, at: datetime) -> None:
        """Qualify, book what is earned, let it change within the holding time, approve what is left."""
        rng, journal, deal = self.stage.rng, self.stage.journal, self.member.profile.deal
        is_paid_for = conversion.is_first or step.repeat_earns
        if step.earning is None or not is_paid_for or not self.member.is_active(at):
            conversion.qualify(journal, at, None)
            return
        earned = earn(journal, conversion, step.earning, at + timedelta(seconds=1), rng.choice(deal.hold_days))
        conversion.qualify(journal, at, earned[0].preview())
        for commission in earned:
            commission.calculate(journal)
        mishap = self._mishap(step, conversion)
        rise = Rise.of(rng, step.earning, conversion, earned[0])
        thinks_at = at + timedelta(hours=rng.randint(12, 48))
        if mishap is Mishap.REPEATED:
            earned[0].repeat(journal, at + timedelta(minutes=rng.randint(1, 20)))
        elif mishap is Mishap.DUPLICATED:
            self._duplicate(step.earning, conversion, at)
        rise.take_before(journal, thinks_at)
        if mishap is Mishap.REATTRIBUTED:
            earned = self._reattribute(step.earning, conversion, earned, thinks_at)
            rise = Rise.of(rng, step.earning, conversion, earned[0])
        elif mishap is Mishap.RESTATED and not rise.is_taken:
            own = earned[0]
            own.restate(journal, thinks_at, own.amount + share(own.amount, Decimal(5), own.currency))
        elif mishap is None:
            self._second_thoughts(conversion, earned, thinks_at)
        self._approve(earned, rise)

    def _mishap(self, step: Step, conversion: Conversion) -> Mishap | None:
        """What goes wrong with this order: what was planned, or what chance has it; only with the one that decides."""
        if not step.is_judged or not conversion.is_first or self.is_farmed:
            return None
        mishap = self.mishap
        if mishap is None and not self.is_certain:
            mishap = self.stage.chances.drawn(self.stage.rng)
        is_without_peer = mishap is Mishap.REATTRIBUTED and not peers_of(
            self.stage.members, self.member, conversion.occurred_at
        )
        return None if is_without_peer or self.member.is_test else mishap

    def _duplicate(self, earning: Earning, conversion: Conversion, at: datetime) -> None:
        """The order comes under a second id as well: at times that is noticed, at times it is paid for again."""
        rng, journal = self.stage.rng, self.stage.journal
        twin = conversion.twin(journal, conversion.occurred_at + timedelta(seconds=rng.randint(20, 240)))
        twin.create_twin(journal)
        if not self.mishap and rng.random() < 0.5:
            twin.reject(journal, at + timedelta(hours=rng.randint(1, 30)), DUPLICATE)
            return
        at += timedelta(minutes=rng.randint(2, 30))
        twin_earned = earn(journal, twin, earning, at + timedelta(seconds=1), self.member.profile.deal.hold_days[0])
        twin.qualify(journal, at, twin_earned[0].preview())
        for commission in twin_earned:
            commission.calculate(journal)
        self._approve(twin_earned, Rise.of(rng, earning, twin, twin_earned[0]))

    def _reattribute(
        self, earning: Earning, conversion: Conversion, earned: list[Commission], at: datetime
    ) -> list[Commission]:
        """The customer goes over to another partner, who earns by the order instead."""
        rng, journal = self.stage.rng, self.stage.journal
        peers = peers_of(self.stage.members, self.member, at)
        if at >= journal.until or not peers:
            return earned
        self.member = rng.choice(peers)
        for each in (*self._before, conversion):
            each.reattribute(journal, at, self.member)
        for commission in earned:
            commission.adjust(journal, at + timedelta(seconds=2), -commission.amount, REATTRIBUTED)
        renewed = earn(journal, conversion, earning, at + timedelta(seconds=4), earned[0].hold_days)
        for commission in renewed:
            commission.calculate(journal)
        return renewed

    def _second_thoughts(self, conversion: Conversion, earned: list[Commission], at: datetime) -> None:
        rng, journal = self.stage.rng, self.stage.journal
        own, chance = earned[0], 1.0 if self.is_certain else rng.random()
        if chance < 0.05:
            conversion.reject(journal, at, CANCELLED)
            for commission in earned:
                commission.adjust(journal, at + timedelta(seconds=2), -commission.amount, REVERSAL)
        elif chance < 0.14 and conversion.value is not None:
            factor = rng.choice((Decimal("0.8"), Decimal("0.9"), Decimal("1.25")))
            conversion.correct_value(journal, at, rounded(conversion.value * factor, conversion.currency))
            if own.rate["type"] == "percent":
                delta = rounded(own.amount * factor, own.currency) - own.amount
                own.adjust(journal, at + timedelta(seconds=2), delta, RECALCULATED)
        elif chance < 0.18:
            own.adjust(journal, at, share(own.amount, Decimal(10), own.currency), GOODWILL)
        elif self.member.plot is Plot.ACCOMPLICE and (chance < 0.5 or (self.is_certain and self._is_late())):
            # A stolen card: the bank takes the money back, before the commission is approved.
            conversion.reject(journal, at, CHARGED_BACK)
            for commission in earned:
                commission.adjust(journal, at + timedelta(seconds=2), -commission.amount, CHARGEBACK)

    def _is_late(self) -> bool:
        return self._visit.at > self.member.approved_at + timedelta(days=20)

    def _approve(self, earned: list[Commission], rise: Rise) -> None:
        rng, journal = self.stage.rng, self.stage.journal
        for commission in earned:
            due = commission.calculated_at + timedelta(days=commission.hold_days)
            at = due.replace(hour=6, minute=rng.randint(0, 29), second=rng.randint(0, 59))
            if commission is rise.commission:
                rise.take_before(journal, at)
            if not commission.amount or not commission.member.is_active(at):
                continue
            is_proven = self.is_certain and self.member.plot is Plot.CLAWED_BACK
            is_doubtful = commission.source is None and (is_proven or rng.random() < 0.01)
            # What is adjusted afterwards would not begin with what the adjustment before it ended with.
            is_final = not is_doubtful and not (commission is rise.commission and rise.is_to_come)
            is_odd = is_final and not self.is_certain and rng.random() < 0.005
            variance = -share(commission.amount, Decimal(1), commission.currency) if is_odd else Decimal(0)
            commission.approve(journal, at, variance)
            if is_doubtful:
                self.stage.on_doubtful(commission)
        rise.take(journal)

    def _be_worth(self, step: Step, conversion: Conversion) -> None:
        activity, worth = self.stage.activity, self.member.profile.deal.worth
        if worth == "gaming" and step.is_judged and conversion.is_first and not self.is_farmed:
            activity.play_on(conversion)
        elif worth == "trading" and step.kind == "trade":
            activity.trade(conversion)
        elif worth == "payments":
            activity.pay(conversion)

    def _repeat(self, step: Step, first: Conversion) -> None:
        rng, journal = self.stage.rng, self.stage.journal
        previous = first
        for number in range(2, 8):
            if self.is_farmed or rng.random() > step.repeat_mean / (1 + step.repeat_mean):
                return
            at = previous.occurred_at + timedelta(days=rng.randint(10, 28), minutes=rng.randint(0, 900))
            if at >= journal.until or not self.member.is_active(at + timedelta(days=1)):
                return
            again = convert(rng, journal, self.member, self._customer, self._visit, step, at, first, number=number)
            again.create(journal)
            self._qualify(step, again, at + timedelta(minutes=rng.randint(5, 600)))
            if again.status == "qualified":
                self._be_worth(step, again)
            previous = again
