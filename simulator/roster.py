"""Who takes part in the played programme: eight partners with a story each, then as many ordinary ones as asked for."""

from dataclasses import dataclass
from enum import Enum
from random import Random

from simulator.deals import BROKER_REBATE, CASINO_CPA, CASINO_HYBRID, CHALLENGE_SHARE, SOFTWARE_SHARE, Deal


class Plot(Enum):
    """What happens to a partner besides ordinary trade."""

    ORDINARY = "ordinary"
    CLAWED_BACK = "clawed back"  # a commission is taken back after it was paid
    FAILED_PAYOUT = "failed payout"  # the first payout fails and is tried again
    BANK_RETURN = "bank return"  # the bank sends the first payout back after it was completed
    NEGATIVE_MONTH = "negative month"  # players win: the first monthly share is negative and is carried over
    OPEN_FAILURE = "open failure"  # the last payout fails for good
    FRAUD = "fraud"  # traffic turns bad; the partner is suspended with a balance
    TERMINATED = "terminated"  # brand bidding; what was not yet paid is forfeited


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What a partner is, before it has ids and dates.

    Attributes:
        currency: Of its commissions.
        payout_currency: In which it is paid; another one than *currency* needs an exchange rate.
        places: Countries its visitors come from, most frequent first.
        weight: Its share of visitors and customers, relative to the others.
        parent: Index of the partner that earns an override on its commissions.
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


PRINCIPALS: tuple[Profile, ...] = (
    Profile(
        name="Comparo Media Ltd",
        kind="affiliate",
        country="MT",
        language="en",
        group="grp_seo",
        currency="EUR",
        payout_currency="EUR",
        method="bank_transfer",
        provider="sepa_bank",
        deal=CASINO_HYBRID,
        source="seo",
        medium="organic",
        domain="comparo.example",
        placements=("review-top10", "bonus-guide", "app-ranking"),
        places=("DE", "AT", "FI", "BR"),
        weight=6,
        plot=Plot.CLAWED_BACK,
    ),
    Profile(
        name="Clickforge Performance",
        kind="media_buyer",
        country="CY",
        language="en",
        group="grp_paid",
        currency="USD",
        payout_currency="USD",
        method="bank_transfer",
        provider="intl_wire",
        deal=CASINO_CPA,
        source="paid_social",
        medium="cpc",
        domain="ads.clickforge.example",
        placements=("reels-a", "reels-b", "feed-lookalike"),
        places=("CA", "US", "BR", "DE"),
        weight=5,
        plot=Plot.FAILED_PAYOUT,
    ),
    Profile(
        name="Sakura Chart Club",
        kind="influencer",
        country="JP",
        language="ja",
        group="grp_social",
        currency="JPY",
        payout_currency="JPY",
        method="bank_transfer",
        provider="zengin",
        deal=CHALLENGE_SHARE,
        source="video",
        medium="social",
        domain="video.example",
        placements=("live-monday", "shorts", "pinned-comment"),
        places=("JP", "JP", "JP", "US"),
        weight=4,
        plot=Plot.BANK_RETURN,
    ),
    Profile(
        name="Nordic Odds Review Oy",
        kind="sub_affiliate",
        country="FI",
        language="fi",
        group="grp_seo",
        currency="EUR",
        payout_currency="EUR",
        method="bank_transfer",
        provider="sepa_bank",
        deal=CASINO_HYBRID,
        source="seo",
        medium="organic",
        domain="nordicodds.example",
        placements=("toplist", "news", "football"),
        places=("FI", "FI", "DE", "AT"),
        weight=3,
        plot=Plot.NEGATIVE_MONTH,
        parent=0,
    ),
    Profile(
        name="Atlas Introducing Brokers",
        kind="ib",
        country="AE",
        language="en",
        group="grp_ib",
        currency="USD",
        payout_currency="USD",
        method="e_wallet",
        provider="paywallet",
        deal=BROKER_REBATE,
        source="referral",
        medium="community",
        domain="atlas-ib.example",
        placements=("signals-room", "webinar", "desk"),
        places=("AE", "CA", "US", "DE"),
        weight=4,
        plot=Plot.OPEN_FAILURE,
    ),
    Profile(
        name="TrafficRiver Network",
        kind="affiliate",
        country="EE",
        language="en",
        group="grp_network",
        currency="EUR",
        payout_currency="EUR",
        method="bank_transfer",
        provider="sepa_bank",
        deal=CASINO_CPA,
        source="push",
        medium="cpa_network",
        domain="go.trafficriver.example",
        placements=("zone-1187", "zone-2203", "zone-3310"),
        places=("DE", "AT", "BR", "CA"),
        weight=4,
        plot=Plot.FRAUD,
    ),
    Profile(
        name="Stack Digest GmbH",
        kind="agency",
        country="DE",
        language="de",
        group="grp_content",
        currency="USD",
        payout_currency="EUR",
        method="bank_transfer",
        provider="sepa_bank",
        deal=SOFTWARE_SHARE,
        source="newsletter",
        medium="email",
        domain="stackdigest.example",
        placements=("weekly-top", "weekly-footer", "tool-index"),
        places=("DE", "US", "CA", "AT"),
        weight=3,
    ),
    Profile(
        name="Kaito Coupons",
        kind="reseller",
        country="JP",
        language="ja",
        group="grp_coupon",
        currency="JPY",
        payout_currency="JPY",
        method="bank_transfer",
        provider="zengin",
        deal=CASINO_CPA,
        source="coupon",
        medium="deal_site",
        domain="kaito-coupons.example",
        placements=("front-page", "app-push", "search-brand"),
        places=("JP", "JP", "CA", "US"),
        weight=3,
        plot=Plot.TERMINATED,
    ),
)

_FIRST_WORDS = ("Amber", "Harbour", "Juniper", "Lumen", "Meridian", "Opal", "Pioneer", "Quarry", "Silverline", "Vista")
_LAST_WORDS = ("Affiliates", "Collective", "Digital", "Guides", "Media", "Networks", "Partners", "Reviews", "Studio")


def profiles(count: int, rng: Random) -> list[Profile]:
    """*count* profiles: the principals first, then ordinary partners on the same deals under names of their own."""
    ordinary = [_ordinary(index, rng) for index in range(len(PRINCIPALS), count)]
    return [*PRINCIPALS[:count], *ordinary]


def _ordinary(index: int, rng: Random) -> Profile:
    like = PRINCIPALS[index % len(PRINCIPALS)]
    words = rng.choice(_FIRST_WORDS), rng.choice(_LAST_WORDS)
    return Profile(
        name=f"{words[0]} {words[1]} {index + 1}",
        kind="affiliate" if like.kind == "sub_affiliate" else like.kind,
        country=like.country,
        language=like.language,
        group=like.group,
        currency=like.currency,
        payout_currency=like.payout_currency,
        method=like.method,
        provider=like.provider,
        deal=like.deal,
        source=like.source,
        medium=like.medium,
        domain=f"{words[0].lower()}-{words[1].lower()}-{index + 1}.example",
        placements=like.placements,
        places=like.places,
        weight=rng.randint(1, 3),
    )
