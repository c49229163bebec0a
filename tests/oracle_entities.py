"""The oracle's commissions, payouts and partners: one row per entity, at its latest known state."""

from datetime import datetime
from decimal import Decimal

from tests.oracle_events import Event, Money, Row, grouped, newest, of_kind, read_money, read_timestamp
from tests.oracle_ledger import ADJUSTED_TYPES, EARNED_TYPES, PAYABLE, PENDING, Entry

COMMISSION_COLUMNS = (
    "source_id",
    "commission_id",
    "partner_id",
    "conversion_id",
    "model",
    "component",
    "calculated_amount",
    "adjusted_amount",
    "net_amount",
    "currency",
    "status",
    "bucket",
    "calculated_at",
    "approved_at",
    "hold_until",
)
PAYOUT_COLUMNS = (
    "source_id",
    "payout_id",
    "partner_id",
    "status",
    "scheduled_at",
    "processing_at",
    "completed_at",
    "failed_at",
    "amount",
    "currency",
    "debit_amount",
    "debit_currency",
    "fee_amount",
    "failure_category",
    "is_returned",
    "attempt",
    "retry_of_payout_id",
)
PARTNER_COLUMNS = (
    "source_id",
    "partner_id",
    "status",
    "registered_at",
    "approved_at",
    "suspended_at",
    "terminated_at",
    "is_inferred",
)

_COMMISSION_TYPES = ("commission.calculated", "commission.adjusted", "commission.approved")
_PARTNER_STATUS = {
    "partner.registered": "pending",
    "partner.approved": "active",
    "partner.suspended": "suspended",
    "partner.terminated": "terminated",
}


def commission_groups(events: list[Event]) -> dict[tuple[str, str], list[Event]]:
    """The events of each commission, by (source, commission); account-level adjustments belong to none."""
    with_commission = [each for each in of_kind(events, *_COMMISSION_TYPES) if each.at("commission.id") is not None]
    return grouped(with_commission, lambda event: (event.source_id, event.at("commission.id")))


def commission_rows(events: list[Event], entries: list[Entry]) -> list[Row]:
    """`commissions`. Amounts are null where the commission's entries are in several currencies, or are none."""
    rows = []
    for (source_id, commission_id), group in commission_groups(events).items():
        own = [entry for entry in entries if (entry.source_id, entry.commission_id) == (source_id, commission_id)]
        earned = shared_sum(own, EARNED_TYPES)
        adjusted = shared_sum(own, (*ADJUSTED_TYPES, "transferred"))
        calculated_at = _first_at(group, "commission.calculated")
        approved_at = _first_at(group, "commission.approved")
        hold_until = newest(group, "commission.hold.until")
        values = (
            source_id,
            commission_id,
            group[-1].partner_id,
            newest(group, "commission.conversion_id"),
            newest(group, "commission.model"),
            newest(group, "commission.component"),
            None if earned is None else earned.amount,
            None if adjusted is None else adjusted.amount,
            None if earned is None or adjusted is None else earned.amount + adjusted.amount,
            None if earned is None else earned.currency,
            "calculated" if approved_at is None else "approved",
            PENDING if approved_at is None else PAYABLE,
            calculated_at,
            approved_at,
            None if hold_until is None else read_timestamp(f"{hold_until}T00:00:00Z").date(),
        )
        rows.append(dict(zip(COMMISSION_COLUMNS, values, strict=True)))
    return rows


def shared_sum(entries: list[Entry], entry_types: tuple[str, ...]) -> Money | None:
    """The sum of *entry_types* in the one currency of all *entries*; None where there is not exactly one."""
    currencies = {entry.currency for entry in entries}
    if len(currencies) != 1:
        return None
    total = sum((entry.amount for entry in entries if entry.entry_type in entry_types), Decimal(0))
    return Money(total, currencies.pop())


def _first_at(events: list[Event], kind: str) -> datetime | None:
    found = of_kind(events, kind)
    return found[0].occurred_at if found else None


def _last_at(events: list[Event], kind: str) -> datetime | None:
    found = of_kind(events, kind)
    return found[-1].occurred_at if found else None


def payout_groups(events: list[Event]) -> dict[tuple[str, str], list[Event]]:
    """The events of each payout, by (source, payout)."""
    payout_events = [event for event in events if event.type.startswith("payout.")]
    return grouped(payout_events, lambda event: (event.source_id, str(event.at("payout.id"))))


def payout_rows(events: list[Event]) -> list[Row]:
    """`payouts`."""
    rows = []
    for (source_id, payout_id), group in payout_groups(events).items():
        counting = _without_steps_back(group)
        last = group[-1]
        amount = last.money("payout.amount")
        assert amount is not None
        debit = last.money("payout.debit") or amount
        failures = of_kind(group, "payout.failed")
        values = (
            source_id,
            payout_id,
            last.partner_id,
            counting[-1].type.removeprefix("payout."),
            _first_at(counting, "payout.scheduled"),
            _first_at(counting, "payout.processing"),
            _last_at(group, "payout.completed"),
            _last_at(group, "payout.failed"),
            amount.amount,
            amount.currency,
            debit.amount,
            debit.currency,
            _fee_amount(last),
            failures[-1].at("failure.category") if failures else None,
            _is_returned(group),
            last.at("payout.attempt"),
            last.at("payout.retry_of_payout_id"),
        )
        rows.append(dict(zip(PAYOUT_COLUMNS, values, strict=True)))
    return rows


def _without_steps_back(events: list[Event]) -> list[Event]:
    """All but scheduled and processing after paid, with no failure between: those change nothing."""
    is_paid = False
    counting = []
    for event in events:
        if is_paid and event.type in ("payout.scheduled", "payout.processing"):
            continue
        counting.append(event)
        if event.type == "payout.completed":
            is_paid = True
        if event.type == "payout.failed":
            is_paid = False
    return counting


def _is_returned(events: list[Event]) -> bool:
    was_completed = is_returned = False
    for event in events:
        if event.type == "payout.completed":
            was_completed, is_returned = True, False
        elif event.type == "payout.failed" and was_completed:
            is_returned = True
    return is_returned


def _fee_amount(event: Event) -> Decimal | None:
    fees = [money for fee in event.at("payout.fees") or [] if (money := read_money(fee.get("amount")))]
    if len({fee.currency for fee in fees}) != 1:
        return None
    return sum((fee.amount for fee in fees), Decimal(0))


def partner_rows(events: list[Event]) -> list[Row]:
    """
    `partners`: status is the newest lifecycle event's; of a partner without one, the newest snapshot's.

    Somebody's parent of whom nobody has sent an event is a partner too, of whom nothing else is known.
    """
    rows = []
    seen = grouped(events, lambda event: (event.source_id, event.partner_id))
    parents = set()
    for (source_id, partner_id), group in seen.items():
        lifecycle = of_kind(group, *_PARTNER_STATUS)
        parents.add((source_id, (lifecycle or group)[-1].at("partner.parent_id")))
        values = (
            source_id,
            partner_id,
            _PARTNER_STATUS[lifecycle[-1].type] if lifecycle else group[-1].at("partner.status"),
            _last_at(group, "partner.registered"),
            _last_at(group, "partner.approved"),
            _last_at(group, "partner.suspended"),
            _last_at(group, "partner.terminated"),
            not lifecycle,
        )
        rows.append(dict(zip(PARTNER_COLUMNS, values, strict=True)))
    for source_id, parent_id in parents:
        if parent_id is not None and (source_id, parent_id) not in seen:
            nothing = (None,) * (len(PARTNER_COLUMNS) - 3)
            rows.append(dict(zip(PARTNER_COLUMNS, (source_id, parent_id, *nothing, True), strict=True)))
    return rows
