"""The faults a platform can be played with: what each does, what a receiver must answer, and where it must end up."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from ingest.sources import Scheme


class FaultName(StrEnum):
    duplicates = "duplicates"
    disorder = "disorder"
    delay = "delay"
    tampering = "tampering"
    clock_skew = "clock-skew"
    wrong_secret = "wrong-secret"  # noqa: S105  # a name
    garbled_headers = "garbled-headers"
    bursts = "bursts"
    slow_connections = "slow-connections"
    aborted_connections = "aborted-connections"
    unknown_types = "unknown-types"
    new_fields = "new-fields"
    new_major_version = "new-major-version"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One fault.

    Attributes:
        does: In words, with the event as its subject.
        answers: The statuses that are right; none where the sender hangs up before there can be any.
        ends: Where what was posted must be found.
        share: Of the events, where none is said.
    """

    does: str
    answers: tuple[int, ...]
    ends: str
    share: float = 0.01


_SIGNED_WELL = (200,)

FAULTS: Mapping[FaultName, Fault] = MappingProxyType(
    {
        FaultName.duplicates: Fault("is posted again later, the same bytes", _SIGNED_WELL, "a duplicate", 0.05),
        FaultName.disorder: Fault("comes up to 50 places from its turn", _SIGNED_WELL, "loaded", 1.0),
        FaultName.delay: Fault("comes 1,000 to 5,000 places late", _SIGNED_WELL, "loaded"),
        FaultName.tampering: Fault("comes first with other bytes than were signed", (401,), "refused"),
        FaultName.clock_skew: Fault("comes first signed by a clock that is far off", (401,), "refused"),
        FaultName.wrong_secret: Fault("comes first signed with a secret that is not the source's", (401,), "refused"),
        FaultName.garbled_headers: Fault("comes first with headers that cannot be read", (400, 401, 415), "refused"),
        FaultName.bursts: Fault("comes with 199 others at once, on connections of their own", _SIGNED_WELL, "loaded"),
        FaultName.slow_connections: Fault("comes in pieces, for a second", _SIGNED_WELL, "loaded"),
        FaultName.aborted_connections: Fault("comes first on a connection that breaks", (), "nowhere, or loaded"),
        FaultName.unknown_types: Fault("is followed by one of a type that nobody knows", _SIGNED_WELL, "quarantined"),
        FaultName.new_fields: Fault("has fields that nobody knows, and a new minor version", _SIGNED_WELL, "loaded"),
        FaultName.new_major_version: Fault("is followed by one of major version 2", _SIGNED_WELL, "quarantined"),
    }
)
"""Whatever the faults, each event also arrives as it is: the programme's truth stays the truth."""

DEFAULT_FAULTS = "duplicates=0.05,disorder=1,tampering=0.005,unknown-types=0.005"


@dataclass(frozen=True, slots=True)
class Faults:
    """
    Which faults, and how often.

    Attributes:
        shares: Fractions of the number of events, by fault; a fault that is not there does not occur.
    """

    shares: Mapping[FaultName, float]

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.shares.values()):
            raise ValueError("The share of a fault is a number from 0 to 1, such as duplicates=0.05.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the faults that *text* asks for.

        Args:
            text: Names with or without a share, as in `duplicates=0.05,tampering`; `all`, or `all=0.02`, stands for
                every fault, and what is named beside it takes its own share; `none` for none.

        Raises:
            ValueError: A name is unknown, or a share is none.
        """
        shares: dict[FaultName, float] = {}
        every: dict[FaultName, float] = {}
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, is_told, told = part.partition("=")
            if part == "none":
                continue
            if name == "all":
                every = {each: _share(told) if is_told else FAULTS[each].share for each in FaultName}
                continue
            if name not in set(FaultName):
                raise ValueError(f"{name!r} is no fault; name some of {', '.join(FaultName)}, or all, or none.")
            fault = FaultName(name)
            shares[fault] = _share(told) if is_told else FAULTS[fault].share
        return cls(every | shares)

    def share(self, name: FaultName) -> float:
        return self.shares.get(name, 0.0)

    def without(self, names: frozenset[FaultName]) -> "Faults":
        return Faults({name: share for name, share in self.shares.items() if name not in names})


def unsuited(scheme: Scheme) -> dict[FaultName, str]:
    """Return the faults that a receiver of *scheme* cannot notice, and why."""
    found: dict[FaultName, str] = {}
    if not scheme.covers_body:
        found[FaultName.tampering] = "the scheme signs nothing of the body"
    if not scheme.has_timestamp:
        found[FaultName.clock_skew] = "the scheme signs no time"
    if not scheme.needs_secret:
        found[FaultName.wrong_secret] = "the scheme has no secret"
    return found


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no share; write a number from 0 to 1, such as duplicates=0.05.") from None
