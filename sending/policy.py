"""When to send again, and when to give up: a pure function of the policy, what was tried, and the answer."""

from dataclasses import dataclass
from enum import StrEnum

from sending.answer import Answer

_TOO_MANY_REQUESTS = 429
_SHORTEST_WAIT = 1.0


class State(StrEnum):
    """
    Where a delivery stands.

    Attributes:
        waiting: To be tried, or tried again.
        delivered: Answered 2xx.
        refused: Answered 4xx: somebody has to look, since sending the same again cannot help.
        undeliverable: Given up after the last attempt.
    """

    waiting = "waiting"
    delivered = "delivered"
    refused = "refused"
    undeliverable = "undeliverable"


@dataclass(frozen=True, slots=True)
class Progress:
    """
    What has been tried of a delivery.

    Attributes:
        attempts: Made so far.
        rungs: Of the ladder that have been used; attempts answered 429 with a `Retry-After` use none.
        first_at: When it was tried first, by the sender's clock; None before that.
    """

    attempts: int = 0
    rungs: int = 0
    first_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What follows from an answer.

    Attributes:
        due_at: When to try again, by the sender's clock; None unless waiting.
    """

    state: State
    progress: Progress
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How a sender tries.

    Attributes:
        timeout_seconds: In which the whole answer must come.
        ladder: Seconds before the second attempt, the third, and so on; one attempt more than there are rungs.
        patience_seconds: A receiver that asks by `Retry-After` to be left alone is asked again for so long after the
            first attempt, and never left alone for longer than this at a time.
    """

    timeout_seconds: float = 10.0
    ladder: tuple[float, ...] = (30.0, 120.0, 600.0, 3600.0, 14400.0)
    patience_seconds: float = 86_400.0

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0 or self.patience_seconds < 0 or any(rung < 0 for rung in self.ladder):
            raise ValueError("A timeout is above 0 seconds, and waits are 0 or more.")

    def verdict(self, progress: Progress, answer: Answer, started_at: float, now: float) -> Verdict:
        """
        Return what follows from *answer*.

        2xx: delivered. 4xx: refused, never tried again. 429: after what `Retry-After` asks for. Everything else, 5xx,
        no answer in time, no connection, and a redirection, which would not carry the signed body: after the next
        rung, and undeliverable once there is none. So is 429 without a legible `Retry-After`.

        Args:
            progress: Before the attempt.
            started_at: When the attempt began, by the sender's clock.
            now: When it ended, by the same clock.
        """
        first_at = started_at if progress.first_at is None else progress.first_at
        tried = Progress(progress.attempts + 1, progress.rungs, first_at)
        status = answer.status_code or 0
        if 200 <= status < 300:
            return Verdict(State.delivered, tried)
        if status == _TOO_MANY_REQUESTS and answer.retry_after is not None:
            if now - first_at >= self.patience_seconds:
                return Verdict(State.undeliverable, tried)
            # A receiver that says 0 would be asked in a tight circle.
            wait = max(_SHORTEST_WAIT, min(answer.retry_after, self.patience_seconds))
            return Verdict(State.waiting, tried, now + wait)
        if 400 <= status < 500 and status != _TOO_MANY_REQUESTS:
            return Verdict(State.refused, tried)
        if tried.rungs == len(self.ladder):
            return Verdict(State.undeliverable, tried)
        wait = self.ladder[tried.rungs]
        return Verdict(State.waiting, Progress(tried.attempts, tried.rungs + 1, first_at), now + wait)
