"""The answers of a receiver that is at its limit, or that cannot keep anything: 429 and 503, each with Retry-After."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.expectation import GENUINE
from hookmart.certification.specimen import Specimen
from hookmart.certification.trial import Trial
from hookmart.certification.wire import Answer

_STEP = Step.FAILURES
_BUSY = "too much in flight"
_TURNED_AWAY = "429 with Retry-After"
_UNABLE = "disk full, stage not writable, secret unreadable"

_MOST_CONNECTIONS = 800
_PROCESSES = 4
"""Of the receiver, at most, whose limits are reached."""

_PROBED_EVERY = 16
_PROBES, _PROBE_SECONDS = 10, 0.1
_REQUEST_BYTES = 4096
"""What our receiver counts for a request besides its body."""

_LONGEST_WAIT = 30.0


def flood(trial: Trial, high_bytes: int) -> Iterator[Check]:
    """
    Yield whether a receiver that holds as much as it may turns requests away, and takes them again afterwards.

    Bodies are begun and not ended, over many connections, until a genuine event is turned away.

    Args:
        high_bytes: Held by one process of the receiver at most, as the configuration says.
    """
    size = trial.source.max_body_bytes
    specimen = trial.specimens.fresh()
    answer: Answer | None = None
    held = 0
    with ExitStack() as connections:
        for number in range(1, _MOST_CONNECTIONS + 1):
            try:
                connections.enter_context(trial.wire.held(size))
            except OSError as error:
                yield not_exercised(_STEP, _BUSY, _TURNED_AWAY, f"no more than {number - 1:,} connections: {error}")
                return
            held += size + _REQUEST_BYTES
            is_enough = held >= _PROCESSES * high_bytes
            if is_enough or (held >= high_bytes and number % _PROBED_EVERY == 0):
                answer = _probed(trial, specimen, _PROBES if is_enough else 1)
                if is_enough or not answer.is_success:
                    break
        sent = f"a genuine event while {number:,} bodies of {size:,} bytes are under way"
        if answer is None or answer.is_success:
            yield not_exercised(
                _STEP, _BUSY, _TURNED_AWAY, f"{number:,} unfinished bodies, {held:,} bytes, and it took all",
                "Its limit is not reached from here: in staging, set `in_flight_high_bytes` to 1024 under [receiver],"
                " and run this again.",
            )  # fmt: skip
        else:
            yield _turned_away(answer, sent)
    yield _taken_again(trial, specimen, "" if answer is None else answer.retry_after)


def _probed(trial: Trial, specimen: Specimen, times: int) -> Answer:
    """Post a genuine event until it is turned away, since what was sent before may not have been read yet."""
    answer = trial.post(specimen)
    for _ in range(times - 1):
        if answer.is_success:
            time.sleep(_PROBE_SECONDS)
            answer = trial.post(specimen)
    return answer


def _turned_away(answer: Answer, sent: str) -> Check:
    expected = _TURNED_AWAY
    if answer.status == 429 and answer.retry_after:
        return passed(_STEP, _BUSY, sent, expected, f"{answer.shown()}, Retry-After: {answer.retry_after}")
    if answer.status == 429:
        remedy = "Without Retry-After a platform takes a 429 for a failure of yours: say how many seconds to wait."
    elif answer.status == 503 and answer.retry_after:
        remedy = "503 costs the platform one of its five attempts, and 429 with Retry-After none: answer 429."
    else:
        remedy = (
            "It fails, or is silent, while many bodies are under way: bound what is held at one time, and answer 429"
            " with Retry-After beyond it."
        )
    return failed(_STEP, _BUSY, sent, expected, answer.shown(), remedy)


def _taken_again(trial: Trial, specimen: Specimen, retry_after: str) -> Check:
    """Whether the event is taken once the others have hung up, as soon as Retry-After says, or a little later."""
    name, sent = "taken once there is room again", "the same event, after the others have hung up"
    wait = float(retry_after) if retry_after.isdecimal() else 1.0
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        time.sleep(min(max(wait, 0.1), _LONGEST_WAIT))
        again = trial.post(specimen)
        if again.is_success or time.monotonic() > deadline:
            return GENUINE.judge(_STEP, name, sent, again)


def failing_stage(trial: Trial) -> Iterator[Check]:
    """Yield whether a receiver whose stage was made to fail says so, and acknowledges nothing."""
    broken = Specimen(
        "malformed JSON, signed well", b'{"id": "certify-' + trial.specimens.samples.run.encode() + b'", '
    )
    for specimen, what in ((trial.specimens.fresh(), "a genuine event"), (broken, broken.name)):
        name, expected = f"{_UNABLE}: {what}", "503 with Retry-After"
        answer = trial.post(specimen)
        came = f"{answer.shown()}, Retry-After: {answer.retry_after or 'none'}"
        if answer.status == 503 and answer.retry_after:
            yield passed(_STEP, name, what, expected, came)
        elif answer.is_success:
            yield failed(
                _STEP, name, what, expected, came,
                "It acknowledges what it cannot keep, or nothing is wrong with it after all. If its disk is full or"
                " cannot be written, the event is lost: answer 2xx only once it is on disk.",
            )  # fmt: skip
        else:
            yield failed(
                _STEP, name, what, expected, came,
                "The fault is the receiver's, so the platform has to come again: answer 503, with Retry-After. A 4xx"
                " would lose the event for good.",
            )  # fmt: skip


def not_flooded() -> Check:
    """Return what there is to say of a receiver's limit where nobody has agreed to try it."""
    return not_exercised(
        _STEP, _BUSY, _TURNED_AWAY, "it would keep the platform's own requests out",
        "In staging, say --exercise-limits: unfinished bodies are sent until requests are turned away.",
    )  # fmt: skip


def not_failing() -> Check:
    """Return what there is to say of a receiver's own fault, which nobody can bring about from outside."""
    return not_exercised(
        _STEP, _UNABLE, "503 with Retry-After",
        "it cannot be forced from outside: it is a fault of the receiver's own machine",
        "In staging, put the stage on a small full file system, or take the secret's file away, and run this with"
        " --stage-fails: requests must be answered 503. Mend it, without a restart, and run this as it is: 200 again.",
    )  # fmt: skip
