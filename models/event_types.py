"""The 17 event types of the contract: the raw table each lands in and its place in its entity's lifecycle."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """
    One event type.

    Attributes:
        name: As sent in the envelope's `type`.
        table: The table of schema `raw` that holds it.
        lifecycle_rank: Breaks ties between events of one entity at the same instant; see the order key in the docs.
    """

    name: str
    table: str
    lifecycle_rank: int


EVENT_TYPES: dict[str, EventType] = {
    event_type.name: event_type
    for event_type in (
        EventType("click.tracked", "click_events", 1),
        EventType("conversion.created", "conversion_events", 1),
        EventType("conversion.updated", "conversion_events", 2),
        EventType("conversion.qualified", "conversion_events", 3),
        EventType("conversion.rejected", "conversion_events", 4),
        EventType("commission.calculated", "commission_events", 1),
        EventType("commission.adjusted", "commission_events", 2),
        EventType("commission.approved", "commission_events", 3),
        EventType("commission.tier_changed", "commission_events", 4),
        EventType("payout.scheduled", "payout_events", 1),
        EventType("payout.processing", "payout_events", 2),
        EventType("payout.completed", "payout_events", 3),
        EventType("payout.failed", "payout_events", 4),
        EventType("partner.registered", "partner_events", 1),
        EventType("partner.approved", "partner_events", 2),
        EventType("partner.suspended", "partner_events", 3),
        EventType("partner.terminated", "partner_events", 4),
    )
}

RAW_EVENT_TABLES: tuple[str, ...] = tuple(dict.fromkeys(each.table for each in EVENT_TYPES.values()))
