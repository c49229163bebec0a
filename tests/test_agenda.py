"""What is to come in a played programme: handed out in order, whether it waits in memory or in a file."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from simulator.agenda import Agenda, Diary, Entry, Note
from simulator.postings import Posting

START = datetime(2026, 8, 1, tzinfo=UTC)
POSTING = Posting("ptn_1", "EUR", "earned", Decimal("1.10"), Decimal(0), Decimal(0), "cms_1")
NOTE = Note("conversions", "qualified", -1)


def entry(number: int, at: datetime, rank: int = 1) -> Entry:
    postings, notes = ((POSTING,) if number % 2 else ()), ((NOTE,) if number % 3 else ())
    return Entry(at, rank, number, "click.tracked", b"{}", number % 5 != 0, postings, notes)


@pytest.mark.parametrize("room", [4, 50, 10_000])
def test_entries_come_out_in_the_order_of_time(room: int) -> None:
    """By time, then rank, then as written, with all they had, however few of them there is room for."""
    rng = random.Random(room)
    agenda = Agenda(room)
    pending: list[Entry] = []
    given: list[Entry] = []
    for hour in range(60):
        for _ in range(rng.randint(0, 30)):
            ahead = rng.choice((0.5, 20, 300)) * rng.random()
            # Whole seconds, so that some are at once.
            at = START + timedelta(hours=hour, seconds=int(3600 * ahead))
            new = entry(len(pending), at, rng.randint(1, 4))
            pending.append(new)
            agenda.add(new)
        given += agenda.take_before(START + timedelta(hours=hour + 1))
    given += agenda.take_before(START + timedelta(days=1000))
    assert given == sorted(pending)
    assert list(agenda.take_before(START + timedelta(days=1000))) == []


def test_nothing_comes_out_before_its_time() -> None:
    """A moment is the end of what is before it, to the microsecond."""
    agenda = Agenda(1)
    at = START + timedelta(microseconds=1)
    for number in range(3):
        agenda.add(entry(number, at))
    assert list(agenda.take_before(at)) == []
    assert len(list(agenda.take_before(at + timedelta(microseconds=1)))) == 3


def test_a_diary_is_worked_off_in_order_and_may_grow_meanwhile() -> None:
    """What a task writes down for a moment before the end is done in the same go."""
    done: list[timedelta] = []
    diary = Diary(START)

    def task(at: datetime) -> None:
        done.append(at - START)
        if len(done) == 1:
            diary.add(at + timedelta(hours=1), task)

    diary.add(START + timedelta(hours=3), task)
    diary.add(START + timedelta(hours=1), task)
    diary.add(START + timedelta(hours=9), task)
    diary.work_until(START + timedelta(hours=9))
    assert done == [timedelta(hours=1), timedelta(hours=2), timedelta(hours=3)]
    assert diary.now == START + timedelta(hours=9)
