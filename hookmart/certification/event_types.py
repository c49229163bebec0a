"""First contact, and step 1: real event types."""

import json
from collections.abc import Iterator

from hookmart.certification.check import Check, Step, not_exercised
from hookmart.certification.expectation import GENUINE, KEPT, Expectation
from hookmart.certification.specimen import Specimen
from hookmart.certification.trial import Trial

_STEP = Step.EVENTS

_CONTACT = Expectation(
    "2xx within the limit",
    GENUINE.is_met,
    on_client_error=(
        "It refuses the first genuine request. Compare with what the platform is given: scheme, header and secret"
        " (401), the allowlist (403), the path and its token (404). Nothing else was tried."
    ),
    on_server_error="It fails on the first genuine request; its log says why. Nothing else was tried.",
)


def first_contact(trial: Trial) -> Check:
    """Return whether a genuine request is answered well, and in time; without that nothing else can be told."""
    specimen = trial.specimens.fresh()
    answer = trial.post(specimen)
    if answer.status is not None and 400 <= answer.status < 500 and not trial.specimens.is_mapped:
        # Who verifies a body that was written again takes those that look like what it writes.
        trial.specimens.is_spaced = True
        spaced = trial.post(trial.specimens.fresh())
        answer = spaced if spaced.is_success else answer
    return _CONTACT.judge(_STEP, "answers in time", f"{specimen.name}, signed well", answer)


def event_types(trial: Trial) -> Iterator[Check]:
    """Yield whether every type is taken, and what a newer platform may add to it."""
    specimens = trial.specimens
    if not specimens.are_events:
        yield not_exercised(
            _STEP,
            "every event type",
            GENUINE.expected,
            "the source sends a platform's own payloads, and none were given",
            "Capture payloads of every type from the platform's staging, and give their directory with --payloads.",
        )
        return
    for specimen in specimens.every_type():
        yield GENUINE.judge(_STEP, specimen.name, "a genuine event", trial.post(specimen))
    if specimens.is_mapped:
        return
    grown = specimens.of(specimens.samples.click(schema_version="1.99", certify={"is_new": True}))
    yield GENUINE.judge(_STEP, "new field, higher minor version", "schema_version 1.99", trial.post(grown))
    nameless = specimens.of(specimens.samples.click(id=None))
    yield GENUINE.judge(_STEP, "event without an id", "a genuine event, `id` left out", trial.post(nameless))
    if trial.source.arrays:
        two = [specimens.samples.click(), specimens.samples.click()]
        array = Specimen("array", json.dumps(two).encode(), tuple(event["id"] for event in two))
        yield GENUINE.judge(_STEP, "array of events", "two clicks in one request", trial.post(array))
    stranger = specimens.samples.click(type="certify.unknown")
    yield _kept(trial, "unknown event type", "type certify.unknown", stranger)
    yield _kept(trial, "unknown major version", "schema_version 99.0", specimens.samples.click(schema_version="99.0"))
    against = specimens.samples.click(data={"click": {"id": 5}})
    yield _kept(trial, "payload against its contract", "a click without time and partner", against)


def _kept(trial: Trial, name: str, sent: str, event: dict[str, object]) -> Check:
    specimen = trial.specimens.of(event)
    answer = trial.post(Specimen(specimen.name, specimen.body))
    return KEPT.judge(_STEP, name, sent, answer)
