"""One thing that was tried: what was sent, what should have come, what came, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What came of a check."""

    PASSED = "pass"
    FAILED = "fail"
    NOT_EXERCISED = "not exercised"


class Step(StrEnum):
    """The six steps before going live, in their order."""

    EVENTS = "real event types"
    FAILURES = "simulated failures"
    TAMPERING = "tampered payloads"
    DUPLICATES = "duplicates"
    VOLUME = "high volume"
    ARRIVAL = "arrived once"


@dataclass(frozen=True, slots=True)
class Check:
    """
    One check, done.

    Attributes:
        remedy: What to do, in full sentences; for what was not exercised, how to try it by hand. Empty where it passed.
    """

    step: Step
    name: str
    verdict: Verdict
    sent: str
    expected: str
    came: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    All checks of one run.

    Attributes:
        run: Part of the id of every event that was sent.
        started_at: ISO 8601, UTC.
        is_live: Whether the events were live ones, which marts count.
    """

    url: str
    source: str
    run: str
    started_at: str
    is_live: bool
    checks: tuple[Check, ...]

    @property
    def is_passed(self) -> bool:
        """Whether nothing failed."""
        return not self.count(Verdict.FAILED)

    def count(self, verdict: Verdict) -> int:
        """Return how many checks ended so."""
        return sum(check.verdict is verdict for check in self.checks)

    def of(self, step: Step) -> list[Check]:
        """Return the checks of *step*, in the order they were made."""
        return [check for check in self.checks if check.step is step]


def passed(step: Step, name: str, sent: str, expected: str, came: str) -> Check:
    """Return a check that passed."""
    return Check(step, name, Verdict.PASSED, sent, expected, came)


def failed(step: Step, name: str, sent: str, expected: str, came: str, remedy: str) -> Check:
    """Return a check that failed."""
    return Check(step, name, Verdict.FAILED, sent, expected, came, remedy)


def not_exercised(step: Step, name: str, expected: str, why: str, remedy: str = "") -> Check:
    """Return a check that could not be made, and *why*."""
    return Check(step, name, Verdict.NOT_EXERCISED, "nothing", expected, why, remedy)
