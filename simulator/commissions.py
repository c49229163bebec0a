"""Commissions of the played programme, and the open items that they leave on a partner's account to be paid."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from simulator.cast import Member
from simulator.conversions import Conversion
from simulator.journal import Journal
from simulator.wire import JsonObject, actor, day, instant, money


@dataclass(frozen=True, slots=True)
class Item:
    """
    An amount on a partner's account, in the currency of its commissions; negative after a clawback.

    Attributes:
        payable_from: The moment at which the platform said so.
        commission: None for an adjustment of the account as a whole.
    """

    payable_from: datetime
    amount: Decimal
    commission: "Commission | None"
    adjustment_id: str | None = None


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
        source: The commission of a sub-affiliate that this one is an override on.
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
    status: str = "calculated"
    payout_id: str | None = None
    version: int = 0

    @property
    def currency(self) -> str:
        return self.member.profile.currency

    def preview(self) -> JsonObject:
        amount = money(self.amount, self.currency)
        return {"commission_id": self.commission_id, "model": self.model, "amount": amount}

    def calculate(self, journal: Journal) -> None:
        self._write(journal, self.calculated_at, "commission.calculated", {})

    def adjust(self, journal: Journal, at: datetime, delta: Decimal, why: Adjustment) -> Item:
        """Change the amount by *delta*; the item returned is payable only where the commission was approved before."""
        before, self.amount = self.amount, self.amount + delta
        adjustment_id = journal.name("adj")
        adjustment = _adjustment(adjustment_id, at, delta, why, self.currency) | {
            "amount_before": money(before, self.currency),
            "amount_after": money(self.amount, self.currency),
            "related_conversion_id": self.conversion.conversion_id if self.conversion else None,
        }
        self._write(journal, at, "commission.adjusted", {"adjustment": adjustment})
        return Item(at, delta, self, adjustment_id)

    def approve(self, journal: Journal, at: datetime) -> Item:
        """Approve what is owed by now: the calculated amount plus what was adjusted since."""
        self.status = "approved"
        approval: JsonObject = {
            "approved_amount": money(self.amount, self.currency),
            "approved_at": instant(at),
            "payable_on": day((at + timedelta(days=31)).replace(day=5)),
            "actor": actor("system", "holdback"),
        }
        self._write(journal, at, "commission.approved", {"approval": approval})
        return Item(at, self.amount, self)

    def _write(self, journal: Journal, at: datetime, event_type: str, extra: JsonObject) -> None:
        self.version += 1
        journal.write(at, event_type, {"commission": self._view(), "partner": self.member.snapshot(at), **extra})

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
                "level": 1,
                "source_partner_id": source.member.partner_id,
                "source_commission_id": source.commission_id,
            },
            "payout_id": self.payout_id,
            "calculated_at": instant(self.calculated_at),
            "version": self.version,
        }


def adjust_account(journal: Journal, member: Member, at: datetime, delta: Decimal, why: Adjustment) -> Item:
    """An adjustment of the account as a whole: payable at once, for no commission in particular."""
    adjustment_id = journal.name("adj")
    adjustment = _adjustment(adjustment_id, at, delta, why, member.profile.currency)
    data: JsonObject = {"commission": None, "partner": member.snapshot(at), "adjustment": adjustment}
    journal.write(at, "commission.adjusted", data)
    return Item(at, delta, None, adjustment_id)


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
