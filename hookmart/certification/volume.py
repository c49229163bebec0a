"""Step 5: high volume."""

import time
from collections.abc import Iterator

from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.expectation import GENUINE
from hookmart.certification.trial import Trial
from hookmart.certification.wire import CONNECTIONS, percentile, worst


def volume(trial: Trial, events: int) -> Iterator[Check]:
    """Yield whether *events* events over several connections are all taken in time."""
    step, name = Step.VOLUME, f"{events:,} events over {CONNECTIONS} connections"
    expected = "2xx for all, in time"
    if not events or trial.specimens.is_mapped:
        yield not_exercised(
            step, name, expected,
            "payloads are the platform's own, and there are no more of them" if events else "--volume is 0",
            "Have the platform send its staging traffic." if events else "Give a --volume.",
        )  # fmt: skip
        return
    started = time.monotonic()
    answers = trial.post_at_once([trial.specimens.fresh() for _ in range(events)])
    seconds = time.monotonic() - started
    slowest = worst(answers)
    took = [answer.seconds for answer in answers]
    came = (
        f"{sum(each.is_success for each in answers):,} taken in {seconds:.1f} s; half within"
        f" {percentile(took, 0.5) * 1000:.0f} ms, 99 of 100 within {percentile(took, 0.99) * 1000:.0f} ms"
    )
    if slowest.is_success:
        yield passed(step, name, "clicks", expected, came)
        return
    judged = GENUINE.judge(step, name, "clicks", slowest)
    yield failed(step, name, "clicks", expected, f"{came}; one of the others: {judged.came}", judged.remedy)
