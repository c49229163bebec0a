"""The oracle's ledger: every money move, from plain state machines run event by event."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tests.oracle_events import Event, Money, grouped, of_kind

PENDING, PAYABLE, IN_TRANSIT = "pending", "payable", "in_transit"
EARNED_TYPES = ("earned", "restated")
ADJUSTED_TYPES = ("adjusted", "approval_variance")
CONVERSION_VALUE_TYPES = (*EARNED_TYPES, *ADJUSTED_TYPES, "transferred")


@dataclass(frozen=True, slots=True)
class Entry:
    """One signed move in one bucket; *event* is the one that caused it."""

    event: Event
    leg: str
    partner_id: str
    entry_type: str
    bucket: str
    amount: Decimal
    currency: str
    effective_at: datetime
    commission_id: str | None = None
    adjustment_id: str | None = None
    payout_id: str | None = None

    @property
    def source_id(self) -> str:
        """The source of the event."""
        return self.event.source_id


def ledger_entries(events: list[Event]) -> list[Entry]:
    """Every entry; *events* are distinct, live and in order key."""
    entries: list[Entry] = []
    commission_events = of_kind(events, "commission.calculated", "commission.adjusted", "commission.approved")
    for (_, commission_id), group in grouped(
        commission_events, lambda event: (event.source_id, event.at("commission.id"))
    ).items():
        if commission_id is None:
            entries += [_adjustment(event, PAYABLE) for event in group]
        else:
            entries += _commission_entries(commission_id, group)
    payout_events = [event for event in events if event.type.startswith("payout.")]
    for group in grouped(payout_events, lambda event: (event.source_id, event.at("payout.id"))).values():
        entries += _payout_entries(group)
    return entries


def _commission_entries(commission_id: str, events: list[Event]) -> list[Entry]:
    approvals = of_kind(events, "commission.approved")
    approval = approvals[0] if approvals else None
    entries: list[Entry] = []
    booked: Event | None = None
    for event in events:
        is_after_approval = approval is not None and event.occurred_at >= approval.occurred_at
        bucket = PAYABLE if is_after_approval else PENDING
        if event.type == "commission.calculated":
            if booked is None:
                entries.append(_commission_entry(event, commission_id, "earned", PENDING, _amount(event)))
                booked = event
            elif _restates(booked, event):
                delta = Money(_amount(event).amount - _amount(booked).amount, _amount(event).currency)
                entries.append(_commission_entry(event, commission_id, "restated", bucket, delta))
                booked = event
        elif event.type == "commission.adjusted":
            entries.append(_adjustment(event, bucket))
    if approval is not None:
        entries += _approval_entries(approval, commission_id, events, entries)
    return entries


def _restates(booked: Event, event: Event) -> bool:
    """A further calculation counts when both carry a version and it grew, in the same currency."""
    old, new = booked.at("commission.version"), event.at("commission.version")
    has_grown = old is not None and new is not None and new > old
    return has_grown and _amount(booked).currency == _amount(event).currency


def _approval_entries(approval: Event, commission_id: str, events: list[Event], entries: list[Entry]) -> list[Entry]:
    calculated = of_kind(events, "commission.calculated")
    moved_at = max(approval.occurred_at, calculated[0].occurred_at) if calculated else approval.occurred_at

    pending: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        if entry.bucket == PENDING:
            bucket = entry.partner_id, entry.currency
            pending[bucket] = pending.get(bucket, Decimal(0)) + entry.amount

    moves: list[Entry] = []

    def move(leg: str, partner_id: str, entry_type: str, bucket: str, money: Money) -> None:
        moves.append(
            Entry(
                approval,
                leg,
                partner_id,
                entry_type,
                bucket,
                money.amount,
                money.currency,
                moved_at,
                commission_id=commission_id,
            )
        )

    approved = approval.money("approval.approved_amount")
    if approved is not None:
        own_bucket = approval.partner_id, approved.currency
        comparable = [amount for (_, currency), amount in pending.items() if currency == approved.currency]
        variance = approved.amount - sum(comparable, Decimal(0))
        # An amount approved in another currency than the pending ones cannot be compared with them: it is not booked.
        if variance != 0 and (comparable or not pending):
            money = Money(variance, approved.currency)
            move("approval_variance", approval.partner_id, "approval_variance", PENDING, money)
            pending[own_bucket] = pending.get(own_bucket, Decimal(0)) + variance

    for (partner_id, currency), amount in pending.items():
        suffix = f":{partner_id}:{currency}" if len(pending) > 1 else ""
        move("approved_out" + suffix, partner_id, "approved", PENDING, Money(-amount, currency))
        move("approved_in" + suffix, partner_id, "approved", PAYABLE, Money(amount, currency))
    return moves


def _commission_entry(event: Event, commission_id: str, leg: str, bucket: str, money: Money) -> Entry:
    return Entry(
        event,
        leg,
        event.partner_id,
        leg,
        bucket,
        money.amount,
        money.currency,
        event.occurred_at,
        commission_id=commission_id,
    )


def _adjustment(event: Event, bucket: str) -> Entry:
    delta = event.money("adjustment.amount_delta")
    assert delta is not None
    return Entry(
        event,
        "adjusted",
        event.partner_id,
        "transferred" if event.at("adjustment.type") == "partner_transfer" else "adjusted",
        bucket,
        delta.amount,
        delta.currency,
        event.occurred_at,
        commission_id=event.at("commission.id"),
        adjustment_id=event.at("adjustment.id"),
    )


def _amount(event: Event) -> Money:
    amount = event.money("commission.amount")
    assert amount is not None
    return amount


def _payout_entries(events: list[Event]) -> list[Entry]:
    newest = events[-1]
    debit = newest.money("payout.debit") or newest.money("payout.amount")
    assert debit is not None
    entries: list[Entry] = []

    def book(event: Event, entry_type: str, bucket: str, amount: Decimal) -> None:
        entries.append(
            Entry(
                event,
                f"{entry_type}_{bucket}",
                newest.partner_id,
                entry_type,
                bucket,
                amount,
                debit.currency,
                event.occurred_at,
                payout_id=event.at("payout.id"),
            )
        )

    state = "none"
    for event in events:
        if event.type in ("payout.scheduled", "payout.processing"):
            if state in ("none", "released"):
                book(event, "reserved", PAYABLE, -debit.amount)
                book(event, "reserved", IN_TRANSIT, debit.amount)
                state = "reserved"
        elif event.type == "payout.completed":
            if state == "reserved":
                book(event, "paid", IN_TRANSIT, -debit.amount)
            elif state in ("none", "released"):
                book(event, "paid", PAYABLE, -debit.amount)
            state = "paid"
        else:
            if state == "reserved":
                book(event, "released", PAYABLE, debit.amount)
                book(event, "released", IN_TRANSIT, -debit.amount)
            elif state == "paid":
                book(event, "returned", PAYABLE, debit.amount)
            state = "released"
    return entries
