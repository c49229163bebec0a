"""All six steps against one receiver, in an order in which each can tell what the next would hide."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hookmart.certification.arrival import Arrival
from hookmart.certification.check import Certificate, Check, Step, Verdict, not_exercised
from hookmart.certification.count_url import CountUrl
from hookmart.certification.duplicates import duplicates
from hookmart.certification.event_types import event_types, first_contact
from hookmart.certification.failures import failures
from hookmart.certification.limits import failing_stage
from hookmart.certification.tampering import tampering
from hookmart.certification.trial import Trial
from hookmart.certification.volume import volume


@dataclass(frozen=True, slots=True)
class Extent:
    """
    How far a run goes.

    Attributes:
        volume: Events of step 5.
        arrival: Where to look for what was sent; None where that is on other machines.
        count_url: Where somebody else's receiver says how often it holds an event.
        flood_bytes: What one process of the receiver may hold, if that is to be tried.
        is_failing: Whether the receiver's stage was made to fail, so that nothing else can be tried.
    """

    volume: int
    arrival: Arrival | None
    count_url: CountUrl | None = None
    flood_bytes: int | None = None
    is_failing: bool = False


def certify(
    trial: Trial, source: str, extent: Extent, url: str, on_check: Callable[[Check], None] = lambda _check: None
) -> Certificate:
    """
    Make every check, telling *on_check* of each, and return the certificate.

    Args:
        url: As it may be shown: without a token.
    """
    started_at = trial.now().isoformat()
    made = []
    for check in _checks(trial, extent):
        on_check(check)
        made.append(check)
    samples = trial.specimens.samples
    return Certificate(url, source, samples.run, started_at, samples.is_live, tuple(made))


def _checks(trial: Trial, extent: Extent) -> Iterator[Check]:
    if extent.is_failing:
        yield from failing_stage(trial)
        for step in Step:
            if step is not Step.FAILURES:
                yield not_exercised(
                    step, "everything", "", "the stage was made to fail", "Run this again once it is mended."
                )
        return
    contact = first_contact(trial)
    yield contact
    if contact.verdict is not Verdict.PASSED:
        for step in Step:
            yield not_exercised(
                step, "everything else" if step is Step.EVENTS else "everything", "", "see the first check"
            )
        return
    arrival = extent.arrival if extent.arrival is not None and extent.arrival.is_within_reach() else None
    yield from event_types(trial)
    yield from failures(trial, extent.flood_bytes)
    yield from tampering(trial)
    yield from duplicates(trial, extent.count_url, is_looked_up=arrival is not None)
    yield from volume(trial, extent.volume)
    if arrival is None:
        yield not_exercised(
            Step.ARRIVAL, "everything", "each event once", "no stage or warehouse of this receiver is within reach",
            "Run this with the receiver's own configuration, where its stage and warehouse are; or look for events"
            f" whose id begins with {trial.specimens.samples.prefix}: each must be held once.",
        )  # fmt: skip
        return
    samples = trial.specimens.samples
    yield from arrival.checks(trial.sent, samples, is_mapped=trial.specimens.is_mapped)
