"""Step 4: duplicates."""

import json
from collections.abc import Iterator

from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.count_url import CountUrl
from hookmart.certification.expectation import REPEATED
from hookmart.certification.specimen import Specimen
from hookmart.certification.trial import Trial
from hookmart.certification.wire import CONNECTIONS, Answer, worst


def duplicates(trial: Trial, count_url: CountUrl | None, *, is_looked_up: bool) -> Iterator[Check]:
    """
    Yield whether repeats are answered like the first, and counted once as far as that can be told from outside.

    Args:
        is_looked_up: Whether the warehouse will be asked afterwards, which is better than anything said here.
    """
    step, specimens = Step.DUPLICATES, trial.specimens
    if not specimens.are_events:
        yield not_exercised(
            step, "the same event again", REPEATED.expected, "there are no payloads of the platform to repeat",
            "Give captured ones with --payloads.",
        )  # fmt: skip
        return
    specimen = specimens.fresh()
    first = trial.post(specimen)
    again = [trial.post(specimen) for _ in range(3)]
    yield REPEATED.judge(step, "the same event four times", "one after another", worst([first, *again]))
    at_once = specimens.fresh()
    answers = trial.post_at_once([at_once] * CONNECTIONS)
    yield REPEATED.judge(step, f"the same event {CONNECTIONS} times at once", "at the same moment", worst(answers))
    if not specimens.is_mapped:
        conflicting = Specimen(
            specimen.name, specimen.body.replace(b"hookmart certify", b"another body"), specimen.event_ids
        )
        answer = trial.post(conflicting)
        if answer.is_success:
            trial.sent.conflicting.update(specimen.event_ids)
        yield REPEATED.judge(step, "the same id with another body", "the first stays", answer)
    if not is_looked_up:
        yield _counted_once(count_url, (specimen, at_once), again)


def _counted_once(count_url: CountUrl | None, repeated: tuple[Specimen, ...], again: list[Answer]) -> Check:
    step, name, sent, expected = Step.DUPLICATES, "counted once", "two events, each several times", "each is held once"
    ids = [event_id for specimen in repeated for event_id in specimen.event_ids]
    if count_url is not None:
        counts = {event_id: count_url.count(event_id) for event_id in ids}
        came = ", ".join(f"{event_id}: {'no number' if n is None else n}" for event_id, n in counts.items())
        if any(n is None for n in counts.values()):
            return failed(
                step, name, sent, expected, came, "The --count-url gave no number; see what a GET of it answers."
            )
        if all(n == 1 for n in counts.values()):
            return passed(step, name, sent, expected, came)
        return failed(
            step, name, sent, expected, came,
            "It counts a repeated event again, and a platform repeats events whenever an answer is lost: keep each id"
            " of the source once, by a unique key.",
        )  # fmt: skip
    if all(_says_duplicate(answer) for answer in again):
        return passed(step, name, sent, expected, again[0].shown())
    return not_exercised(
        step, name, expected, "neither its answers nor a warehouse say how often it holds an event",
        f"Look there: {', '.join(ids)} must each be held once. Or give --count-url.",
    )  # fmt: skip


def _says_duplicate(answer: Answer) -> bool:
    try:
        said = json.loads(answer.text)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("status") == "duplicate"
