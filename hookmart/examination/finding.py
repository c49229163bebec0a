"""One thing that was looked at, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    WARNING = "warning"
    """To know, or to mend before it hurts."""
    WRONG = "wrong"
    """To mend: something does not work, or an acknowledged event is in danger."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One finding.

    Attributes:
        part: Of the set-up: configuration, clock, disk, stage, warehouse or versions.
        says: A sentence; it says what to do wherever there is anything to do.
    """

    part: str
    severity: Severity
    says: str


@dataclass(frozen=True, slots=True)
class Part:
    """Makes the findings of one part."""

    name: str

    def good(self, says: str) -> Finding:
        """Return a finding that asks for nothing."""
        return Finding(self.name, Severity.GOOD, says)

    def warning(self, says: str) -> Finding:
        """Return one that asks for attention."""
        return Finding(self.name, Severity.WARNING, says)

    def wrong(self, says: str) -> Finding:
        """Return one that has to be mended."""
        return Finding(self.name, Severity.WRONG, says)
