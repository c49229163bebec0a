"""
A programme of affiliates, played from a seed: three months and more of partners, customers, commissions and payouts.

It is played hour by hour. What is known of the future waits in an agenda, and of the past remain sums, so that a
programme of millions of events takes no more memory than one of thousands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from hashlib import sha256
from itertools import accumulate, islice
from random import Random

from simulator.activity import Activity
from simulator.agenda import Diary, Task
from simulator.back_office import BackOffice, placement_cost
from simulator.cast import Member, Span, gather, write_partner_events
from simulator.flavour import Flavour, cast_of
from simulator.journal import Event, Journal
from simulator.journeys import Stage, peers_of, play_journey, try_out
from simulator.live import Present
from simulator.mishaps import Mishap
from simulator.monthly import MonthEnd
from simulator.pace import Pace, Slot, slots_of
from simulator.payout_runs import Cashier
from simulator.postings import Posting
from simulator.roster import CROOKED, Plot
from simulator.truth import COUNTS, Books, Truth
from simulator.visits import PAID_MEDIA, Door

_CERTAIN_JOURNEYS = 2
"""That every partner begins with, so that nobody is left without anything."""

_TRIED_OUT = 0.25
"""The share of partners whose links somebody tries."""

_RAIDED_AFTER = 0.45
"""Of the span: before the farm is found out."""

_SMALLEST_RAID, _RAID_FACTOR, _JOURNEYS_PER_EVENT = 8, 7, 1 / 14

_MISHAPS = ((Mishap.DUPLICATED, 1), (Mishap.RESTATED, 2), (Mishap.REPEATED, 1))
"""That happen in any case, and to whom: by place among the partners, or to the first where there are not so many."""

_REGULARS = {Plot.OPEN_FAILURE, Plot.ACCOMPLICE, Plot.TERMINATED, Plot.MERGED}
"""Whose stories need something open at a certain time: a customer each month, in time for the next payout run."""

_REPORTED = {
    "earned": "commission_earned",
    "adjusted": "commission_adjusted",
    "transferred": "commission_adjusted",
    "paid": "payout",
    "returned": "payout_returned",
}


@dataclass(frozen=True, slots=True)
class ProgrammeSize:
    """
    How large a programme to play.

    Attributes:
        events: In all, exactly; about half of them are clicks, where the stories leave room for them.
        partners: The first twelve have a story each (see `simulator/flavours`).
    """

    events: int
    partners: int

    def __post_init__(self) -> None:
        if self.partners < 1 or self.events < 1:
            raise ValueError("A programme needs at least one partner and one event: raise --partners or --events.")


class Programme:
    """
    One programme, to be played once.

    The same arguments give the same ids and bodies, byte for byte; any other give other ids, so that two programmes can
    be sent to the same place. What the operator does changes no event, only how what is late is booked.
    """

    def __init__(
        self,
        seed: int,
        size: ProgrammeSize,
        until: datetime,
        flavour: Flavour = Flavour.igaming,
        *,
        zone: tzinfo = UTC,
        office: BackOffice | None = None,
        present: Present | None = None,
        closes_months: bool = False,
    ) -> None:
        """
        Set the stage.

        Args:
            until: Timezone-aware; no event happens at or after it. The programme begins with a month, three before it.
            zone: In which the months of the truth begin.
            office: Gets the operator's side of it.
            present: Into which the story is moved.
            closes_months: Whether months are closed before what is late of them comes; with an *office* they are.

        Raises:
            ValueError: *until* has no timezone.
        """
        if until.tzinfo is None:
            raise ValueError("The end of the programme needs a timezone: pass an aware datetime.")
        until = until.astimezone(UTC)
        key = programme_key(seed, size, until, flavour)
        cast = cast_of(flavour)
        self._key = key
        self._size = size
        self._zone = zone
        self._office = office
        self._office_rng = Random(f"{key}:office")
        self._rng = Random(key)
        self._span = Span(start_of_story(until), until)
        self._diary = Diary(self._span.start)
        is_closing = closes_months or office is not None
        books = Books(zone, self._span.closed_months() if is_closing else ())
        self._journal = Journal(sha256(key.encode()).hexdigest()[:6], until, books, self._rng, present)
        self._members = gather(cast.principals, size.partners, self._span, self._journal, self._rng)
        self._cashier = Cashier(self._rng, self._journal, self._diary, self._members, self._span)
        self._stage = Stage(
            rng=self._rng,
            journal=self._journal,
            door=Door(self._rng, self._journal, cast.site),
            activity=Activity(self._rng, self._span, None if office is None else office.activity),
            on_doubtful=self._cashier.doubt,
            chances=cast.mishaps,
            members=self._members,
        )
        MonthEnd(self._journal, self._diary, self._members, self._span, self._stage.activity, self._stage.qualified)

    @property
    def truth(self) -> Truth:
        """What is true of the events that were given out; of all, once there are no more."""
        tally, books = self._journal.tally, self._journal.books
        counts = {name: {key: count for key, count in tally.counts[name].items() if count} for name in COUNTS}
        return Truth(
            programme=self._key,
            timezone=str(self._zone),
            event_types=dict(tally.event_types),
            test_events=tally.test_events,
            counts=counts,
            adjustments=dict(books.adjustments),
            statement=tuple(books.statement()),
        )

    def events(self) -> Iterator[Event]:
        """
        Play: every event, as they happen.

        Where the stories alone are more than what was asked for, it is over before they are.
        """
        return islice(self._told(), self._size.events)

    def _told(self) -> Iterator[Event]:
        journal, members = self._journal, self._members
        journal.listeners.append(self._cashier.open)
        if self._office is not None:
            self._open_office(self._office)
        write_partner_events(members, journal)
        planned = list(self._planned())
        pace = Pace(self._size.events, len(members), len(planned), journal)
        for at, member, is_certain, mishap in planned:
            self._diary.add(at, self._journey_of(member, pace, mishap, is_certain=is_certain))
        self._plan_trials()
        crowd = _Crowd(members)
        for slot in slots_of(self._span, self._size.events, opens_at=min(member.approved_at for member in members)):
            self._diary.work_until(slot.end)
            self._play_slot(slot, pace, crowd)
            yield from journal.events_before(slot.end)

    def _play_slot(self, slot: Slot, pace: Pace, crowd: "_Crowd") -> None:
        rng = self._rng
        for member in crowd.some(rng, slot.start, pace.journeys(slot)):
            play_journey(self._stage, member, slot.moment(rng))
        for member in crowd.some(rng, slot.start, pace.clicks(slot)):
            self._stage.door.pass_by(member, slot.moment(rng))

    def _planned(self) -> Iterator[tuple[datetime, Member, bool, Mishap | None]]:
        """Journeys that take place in any case: when, by whom, if they go well or are made up, and what goes wrong."""
        for member in self._members:
            for move in member.tier_moves:
                # Something to be rated anew.
                for hours in (1, 7) if move.retroactive_from is not None else ():
                    yield (move.retroactive_from or move.at) + timedelta(hours=hours), member, True, None
            for _ in range(_CERTAIN_JOURNEYS):
                yield member.approved_at + timedelta(days=6) * self._rng.random(), member, True, None
            for first in self._span.first_of_months():
                if member.plot in _REGULARS and member.approved_at < first < member.quits_at:
                    yield first + timedelta(days=3, hours=9), member, True, None
            shift_at = member.approved_at + timedelta(days=4)
            while member.plot in CROOKED and shift_at < member.quits_at:
                yield shift_at, member, False, None
                shift_at += timedelta(days=4, hours=self._rng.randint(0, 20))
            if member.plot is Plot.RING:
                yield from ((at, member, False, None) for at in self._raid(member))
        for mishap, place in _MISHAPS:
            member = self._members[place if place < len(self._members) else 0]
            yield member.approved_at + timedelta(days=8) * self._rng.random(), member, True, mishap
        everybody_at = max(member.approved_at for member in self._members)
        for member in self._members:
            if member.plot not in CROOKED and not member.is_test and peers_of(self._members, member, everybody_at):
                yield everybody_at + timedelta(days=1), member, True, Mishap.REATTRIBUTED
                return

    def _raid(self, member: Member) -> Iterator[datetime]:
        """One day on which the whole of a ring works: many times what it brings on others, however little that is."""
        weights = sum(each.profile.weight for each in self._members)
        usual = self._size.events * _JOURNEYS_PER_EVENT * member.profile.weight / weights / self._span.days
        # Within one day in most timezones.
        begins_at = self._span.at(_RAIDED_AFTER).replace(hour=8, minute=0, second=0, microsecond=0)
        if begins_at > member.approved_at:
            for _ in range(max(_SMALLEST_RAID, int(usual * _RAID_FACTOR))):
                yield begins_at + timedelta(hours=10) * self._rng.random()

    def _plan_trials(self) -> None:
        """The operator tries the links of some partners as soon as they are approved, of the first in any case."""
        for member in self._members:
            if not member.is_test and (member.number == 1 or self._rng.random() < _TRIED_OUT):
                self._diary.add(member.approved_at + timedelta(hours=1), partial(try_out, self._stage, member))

    def _journey_of(self, member: Member, pace: Pace, mishap: Mishap | None, *, is_certain: bool) -> Task:
        def play(at: datetime) -> None:
            play_journey(self._stage, member, at, is_certain=is_certain, is_deceit=not is_certain, mishap=mishap)
            pace.note_planned()

        return play

    def _open_office(self, office: BackOffice) -> None:
        def report(posting: Posting, at: datetime) -> None:
            kind = _REPORTED.get(posting.flow)
            if kind is not None and posting.partner_id not in self._journal.test_partners:
                amount = posting.amount
                entity = posting.adjustment_id or posting.commission_id or ""
                office.report(
                    kind, entity, posting.partner_id, at, posting.currency, -amount if kind == "payout" else amount
                )

        def spend(at: datetime) -> None:
            for member in self._members:
                if member.profile.medium in PAID_MEDIA and member.is_active(at):
                    cost = placement_cost(self._office_rng, member, self._size.events)
                    office.spend(at.date(), member.partner_id, cost, member.profile.currency)
            if at + timedelta(days=1) < self._span.until:
                self._diary.add(at + timedelta(days=1), spend)

        self._journal.listeners.append(report)
        self._diary.add(self._span.start, spend)
        office.calendar(self._office_rng, self._span)


class _Crowd:
    """Those who send visitors, by how many."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        moments = {*(member.approved_at for member in members), *(member.quits_at for member in members)}
        self._changes = sorted(moments, reverse=True)
        self._present: list[Member] = []
        self._weights: list[int] = []

    def some(self, rng: Random, at: datetime, count: int) -> list[Member]:
        """*count* of those who are there at *at*; none where nobody is."""
        while self._changes and self._changes[-1] <= at:
            self._changes.pop()
            self._present = [each for each in self._members if each.approved_at <= at < each.quits_at]
            self._weights = list(accumulate(each.profile.weight for each in self._present))
        if not self._present or not count:
            return []
        return rng.choices(self._present, cum_weights=self._weights, k=count)


def programme_key(seed: int, size: ProgrammeSize, until: datetime, flavour: Flavour) -> str:
    """What tells one programme from another; *until* in UTC."""
    return f"{flavour}:{seed}:{size.events}:{size.partners}:{until.isoformat()}"


def play_programme(
    seed: int, size: ProgrammeSize, until: datetime, flavour: Flavour = Flavour.igaming
) -> Iterator[Event]:
    """The events of a `Programme`, for those who need nothing else of it."""
    yield from Programme(seed, size, until, flavour).events()


def start_of_story(until: datetime) -> datetime:
    """The first of the month three before that of *until*, in UTC."""
    first = until.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(3):
        first = (first - timedelta(days=1)).replace(day=1)
    return first
