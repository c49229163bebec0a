"""How a platform's events arrive: a stream of posts, out of order, some twice, some spoilt, and every event in it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from random import Random

import orjson

from sending.delivery import Delivery
from simulator.faults import FaultName, Faults
from simulator.journal import Event

_UNKNOWN_TYPE = "partner.badge_awarded"
_DISORDER_PLACES = 50
_DELAY_PLACES = (1_000, 5_000)
_CORRECTED_PLACES = 20
_RETRY_PLACES = 500
_BURST_POSTS = 200

_SPOILT = (
    FaultName.tampering,
    FaultName.clock_skew,
    FaultName.wrong_secret,
    FaultName.garbled_headers,
    FaultName.aborted_connections,
)
"""Posts that come first, and are followed by the same event as it should be."""


def deliveries(events: Iterable[Event], faults: Faults, seed: int) -> Iterator[Delivery]:
    """
    Yield the posts for *events*, every event at least once, in the order to send them.

    The same arguments give the same posts. Looks ahead a few thousand posts at most, however many events there are.
    The body of each post is what an honest sender signs; its kind, a fault's name or nothing, says what goes wrong on
    the way. What remains without faults is exactly *events*, `new-fields` apart, which alter nothing that is known.
    """
    bursts = _Picks(Random(f"bursts:{seed}"), faults.share(FaultName.bursts) / _BURST_POSTS)
    left_in_burst = 0
    for post in _in_their_order(events, faults, seed):
        if next(bursts):
            left_in_burst = _BURST_POSTS
        is_slow = post.kind == FaultName.slow_connections
        yield replace(post, is_apart=True) if left_in_burst > 0 or is_slow else post
        left_in_burst -= 1


def _in_their_order(events: Iterable[Event], faults: Faults, seed: int) -> Iterator[Delivery]:
    rng = Random(f"delivery:{seed}")
    picks = {name: _Picks(Random(f"{name}:{seed}"), share) for name, share in faults.shares.items() if share}
    coming: list[tuple[float, int, Delivery]] = []
    number = 0
    for turn, event in enumerate(events):
        chosen = frozenset(name for name, pick in picks.items() if next(pick))
        for place, post in _posts(event, chosen, turn, rng):
            heappush(coming, (place, number, post))
            number += 1
        # No later event has a place before its own turn.
        while coming and coming[0][0] <= turn:
            yield heappop(coming)[2]
    while coming:
        yield heappop(coming)[2]


def _posts(event: Event, chosen: frozenset[FaultName], turn: int, rng: Random) -> Iterator[tuple[float, Delivery]]:
    body = _with_new_fields(event) if FaultName.new_fields in chosen else event.body
    place = turn + (rng.random() * _DISORDER_PLACES if FaultName.disorder in chosen else 0)
    if FaultName.delay in chosen:
        place += rng.randint(*_DELAY_PLACES)
    for fault in _SPOILT:
        if fault in chosen:
            yield place, Delivery(f"{event.event_id}/{fault}", event.event_id, body, fault)
            place += rng.randint(1, _CORRECTED_PLACES)
    is_slow = FaultName.slow_connections in chosen
    yield place, Delivery(event.event_id, event.event_id, body, FaultName.slow_connections if is_slow else "")
    if FaultName.duplicates in chosen:
        again = place + rng.randint(1, _RETRY_PLACES)
        yield again, Delivery(f"{event.event_id}/duplicates", event.event_id, body, FaultName.duplicates)
    if FaultName.unknown_types in chosen:
        yield place, _another(event, "x", {"type": _UNKNOWN_TYPE}, FaultName.unknown_types)
    if FaultName.new_major_version in chosen:
        yield place, _another(event, "v2", {"schema_version": "2.0"}, FaultName.new_major_version)


def _another(event: Event, suffix: str, changes: dict[str, str], fault: FaultName) -> Delivery:
    event_id = f"{event.event_id}_{suffix}"
    return Delivery(f"{event.event_id}/{fault}", event_id, orjson.dumps(event.view | {"id": event_id} | changes), fault)


def _with_new_fields(event: Event) -> bytes:
    view = event.view
    data = view["data"]
    if isinstance(data, dict):
        data = data | {"loyalty": {"level": 3, "badges": ["early"]}}
    return orjson.dumps(view | {"schema_version": "1.9", "region": "eu-1", "data": data})


class _Picks:
    """For each turn whether it is one of a share of all: one in each stretch of turns, at random within the stretch."""

    def __init__(self, rng: Random, share: float) -> None:
        self._rng = rng
        self._share = share
        self._turn = self._picked = 0
        self._next = self._place()

    def __next__(self) -> bool:
        is_picked = self._turn == self._next
        self._turn += 1
        if is_picked:
            self._picked += 1
            self._next = max(self._turn, self._place())
        return is_picked

    def _place(self) -> int:
        return int((self._picked + self._rng.random()) / self._share) if self._share else -1
