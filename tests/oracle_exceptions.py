"""The oracle's exceptions: what is illegal, missing, conflicting or unknown, found event after event."""

import hashlib
import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_entities import commission_groups
from tests.oracle_events import Event, Money, Posted, Row, body, grouped, newest, of_kind
from tests.oracle_findings import Findings, entity_of, noun_of
from tests.oracle_known_values import KNOWN_VALUES, PARTNER_TYPES, REASONS_BY_CATEGORY
from tests.oracle_ledger import CONVERSION_VALUE_TYPES, PENDING, Entry

_RECEIVED_AT = datetime(2026, 11, 1, 12)
"""When the tests receive what does not say."""

_PARTNER_STEPS = {
    "registered": "approved suspended terminated",
    "approved": "suspended terminated",
    "suspended": "approved terminated",
    "terminated": "registered",
}
_PAYOUT_STEPS = {
    "scheduled": "processing completed failed",
    "processing": "completed failed",
    "completed": "failed",
    "failed": "scheduled processing completed",
}


def exception_rows(
    posts: Iterable[Posted], events: list[Event], entries: list[Entry], marts: dict[str, list[Row]], currency: str
) -> list[Row]:
    """
    `data_exceptions`, without its words and severities.

    Args:
        posts: As posted, in order of arrival.
        events: Distinct, live, in order key.
        entries: Of the ledger.
        marts: `conversions` with duplicates marked, `commission_ledger`, `commission_statement_monthly`.
        currency: The reporting currency.
    """
    found = Findings()
    synthetic = {"sha256:" + hashlib.sha256(body(post)).hexdigest() for post in posts if not post.get("id")}
    _single_events(found, events, synthetic)
    _unknown_values(found, events)
    for noun in ("conversion", "commission", "payout", "partner"):
        for group in _groups(events, noun).values():
            _versions(found, noun, group)
    _conversions(found, events, entries, marts["conversions"])
    for group in commission_groups(events).values():
        _commission(found, group, [entry for entry in entries if _is_of(entry, group[0])])
    for adjustment in of_kind(events, "commission.adjusted"):
        _arithmetic(found, adjustment)
    for group in _groups(events, "payout").values():
        _payout(found, group)
    for group in _groups(events, "partner").values():
        _partner_steps(found, group)
    _partners(found, events)
    _conflicts(found, posts, events)
    _rates(found, marts, currency)
    return found.rows


def _groups(events: list[Event], noun: str) -> dict[tuple[str, str], list[Event]]:
    if noun == "commission":
        return commission_groups(events)
    own = [event for event in events if noun_of(event) == noun]
    return grouped(own, lambda event: (event.source_id, event.at(f"{noun}.id")))


# ---------- single events


def _single_events(found: Findings, events: list[Event], synthetic: set[str]) -> None:
    for event in events:
        if event.occurred_at - (event.received_at or _RECEIVED_AT) > timedelta(minutes=5):
            found.about("event_from_the_future", event)
        if event.event_id in synthetic:
            found.about("missing_event_id", event, is_open=False)
        reason, category = event.at("rejection.reason_code"), event.at("rejection.category")
        if noun_of(event) == "conversion" and reason is not None and category is not None:
            homes = {name for name, reasons in REASONS_BY_CATEGORY.items() if reason in reasons.split()}
            if homes and category not in homes:
                found.about("rejection_category_mismatch", event)


def _unknown_values(found: Findings, events: list[Event]) -> None:
    seen: set[tuple[Any, ...]] = set()
    for event in events:
        for path, known in KNOWN_VALUES.get(noun_of(event), {}).items():
            if path == "conversion.status" and event.type != "conversion.updated":
                continue
            value = event.at(path)
            kind, entity_id = entity_of(event)
            own = event.event_id if kind in ("click", "adjustment", "tier_change") else entity_id
            key = event.source_id, kind, own, path, value
            if value is not None and value not in known.split() and key not in seen:
                seen.add(key)
                found.about("unknown_enum_value", event, more=f":{path}")


def _versions(found: Findings, noun: str, group: list[Event]) -> None:
    versioned = [(event.at(f"{noun}.version"), event) for event in group if event.at(f"{noun}.version") is not None]
    highest: int | None = None
    for version, event in versioned:
        if highest is not None and version < highest:
            is_open = versioned[-1][0] < max(each for each, _ in versioned)
            found.about("version_disorder", event, is_open=is_open)
        highest = version if highest is None else max(highest, version)
    first: dict[int, Event] = {}
    for version, event in versioned:
        first.setdefault(version, event)
    ordered = sorted(first)
    for before, version in itertools.pairwise(ordered):
        if version - before > 1:
            found.about("version_gap", first[version], money=None)


# ---------- conversions


def _conversions(found: Findings, events: list[Event], entries: list[Entry], rows: list[Row]) -> None:
    duplicates = {(row["source_id"], row["conversion_id"]): row for row in rows if row["duplicate_of_conversion_id"]}
    currencies = _currencies_of_conversions(events, entries)
    for key, group in _groups(events, "conversion").items():
        has_status = False
        for event in group:
            if event.type == "conversion.created" and has_status:
                found.about("illegal_conversion_transition", event, is_open=event is group[-1])
            is_update = event.type == "conversion.updated"
            states = event.at("conversion.status") in ("pending", "qualified", "rejected") if is_update else True
            has_status = has_status or states
        if not of_kind(group, "conversion.created"):
            found.about("created_missing", group[0])
        if key in duplicates:
            net = duplicates[key]["net_commission_amount"]
            money = None if net is None else Money(net, duplicates[key]["commission_currency"])
            found.about("duplicate_business_key", group[0], money=money)
        if len(currencies.get(key, ())) > 1:
            found.about("conversion_in_several_currencies", group[0], money=None)


def _currencies_of_conversions(events: list[Event], entries: list[Entry]) -> dict[tuple[str, str], set[str]]:
    currencies: dict[tuple[str, str], set[str]] = {}
    for (source_id, _), group in commission_groups(events).items():
        conversion_id = newest(group, "commission.conversion_id")
        if conversion_id is None:
            continue
        for entry in entries:
            if _is_of(entry, group[0]) and entry.entry_type in CONVERSION_VALUE_TYPES:
                currencies.setdefault((source_id, conversion_id), set()).add(entry.currency)
    return currencies


# ---------- commissions


def _is_of(entry: Entry, event: Event) -> bool:
    return (entry.source_id, entry.commission_id) == (event.source_id, event.at("commission.id"))


def _commission(found: Findings, group: list[Event], entries: list[Entry]) -> None:
    calculations = of_kind(group, "commission.calculated")
    approvals = of_kind(group, "commission.approved")
    booked = {entry.event.event_id for entry in entries if entry.entry_type in ("earned", "restated")}
    for event in calculations:
        if event.event_id not in booked:
            found.about("duplicate_commission_calculated", event)
    if not calculations:
        for event in of_kind(group, "commission.adjusted"):
            found.about("orphan_adjustment", event)
    _chain(found, group)
    for entry in entries:
        if entry.entry_type == "approval_variance":
            found.about("approval_variance", entry.event, money=Money(entry.amount, entry.currency))
    if len({entry.currency for entry in entries if entry.entry_type in CONVERSION_VALUE_TYPES}) > 1:
        found.about("commission_in_several_currencies", group[0], money=None)
    if approvals:
        _approvals(found, approvals, calculations, entries)


def _approvals(found: Findings, approvals: list[Event], calculations: list[Event], entries: list[Entry]) -> None:
    first = approvals[0]
    approved = first.money("approval.approved_amount")
    if not calculations:
        found.about("approval_without_calculation", first)
    elif calculations[0].occurred_at > first.occurred_at:
        found.about("approval_before_calculation", first, is_open=False)
    waiting = {
        entry.currency
        for entry in entries
        if entry.bucket == PENDING and entry.entry_type not in ("approved", "approval_variance")
    }
    if approved is not None and waiting and approved.currency not in waiting:
        found.about("approval_currency_mismatch", first)
    for again in approvals[1:]:
        found.about("commission_approved_again", again, is_open=again.money("approval.approved_amount") != approved)


def _chain(found: Findings, group: list[Event]) -> None:
    left_at: Money | None = None
    for event in of_kind(group, "commission.calculated", "commission.adjusted"):
        if event.type == "commission.calculated":
            left_at = event.money("commission.amount")
            continue
        before = event.money("adjustment.amount_before")
        if before and left_at and before.currency == left_at.currency and before.amount != left_at.amount:
            found.about("adjustment_chain_gap", event, money=Money(before.amount - left_at.amount, before.currency))
        left_at = event.money("adjustment.amount_after")


def _arithmetic(found: Findings, event: Event) -> None:
    before, delta, after = (event.money(f"adjustment.amount_{name}") for name in ("before", "delta", "after"))
    if before and delta and after and before.currency == delta.currency == after.currency:
        missing = after.amount - before.amount - delta.amount
        if missing:
            found.about("adjustment_does_not_add_up", event, money=Money(missing, delta.currency))


# ---------- payouts


def _payout(found: Findings, group: list[Event]) -> None:
    state: str | None = None
    for event in group:
        step = event.type.removeprefix("payout.")
        is_legal = state is None or step in _PAYOUT_STEPS[state].split()
        if not is_legal:
            found.about("illegal_payout_transition", event, is_open=event is group[-1])
        if not (state == "completed" and step in ("scheduled", "processing")):
            state = step
    if not of_kind(group, "payout.scheduled"):
        found.about("payout_without_scheduled", group[0])
    last = group[-1]
    paid, debit, settled = (last.money(f"{path}") for path in ("payout.amount", "payout.debit", "completion.settled"))
    assert paid is not None
    taken = (debit or paid).currency
    exchange = [str(last.at(f"payout.fx.{end}") or "").upper() for end in ("from", "to")]
    is_unexplained = taken != paid.currency and exchange != [taken, paid.currency]
    if is_unexplained or (settled is not None and settled.currency != paid.currency):
        found.about("payout_currency_mismatch", last)


# ---------- partners


def _partner_steps(found: Findings, group: list[Event]) -> None:
    steps = [event.type.removeprefix("partner.") for event in group]
    if steps[0] != "registered":
        found.about("registration_missing", group[0])
    for before, step, event in zip(steps, steps[1:], group[1:], strict=False):
        if step not in _PARTNER_STEPS[before].split():
            found.about("illegal_partner_transition", event, is_open=event is group[-1])


def _partners(found: Findings, events: list[Event]) -> None:
    mentions = grouped(events, lambda event: (event.source_id, event.partner_id))
    own = _groups(events, "partner")
    sayers = {key: (own.get(key) or group)[-1] for key, group in mentions.items()}
    tests = {key for key, group in own.items() if newest(group, "partner.is_test") is True}
    parents = {key: (key[0], event.at("partner.parent_id")) for key, event in sayers.items() if key not in tests}
    # Who is above, by anybody's word, old or new: the newest own event and the newest mention elsewhere.
    above = {
        (event.source_id, parent)
        for key, group in mentions.items()
        for event in ([own[key][-1]] if key in own else []) + _elsewhere(group)[-1:]
        if (parent := event.at("partner.parent_id")) is not None
    }
    for source_id, partner_id in {*mentions, *above} - tests:
        key = source_id, partner_id
        others = _elsewhere(mentions.get(key, []))
        last = others[-1] if others else None

        def raise_it(rule: str, key: tuple[str, str] = key, last: Event | None = last) -> None:
            found.add(key[0], rule, key[1], ("partner", key[1]), event=last, partner_id=key[1])

        if key not in own:
            raise_it("inferred_partner")
        kind = sayers[key].at("partner.type") if key in sayers else None
        if kind is not None and kind not in PARTNER_TYPES.split():
            raise_it("unknown_partner_type")
        if _is_in_a_circle(key, parents):
            raise_it("parents_in_a_circle")


def _elsewhere(group: list[Event]) -> list[Event]:
    return [event for event in group if noun_of(event) != "partner"]


def _is_in_a_circle(key: tuple[str, str], parents: dict[tuple[str, str], tuple[str, Any]]) -> bool:
    passed = [key]
    while (above := parents.get(passed[-1])) is not None and above[1] is not None:
        if above in passed:
            return True
        passed.append(above)
    return False


# ---------- what arrived, and what is missing beside the events


def _conflicts(found: Findings, posts: Iterable[Posted], events: list[Event]) -> None:
    live = {(event.source_id, event.event_id): event for event in events}
    bodies: dict[tuple[str, str], list[str]] = {}
    for post in posts:
        if post.get("id"):
            digest = hashlib.sha256(body(post)).hexdigest()
            known = bodies.setdefault((post["source"], post["id"]), [])
            if digest not in known:
                known.append(digest)
    for key, digests in bodies.items():
        for digest in digests[1:]:
            if key in live:
                found.about("event_id_conflict", live[key], entity=("event", key[1]), more=f":{digest}")


def _rates(found: Findings, marts: dict[str, list[Row]], currency: str) -> None:
    amounts = [
        (row["source_id"], row["currency"], "", row["effective_date"], row["amount"])
        for row in marts["commission_ledger"]
        if row.get("amount_rc") is None and row["entry_type"] not in ("approved", "reserved", "released")
    ]
    amounts += [
        (
            row["source_id"],
            row["currency"],
            "commission_statement_monthly ",
            (row["month"] + timedelta(days=32)).replace(day=1) - timedelta(days=1),
            row["closing_balance"],
        )
        for row in marts["commission_statement_monthly"]
        if row.get("closing_rc") is None and row["closing_balance"] != 0
    ]
    sums: dict[tuple[str, str, str], Decimal] = {}
    for source_id, foreign, place, day, amount in amounts:
        if foreign != currency:
            key = source_id, foreign, f"{place}{foreign} {day.isoformat()}"
            sums[key] = sums.get(key, Decimal(0)) + abs(amount)
    for (source_id, foreign, name), amount in sums.items():
        found.add(source_id, "missing_fx_rate", name, ("currency", name), Money(amount, foreign))
