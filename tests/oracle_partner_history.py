"""The oracle's histories of partners: their standing after each moment, and their tiers day by day."""

from datetime import date
from decimal import Decimal
from typing import Any

from tests.oracle_clicks import local_day
from tests.oracle_events import Event, Row, grouped

PARTNER_HISTORY_COLUMNS = (
    "source_id",
    "partner_id",
    "valid_from",
    "valid_to",
    "is_current",
    "is_inferred",
    "status",
    "status_reason_code",
    "tier",
    "tier_id",
    "tier_rank",
    "plan",
    "parent_partner_id",
    "manager_id",
)
PARTNER_TIER_COLUMNS = (
    "source_id",
    "partner_id",
    "plan",
    "effective_from",
    "effective_to",
    "tier",
    "tier_id",
    "rank",
    "rate",
    "is_retroactive",
    "is_current",
    "trigger",
    "source_event_id",
)

_STATUS_AFTER = {
    "partner.registered": "pending",
    "partner.approved": "active",
    "partner.suspended": "suspended",
    "partner.terminated": "terminated",
}
_SPOKEN = ("status", "status_reason_code", "plan", "parent_partner_id", "manager_id", "group_id")
_NOTHING: dict[str, Any] = dict.fromkeys((*_SPOKEN, "tier", "tier_id", "tier_rank"))
_FAR = date(9999, 1, 1)


def partner_history_rows(events: list[Event]) -> list[Row]:
    """`partner_history`."""
    rows: list[Row] = []
    for (source_id, partner_id), group in grouped(events, lambda each: (each.source_id, each.partner_id)).items():
        spells = _spells(group)
        for place, (begin, state) in enumerate(spells):
            end = spells[place + 1][0] if place + 1 < len(spells) else None
            row = {"source_id": source_id, "partner_id": partner_id, "valid_from": begin, "valid_to": end, **state}
            row["is_current"] = end is None
            rows.append({column: row[column] for column in PARTNER_HISTORY_COLUMNS})
    return rows


def _spells(group: list[Event]) -> list[tuple[Any, dict[str, Any]]]:
    """When each standing began; *group* is all that was said of or with one partner, in order key."""
    telling = [event for event in group if event.type in _STATUS_AFTER or event.type == "commission.tier_changed"]
    mentions = [event for event in group if event.type not in _STATUS_AFTER]
    has_own = any(event.type in _STATUS_AFTER for event in group)
    state = {**_NOTHING, "is_inferred": True}
    by_moment: dict[Any, dict[str, Any]] = {}
    first_own = next((event.occurred_at for event in group if event.type in _STATUS_AFTER), None)
    if mentions and (first_own is None or mentions[0].occurred_at < first_own):
        if not has_own:
            newest = mentions[-1]
            state |= {
                "status": newest.at("partner.status"),
                "parent_partner_id": newest.at("partner.parent_id"),
                "manager_id": newest.at("partner.manager_id"),
                "group_id": newest.at("partner.group_id"),
            }
        by_moment[mentions[0].occurred_at] = state
    for event in telling:
        state = {**state, **_said(event)}
        by_moment[event.occurred_at] = state
    spells: list[tuple[Any, dict[str, Any]]] = []
    for moment in sorted(by_moment):
        if not spells or spells[-1][1] != by_moment[moment]:
            spells.append((moment, by_moment[moment]))
    return spells


def _said(event: Event) -> dict[str, Any]:
    """What *event* changes of a standing."""
    if event.type == "commission.tier_changed":
        return _tier(event.at("tier_change.new_tier"))
    said = {
        "is_inferred": False,
        "status": _STATUS_AFTER[event.type],
        "status_reason_code": event.at("change.reason_code"),
        "plan": event.at("partner.plan_id"),
        "parent_partner_id": event.at("partner.parent_id"),
        "manager_id": event.at("partner.manager_id"),
        "group_id": event.at("partner.group_id"),
    }
    shown = event.at("partner.tier") or {}
    return said | _tier(shown) if shown.get("id") or shown.get("name") else said


def _tier(tier: dict[str, Any]) -> dict[str, Any]:
    return {"tier": tier.get("name") or tier.get("id"), "tier_id": tier.get("id"), "tier_rank": tier.get("rank")}


def partner_tier_rows(events: list[Event], timezone: str) -> list[Row]:
    """`partner_tiers`: every day's tier is painted on a calendar, the later word over the earlier."""
    told: dict[tuple[str, str, str], list[Row]] = {}
    for event in events:
        entry = _tier_entry(event, timezone)
        if entry is not None:
            told.setdefault((event.source_id, event.partner_id, entry["plan"]), []).append(entry)
    rows = []
    for (source_id, partner_id, _), entries in told.items():
        for entry, begin, end in _painted(_that_count(entries)):
            whole = {
                **entry,
                "source_id": source_id,
                "partner_id": partner_id,
                "effective_from": begin,
                "effective_to": None if end == _FAR else end,
                "is_current": end == _FAR,
            }
            rows.append({column: whole[column] for column in PARTNER_TIER_COLUMNS})
    return rows


def _tier_entry(event: Event, timezone: str) -> Row | None:
    if event.type == "commission.tier_changed":
        change, new = event.at("tier_change"), event.at("tier_change.new_tier")
        begin = change["effective_from"]
        if change.get("is_retroactive") and change.get("retroactive_from"):
            begin = change["retroactive_from"]
        end = change.get("effective_to")
        rate = event.at("tier_change.new_tier.rate.value")
        return {
            "plan": change.get("plan_id") or "(none)",
            "begin": date.fromisoformat(begin),
            "end": date.fromisoformat(end) if end else _FAR,
            "tier": new.get("name") or new.get("id"),
            "tier_id": new.get("id"),
            "rank": new.get("rank"),
            "rate": None if rate is None else Decimal(rate),
            "is_retroactive": bool(change.get("is_retroactive")),
            "trigger": event.at("tier_change.trigger.metric"),
            "source_event_id": event.event_id,
            "is_change": True,
        }
    shown = event.at("partner.tier") or {}
    if event.type not in _STATUS_AFTER or not (shown.get("id") or shown.get("name")):
        return None
    return {
        "plan": event.at("partner.plan_id") or "(none)",
        "begin": local_day(event.occurred_at, timezone),
        "end": _FAR,
        "tier": shown.get("name") or shown.get("id"),
        "tier_id": shown.get("id"),
        "rank": shown.get("rank"),
        "rate": None,
        "is_retroactive": False,
        "trigger": None,
        "source_event_id": event.event_id,
        "is_change": False,
    }


def _that_count(entries: list[Row]) -> list[Row]:
    """Changes, and before the first of them the tiers that were merely shown, where they differ from the last one."""
    counting: list[Row] = []
    is_changing = False
    for entry in entries:
        is_repeated = counting and (counting[-1]["tier_id"], counting[-1]["tier"]) == (entry["tier_id"], entry["tier"])
        is_changing = is_changing or entry["is_change"]
        if entry["is_change"] or not (is_changing or is_repeated):
            counting.append(entry)
    return [entry for entry in counting if entry["end"] > entry["begin"]]


def _painted(entries: list[Row]) -> list[tuple[Row, date, date]]:
    """Each entry with its first day and its first day no more: only one whose first day no later word covers counts."""
    standing = [
        entry
        for place, entry in enumerate(entries)
        if not any(later["begin"] <= entry["begin"] < later["end"] for later in entries[place + 1 :])
    ]
    standing.sort(key=lambda entry: entry["begin"])
    begins = [entry["begin"] for entry in standing[1:]] + [_FAR]
    return [
        (entry, entry["begin"], min(entry["end"], following)) for entry, following in zip(standing, begins, strict=True)
    ]
