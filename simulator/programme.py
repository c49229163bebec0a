"""A small affiliate programme, played from a seed: four months of partners, customers, commissions and payouts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random

from simulator.cast import Member, Span, gather, write_partner_events
from simulator.journal import Event, Journal
from simulator.journeys import play_journeys
from simulator.monthly import book_revenue_shares, pay_bonuses, write_tier_changes
from simulator.payout_runs import run_payouts
from simulator.visits import moment, pass_by

_HISTORY = timedelta(days=122)

# Measured: what a journey brings about on average besides its click, and a partner besides its journeys.
_EVENTS_PER_JOURNEY = 5.05
_EVENTS_PER_PARTNER = 15


@dataclass(frozen=True, slots=True)
class ProgrammeSize:
    """
    How large a programme to play.

    Attributes:
        events: In all, exactly, where the partners leave room for it; about half of them are clicks.
        partners: The first eight have a story each (see `simulator/roster.py`).
    """

    events: int
    partners: int

    def __post_init__(self) -> None:
        if self.partners < 1 or self.events < 1:
            raise ValueError("A programme needs at least one partner and one event: raise --partners or --events.")


def play_programme(seed: int, size: ProgrammeSize, until: datetime) -> Iterator[Event]:
    """
    The events of a programme over the four months before *until*, one after another as they happened.

    The same arguments give the same ids and bodies, byte for byte; any other give other ids, so that two programmes can
    be sent to the same place. A few dozen events for each partner are the least it has, whatever its size.

    Args:
        until: Timezone-aware; no event happens at or after it.

    Raises:
        ValueError: *until* has no timezone.
    """
    if until.tzinfo is None:
        raise ValueError("The end of the programme needs a timezone: pass an aware datetime.")
    until = until.astimezone(UTC)
    key = f"{seed}:{size.events}:{size.partners}:{until.isoformat()}"
    rng = Random(key)
    journal = Journal(sha256(key.encode()).hexdigest()[:6], until)
    start = (until - _HISTORY).replace(hour=0, minute=0, second=0, microsecond=0)
    span = Span(start, until)

    members = gather(size.partners, span, journal, rng)
    write_partner_events(members, journal)
    room = size.events / 2 - _EVENTS_PER_PARTNER * size.partners
    accounts = play_journeys(rng, journal, members, int(room / _EVENTS_PER_JOURNEY), span)
    book_revenue_shares(rng, journal, members, span, accounts)
    pay_bonuses(journal, members, span, accounts)
    write_tier_changes(journal, members, accounts)
    run_payouts(rng, journal, members, span, accounts)
    _fill_with_clicks(rng, journal, members, span, size.events - len(journal))
    yield from journal.seal(rng)


def _fill_with_clicks(rng: Random, journal: Journal, members: list[Member], span: Span, count: int) -> None:
    weights = [member.profile.weight for member in members]
    for member in rng.choices(members, weights, k=max(count, 0)):
        pass_by(rng, journal, member, moment(rng, member.approved_at, min(member.quits_at, span.until)))
