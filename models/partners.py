"""The events of a partner: registered, approved, suspended, terminated."""

from typing import Annotated, Literal

from models.contract import Contract
from models.enumerations import PARTNER_REASON_CODES
from models.envelope import Event
from models.scalars import Identifier, Text, Timestamp, known
from models.snapshots import Actor, FullPartner


class StatusChange(Contract):
    """A partner's move from one status to another; what becomes of the balance is a word here, never a booking."""

    previous_status: Text | None = None
    status: Text
    reason_code: Annotated[Text | None, known(PARTNER_REASON_CODES)] = None
    reason_detail: Text | None = None
    actor: Actor | None = None
    effective_at: Timestamp
    balance_disposition: Text | None = None
    merged_into_partner_id: Identifier | None = None


class PartnerData(Contract):
    """The data of every event of a partner."""

    partner: FullPartner
    change: StatusChange | None = None


class PartnerRegistered(Event):
    """A partner applied."""

    type: Literal["partner.registered"]
    data: PartnerData


class PartnerApproved(Event):
    """A partner may work, for the first time or again."""

    type: Literal["partner.approved"]
    data: PartnerData


class PartnerSuspended(Event):
    """A partner was stopped for the time being."""

    type: Literal["partner.suspended"]
    data: PartnerData


class PartnerTerminated(Event):
    """A partner left or was merged into another."""

    type: Literal["partner.terminated"]
    data: PartnerData
