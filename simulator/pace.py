"""How much happens when in a played programme: little at night, more each month, as much as asked for in all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from random import Random

from simulator.cast import Span
from simulator.journal import Journal

_HOUR_WEIGHTS = (3, 2, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 5, 5, 6, 7, 9, 10, 11, 10, 8, 5)
_GROWTH = 0.6
_MOST_EVENTS = 400
"""In one slot, on average."""

_FIRST_GUESS = (6.0, 40)
"""Of the events of a journey besides its click, and how many journeys it takes to know better."""

_EVENTS_PER_PARTNER = 15
_TYPICAL_LIFE = 18.0
"""Days until a journey has brought about most of its events."""


@dataclass(frozen=True, slots=True)
class Slot:
    """
    An hour, or a part of one.

    Attributes:
        share: Of what happens in the whole programme.
        rest: Of it that happens in this slot or later.
        days_left: From its beginning to the end of the programme.
    """

    start: datetime
    end: datetime
    share: float
    rest: float
    days_left: float
    is_last: bool

    def moment(self, rng: Random) -> datetime:
        """A moment within it; microseconds as clicks have them."""
        return self.start + (self.end - self.start) * rng.random()


def slots_of(span: Span, events: int, opens_at: datetime) -> Iterator[Slot]:
    """All slots of *span*, in their order; nothing happens by itself before *opens_at*."""
    hours = max(ceil((span.until - span.start) / timedelta(hours=1)), 1)
    length = timedelta(hours=1) / ceil(events / hours / _MOST_EVENTS)
    starts: list[datetime] = []
    start = span.start
    while start < span.until:
        starts.append(start)
        start += length
    weights = [0.0 if start < opens_at else _weight(span, start) for start in starts]
    rest = total = sum(weights) or 1.0
    for start, weight in zip(starts, weights, strict=True):
        end = min(start + length, span.until)
        days_left = (span.until - start) / timedelta(days=1)
        is_last = end == span.until
        yield Slot(start, end, weight / total, rest / total, days_left, is_last=is_last)
        rest -= weight


def _weight(span: Span, at: datetime) -> float:
    is_weekend = at.weekday() >= 5
    growth = 1 + _GROWTH * ((at - span.start) / (span.until - span.start))
    return _HOUR_WEIGHTS[at.hour] * growth * (1.2 if is_weekend else 1.0)


class Pace:
    """
    Says how many journeys and how many clicks without one there are in each slot, asked in this order.

    About half of all events are clicks. How much a journey brings about is learnt on the way, and clicks make up for
    what is missing, or was too much, in the end.
    """

    def __init__(self, events: int, partners: int, planned: int, journal: Journal) -> None:
        """*planned* journeys take place by themselves."""
        self._events = events
        self._journal = journal
        self._others = max(events / 2 - _EVENTS_PER_PARTNER * partners, 0.0)
        self._journeys = 0
        self._planned = planned
        self._carried = 0.0
        self._carried_clicks = 0.0

    def journeys(self, slot: Slot) -> int:
        """How many visitors become customers, or might have."""
        self._carried += self._all_journeys() * slot.share
        count = int(self._carried)
        self._carried -= count
        self._journeys += count
        return count

    def clicks(self, slot: Slot) -> int:
        """How many visitors pass by."""
        left = self._events - len(self._journal)
        if slot.is_last:
            return max(left, 0)
        to_come = max(slot.rest - slot.share, 0.0)
        # Of those that set out late, little is seen before the end.
        seen = 0.3 + 0.7 * min(slot.days_left / 2 / _TYPICAL_LIFE, 1.0)
        expected = self._all_journeys() * to_come * (1 + self._events_per_journey() * seen)
        self._carried_clicks += max(left - expected, 0.0) * slot.share / slot.rest if slot.rest else 0.0
        count = int(self._carried_clicks)
        self._carried_clicks -= count
        return count

    def note_planned(self) -> None:
        """One of the planned journeys has taken place."""
        self._journeys += 1

    def _events_per_journey(self) -> float:
        guess, weight = _FIRST_GUESS
        types = self._journal.written
        others = types.total() - types["click.tracked"]
        return (guess * weight + others) / (weight + self._journeys)

    def _all_journeys(self) -> float:
        return max(self._others / self._events_per_journey() / 0.9 - self._planned, 0.0)
