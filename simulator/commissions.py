"""Commissions of a played programme: what is calculated, changed and approved, and the books that are kept of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from simulator.agenda import Note
from simulator.cast import Member
from simulator.conversions import Conversion
from simulator.journal import Journal
from simulator.postings import CommissionAccount, Posting, account_adjusted
from simulator.wire import JsonObject, actor, day, instant, money


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A reason to change what is owed; *kind* is the contract's `adjustment.type`."""

    kind: str
    reason_code: str
    detail: str
    by: JsonObject
    is_after_payout: bool = False


@dataclass(slots=True)
class Commission:
    """
    One commission at its present amount. Its methods must be called in the order of time.

    Attributes:
        amount: Signed, in the currency of the partner's commissions; adjustments change it.
        source: The commission of a sub-affiliate that this one is an override on, *level* steps above it.
        level: How many steps that sub-affiliate is below.
    """

    commission_id: str
    member: Member
    conversion: Conversion | None
    model: str
    component: str
    rate: JsonObject
    amount: Decimal
    calculated_at: datetime
    hold_days: int
    basis: JsonObject | None = None
    quantity: Decimal = Decimal(1)
    period: JsonObject | None = None
    source: "Commission | None" = None
    level: int = 1
    status: str = "calculated"
    payout_id: str | None = None
    version: int = 0
    _account: CommissionAccount = field(init=False)

    def __post_init__(self) -> None:
        self._account = CommissionAccount(self.commission_id, self.member.partner_id, self.currency)

    @property
    def currency(self) -> str:
        return self.member.profile.currency

    def preview(self) -> JsonObject:
        amount = money(self.amount, self.currency)
        return {"commission_id": self.commission_id, "model": self.model, "amount": amount}

    def calculate(self, journal: Journal) -> None:
        self._write(journal, self.calculated_at, "commission.calculated", {}, self._account.calculate(self.amount))

    def repeat(self, journal: Journal, at: datetime) -> None:
        """Calculate once more without a new version, as by a job that ran twice: another event that books nothing."""
        self.version -= 1
        note = Note("exceptions", "duplicate_commission_calculated")
        self._write(journal, at, "commission.calculated", {}, (), (note,))

    def restate(self, journal: Journal, at: datetime, amount: Decimal) -> None:
        """Calculate anew, as a higher version of the same; only before anything else is said of it."""
        self.amount = amount
        self._write(journal, at, "commission.calculated", {}, self._account.calculate(amount))

    def adjust(self, journal: Journal, at: datetime, delta: Decimal, why: Adjustment) -> None:
        """Change the amount by *delta*."""
        before, self.amount = self.amount, self.amount + delta
        adjustment_id = journal.name("adj")
        adjustment = _adjustment(adjustment_id, at, delta, why, self.currency) | {
            "amount_before": money(before, self.currency),
            "amount_after": money(self.amount, self.currency),
            "related_conversion_id": self.conversion.conversion_id if self.conversion else None,
        }
        postings = self._account.adjust(delta, adjustment_id, why.kind)
        self._write(journal, at, "commission.adjusted", {"adjustment": adjustment}, postings)

    def approve(self, journal: Journal, at: datetime, variance: Decimal = Decimal(0)) -> None:
        """Approve what is owed by now: the calculated amount plus what was adjusted since; or *variance* more."""
        self.status = "approved"
        self.amount += variance
        approval: JsonObject = {
            "approved_amount": money(self.amount, self.currency),
            "approved_at": instant(at),
            "payable_on": day((at + timedelta(days=31)).replace(day=5)),
            "actor": actor("system", "holdback"),
        }
        notes = (Note("exceptions", "approval_variance"),) if variance else ()
        postings = self._account.approve(self.amount)
        self._write(journal, at, "commission.approved", {"approval": approval}, postings, notes)

    def _write(
        self,
        journal: Journal,
        at: datetime,
        event_type: str,
        extra: JsonObject,
        postings: tuple[Posting, ...],
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.version += 1
        data: JsonObject = {"commission": self._view(), "partner": self.member.snapshot(at), **extra}
        is_live = self.conversion is None or self.conversion.is_live
        counting = () if self.member.partner_id in journal.test_partners else notes
        journal.write(at, event_type, data, postings, counting, is_live=is_live)

    def _view(self) -> JsonObject:
        deal, conversion, source = self.member.profile.deal, self.conversion, self.source
        return {
            "id": self.commission_id,
            "conversion_id": conversion.conversion_id if conversion else None,
            "customer_id": conversion.customer.customer_id if conversion else None,
            "model": self.model,
            "component": self.component,
            "plan_id": deal.plan_id,
            "plan_version": deal.plan_version,
            "tier_id": self.member.tier(self.calculated_at).tier_id,
            "rate": self.rate,
            "basis": self.basis,
            "quantity": format(self.quantity, "f"),
            "amount": money(self.amount, self.currency),
            "status": self.status,
            "period": self.period,
            "hold": {"days": self.hold_days, "until": day(self.calculated_at + timedelta(days=self.hold_days))},
            "sub_affiliate": source
            and {
                "level": self.level,
                "source_partner_id": source.member.partner_id,
                "source_commission_id": source.commission_id,
            },
            "payout_id": self.payout_id,
            "calculated_at": instant(self.calculated_at),
            "version": self.version,
        }


def adjust_account(
    journal: Journal, member: Member, at: datetime, delta: Decimal, why: Adjustment, counterparty: Member | None = None
) -> None:
    """Adjust the account as a whole: payable at once, for no commission in particular."""
    adjustment_id, currency = journal.name("adj"), member.profile.currency
    adjustment = _adjustment(adjustment_id, at, delta, why, currency)
    if counterparty is not None:
        adjustment["counterparty_partner_id"] = counterparty.partner_id
    data: JsonObject = {"commission": None, "partner": member.snapshot(at), "adjustment": adjustment}
    postings = account_adjusted(member.partner_id, currency, delta, adjustment_id, why.kind)
    journal.write(at, "commission.adjusted", data, postings)


def _adjustment(adjustment_id: str, at: datetime, delta: Decimal, why: Adjustment, currency: str) -> JsonObject:
    return {
        "id": adjustment_id,
        "type": why.kind,
        "reason_code": why.reason_code,
        "reason_detail": why.detail,
        "amount_delta": money(delta, currency),
        "amount_before": None,
        "amount_after": None,
        "is_after_payout": why.is_after_payout,
        "recovery": "offset_next_payout" if why.is_after_payout else None,
        "effective_on": day(at),
        "related_conversion_id": None,
        "counterparty_partner_id": None,
        "actor": why.by,
    }
