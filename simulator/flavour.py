"""The flavours of a programme: which deals it offers and who takes part, as data in `simulator/flavours`."""

import tomllib
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from simulator.deals import Deal, Earning, Step
from simulator.mishaps import Chances
from simulator.roster import Plot, Profile


class Flavour(StrEnum):
    """What the programme sells."""

    igaming = "igaming"
    forex = "forex"
    prop = "prop"
    saas = "saas"


class Cast(NamedTuple):
    """
    Who plays, and on which stage.

    Attributes:
        site: Where visitors land.
        principals: A parent stands before its children.
        mishaps: How often orders go wrong.
    """

    site: str
    principals: tuple[Profile, ...]
    mishaps: Chances


@cache
def cast_of(flavour: Flavour) -> Cast:
    told = tomllib.loads((files("simulator") / "flavours" / f"{flavour}.toml").read_text(encoding="utf-8"))
    deals = {name: _deal(deal) for name, deal in told["deals"].items()}
    principals = tuple(_profile(each, deals) for each in told["partners"])
    return Cast(told["site"], principals, Chances(**told["mishaps"]))


def _profile(told: dict[str, Any], deals: dict[str, Deal]) -> Profile:
    return Profile(
        **{
            **told,
            "deal": deals[told["deal"]],
            "payout_currency": told.get("payout_currency", told["currency"]),
            "placements": tuple(told["placements"]),
            "places": tuple(told["places"]),
            "plot": Plot(told.get("plot", Plot.ORDINARY.value)),
        }
    )


def _deal(told: dict[str, Any]) -> Deal:
    return Deal(
        **{
            **told,
            "hold_days": tuple(told["hold_days"]),
            "steps": tuple(_step(step) for step in told["steps"]),
            "monthly": _earning(told.get("monthly")),
        }
    )


def _step(told: dict[str, Any]) -> Step:
    return Step(
        **{
            **told,
            "hours": tuple(told.get("hours", (2, 120))),
            "values": tuple(told.get("values", ())),
            "earning": _earning(told.get("earning")),
        }
    )


def _earning(told: dict[str, Any] | None) -> Earning | None:
    if told is None:
        return None
    bronze, silver, gold = (Decimal(rate) for rate in told["rates"])
    return Earning(told["model"], told.get("component", told["model"]), told["rate_type"], (bronze, silver, gold))
