"""A programme that happens now: evenly, in its order, and with the same books."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.reading import read_event
from simulator.journal import Event
from simulator.live import Present
from simulator.programme import Programme, ProgrammeSize, start_of_story

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SIZE = ProgrammeSize(events=2500, partners=12)
RATE = 20.0


@pytest.fixture(scope="module")
def live() -> Programme:
    return Programme(1, SIZE, NOW, present=Present(start_of_story(NOW), NOW, RATE))


@pytest.fixture(scope="module")
def events(live: Programme) -> list[Any]:
    return list(live.events())


def test_events_happen_now_one_after_another_at_the_rate(events: list[Any]) -> None:
    """Each within a few seconds of when it is posted; none at once with another."""
    assert len(events) == SIZE.events
    times = [event.occurred_at for event in events]
    assert times == sorted(set(times))
    for number, at in enumerate(times):
        assert abs(at - (NOW + timedelta(seconds=number / RATE))) < timedelta(seconds=10)


def test_it_is_the_same_story(events: list[Any]) -> None:
    """The same ids and types in the same order as three months of it, and every event within the contract."""
    past = list(Programme(1, SIZE, NOW).events())
    assert [(event.event_id, event.event_type) for event in events] == [
        (event.event_id, event.event_type) for event in past
    ]
    for event in events:
        assert read_event(event.body).event_id == event.event_id


def test_every_time_in_an_event_is_of_now(events: list[Any]) -> None:
    """No date and no time of the three months is left, and what happened before something still does."""
    until = events[-1].occurred_at
    for event in events:
        view = event.view
        assert b'"2026-09' not in event.body
        assert b'"2026-10' not in event.body
        conversion = view["data"].get("conversion")
        if conversion:
            occurred_at = datetime.fromisoformat(conversion["occurred_at"])
            assert NOW <= occurred_at <= event.occurred_at <= until


def gaps_of(events: Iterable[Event]) -> Counter[timedelta]:
    """How long customers took from the click to what they did first."""
    gaps: Counter[timedelta] = Counter()
    for event in events:
        view: Any = event.view
        if event.event_type == "conversion.created" and view["data"]["conversion"]["clicked_at"]:
            conversion = view["data"]["conversion"]
            occurred_at, clicked_at = (
                datetime.fromisoformat(conversion[name]) for name in ("occurred_at", "clicked_at")
            )
            gaps[occurred_at - clicked_at] += 1
    return gaps


def test_a_click_stays_as_far_from_its_conversion_as_it_was(events: list[Any]) -> None:
    """What lies between the two is minutes, as it was, though the whole story takes two of them."""
    told = gaps_of(Programme(1, SIZE, NOW).events())
    assert max(told) > timedelta(hours=1)
    assert gaps_of(events) == told


def test_its_books_are_of_this_month(live: Programme, events: list[Any]) -> None:
    """One row for each partner and currency, and what they have in the end is what they had in the story."""
    assert events
    past = Programme(1, SIZE, NOW)
    assert sum(1 for _ in past.events()) == SIZE.events
    rows = live.truth.statement
    assert {row.month.isoformat() for row in rows} == {"2026-11-01"}
    assert {(row.partner_id, row.currency): row[-4:] for row in rows} == {
        (row.partner_id, row.currency): row[-4:] for row in past.truth.balances
    }
    assert live.truth.event_types == past.truth.event_types
