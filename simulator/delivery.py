"""How a platform's events arrive: out of order, some twice, some of a type nobody knows, some from an impostor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import orjson

from simulator.journal import Event

_UNKNOWN_TYPE = "partner.badge_awarded"


@dataclass(frozen=True, slots=True)
class Faults:
    """
    What goes wrong on the way. Shares are fractions of the number of events; all posts they stand for come on top.

    Attributes:
        duplicates: Events that are posted once more, same bytes, some time later.
        disorder: How many places, at most about, a post may be away from its turn.
        unknown_types: Genuine events of a type outside the contract.
        bad_signatures: Posts whose signature does not fit: an event's bytes under another id, from an impostor.
    """

    duplicates: float = 0.05
    disorder: int = 50
    unknown_types: float = 0.0
    bad_signatures: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.duplicates, self.unknown_types, self.bad_signatures)
        if not all(0 <= share <= 1 for share in shares) or self.disorder < 0:
            raise ValueError("Faults are shares from 0 to 1, and disorder is a number of places, 0 or more.")


@dataclass(frozen=True, slots=True)
class Post:
    """
    One request to make.

    Attributes:
        is_duplicate: The same event is posted earlier in the sequence.
        is_known: Its type is one of the contract's.
        is_genuine: Whether the sender is to sign it properly.
    """

    event_id: str
    body: bytes
    is_duplicate: bool = False
    is_known: bool = True
    is_genuine: bool = True


def deliveries(events: Sequence[Event], faults: Faults, seed: int) -> list[Post]:
    """
    The posts for *events*, every event at least once, in the order to send them.

    The same arguments give the same posts. What is known and genuine among them is exactly *events*.
    """
    rng = Random(f"delivery:{seed}")
    turns = [(_late(rng, turn, faults.disorder), Post(event.event_id, event.body)) for turn, event in enumerate(events)]
    for turn, event in _some(rng, events, faults.duplicates):
        # A retry comes well after the first attempt, a minute or an hour later.
        again = turn + 1 + rng.randint(0, 10 * (faults.disorder + 1))
        turns.append((_late(rng, again, faults.disorder), Post(event.event_id, event.body)))
    for turn, event in _some(rng, events, faults.unknown_types):
        turns.append((_late(rng, turn, faults.disorder), _of_unknown_type(event)))
    for turn, event in _some(rng, events, faults.bad_signatures):
        turns.append((_late(rng, turn, faults.disorder), _forged(event)))
    turns.sort(key=lambda each: each[0])
    return _with_duplicates_marked([post for _, post in turns])


def _late(rng: Random, turn: int, disorder: int) -> float:
    return turn + rng.random() * disorder


def _some(rng: Random, events: Sequence[Event], share: float) -> list[tuple[int, Event]]:
    chosen = sorted(rng.sample(range(len(events)), round(len(events) * share)))
    return [(index, events[index]) for index in chosen]


def _of_unknown_type(event: Event) -> Post:
    event_id = f"{event.event_id}_x"
    return Post(event_id, orjson.dumps(event.view | {"id": event_id, "type": _UNKNOWN_TYPE}), is_known=False)


def _forged(event: Event) -> Post:
    event_id = f"{event.event_id}_f"
    return Post(event_id, orjson.dumps(event.view | {"id": event_id}), is_genuine=False)


def _with_duplicates_marked(posts: list[Post]) -> list[Post]:
    seen: set[str] = set()
    marked: list[Post] = []
    for post in posts:
        marked.append(replace(post, is_duplicate=True) if post.event_id in seen else post)
        seen.add(post.event_id)
    return marked
