"""The event of a click."""

from typing import Annotated, Literal

from models.contract import Contract
from models.enumerations import CLICK_VALIDITIES
from models.envelope import Event
from models.money import Money
from models.scalars import Identifier, Text, Timestamp, known
from models.snapshots import Device, Geo, Partner, Tracking


class Click(Contract):
    """A visit through a partner's link."""

    id: Identifier
    occurred_at: Timestamp
    validity: Annotated[Text | None, known(CLICK_VALIDITIES)] = None
    invalid_reason: Text | None = None
    is_unique: bool | None = None
    is_bot: bool | None = None
    trigger: Text | None = None
    cost: Money | None = None


class ClickTrackedData(Contract):
    """The data of `click.tracked`."""

    click: Click
    partner: Partner
    tracking: Tracking | None = None
    geo: Geo | None = None
    device: Device | None = None


class ClickTracked(Event):
    """A partner's link was followed. A hundred to a thousand times as many as all other events."""

    type: Literal["click.tracked"]
    data: ClickTrackedData
