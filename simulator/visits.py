"""Visits to the played programme: where a visitor came from, on which device, through which partner's link."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from random import Random

from simulator.cast import Member
from simulator.journal import Journal
from simulator.roster import CROOKED
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
    "GB": (("GB-LND", "London"), ("GB-MAN", "Manchester"), ("GB-EDH", "Edinburgh")),
    "KW": (("KW-KU", "الكويت"), ("KW-HA", "حولي")),
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
_CURRENCIES = {"DE": "EUR", "AT": "EUR", "FI": "EUR", "JP": "JPY", "GB": "GBP", "KW": "KWD"}


PAID_MEDIA = frozenset({"cpc", "cpa_network"})
"""Those where the operator pays for placements besides."""


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


class Manner(Enum):
    """How a visitor came to the door."""

    LINK = "link"
    COUPON = "coupon"  # no click, but a code that names the partner
    FARMED = "farmed"  # from a machine that has been here before, and not from where it says
    CLICKLESS = "clickless"  # neither a click nor a code


@dataclass(frozen=True, slots=True)
class Machine:
    """A device and the address it is behind."""

    fingerprint: str
    address: str


def any_machine(rng: Random) -> Machine:
    return Machine(f"{rng.getrandbits(48):012x}", f"{rng.getrandbits(48):012x}")


def machine_of_farm(rng: Random, member: Member) -> Machine:
    """One of the three that *member* has, behind one of four addresses."""
    return Machine(f"farm{member.number}{rng.randint(1, 3)}", f"farm{member.number}{rng.randint(1, 4)}")


class Door:
    """Where visitors come in; each visit to it becomes a click, unless the manner says otherwise."""

    def __init__(self, rng: Random, journal: Journal, site: str) -> None:
        """*site* is the address that they land on."""
        self._rng = rng
        self._journal = journal
        self._site = site

    def arrive(self, member: Member, at: datetime, manner: Manner, machine: Machine, *, is_live: bool = True) -> Visit:
        """Let in a visitor who will become a customer, or tries out the link."""
        visit = self._visit(member, at, manner, machine)
        if visit.click_id is not None:
            self._write_click(member, visit, is_unique=True, validity="valid", is_live=is_live)
        return visit

    def pass_by(self, member: Member, at: datetime) -> None:
        """A click that leads to nothing: most are valid, some are repeated, a few come from robots."""
        rng = self._rng
        visit = self._visit(member, at, Manner.LINK, any_machine(rng))
        is_suspicious = member.plot in CROOKED
        validity = rng.choices(("valid", "duplicate", "invalid"), (80, 8, 12) if is_suspicious else (93, 5, 2))[0]
        is_unique = validity == "valid" and rng.random() < 0.85
        self._write_click(member, visit, is_unique=is_unique, validity=validity)

    def _write_click(
        self, member: Member, visit: Visit, *, is_unique: bool, validity: str, is_live: bool = True
    ) -> None:
        rng, currency = self._rng, member.profile.currency
        pays_for_clicks = member.profile.medium == "cpc"
        click: JsonObject = {
            "id": visit.click_id,
            "occurred_at": instant(visit.at),
            "validity": validity,
            "invalid_reason": "bot_traffic" if validity == "invalid" else None,
            "is_unique": is_unique,
            "is_bot": validity == "invalid",
            "trigger": "qr_code" if rng.random() < 0.03 else "link",
            "cost": money(Decimal(rng.randint(18, 95)).scaleb(-2), currency) if pays_for_clicks else None,
        }
        data: JsonObject = {"click": click, "partner": member.snapshot(visit.at), **visit.context()}
        self._journal.write(visit.at, "click.tracked", data, is_live=is_live)

    def _visit(self, member: Member, at: datetime, manner: Manner, machine: Machine) -> Visit:
        rng, profile = self._rng, member.profile
        country = rng.choices(profile.places, (10, 4, 2, 1))[0]
        region, city = rng.choice(_CITIES[country])
        is_hidden = manner is Manner.FARMED and rng.random() < 0.5
        click_id = self._journal.name("clk") if manner in {Manner.LINK, Manner.FARMED} else None
        kind, system, browser = rng.choices(_DEVICES, _DEVICE_WEIGHTS)[0]
        return Visit(
            at=at,
            click_id=click_id,
            country=country,
            currency=_CURRENCIES.get(country, "USD"),
            tracking=self._tracking(member, at, manner, click_id, country),
            geo={
                "country": country,
                "region": region,
                "city": city,
                "source": "ip",
                "declared_country": "MT" if is_hidden else country,
            },
            device={
                "type": kind,
                "os": system,
                "browser": browser,
                "fingerprint_hash": f"fp_{machine.fingerprint}",
                "ip_hash": f"ip_{machine.address}",
                "ip_prefix_hash": f"ipp_{machine.address[:6]}",
                "user_agent_hash": f"ua_{kind[0]}{len(system)}{len(browser)}",
            },
        )

    def _tracking(self, member: Member, at: datetime, manner: Manner, click_id: str | None, country: str) -> JsonObject:
        rng, profile = self._rng, member.profile
        campaign = rng.randint(1, 3)
        placement = rng.choice(profile.placements)
        language = country.lower()
        is_coupon = manner is Manner.COUPON
        return {
            "click_id": click_id,
            "link_id": f"lnk_{member.number}{campaign}{profile.placements.index(placement) + 1}",
            "campaign_id": campaign_of(member, campaign),
            "offer_id": profile.deal.offer_id,
            "creative_id": f"crv_{rng.randint(1, 9)}" if profile.medium in PAID_MEDIA else None,
            "coupon_code": f"{profile.name.split()[0].upper()}{campaign}0" if is_coupon else None,
            "traffic_source": profile.source,
            "traffic_medium": profile.medium,
            "referrer_domain": profile.domain,
            "landing_url": f"{self._site}/{language}/{profile.deal.vertical}",
            "sub_ids": {
                "sub1": placement,
                "sub2": language,
                "sub3": f"{at:%Y-w%V}" if profile.medium == "cpc" else None,
                "sub4": None,
                "sub5": None,
            },
            "attribution_model": "coupon" if is_coupon else "last_click",
            "is_view_through": False,
        }


def campaign_of(member: Member, number: int) -> str:
    return f"cmp_{member.number}{number}"
