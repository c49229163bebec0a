"""A payout of a played programme: what is paid for which items, and how it fares at the provider."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

from simulator.cast import Member
from simulator.journal import Journal
from simulator.postings import PayoutAccount, Posting
from simulator.wire import JsonObject, day, instant, money, price, rounded

_WIRE_FEE = Decimal(12)
"""In euros before pricing; less than the least that is paid."""

_WITHHOLDING_RATE = Decimal("0.1021")


class Item(NamedTuple):
    """What a payout may settle, in the currency of the commissions; negative after a clawback."""

    amount: Decimal
    commission_id: str | None
    adjustment_id: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    category: str
    message: str
    is_retryable: bool
    is_return: bool = False


REFUSED_BY_BANK = Failure("account_closed", "invalid_details", "AC04 closed account number", is_retryable=True)
WALLET_BLOCKED = Failure("wallet_blocked", "compliance_block", "wallet under review", is_retryable=False)
RETURNED = Failure("returned", "returned_by_bank", "beneficiary name differs", is_retryable=True, is_return=True)


@dataclass(slots=True)
class Payout:
    """
    One payout at its present state. Its methods must be called in the order of time.

    The debit is the sum of its items, in the currency of the commissions; what arrives is less by the fee and the tax
    the partner bears, and in the currency the partner is paid in.

    Attributes:
        rate: Units of the currency paid for one unit of the currency of the commissions; None where they are the same.
        scheduled_at: Also the moment of the exchange rate.
    """

    payout_id: str
    batch_id: str
    member: Member
    items: list[Item]
    rate: Decimal | None
    scheduled_at: datetime
    attempt: int = 1
    retry_of: str | None = None
    status: str = "scheduled"
    provider_reference: str | None = None
    version: int = 0
    _account: PayoutAccount = field(init=False)

    def __post_init__(self) -> None:
        self._account = PayoutAccount(self.member.partner_id, self.member.profile.currency, self.debit)

    @property
    def debit(self) -> Decimal:
        return sum((item.amount for item in self.items), Decimal(0))

    def schedule(self, journal: Journal) -> None:
        self._write(journal, self.scheduled_at, "payout.scheduled", {}, self._account.reserve())

    def process(self, journal: Journal, at: datetime) -> None:
        self.status = "processing"
        digits = sha256(self.payout_id.encode()).hexdigest()[:10].upper()
        self.provider_reference = f"{self.member.profile.provider.upper()}-{digits}"
        self._write(
            journal, at, "payout.processing", {"processing": {"submitted_at": instant(at)}}, self._account.reserve()
        )

    def complete(self, journal: Journal, at: datetime) -> None:
        self.status = "completed"
        currency = self.member.profile.payout_currency
        completion: JsonObject = {
            "completed_at": instant(at),
            "settled": money(self._paid(), currency),
            "provider_fee": money(price(Decimal(1), currency), currency),
            "value_date": day(at),
        }
        self._write(journal, at, "payout.completed", {"completion": completion}, self._account.complete())

    def fail(self, journal: Journal, at: datetime, why: Failure, next_attempt_at: datetime | None = None) -> None:
        """Fail, or come back after completion. The items are free to be paid again."""
        self.status = "failed"
        failure: JsonObject = {
            "failed_at": instant(at),
            "code": why.code,
            "category": why.category,
            "message": why.message,
            "is_retryable": why.is_retryable,
            "is_return_after_completion": why.is_return,
            "returned": money(self._paid(), self.member.profile.payout_currency) if why.is_return else None,
            "next_attempt_at": None if next_attempt_at is None else instant(next_attempt_at),
        }
        self._write(journal, at, "payout.failed", {"failure": failure}, self._account.fail())

    def _paid(self) -> Decimal:
        net = self.debit - self._fee() - self._withheld()
        return rounded(net if self.rate is None else net * self.rate, self.member.profile.payout_currency)

    def _fee(self) -> Decimal:
        profile = self.member.profile
        return price(_WIRE_FEE, profile.currency) if profile.provider == "intl_wire" else Decimal(0)

    def _withheld(self) -> Decimal:
        profile = self.member.profile
        rate = _WITHHOLDING_RATE if profile.provider == "zengin" else Decimal(0)
        return rounded(self.debit * rate, profile.currency)

    def _write(
        self, journal: Journal, at: datetime, event_type: str, extra: JsonObject, postings: tuple[Posting, ...]
    ) -> None:
        self.version += 1
        data: JsonObject = {"payout": self._view(), "partner": self.member.snapshot(at), **extra}
        journal.write(at, event_type, data, postings)

    def _view(self) -> JsonObject:
        profile, withheld = self.member.profile, self._withheld()
        last_month_end = self.scheduled_at.replace(day=1) - timedelta(days=1)
        is_in_hand = self.provider_reference is not None
        return {
            "id": self.payout_id,
            "batch_id": self.batch_id,
            "status": self.status,
            "amount": money(self._paid(), profile.payout_currency),
            "debit": money(self.debit, profile.currency),
            "gross": money(self.debit, profile.currency),
            "fees": [{"kind": "wire", "amount": money(self._fee(), profile.currency), "borne_by": "partner"}],
            "withholding_tax": money(withheld, profile.currency) if withheld else None,
            "fx": self._exchange(),
            "method": profile.method,
            "provider": profile.provider if is_in_hand else None,
            "provider_reference": self.provider_reference,
            "destination_hash": self.member.destination,
            "period": {"start": day(last_month_end.replace(day=1)), "end": day(last_month_end)},
            "scheduled_for": day(self.scheduled_at + timedelta(days=1)),
            "attempt": self.attempt,
            "retry_of_payout_id": self.retry_of,
            "allocations": [_allocation(item, profile.currency) for item in self.items],
            "version": self.version,
        }

    def _exchange(self) -> JsonObject | None:
        if self.rate is None:
            return None
        profile = self.member.profile
        return {
            "from": profile.currency,
            "to": profile.payout_currency,
            "rate": format(self.rate, "f"),
            "rate_source": "ecb",
            "rate_at": instant(self.scheduled_at),
        }


def _allocation(item: Item, currency: str) -> JsonObject:
    return {
        "commission_id": item.commission_id,
        "adjustment_id": item.adjustment_id,
        "amount": money(item.amount, currency),
    }
