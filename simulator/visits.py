"""Visits to the played programme: where a visitor came from, on which device, through which partner's link."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from simulator.cast import Member
from simulator.journal import Journal
from simulator.roster import Plot
from simulator.wire import JsonObject, instant, money

_CITIES = {
    "DE": (("DE-BE", "Berlin"), ("DE-HH", "Hamburg"), ("DE-BY", "München")),
    "AT": (("AT-9", "Wien"), ("AT-6", "Graz")),
    "FI": (("FI-18", "Helsinki"), ("FI-11", "Tampere")),
    "BR": (("BR-SP", "São Paulo"), ("BR-RJ", "Rio de Janeiro")),
    "CA": (("CA-ON", "Toronto"), ("CA-QC", "Montréal"), ("CA-BC", "Vancouver")),
    "US": (("US-NY", "New York"), ("US-NJ", "Newark"), ("US-MI", "Detroit")),
    "JP": (("JP-13", "東京"), ("JP-27", "大阪"), ("JP-23", "名古屋")),
    "AE": (("AE-DU", "Dubai"), ("AE-AZ", "Abu Dhabi")),
}
_DEVICES = (
    ("mobile", "iOS", "Safari"),
    ("mobile", "Android", "Chrome"),
    ("mobile", "Android", "Samsung Internet"),
    ("desktop", "Windows", "Chrome"),
    ("desktop", "Windows", "Edge"),
    ("desktop", "macOS", "Safari"),
    ("tablet", "iPadOS", "Safari"),
)
_DEVICE_WEIGHTS = (26, 30, 8, 18, 6, 8, 4)
_HOUR_WEIGHTS = (3, 2, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 5, 5, 6, 7, 9, 10, 11, 10, 8, 5)
_CURRENCIES = {"DE": "EUR", "AT": "EUR", "FI": "EUR", "JP": "JPY"}


@dataclass(frozen=True, slots=True)
class Visit:
    """
    One visitor at one moment, as later events repeat it.

    Attributes:
        click_id: None for a visit without a click, by coupon code.
    """

    at: datetime
    click_id: str | None
    country: str
    currency: str
    tracking: JsonObject
    geo: JsonObject
    device: JsonObject

    def context(self) -> JsonObject:
        return {"tracking": self.tracking, "geo": self.geo, "device": self.device}


def moment(rng: Random, start: datetime, end: datetime) -> datetime:
    """A moment between the two, evenings more often; microseconds as clicks have them."""
    drawn = start + (end - start) * rng.random()
    busy = drawn.replace(hour=rng.choices(range(24), _HOUR_WEIGHTS)[0])
    return busy if start <= busy < end else drawn


def arrive(rng: Random, journal: Journal, member: Member, at: datetime, *, by_coupon: bool = False) -> Visit:
    """A visitor who will become a customer: a valid click, or none where a coupon brought them."""
    visit = _visit(rng, journal, member, at, has_click=not by_coupon)
    if visit.click_id is not None:
        _write_click(rng, journal, member, visit, is_unique=True, validity="valid")
    return visit


def pass_by(rng: Random, journal: Journal, member: Member, at: datetime) -> None:
    """A click that leads to nothing: most are valid, some are repeated, a few come from robots."""
    visit = _visit(rng, journal, member, at, has_click=True)
    is_suspicious = member.profile.plot is Plot.FRAUD
    validity = rng.choices(("valid", "duplicate", "invalid"), (80, 8, 12) if is_suspicious else (93, 5, 2))[0]
    is_unique = validity == "valid" and rng.random() < 0.85
    _write_click(rng, journal, member, visit, is_unique=is_unique, validity=validity)


def _write_click(
    rng: Random, journal: Journal, member: Member, visit: Visit, *, is_unique: bool, validity: str
) -> None:
    pays_for_clicks = member.profile.medium == "cpc"
    click: JsonObject = {
        "id": visit.click_id,
        "occurred_at": instant(visit.at),
        "validity": validity,
        "invalid_reason": "bot_traffic" if validity == "invalid" else None,
        "is_unique": is_unique,
        "is_bot": validity == "invalid",
        "trigger": "qr_code" if rng.random() < 0.03 else "link",
        "cost": money(Decimal(rng.randint(18, 95)).scaleb(-2), member.profile.currency) if pays_for_clicks else None,
    }
    data: JsonObject = {"click": click, "partner": member.snapshot(visit.at), **visit.context()}
    journal.write(visit.at, "click.tracked", data)


def _visit(rng: Random, journal: Journal, member: Member, at: datetime, *, has_click: bool) -> Visit:
    profile = member.profile
    country = rng.choices(profile.places, (10, 4, 2, 1))[0]
    region, city = rng.choice(_CITIES[country])
    kind, system, browser = rng.choices(_DEVICES, _DEVICE_WEIGHTS)[0]
    click_id = journal.name("clk") if has_click else None
    campaign = rng.randint(1, 3)
    language = country.lower()
    # A farm of a few machines behind a few addresses.
    is_farmed = profile.plot is Plot.FRAUD and rng.random() < 0.4
    fingerprint = f"farm{member.number}{rng.randint(1, 3)}" if is_farmed else f"{rng.getrandbits(48):012x}"
    address = f"farm{member.number}{rng.randint(1, 4)}" if is_farmed else f"{rng.getrandbits(48):012x}"
    placement = rng.choice(profile.placements)
    tracking: JsonObject = {
        "click_id": click_id,
        "link_id": f"lnk_{member.number}{campaign}{profile.placements.index(placement) + 1}",
        "campaign_id": f"cmp_{member.number}{campaign}",
        "offer_id": profile.deal.offer_id,
        "creative_id": f"crv_{rng.randint(1, 9)}" if profile.medium in {"cpc", "cpa_network"} else None,
        "coupon_code": None if has_click else f"{profile.name.split()[0].upper()}{campaign}0",
        "traffic_source": profile.source,
        "traffic_medium": profile.medium,
        "referrer_domain": profile.domain,
        "landing_url": f"https://play.example/{language}/{profile.deal.vertical}",
        "sub_ids": {
            "sub1": placement,
            "sub2": language,
            "sub3": f"{at:%Y-w%V}" if profile.medium == "cpc" else None,
            "sub4": None,
            "sub5": None,
        },
        "attribution_model": "last_click" if has_click else "coupon",
        "is_view_through": False,
    }
    return Visit(
        at=at,
        click_id=click_id,
        country=country,
        currency=_CURRENCIES.get(country, "USD"),
        tracking=tracking,
        geo={"country": country, "region": region, "city": city, "source": "ip", "declared_country": country},
        device={
            "type": kind,
            "os": system,
            "browser": browser,
            "fingerprint_hash": f"fp_{fingerprint}",
            "ip_hash": f"ip_{address}",
            "ip_prefix_hash": f"ipp_{address[:6]}",
            "user_agent_hash": f"ua_{kind[0]}{len(system)}{len(browser)}",
        },
    )
