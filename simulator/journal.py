"""
The journal of a played programme: what happens is written down ahead, and comes out as events in the order of time.

Event ids are given when an event comes out, so that they sort as the events do.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zlib import crc32

import orjson

from models.event_types import EVENT_TYPES
from simulator.agenda import Agenda, Entry, Note
from simulator.live import Present
from simulator.postings import Posting
from simulator.truth import Books, Tally
from simulator.wire import JsonObject, instant

_JSON = {True: "true", False: "false"}
_ONE_IN = 50
"""Of the events that move money, so many come only after their month is closed."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event, as the platform posts it.

    Attributes:
        occurred_at: Aware UTC; the `timestamp` of the body.
        body: The JSON, exactly the bytes to sign and to post.
        is_late: Whether a platform whose operator closes months sends it only once its month is closed.
    """

    event_id: str
    event_type: str
    occurred_at: datetime
    body: bytes
    is_late: bool = False

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
        written: How much was written down of each event type, whether it has come out or not.
        tally: Of what has come out.
        books: Likewise.
        listeners: Called with each posting and its moment, once it has come out.
        test_partners: Ids of partners of whom nothing counts; the cashier pays them all the same.
    """

    def __init__(self, tag: str, until: datetime, books: Books, rng: Random, present: Present | None = None) -> None:
        self.tag = tag
        self.until = until
        self.written: Counter[str] = Counter()
        self.tally = Tally()
        self.books = books
        self.test_partners: set[str] = set()
        self.listeners: list[Callable[[Posting, datetime], None]] = []
        self._present = present
        self._agenda = Agenda()
        self._chance = rng.random
        self._names: Counter[str] = Counter()
        self._count = 0
        self._given_out = 0

    def __len__(self) -> int:
        return self._count

    def name(self, prefix: str) -> str:
        """A new id, unique among all programmes of another seed, size, flavour or end."""
        self._names[prefix] += 1
        return f"{prefix}_{self.tag}_{self._names[prefix]:04d}"

    def write(
        self,
        at: datetime,
        event_type: str,
        data: JsonObject,
        postings: tuple[Posting, ...] = (),
        notes: tuple[Note, ...] = (),
        *,
        is_live: bool = True,
    ) -> bool:
        """
        Take down that this happens at *at*; nothing, and false, when that is not before the end of the programme.

        Of a test event, which *is_live* says it is not, nothing is booked or counted.
        """
        if at >= self.until:
            return False
        self.written[event_type] += 1
        self._count += 1
        rank = EVENT_TYPES[event_type].lifecycle_rank
        if not is_live:
            postings, notes = (), ()
        self._agenda.add(Entry(at, rank, self._count, event_type, orjson.dumps(data), is_live, postings, notes))
        return True

    def events_before(self, moment: datetime) -> Iterator[Event]:
        """All events that come out before *moment*; what they move is booked as they do."""
        entries = self._agenda.take_before(moment)
        if self._present is not None:
            entries = self._present.moved(list(entries), moment)
        for entry in entries:
            self._given_out += 1
            event_id = f"evt_{self.tag}_{self._given_out:08d}"
            is_late = bool(entry.postings) and crc32(event_id.encode()) % _ONE_IN == 0
            self._count_out(entry)
            if entry.postings:
                self._book(entry, is_late=is_late)
            yield self._event(entry, event_id, is_late=is_late)

    def _count_out(self, entry: Entry) -> None:
        if not entry.is_live:
            self.tally.test_events += 1
            return
        self.tally.event_types[entry.event_type] += 1
        for note in entry.notes:
            self.tally.counts[note.what][note.key] += note.change

    def _book(self, entry: Entry, *, is_late: bool) -> None:
        counting = [each for each in entry.postings if each.partner_id not in self.test_partners]
        self.books.book(entry.at, counting, is_late=is_late)
        for listen in self.listeners:
            for posting in entry.postings:
                listen(posting, entry.at)

    def _event(self, entry: Entry, event_id: str, *, is_late: bool) -> Event:
        emitted_at = entry.at + timedelta(milliseconds=50 + int(self._chance() * 1500))
        head = (
            f'{{"id":"{event_id}","type":"{entry.event_type}","schema_version":"1.0",'
            f'"timestamp":"{instant(entry.at)}","emitted_at":"{instant(emitted_at)}",'
            f'"source_id":"northstar-partners","program_id":"prog_global","livemode":{_JSON[entry.is_live]},"data":'
        )
        return Event(event_id, entry.event_type, entry.at, head.encode() + entry.rest + b"}", is_late)
