"""From programme to posts: a stream in which every event is, whatever goes wrong, and which can be played again."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import pytest

from ingest.sources import PRESETS, UNSIGNED
from sending.delivery import Delivery
from simulator.delivery import deliveries
from simulator.faults import DEFAULT_FAULTS, FAULTS, FaultName, Faults, unsuited
from simulator.journal import Event
from simulator.posting import tampered
from simulator.programme import ProgrammeSize, play_programme

EVENTS = list(play_programme(1, ProgrammeSize(events=300, partners=3), datetime(2026, 11, 15, tzinfo=UTC)))
BODIES = {event.event_id: event.body for event in EVENTS}
ALL = Faults.parse("all=0.1")
EXTRA = set(FaultName) - {
    FaultName.disorder, FaultName.delay, FaultName.bursts, FaultName.slow_connections, FaultName.new_fields,
}  # fmt: skip
"""Faults that are posts of their own, beside the event."""


def played(faults: str, seed: int = 1, events: Iterable[Event] = EVENTS) -> list[Delivery]:
    return list(deliveries(events, Faults.parse(faults), seed))


def test_without_faults_every_event_is_posted_once_in_its_order() -> None:
    """A perfect network is the plain case: the posts are the events."""
    assert [(post.event_id, post.body, post.kind, post.is_apart) for post in played("none")] == [
        (event.event_id, event.body, "", False) for event in EVENTS
    ]


def test_the_same_seed_makes_the_same_posts_and_another_seed_others() -> None:
    """Faults are part of what can be played again."""
    assert played("all=0.1") == played("all=0.1")
    assert played("all=0.1") != played("all=0.1", seed=2)


@pytest.mark.parametrize("faults", ["all", "all=0.1", "all=1"])
def test_every_event_is_among_the_posts_as_it_is(faults: str) -> None:
    """No fault takes an event away: each is posted well, once, and new fields leave the known ones as they were."""
    well = {post.event_id: post for post in played(faults) if post.kind in {"", FaultName.slow_connections}}
    assert well.keys() == BODIES.keys()
    for event_id, post in well.items():
        known, sent = json.loads(BODIES[event_id]), json.loads(post.body)
        assert {name: sent[name] for name in known if name not in {"data", "schema_version"}} == {
            name: value for name, value in known.items() if name not in {"data", "schema_version"}
        }
        assert {name: sent["data"][name] for name in known["data"]} == known["data"]


@pytest.mark.parametrize("name", sorted(EXTRA))
def test_each_fault_occurs_as_often_as_asked(name: FaultName) -> None:
    """The shares are of the number of events, evenly spread, and come on top of them."""
    for share in (0.01, 0.05, 0.35, 0.95, 1.0):
        posts = played(f"{name}={share}")
        assert sum(post.kind == name for post in posts) == pytest.approx(len(EVENTS) * share, abs=2)
        assert len(posts) == len(EVENTS) + sum(post.kind == name for post in posts)


def test_every_post_has_an_id_of_its_own() -> None:
    """By it a log knows what was sent; the event's own id is that of the one good post."""
    posts = played("all=1")
    assert max(Counter(post.delivery_id for post in posts).values()) == 1
    assert BODIES.keys() <= {post.delivery_id for post in posts}


def test_what_is_spoilt_comes_first_and_is_followed_by_the_event_itself() -> None:
    """The same event, whose bytes an honest sender signs; a duplicate comes after both."""
    posts = played("all=1,disorder=1")
    places = {post.delivery_id: place for place, post in enumerate(posts)}
    for event_id in BODIES:
        for fault in ("tampering", "wrong-secret", "clock-skew", "garbled-headers", "aborted-connections"):
            assert places[f"{event_id}/{fault}"] < places[event_id] < places[f"{event_id}/duplicates"]


def test_disorder_moves_posts_and_no_further_than_it_says() -> None:
    """The order is broken, but nothing is more than fifty places away from its turn."""
    posts = played("disorder")
    turns = {event.event_id: turn for turn, event in enumerate(EVENTS)}
    moved = [abs(place - turns[post.event_id]) for place, post in enumerate(posts)]
    assert 0 < max(moved) <= 50


def test_bursts_are_two_hundred_at_once() -> None:
    """One after another, beside the others; their share is of all posts."""
    posts = played("bursts=0.2", events=_many(10_000))
    runs = [len(list(group)) for is_apart, group in itertools.groupby(post.is_apart for post in posts) if is_apart]
    assert sum(runs) == pytest.approx(2_000, abs=200)
    assert all(run % 200 == 0 for run in runs)


@pytest.mark.parametrize("faults", ["none", DEFAULT_FAULTS, "all", "all=1"])
def test_a_stream_without_end_is_played_with_little_in_hand(faults: str) -> None:
    """However long the programme, no more than some thousand posts are held back at a time."""
    taken = 0

    def counted() -> Iterator[Event]:
        nonlocal taken
        for event in _many(None):
            taken += 1
            yield event

    given = 0
    for post in itertools.islice(deliveries(counted(), Faults.parse(faults), 1), 40_000):
        given += post.kind in {"", FaultName.slow_connections}
        assert taken - given < 6_000


def _many(most: int | None) -> Iterator[Event]:
    for number in itertools.islice(itertools.count(), most):
        yield Event(f"evt_{number}", "click.tracked", datetime(2026, 1, 1, tzinfo=UTC), b'{"data": {}}')


def test_tampering_changes_money_and_leaves_valid_json() -> None:
    """The most dangerous kind: the same id, and another amount."""
    for event in EVENTS:
        changed = tampered(event.body)
        assert changed != event.body
        assert json.loads(changed)["id"] == event.event_id
        if b'"amount":"' in event.body:
            assert json.loads(changed)["timestamp"] == event.view["timestamp"]


def test_faults_are_named_with_a_share_or_without() -> None:
    """`all` stands for every one, and what is named beside it keeps its own share, wherever it stands."""
    assert Faults.parse("none").shares == Faults.parse("").shares == {}
    assert Faults.parse("tampering").shares == {FaultName.tampering: FAULTS[FaultName.tampering].share}
    assert Faults.parse("tampering=0.5, delay=0").shares == {FaultName.tampering: 0.5, FaultName.delay: 0.0}
    assert Faults.parse("all").shares == {name: fault.share for name, fault in FAULTS.items()}
    assert Faults.parse("delay=0.5,all=0.02").shares == {**dict.fromkeys(FaultName, 0.02), FaultName.delay: 0.5}


@pytest.mark.parametrize(
    ("text", "says"),
    [("tempering", "no fault; name some of duplicates"), ("0.05", "no fault"), ("delay=much", "no share"),
     ("delay=", "no share"), ("delay=1.5", "0 to 1"), ("all=-1", "0 to 1"), ("delay=nan", "0 to 1")],
)  # fmt: skip
def test_faults_that_cannot_be_are_refused(text: str, says: str) -> None:
    """A misspelled fault would be a test that did not happen; percentages are a likely slip."""
    with pytest.raises(ValueError, match=says):
        Faults.parse(text)


def test_every_fault_is_described() -> None:
    """What it does, what is right, and where it ends: help and documentation are made of it."""
    assert list(FAULTS) == list(FaultName)


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        (PRESETS["stripe"], set()),
        (PRESETS["hmac-sha256-hex"], {"clock-skew"}),
        (UNSIGNED["bearer"], {"clock-skew", "tampering"}),
        (UNSIGNED["none"], {"clock-skew", "tampering", "wrong-secret"}),
    ],
)
def test_what_a_scheme_cannot_notice_is_known(scheme: object, names: set[str]) -> None:
    """A receiver that signs no time does not refuse an old one, and must not be blamed for it."""
    assert set(unsuited(scheme)) == names  # type: ignore[arg-type]
