"""What goes wrong with orders of a played programme besides what customers do: at the platform, or at the shop."""

from enum import Enum
from random import Random
from typing import NamedTuple


class Mishap(Enum):
    """One of them."""

    DUPLICATED = "duplicated"  # the shop reports one order twice, under two ids
    REATTRIBUTED = "reattributed"  # another partner has a better claim to it
    RESTATED = "restated"  # the commission is calculated anew, as a higher version
    REPEATED = "repeated"  # the same calculation comes once more, as another event


class Chances(NamedTuple):
    """How likely each is, as fractions of the orders that qualify; named as in the flavours."""

    duplicated: float
    reattributed: float
    restated: float
    repeated: float

    def drawn(self, rng: Random) -> Mishap | None:
        """One of them, or, mostly, none."""
        kinds = [*(Mishap(name) for name in self._fields), None]
        return rng.choices(kinds, [*self, 1 - sum(self)])[0]
