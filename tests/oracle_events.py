"""
How the oracle reads posted events: distinct, live, in order.

A posted event is the JSON object of the contract plus two keys of our own: `source`, the name in the URL it was posted
to, and optionally `received_at`, the time of its delivery. Nothing here is shared with the product: timestamps, money
and ids are read again from the text of the contract.
"""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

Posted = dict[str, Any]
Row = dict[str, Any]
JsonValue: TypeAlias = Any

_RANKS = {
    "conversion.created": 1,
    "conversion.updated": 2,
    "conversion.qualified": 3,
    "conversion.rejected": 4,
    "commission.calculated": 1,
    "commission.adjusted": 2,
    "commission.approved": 3,
    "commission.tier_changed": 4,
    "payout.scheduled": 1,
    "payout.processing": 2,
    "payout.completed": 3,
    "payout.failed": 4,
    "partner.registered": 1,
    "partner.approved": 2,
    "partner.suspended": 3,
    "partner.terminated": 4,
}
_OUR_OWN_KEYS = frozenset({"source", "received_at"})

GroupKey = TypeVar("GroupKey", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount and its upper-cased currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Event:
    """
    One distinct event.

    Attributes:
        occurred_at: Naive UTC, microseconds; further digits are cut, not rounded.
        received_at: Naive UTC; None when the post does not say.
        data: As sent.
    """

    source_id: str
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime | None
    data: dict[str, Any]

    @property
    def order_key(self) -> tuple[datetime, int, str]:
        """Time, then place in the lifecycle, then id: never arrival."""
        return self.occurred_at, _RANKS.get(self.type, 1), self.event_id

    def at(self, path: str) -> JsonValue:
        """The value under a dotted path of `data`; None where any step is absent or null."""
        value: JsonValue = self.data
        for step in path.split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    def money(self, path: str) -> Money | None:
        """The money object under *path*."""
        return read_money(self.at(path))

    def moment(self, path: str) -> datetime | None:
        """The timestamp under *path*."""
        text = self.at(path)
        return None if text is None else read_timestamp(text)

    @property
    def partner_id(self) -> str:
        """The partner snapshot's id, which every event carries."""
        return str(self.at("partner.id"))


def read_money(value: JsonValue) -> Money | None:
    """Null stays null."""
    return None if value is None else Money(Decimal(value["amount"]), value["currency"].upper())


def read_timestamp(text: str) -> datetime:
    """RFC 3339 with an offset, to naive UTC in microseconds."""
    text = text.upper()
    whole, offset = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    seconds, _, fraction = whole.partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}{offset}").astimezone(UTC).replace(tzinfo=None)


def local_date(moment: datetime, timezone: str) -> date:
    """The day of a naive UTC *moment* in *timezone*."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def body(posted: Posted) -> bytes:
    """The bytes of one post: the event without our own keys."""
    event = {name: value for name, value in posted.items() if name not in _OUR_OWN_KEYS}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def distinct_live_events(posts: Iterable[Posted]) -> list[Event]:
    """One event per source and id, the first received; test events left out; in order key."""
    first: dict[tuple[str, str], Event] = {}
    test: set[tuple[str, str]] = set()
    for posted in posts:
        event = _read(posted)
        key = event.source_id, event.event_id
        if key in first:
            continue
        first[key] = event
        if posted.get("livemode") is False:
            test.add(key)
    return sorted((event for key, event in first.items() if key not in test), key=lambda event: event.order_key)


def _read(posted: Posted) -> Event:
    received = posted.get("received_at")
    return Event(
        source_id=posted["source"],
        event_id=posted.get("id") or "sha256:" + hashlib.sha256(body(posted)).hexdigest(),
        type=posted["type"],
        occurred_at=read_timestamp(posted["timestamp"]),
        received_at=None if received is None else read_timestamp(received),
        data=posted["data"],
    )


def partners_under_test(events: Iterable[Event]) -> frozenset[tuple[str, str]]:
    """(source, partner) whose newest word on it says `is_test`; *events* in order key."""
    said: dict[tuple[str, str], bool] = {}
    for event in events:
        if event.type.startswith("partner.") and event.at("partner.is_test") is not None:
            said[event.source_id, event.partner_id] = event.at("partner.is_test")
    return frozenset(key for key, is_test in said.items() if is_test)


def grouped(events: Iterable[Event], key: Callable[[Event], GroupKey]) -> dict[GroupKey, list[Event]]:
    """*events* by *key*, each group in the order given."""
    groups: dict[GroupKey, list[Event]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return groups


def of_kind(events: Iterable[Event], *kinds: str) -> list[Event]:
    """Those whose type is one of *kinds*."""
    return [event for event in events if event.type in kinds]


def newest(events: Iterable[Event], path: str) -> JsonValue:
    """The value under *path* in the last of *events* where it is not null."""
    value = None
    for event in events:
        found = event.at(path)
        if found is not None:
            value = found
    return value


def newest_object(events: Iterable[Event], path: str) -> dict[str, Any]:
    """The last object under *path* that holds anything at all; an empty one when there is none."""
    value: dict[str, Any] = {}
    for event in events:
        found = event.at(path)
        if _holds_anything(found):
            value = found
    return value


def _holds_anything(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(_holds_anything(each) for each in value.values())
    return value is not None
