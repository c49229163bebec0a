"""The events of a conversion: created, updated, qualified, rejected."""

from typing import Annotated, Literal

from pydantic import Strict

from models.contract import Contract
from models.enumerations import (
    COMMISSION_MODELS,
    CONVERSION_TYPES,
    REJECTION_CATEGORIES,
    REJECTION_DECIDERS,
    REJECTION_REASON_CODES,
)
from models.envelope import Event
from models.money import Money
from models.scalars import DecimalText, Identifier, Integer, Json, Text, Timestamp, known
from models.snapshots import Actor, Customer, Device, Geo, Partner, QualifyingEvent, Tracking


class Conversion(Contract):
    """Something a customer did that a partner may be paid for."""

    id: Identifier
    type: Annotated[Text, known(CONVERSION_TYPES)]
    vertical: Text | None = None
    external_id: Identifier | None = None
    status: Text | None = None
    occurred_at: Timestamp
    clicked_at: Timestamp | None = None
    parent_conversion_id: Identifier | None = None
    is_first: bool | None = None
    value: Money | None = None
    version: Integer | None = None


class ConversionCreatedData(Contract):
    """The data of `conversion.created`, and what the other events of a conversion add to."""

    conversion: Conversion
    partner: Partner
    customer: Customer | None = None
    tracking: Tracking | None = None
    geo: Geo | None = None
    device: Device | None = None
    qualifying_event: QualifyingEvent | None = None


class Criterion(Contract):
    """One condition of a qualification rule: what it asked for and what there was."""

    name: Text | None = None
    required: Json = None
    actual: Json = None
    unit: Text | None = None


class Qualification(Contract):
    """By which rule, and when, the conversion came to count."""

    rule_id: Identifier | None = None
    rule_version: Text | None = None
    qualified_at: Timestamp
    window_days: Integer | None = None
    criteria: Annotated[tuple[Criterion, ...], Strict(False)] | None = None


class CommissionPreview(Contract):
    """What the commission will probably be: information, never booked."""

    commission_id: Identifier | None = None
    model: Annotated[Text | None, known(COMMISSION_MODELS)] = None
    amount: Money | None = None


class ConversionQualifiedData(ConversionCreatedData):
    """The data of `conversion.qualified`."""

    qualification: Qualification | None = None
    commission_preview: CommissionPreview | None = None


class Rejection(Contract):
    """Why, and by whom, the conversion was turned down."""

    reason_code: Annotated[Text, known(REJECTION_REASON_CODES)]
    category: Annotated[Text, known(REJECTION_CATEGORIES)]
    reason_detail: Text | None = None
    platform_reason: Text | None = None
    decided_by: Annotated[Text | None, known(REJECTION_DECIDERS)] = None
    rule_id: Identifier | None = None
    fraud_score: DecimalText | None = None
    signals: Annotated[tuple[Json, ...], Strict(False)] | None = None
    previous_status: Text | None = None
    rejected_at: Timestamp
    is_final: bool | None = None


class ConversionRejectedData(ConversionCreatedData):
    """The data of `conversion.rejected`."""

    rejection: Rejection | None = None


class Change(Contract):
    """One field before and after: informative, since every event carries the whole conversion."""

    field: Text | None = None
    old: Json = None
    new: Json = None


class Update(Contract):
    """Why the conversion was changed, and by whom."""

    reason_code: Text | None = None
    reason_detail: Text | None = None
    actor: Actor | None = None


class ConversionUpdatedData(ConversionCreatedData):
    """The data of `conversion.updated`."""

    changes: Annotated[tuple[Change, ...], Strict(False)] | None = None
    update: Update | None = None


class ConversionCreated(Event):
    """A conversion came in."""

    type: Literal["conversion.created"]
    data: ConversionCreatedData


class ConversionUpdated(Event):
    """A conversion changed: its status, its value, its customer, or the partner it is credited to."""

    type: Literal["conversion.updated"]
    data: ConversionUpdatedData


class ConversionQualified(Event):
    """A conversion met the conditions of its plan."""

    type: Literal["conversion.qualified"]
    data: ConversionQualifiedData


class ConversionRejected(Event):
    """A conversion was turned down, perhaps after it had qualified."""

    type: Literal["conversion.rejected"]
    data: ConversionRejectedData
