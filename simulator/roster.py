"""Who takes part in a played programme: principals with a story each, and as many ordinary partners as asked for."""

from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from simulator.deals import Deal


class Plot(Enum):
    """What happens to a partner besides ordinary trade."""

    ORDINARY = "ordinary"
    CLAWED_BACK = "clawed back"  # commissions are taken back after they were paid
    FAILED_PAYOUT = "failed payout"  # the first payout fails and is tried again
    BANK_RETURN = "bank return"  # the bank sends the first payout back after it was completed
    NEGATIVE_MONTH = "negative month"  # players win: the first monthly share is negative and is carried over
    OPEN_FAILURE = "open failure"  # the last payout fails for good
    RING = "ring"  # a farm of a few machines, until it is found out; the partner is suspended with a balance
    ACCOMPLICE = "accomplice"  # paid to the ring's account; forced clicks, stolen cards
    TERMINATED = "terminated"  # brand bidding; what was not yet paid is forfeited
    MERGED = "merged"  # goes over into another partner, which takes the balance along
    SANDBOX = "sandbox"  # the operator's own, to try things out; nothing of it counts


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What a partner is, before it has ids and dates.

    Attributes:
        currency: Of its commissions.
        payout_currency: In which it is paid; another one than *currency* needs an exchange rate.
        places: Countries its visitors come from, most frequent first.
        weight: Its share of visitors and customers, relative to the others.
        parent: Index of the partner that earns an override on its commissions; of the same currency.
        heir: Index of the partner that takes over, of one that is merged; of the same currency.
        shares_account_with: Index of the partner to whose account it is paid.
    """

    name: str
    kind: str
    country: str
    language: str
    group: str
    currency: str
    payout_currency: str
    method: str
    provider: str
    deal: Deal
    source: str
    medium: str
    domain: str
    placements: tuple[str, ...]
    places: tuple[str, ...]
    weight: int
    plot: Plot = Plot.ORDINARY
    parent: int | None = None
    heir: int | None = None
    shares_account_with: int | None = None


_FIRST_WORDS = ("Amber", "Harbour", "Juniper", "Lumen", "Meridian", "Opal", "Pioneer", "Quarry", "Silverline", "Vista")
_LAST_WORDS = ("Affiliates", "Collective", "Digital", "Guides", "Media", "Networks", "Partners", "Reviews", "Studio")
CROOKED = frozenset({Plot.RING, Plot.ACCOMPLICE})
_UNIQUE = CROOKED | {Plot.SANDBOX}


def profiles(principals: tuple[Profile, ...], count: int, rng: Random) -> list[Profile]:
    """*count* profiles: the *principals* first, then ordinary partners on the same deals under names of their own."""
    honest = [profile for profile in principals if profile.plot not in _UNIQUE]
    ordinary = [_ordinary(honest[index % len(honest)], index, rng) for index in range(len(principals), count)]
    return [*principals[:count], *ordinary]


def _ordinary(like: Profile, index: int, rng: Random) -> Profile:
    words = rng.choice(_FIRST_WORDS), rng.choice(_LAST_WORDS)
    return replace(
        like,
        name=f"{words[0]} {words[1]} {index + 1}",
        domain=f"{words[0].lower()}-{words[1].lower()}-{index + 1}.example",
        weight=rng.randint(1, 3),
        plot=Plot.ORDINARY,
        heir=None,
    )
