"""The oracle's conversions and fraud rejections: statuses run event by event, with the money booked for them."""

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tests.oracle_entities import commission_groups, shared_sum
from tests.oracle_events import Event, Row, grouped, newest, newest_object, of_kind, read_money
from tests.oracle_ledger import CONVERSION_VALUE_TYPES, Entry

CONVERSION_COLUMNS = (
    "source_id",
    "conversion_id",
    "partner_id",
    "conversion_type",
    "vertical",
    "external_id",
    "parent_conversion_id",
    "is_first",
    "status",
    "created_at",
    "first_qualified_at",
    "last_rejected_at",
    "qualified_count",
    "was_reversed",
    "was_reinstated",
    "is_created_missing",
    "value_amount",
    "value_currency",
    "customer_id",
    "click_id",
    "campaign_id",
    "sub1",
    "geo_country",
    "seconds_click_to_conversion",
    "seconds_to_qualify",
    "rejection_reason_code",
    "rejection_category",
    "duplicate_of_conversion_id",
    "net_commission_amount",
    "commission_currency",
)
FRAUD_REJECTION_COLUMNS = (
    "source_id",
    "event_id",
    "conversion_id",
    "partner_id",
    "occurred_at",
    "reason_code",
    "category",
    "is_fraud",
    "decided_by",
    "fraud_score",
    "previous_status",
    "seconds_to_reject",
    "value_amount",
    "value_currency",
    "commission_avoided_amount",
    "commission_avoided_currency",
    "commission_to_claw_back_amount",
    "commission_to_claw_back_currency",
    "is_final",
    "was_reinstated",
)

_STATUSES = ("pending", "qualified", "rejected")


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a conversion, with the status before and after it; None while nothing has given one."""

    event: Event
    before: str | None
    after: str | None

    @property
    def qualifies(self) -> bool:
        """It was not qualified, and now is."""
        return self.before != "qualified" and self.after == "qualified"

    @property
    def rejects(self) -> bool:
        """It says so: a rejection, or an update that changed the status to rejected."""
        is_changed = self.before != "rejected" and self.after == "rejected"
        return self.event.type == "conversion.rejected" or is_changed


def _steps(events: list[Event]) -> list[Step]:
    status: str | None = None
    steps = []
    for event in events:
        before = status
        if event.type == "conversion.created":
            status = status or "pending"
        elif event.type == "conversion.qualified":
            status = "qualified"
        elif event.type == "conversion.rejected":
            status = "rejected"
        elif event.at("conversion.status") in _STATUSES:
            status = event.at("conversion.status")
        steps.append(Step(event, before, status))
    return steps


def _conversion_groups(events: list[Event]) -> dict[tuple[str, str], list[Event]]:
    conversion_events = [event for event in events if event.type.startswith("conversion.")]
    return grouped(conversion_events, lambda event: (event.source_id, event.at("conversion.id")))


def _entries_by_conversion(events: list[Event], entries: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """What counts for a conversion's money: the entries of the commissions that last named it."""
    conversion_of = {
        (source_id, commission_id): newest(group, "commission.conversion_id")
        for (source_id, commission_id), group in commission_groups(events).items()
    }
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry.commission_id is None or entry.entry_type not in CONVERSION_VALUE_TYPES:
            continue
        conversion_id = conversion_of[entry.source_id, entry.commission_id]
        if conversion_id is not None:
            found.setdefault((entry.source_id, conversion_id), []).append(entry)
    return found


def _created_at(events: list[Event]) -> datetime:
    created = of_kind(events, "conversion.created")
    if created:
        return created[0].occurred_at
    occurred_at = events[-1].moment("conversion.occurred_at")
    assert occurred_at is not None
    return occurred_at


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    return None if start is None or end is None else math.floor((end - start).total_seconds())


def conversion_rows(events: list[Event], entries: list[Entry]) -> list[Row]:
    """`conversions`; duplicates are left to `mark_duplicates`."""
    booked = _entries_by_conversion(events, entries)
    rows = []
    for (source_id, conversion_id), group in _conversion_groups(events).items():
        steps = _steps(group)
        qualifying = [step.event for step in steps if step.qualifies]
        rejecting = [step.event for step in steps if step.rejects]
        rejections = of_kind(group, "conversion.rejected")
        value = read_money(newest_object(group, "conversion.value") or None)
        tracking = newest_object(group, "tracking")
        created_at = _created_at(group)
        first_qualified_at = qualifying[0].occurred_at if qualifying else None
        clicked = [moment for event in group if (moment := event.moment("conversion.clicked_at"))]
        own = booked.get((source_id, conversion_id), [])
        net = shared_sum(own, CONVERSION_VALUE_TYPES)
        values = (
            source_id,
            conversion_id,
            newest_object(group, "partner")["id"],
            newest(group, "conversion.type"),
            newest(group, "conversion.vertical"),
            newest(group, "conversion.external_id"),
            newest(group, "conversion.parent_conversion_id"),
            newest(group, "conversion.is_first"),
            steps[-1].after or "pending",
            created_at,
            first_qualified_at,
            rejecting[-1].occurred_at if rejecting else None,
            len(qualifying),
            _comes_after("rejected", "qualified", steps),
            _comes_after("qualified", "rejected", steps),
            not of_kind(group, "conversion.created"),
            None if value is None else value.amount,
            None if value is None else value.currency,
            newest_object(group, "customer").get("id"),
            tracking.get("click_id"),
            tracking.get("campaign_id"),
            (tracking.get("sub_ids") or {}).get("sub1"),
            newest_object(group, "geo").get("country"),
            _seconds(clicked[-1] if clicked else None, group[-1].moment("conversion.occurred_at")),
            _seconds(created_at, first_qualified_at),
            rejections[-1].at("rejection.reason_code") if rejections else None,
            rejections[-1].at("rejection.category") if rejections else None,
            None,
            None if net is None else net.amount,
            None if net is None else net.currency,
        )
        rows.append(dict(zip(CONVERSION_COLUMNS, values, strict=True)))
    return rows


def _comes_after(late: str, early: str, steps: list[Step]) -> bool:
    seen_early = False
    for step in steps:
        if seen_early and step.after == late:
            return True
        seen_early = seen_early or step.after == early
    return False


def mark_duplicates(rows: list[Row]) -> None:
    """Point each conversion at the first of the same source, type and external id; *rows* are changed."""
    originals: dict[tuple[str, str, str], str] = {}
    for row in sorted(rows, key=lambda row: (row["created_at"], row["conversion_id"])):
        if row["external_id"] is None:
            continue
        key = row["source_id"], row["conversion_type"], row["external_id"]
        original = originals.setdefault(key, row["conversion_id"])
        if original != row["conversion_id"]:
            row["duplicate_of_conversion_id"] = original


def fraud_rejection_rows(events: list[Event], entries: list[Entry]) -> list[Row]:
    """`fraud_rejections`: one row per rejection, with what had been booked by then."""
    booked = _entries_by_conversion(events, entries)
    rows = []
    for (source_id, conversion_id), group in _conversion_groups(events).items():
        steps = _steps(group)
        previews = [event for event in group if event.at("commission_preview.amount") is not None]
        for position, step in enumerate(steps):
            event = step.event
            if event.type != "conversion.rejected":
                continue
            by_then = [
                entry for entry in booked.get((source_id, conversion_id), []) if entry.effective_at <= event.occurred_at
            ]
            to_claw_back = shared_sum(by_then, CONVERSION_VALUE_TYPES)
            avoided = previews[-1].money("commission_preview.amount") if previews and not by_then else None
            value = read_money(event.at("conversion.value") or newest_object(group, "conversion.value") or None)
            score = event.at("rejection.fraud_score")
            values = (
                source_id,
                event.event_id,
                conversion_id,
                event.partner_id,
                event.occurred_at,
                event.at("rejection.reason_code"),
                event.at("rejection.category"),
                event.at("rejection.category") == "fraud",
                event.at("rejection.decided_by"),
                None if score is None else Decimal(score),
                event.at("rejection.previous_status") or step.before,
                _seconds(_created_at(group), event.occurred_at),
                None if value is None else value.amount,
                None if value is None else value.currency,
                None if avoided is None else avoided.amount,
                None if avoided is None else avoided.currency,
                None if to_claw_back is None else to_claw_back.amount,
                None if to_claw_back is None else to_claw_back.currency,
                event.at("rejection.is_final"),
                any(later.qualifies for later in steps[position + 1 :]),
            )
            rows.append(dict(zip(FRAUD_REJECTION_COLUMNS, values, strict=True)))
    return rows
