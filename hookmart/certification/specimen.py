"""Bodies to send: genuine events of the contract, or a platform's own payloads and what their mapping makes of them."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hookmart.certification.sample_events import SampleEvents
from ingest.errors import SettingsError
from mappings.errors import Unmappable
from mappings.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Specimen:
    """
    One body.

    Attributes:
        name: For people.
        event_ids: Of the events it holds; none where a receiver can only quarantine it,
        is_ignored: or ignores it, as the mapping says.
    """

    name: str
    body: bytes
    event_ids: tuple[str, ...] = ()
    is_ignored: bool = False


@dataclass(slots=True)
class Sent:
    """
    What the receiver has answered for, to be looked for afterwards.

    Attributes:
        acknowledged: Ids of events that were answered 2xx.
        requests: Answers of 2xx, by the id of the first event of the request.
        unanswered: Ids of events whose last attempt got no 2xx: they may be there once.
        quarantined: SHA-256 of bodies that were answered 2xx and are no events.
        conflicting: Ids that were acknowledged with a second body.
        forged: SHA-256 of bodies that nobody had signed, whatever was answered.
    """

    acknowledged: set[str] = field(default_factory=set)
    requests: Counter[str] = field(default_factory=Counter)
    unanswered: set[str] = field(default_factory=set)
    quarantined: set[str] = field(default_factory=set)
    conflicting: set[str] = field(default_factory=set)
    forged: set[str] = field(default_factory=set)

    def note(self, specimen: Specimen, *, is_acknowledged: bool) -> None:
        """Note one genuine attempt."""
        if not is_acknowledged:
            self.unanswered.update(specimen.event_ids)
            return
        self.acknowledged.update(specimen.event_ids)
        self.requests.update(specimen.event_ids[:1])
        if not specimen.event_ids and not specimen.is_ignored:
            self.quarantined.add(sha256(specimen.body).hexdigest())


@dataclass(slots=True)
class Specimens:
    """
    Where bodies come from.

    Attributes:
        samples: Of this run.
        payloads: Of the platform, captured by the operator; none for a source that speaks the contract.
        is_mapped: Whether the source sends a platform's own payloads.
        is_spaced: Whether an event is written with spaces between its parts.
    """

    samples: SampleEvents
    payloads: tuple[Specimen, ...] = ()
    is_mapped: bool = False
    is_spaced: bool = False
    _turns: int = 0

    @property
    def are_events(self) -> bool:
        """Whether there is anything that a receiver can take for an event."""
        return bool(self.payloads) or not self.is_mapped

    def every_type(self) -> Iterator[Specimen]:
        """Yield one of each type, or every captured payload."""
        if self.is_mapped:
            yield from self.payloads
            return
        for event in self.samples.story():
            yield self.of(event)

    def fresh(self) -> Specimen:
        """Return an event not sent before; of captured payloads the next, again and again."""
        if not self.is_mapped:
            return self.of(self.samples.click())
        self._turns += 1
        return self.payloads[self._turns % len(self.payloads)] if self.payloads else self.junk()

    def only_once(self) -> Specimen:
        """Return a body that is never sent by another name: a click, or where payloads are the platform's, no event."""
        return self.junk() if self.is_mapped else self.fresh()

    def junk(self) -> Specimen:
        """Return an object that is no event of any platform."""
        self._turns += 1
        return Specimen(
            "an object that is no event", json.dumps({"certify": self.samples.run, "n": self._turns}).encode()
        )

    def of(self, event: dict[str, Any]) -> Specimen:
        """Return *event* as it is sent."""
        body = json.dumps(event, separators=(", ", ": ") if self.is_spaced else (",", ":")).encode()
        return Specimen(event["type"], body, (event.get("id") or f"sha256:{sha256(body).hexdigest()}",))


def read_payloads(directory: Path, mapping: Mapping) -> tuple[Specimen, ...]:
    """
    Return the platform's payloads in *directory*, `*.json`, with the events that *mapping* makes of them.

    Raises:
        SettingsError: There are none, or one of them fits no rule.
    """
    specimens = []
    for path in sorted(directory.glob("*.json")):
        body = path.read_bytes()
        try:
            mapped = mapping.apply(body)
        except Unmappable as fault:
            raise SettingsError(
                f"The mapping makes no event of {path} ({fault.reason}: {fault.detail}); take it out, or correct the"
                " mapping as `hookmart mapping check` shows."
            ) from None
        event_ids = tuple(each.header.event_id for each in mapped.events)
        specimens.append(Specimen(path.name, body, event_ids, is_ignored=not event_ids))
    if not specimens:
        raise SettingsError(f"There is no payload (*.json) in {directory}; capture some from the platform.")
    return tuple(specimens)
