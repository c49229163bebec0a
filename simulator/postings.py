"""
What the played platform's own accountant books: moves of a partner's pending, payable and in-transit balance.

An account knows of one commission, or one payout, what has been booked for it; it knows the rules of their lifecycles,
and nothing of JSON or SQL.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

Flow = Literal["earned", "adjusted", "transferred", "paid", "returned", "moved"]
"""Which column of a statement a posting belongs into; what is only moved between buckets belongs into none."""

_NOTHING = Decimal(0)


class Posting(NamedTuple):
    """
    One booking, in the currency of a partner's commissions.

    Attributes:
        commission_id: Whose commission it is for; with *adjustment_id* it says what a payout may settle.
        kind: The contract's `adjustment.type`, of an adjustment.
    """

    partner_id: str
    currency: str
    flow: Flow
    pending: Decimal
    payable: Decimal
    in_transit: Decimal
    commission_id: str | None = None
    adjustment_id: str | None = None
    kind: str | None = None

    @property
    def amount(self) -> Decimal:
        """What the balance gains."""
        return self.pending + self.payable + self.in_transit

    @property
    def is_due(self) -> bool:
        """Whether it opens an item that a payout may settle."""
        return bool(self.payable) and (self.commission_id is not None or self.adjustment_id is not None)


class CommissionAccount:
    """The books of one commission. Call its methods in the order of time; each gives what to book."""

    def __init__(self, commission_id: str, partner_id: str, currency: str) -> None:
        self.commission_id = commission_id
        self.partner_id = partner_id
        self.currency = currency
        self.pending = _NOTHING
        self._calculated: Decimal | None = None
        self._is_approved = False

    def calculate(self, amount: Decimal) -> tuple[Posting, ...]:
        """Earn *amount*; said again under a higher version, the difference to what was said before."""
        delta = amount - (self._calculated or _NOTHING)
        self._calculated = amount
        self.pending += delta
        return (self._posting("earned", pending=delta),)

    def adjust(self, delta: Decimal, adjustment_id: str, kind: str) -> tuple[Posting, ...]:
        """Change what is owed: payable after the approval, pending before it."""
        if self._is_approved:
            return (self._posting("adjusted", payable=delta, adjustment_id=adjustment_id, kind=kind),)
        self.pending += delta
        return (self._posting("adjusted", pending=delta, adjustment_id=adjustment_id, kind=kind),)

    def approve(self, approved: Decimal) -> tuple[Posting, ...]:
        """Make payable what is pending, after making *approved* of it where that differs; only the first one counts."""
        if self._is_approved:
            return ()
        self._is_approved = True
        variance = approved - self.pending
        self.pending = _NOTHING
        moved = self._posting("moved", pending=-approved, payable=approved)
        return (self._posting("adjusted", pending=variance), moved) if variance else (moved,)

    def _posting(
        self,
        flow: Flow,
        pending: Decimal = _NOTHING,
        payable: Decimal = _NOTHING,
        adjustment_id: str | None = None,
        kind: str | None = None,
    ) -> Posting:
        return Posting(
            self.partner_id, self.currency, flow, pending, payable, _NOTHING, self.commission_id, adjustment_id, kind
        )


def account_adjusted(
    partner_id: str, currency: str, delta: Decimal, adjustment_id: str, kind: str
) -> tuple[Posting, ...]:
    """Book an adjustment of the account as a whole: payable at once."""
    flow: Flow = "transferred" if kind == "partner_transfer" else "adjusted"
    return (Posting(partner_id, currency, flow, _NOTHING, delta, _NOTHING, None, adjustment_id, kind),)


class PayoutAccount:
    """The books of one payout: what moves is its debit, and it moves only when the state changes."""

    def __init__(self, partner_id: str, currency: str, debit: Decimal) -> None:
        self.partner_id = partner_id
        self.currency = currency
        self.debit = debit
        self._state: Literal["open", "reserved", "paid"] = "open"

    def reserve(self) -> tuple[Posting, ...]:
        """Scheduled or processing: set aside what is not set aside or paid already."""
        if self._state != "open":
            return ()
        self._state = "reserved"
        return (self._posting("moved", payable=-self.debit, in_transit=self.debit),)

    def complete(self) -> tuple[Posting, ...]:
        """Pay, out of what was set aside, or straight from what is payable."""
        before, self._state = self._state, "paid"
        if before == "paid":
            return ()
        if before == "reserved":
            return (self._posting("paid", in_transit=-self.debit),)
        return (self._posting("paid", payable=-self.debit),)

    def fail(self) -> tuple[Posting, ...]:
        """Release what was set aside, or take back what was paid and has been returned."""
        before, self._state = self._state, "open"
        if before == "reserved":
            return (self._posting("moved", payable=self.debit, in_transit=-self.debit),)
        if before == "paid":
            return (self._posting("returned", payable=self.debit),)
        return ()

    def _posting(self, flow: Flow, payable: Decimal = _NOTHING, in_transit: Decimal = _NOTHING) -> Posting:
        return Posting(self.partner_id, self.currency, flow, _NOTHING, payable, in_transit)
