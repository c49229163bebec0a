"""
The journal of a played programme: what happened, in any order, until it is sealed into events.

Event ids are given when the journal is sealed, in the order of what happened, so that they sort as the events do.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import orjson

from models.event_types import EVENT_TYPES
from simulator.wire import JsonObject, instant


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event, as the platform posts it.

    Attributes:
        occurred_at: Aware UTC; the `timestamp` of the body.
        body: The JSON, exactly the bytes to sign and to post.
    """

    event_id: str
    event_type: str
    occurred_at: datetime
    body: bytes

    @property
    def view(self) -> JsonObject:
        """The body as an object, parsed anew at each call."""
        parsed: JsonObject = orjson.loads(self.body)
        return parsed


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, before it has an event id."""

    at: datetime
    event_type: str
    data: JsonObject


class Journal:
    """
    Takes entries down and gives names out.

    Every entity's entries must be derived from earlier ones only: then dropping what lies at or after *until* leaves a
    story without gaps.
    """

    def __init__(self, tag: str, until: datetime) -> None:
        self.tag = tag
        self._until = until
        self._entries: list[Entry] = []
        self._names: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, prefix: str) -> str:
        """A new id, unique among all programmes of another seed, size or end."""
        self._names[prefix] += 1
        return f"{prefix}_{self.tag}_{self._names[prefix]:04d}"

    def write(self, at: datetime, event_type: str, data: JsonObject) -> None:
        """Take down that this happened at *at*; nothing, when that is not before the end of the programme."""
        if at < self._until:
            self._entries.append(Entry(at, event_type, data))

    def seal(self, rng: Random) -> list[Event]:
        """All events in the order in which they happened."""
        ordered = sorted(self._entries, key=_order)
        return [_event(entry, f"evt_{self.tag}_{number:06d}", rng.random) for number, entry in enumerate(ordered, 1)]


def _order(entry: Entry) -> tuple[datetime, int]:
    return entry.at, EVENT_TYPES[entry.event_type].lifecycle_rank


def _event(entry: Entry, event_id: str, chance: Callable[[], float]) -> Event:
    envelope: JsonObject = {
        "id": event_id,
        "type": entry.event_type,
        "schema_version": "1.0",
        "timestamp": instant(entry.at),
        "emitted_at": instant(entry.at + timedelta(milliseconds=50 + int(chance() * 1500))),
        "source_id": "northstar-partners",
        "program_id": "prog_global",
        "livemode": True,
        "data": entry.data,
    }
    return Event(event_id, entry.event_type, entry.at, orjson.dumps(envelope))
