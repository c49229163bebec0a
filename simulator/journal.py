"""
The journal of a played programme: what happens is written down ahead, and comes out as events in the order of time.

Event ids are given when an event comes out, so that they sort as the events do.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import orjson

from models.event_types import EVENT_TYPES
from simulator.agenda import Agenda, Entry
from simulator.live import Present
from simulator.postings import Posting
from simulator.truth import Books, Tally
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


class Journal:
    """
    Takes entries down and gives names out.

    Every entity's entries must be derived from earlier ones only: then dropping what lies at or after *until* leaves a
    story without gaps.

    With a *present*, what comes out happens now.

    Attributes:
        tally: Of what was written down, whether it has come out or not.
        books: Of what has come out.
        listeners: Called with each posting and its moment, once it has come out.
    """

    def __init__(self, tag: str, until: datetime, books: Books, rng: Random, present: Present | None = None) -> None:
        self.tag = tag
        self.until = until
        self.tally = Tally()
        self.books = books
        self.listeners: list[Callable[[Posting, datetime], None]] = []
        self._present = present
        self._agenda = Agenda()
        self._chance = rng.random
        self._names: Counter[str] = Counter()
        self._written = 0
        self._given_out = 0

    def __len__(self) -> int:
        return self._written

    def name(self, prefix: str) -> str:
        """A new id, unique among all programmes of another seed, size, flavour or end."""
        self._names[prefix] += 1
        return f"{prefix}_{self.tag}_{self._names[prefix]:04d}"

    def write(self, at: datetime, event_type: str, data: JsonObject, postings: tuple[Posting, ...] = ()) -> bool:
        """Take down that this happens at *at*; nothing, and false, when that is not before the end of the programme."""
        if at >= self.until:
            return False
        self._written += 1
        self.tally.event_types[event_type] += 1
        rank = EVENT_TYPES[event_type].lifecycle_rank
        self._agenda.add(Entry(at, rank, self._written, event_type, orjson.dumps(data), postings))
        return True

    def events_before(self, moment: datetime) -> Iterator[Event]:
        """All events that come out before *moment*; what they move is booked as they do."""
        entries = self._agenda.take_before(moment)
        if self._present is not None:
            entries = self._present.moved(list(entries), moment)
        for entry in entries:
            self._given_out += 1
            if entry.postings:
                self._book(entry)
            yield self._event(entry, f"evt_{self.tag}_{self._given_out:08d}")

    def _book(self, entry: Entry) -> None:
        self.books.book(entry.at, entry.postings)
        for listen in self.listeners:
            for posting in entry.postings:
                listen(posting, entry.at)

    def _event(self, entry: Entry, event_id: str) -> Event:
        emitted_at = entry.at + timedelta(milliseconds=50 + int(self._chance() * 1500))
        head = (
            f'{{"id":"{event_id}","type":"{entry.event_type}","schema_version":"1.0",'
            f'"timestamp":"{instant(entry.at)}","emitted_at":"{instant(emitted_at)}",'
            '"source_id":"northstar-partners","program_id":"prog_global","livemode":true,"data":'
        )
        return Event(event_id, entry.event_type, entry.at, head.encode() + entry.rest + b"}")
