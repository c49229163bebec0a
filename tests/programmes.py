"""
Random affiliate programmes, told with every accident a platform is known for, and the ways their events may arrive.

Posted events carry one key of ours, `source`; `tests.oracle_events.body` gives the bytes to post.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.oracle_events import read_timestamp
from tests.programme_events import Json, Storyteller
from tests.programme_stories import Programme


def random_programme(
    seed: int,
    *,
    partners: int = 8,
    conversions: int = 25,
    payouts: int = 12,
    clicks: int = 10,
    account_adjustments: int = 4,
    currencies: Sequence[str] = ("EUR", "USD", "JPY", "BTC"),
    sources: Sequence[str] = ("acme", "zenith"),
    awkward: float = 0.25,
) -> list[Json]:
    """
    Full events of the contract, in the order they were written, which is not the order they happened.

    Args:
        seed: The same seed and sizes tell the same story.
        partners: Per source, as all the numbers here. Some are known from other events only, one may be a test partner.
        conversions: Each with none to two commissions.
        currencies: Of `programme_events.EXPONENTS`.
        sources: Each tells its own story with the same ids as the others.
        awkward: The share of optional fields left out or null.
    """
    posts: list[Json] = []
    for source in sources:
        rng = random.Random(f"{seed}/{source}")
        programme = Programme(Storyteller(rng, source, awkward=awkward), partners, currencies)
        programme.tell_partners()
        for number in range(clicks):
            programme.tell_click(number)
        for number in range(conversions):
            programme.tell_conversion(number)
        for number in range(account_adjustments):
            programme.tell_account_adjustment(number)
        for number in range(payouts):
            programme.tell_payout(number)
        posts += programme.teller.posts
    return posts


def mutate_delivery(
    events: Sequence[Json],
    rng: random.Random,
    *,
    duplicates: float = 0.1,
    batches: int = 3,
) -> list[list[Json]]:
    """
    The same *events* as they may arrive: shuffled, some again, in *batches* parts of which some may be empty.

    Of an event that says when it was received, a copy was received later, though it may be loaded first.
    """
    arriving = [*events, *(_again(event, rng) for event in events if rng.random() < duplicates)]
    rng.shuffle(arriving)
    cuts = sorted(rng.randint(0, len(arriving)) for _ in range(batches - 1))
    return [arriving[start:end] for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]


def _again(event: Json, rng: random.Random) -> Json:
    if "received_at" not in event:
        return event
    later = read_timestamp(event["received_at"]) + timedelta(hours=rng.choice((0, 1, 900)))
    return {**event, "received_at": f"{later.isoformat(timespec='microseconds')}Z"}


def received(events: Sequence[Json], seed: int) -> list[Json]:
    """The same *events*, each received once: most of them at once, some months after the fact, some before it."""
    rng = random.Random(f"receipts/{seed}")
    delays = (timedelta(seconds=1), timedelta(seconds=1), timedelta(days=2), timedelta(days=40), timedelta(days=-3))
    posts = []
    for event in events:
        at = read_timestamp(event["timestamp"]) + rng.choice(delays)
        posts.append({**event, "received_at": f"{at.isoformat(timespec='microseconds')}Z"})
    return posts


def programmes(*, max_conversions: int = 12) -> st.SearchStrategy[list[Json]]:
    """Random programmes of any size up to *max_conversions*; shrinks towards few partners and few stories."""
    return st.builds(
        random_programme,
        st.integers(0, 2**32 - 1),
        partners=st.integers(1, 6),
        conversions=st.integers(0, max_conversions),
        payouts=st.integers(0, 6),
        clicks=st.integers(0, 2),
        account_adjustments=st.integers(0, 3),
        sources=st.sampled_from((("acme",), ("acme", "zenith"))),
        awkward=st.sampled_from((0.0, 0.25, 0.6)),
    )


def wrap_golden(golden: dict[str, Any], source: str = "golden") -> list[Json]:
    """The compact moves of the worked example as full events; each approval approves what is pending by then."""
    currency, pending = golden["currency"], dict[str, Decimal]()
    posts = []
    for move in golden["moves"]:
        money = {"amount": move.get("amount", "0.00"), "currency": currency}
        at, step = move["occurred_at"], move["type"].split(".")[1]
        data: Json = {"partner": {"id": "ptn_1"}}
        if move["type"].startswith("payout."):
            data["payout"] = {"id": move["payout_id"], "status": step, "amount": money, "debit": money}
        else:
            data["commission"] = {"id": move["commission_id"], "model": "cpa", "amount": money}
            pending.setdefault(move["commission_id"], Decimal(0))
        if step == "processing":
            data["processing"] = {"submitted_at": at}
        elif step == "completed":
            data["completion"] = {"completed_at": at}
        elif step == "failed":
            data["failure"] = {"failed_at": at, "category": "other"}
        elif step == "adjusted":
            data["adjustment"] = {"id": f"adj_{move['event_id']}", "type": "clawback", "amount_delta": money}
        elif step == "approved":
            approved = {"amount": f"{pending.pop(move['commission_id']):.2f}", "currency": currency}
            data["approval"] = {"approved_amount": approved, "approved_at": at}
        if step in ("calculated", "adjusted"):
            pending[move["commission_id"]] += Decimal(money["amount"])
        posts.append(
            {
                "source": source,
                "id": move["event_id"],
                "type": move["type"],
                "schema_version": "1.0",
                "timestamp": at,
                "data": data,
            }
        )
    return posts
