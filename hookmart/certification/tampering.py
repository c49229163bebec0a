"""Step 3: tampered payloads, and genuine ones that only look odd."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hookmart.certification.check import Check, Step, not_exercised
from hookmart.certification.expectation import AS_SENT, FORGED, FORGED_SPACE, GENUINE, KEPT, UNSIGNED_GARBAGE
from hookmart.certification.specimen import Specimen
from hookmart.certification.trial import Trial
from ingest.sources import Secret
from sending.signing import Headers, Signer

_STEP = Step.TAMPERING
_BEYOND_SECONDS = 60

_WRITINGS: dict[str, Callable[[dict[str, Any]], str]] = {
    "JSON without spaces": lambda event: json.dumps(event, separators=(",", ":")),
    "JSON with spaces": json.dumps,
    "JSON with line breaks and escapes": lambda event: (
        json.dumps(event, indent=2).replace("certify", "\\u0063ertify") + "\n"
    ),
}
"""All mean the same; a signature holds for one of them only."""


def tampering(trial: Trial) -> Iterator[Check]:
    """Yield whether everything is refused that the source has not signed, and nothing else."""
    if not trial.source.scheme.needs_secret:
        yield not_exercised(
            _STEP, "all signatures", FORGED.expected, "the scheme proves nothing",
            "Only `allow_ips` and `path_token` keep others out; ask the platform for a signature.",
        )  # fmt: skip
        return
    yield from _unsigned(trial)
    yield from _altered(trial)
    yield from _times(trial)
    yield from _as_sent(trial)
    yield from _every_secret(trial)


def _unsigned(trial: Trial) -> Iterator[Check]:
    header = trial.source.signing.header
    specimen = trial.specimens.only_once()
    yield FORGED.judge(_STEP, "no signature", f"a genuine event without {header}", trial.forge(specimen, []))
    specimen = trial.specimens.only_once()
    garbled = _with(trial.signed(specimen.body), header, "certify")
    yield FORGED.judge(_STEP, "garbled signature", f"{header}: certify", trial.forge(specimen, garbled))
    specimen = trial.specimens.only_once()
    proof = trial.signed(specimen.body)
    twice = [*proof, *(each for each in proof if each[0] == header)]
    yield FORGED.judge(_STEP, "repeated signature", f"{header} twice", trial.forge(specimen, twice))
    specimen = trial.specimens.only_once()
    guess = replace(trial.signer, secret=_guessed(trial.signer))
    proof = trial.signed(specimen.body, signer=guess)
    yield FORGED.judge(_STEP, "wrong secret", "a genuine event, signed with a guess", trial.forge(specimen, proof))
    broken = Specimen("malformed JSON", b'{"id": "certify-' + trial.specimens.samples.run.encode() + b'-unsigned", ')
    proof = trial.signed(broken.body, signer=guess)
    yield UNSIGNED_GARBAGE.judge(
        _STEP, "malformed JSON, wrong secret", "malformed JSON, signed with a guess", trial.forge(broken, proof)
    )


def _altered(trial: Trial) -> Iterator[Check]:
    if not trial.proves_body:
        yield not_exercised(
            _STEP, "body changed after signing", FORGED.expected, "the scheme signs no body",
            "Whoever sees one request can change it; ask the platform for a signature.",
        )  # fmt: skip
        return
    specimen = trial.specimens.only_once()
    changed = Specimen(specimen.name, specimen.body.replace(b"certify", b"Certify", 1))
    yield FORGED.judge(
        _STEP, "body changed after signing", "one letter differs", trial.forge(changed, trial.signed(specimen.body))
    )
    padded = Specimen(specimen.name, specimen.body + b" ")
    yield FORGED_SPACE.judge(
        _STEP,
        "space added after signing",
        "the same JSON, and a space",
        trial.forge(padded, trial.signed(specimen.body)),
    )


def _times(trial: Trial) -> Iterator[Check]:
    scheme = trial.source.signing
    if not scheme.has_timestamp:
        yield not_exercised(
            _STEP, "time of sending outside the tolerance", FORGED.expected, "the scheme signs no time",
            "A captured request can be sent again at any time; it is a duplicate then, and must change nothing.",
        )  # fmt: skip
        return
    for name, age in (
        ("signed too long ago", scheme.tolerance_past_seconds + _BEYOND_SECONDS),
        ("signed too far ahead", -scheme.tolerance_future_seconds - _BEYOND_SECONDS),
    ):
        specimen = trial.specimens.only_once()
        proof = trial.signed(specimen.body, age=age)
        yield FORGED.judge(_STEP, name, f"a genuine event of {age:+} s ago", trial.forge(specimen, proof))
    if scheme.timestamp_header is not None:
        specimen = trial.specimens.only_once()
        proof = [each for each in trial.signed(specimen.body) if each[0] != scheme.timestamp_header]
        yield FORGED.judge(_STEP, "no time", f"{scheme.timestamp_header} left out", trial.forge(specimen, proof))
        specimen = trial.specimens.only_once()
        proof = _with(trial.signed(specimen.body), scheme.timestamp_header, "yesterday")
        yield FORGED.judge(_STEP, "garbled time", f"{scheme.timestamp_header}: yesterday", trial.forge(specimen, proof))


def _as_sent(trial: Trial) -> Iterator[Check]:
    expectation = AS_SENT if trial.proves_body else GENUINE
    specimens = trial.specimens
    for name, write in _WRITINGS.items():
        if specimens.is_mapped:
            specimen = Specimen(name, write(json.loads(specimens.junk().body)).encode())
        else:
            event = specimens.samples.click()
            specimen = Specimen(name, write(dict(reversed(event.items()))).encode(), (event["id"],))
        yield expectation.judge(_STEP, name, "genuine, signed over these bytes", trial.post(specimen))


def _every_secret(trial: Trial) -> Iterator[Check]:
    for signer in trial.signers:
        if len(trial.signers) > 1 and signer.secret is not None:
            specimen = trial.specimens.fresh()
            answer = trial.post(specimen, trial.signed(specimen.body, signer=signer))
            expectation = GENUINE if specimen.event_ids else KEPT
            yield expectation.judge(_STEP, f"signed by {signer.secret.name}", "a genuine event", answer)


def _guessed(signer: Signer) -> Secret:
    if signer.scheme.key == "user:password":
        return Secret("a guess", b"certify:a guess that nobody has chosen")
    return Secret("a guess", b"a-guess-that-nobody-has-chosen!!")


def _with(headers: Headers, name: str, value: str) -> Headers:
    return [(each, value if each == name else kept) for each, kept in headers]
