"""The events of a payout: scheduled, processing, completed, failed."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from models.contract import Contract
from models.enumerations import PAYOUT_FAILURE_CATEGORIES
from models.envelope import Event
from models.money import Currency, Money
from models.scalars import Date, DecimalText, Identifier, Integer, Text, Timestamp, known
from models.snapshots import Partner, Period


class Fee(Contract):
    """One fee on a payout, and who bears it."""

    kind: Text | None = None
    amount: Money | None = None
    borne_by: Text | None = None


class Exchange(Contract):
    """The conversion into the currency paid out."""

    from_currency: Annotated[Currency | None, Field(alias="from")] = None
    to_currency: Annotated[Currency | None, Field(alias="to")] = None
    rate: DecimalText | None = None
    rate_source: Text | None = None
    rate_at: Timestamp | None = None


class Allocation(Contract):
    """A commission or an adjustment that the payout settles."""

    commission_id: Identifier | None = None
    adjustment_id: Identifier | None = None
    amount: Money | None = None


class Payout(Contract):
    """A payment to a partner: `amount` is what is paid, `debit` what leaves the commission balance."""

    id: Identifier
    batch_id: Identifier | None = None
    status: Text | None = None
    amount: Money
    debit: Money
    gross: Money | None = None
    fees: Annotated[tuple[Fee, ...], Strict(False)] | None = None
    withholding_tax: Money | None = None
    fx: Exchange | None = None
    method: Text | None = None
    provider: Text | None = None
    provider_reference: Text | None = None
    destination_hash: Text | None = None
    period: Period | None = None
    scheduled_for: Date | None = None
    attempt: Integer | None = None
    retry_of_payout_id: Identifier | None = None
    allocations: Annotated[tuple[Allocation, ...], Strict(False)] | None = None
    version: Integer | None = None


class PayoutScheduledData(Contract):
    """The data of `payout.scheduled`, and what the other events of a payout add to."""

    payout: Payout
    partner: Partner


class Processing(Contract):
    """When the provider was asked to pay."""

    submitted_at: Timestamp | None = None


class PayoutProcessingData(PayoutScheduledData):
    """The data of `payout.processing`."""

    processing: Processing | None = None


class Completion(Contract):
    """What arrived, and when."""

    completed_at: Timestamp
    settled: Money | None = None
    provider_fee: Money | None = None
    value_date: Date | None = None


class PayoutCompletedData(PayoutScheduledData):
    """The data of `payout.completed`."""

    completion: Completion | None = None


class Failure(Contract):
    """Why nothing arrived, or why it came back."""

    failed_at: Timestamp
    code: Text | None = None
    category: Annotated[Text, known(PAYOUT_FAILURE_CATEGORIES)]
    message: Text | None = None
    is_retryable: bool | None = None
    is_return_after_completion: bool | None = None
    returned: Money | None = None
    next_attempt_at: Timestamp | None = None


class PayoutFailedData(PayoutScheduledData):
    """The data of `payout.failed`."""

    failure: Failure | None = None


class PayoutScheduled(Event):
    """A payout was planned; its debit is set aside."""

    type: Literal["payout.scheduled"]
    data: PayoutScheduledData


class PayoutProcessing(Event):
    """A payout is with the provider."""

    type: Literal["payout.processing"]
    data: PayoutProcessingData


class PayoutCompleted(Event):
    """A payout arrived."""

    type: Literal["payout.completed"]
    data: PayoutCompletedData


class PayoutFailed(Event):
    """A payout did not arrive, or was returned after it had."""

    type: Literal["payout.failed"]
    data: PayoutFailedData
