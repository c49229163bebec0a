"""Which answer is right, and what to do about each that is not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hookmart.certification.check import Check, Step, failed, passed
from hookmart.certification.wire import Answer

_NEVER_AGAIN = "A platform logs a 4xx and never sends it again, so the event is lost"


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    One row of the table of answers.

    Attributes:
        expected: In words.
        is_met: By a status.
        on_success: What to do where a 2xx came,
        on_client_error: or another 4xx,
        on_server_error: or a 5xx.
    """

    expected: str
    is_met: Callable[[int], bool]
    on_success: str = ""
    on_client_error: str = ""
    on_server_error: str = "It fails; its log says why."

    def judge(self, step: Step, name: str, sent: str, answer: Answer) -> Check:
        """Return the check that *answer* makes of what was *sent*."""
        if answer.status is not None and self.is_met(answer.status):
            return passed(step, name, sent, self.expected, answer.shown())
        return failed(step, name, sent, self.expected, answer.shown(), self._remedy(answer))

    def _remedy(self, answer: Answer) -> str:
        if answer.status is None:
            return _no_answer(answer)
        if answer.status == 429:
            return "It holds off this address; raise its limit for the platform, and run this again."
        if 300 <= answer.status < 400:
            return "Platforms do not follow redirects; give them, and this command, the address behind it."
        if answer.is_success:
            return self.on_success
        return self.on_client_error if answer.status < 500 else self.on_server_error


def _no_answer(answer: Answer) -> str:
    if answer.is_timeout:
        return (
            f"It did not answer within {answer.seconds:.0f} s. The platform gives up after 10 s and sends the event"
            " again: put it on disk, answer, and do the work afterwards."
        )
    return "It gave no answer; see that it runs, that the address is right, and what its log says."


def _is_success(status: int) -> bool:
    return 200 <= status < 300


GENUINE = Expectation(
    "2xx",
    _is_success,
    on_client_error=f"It refuses a genuine event. {_NEVER_AGAIN}: compare scheme and secret with the platform's.",
    on_server_error="It fails on a genuine event; its log says why. The platform tries five times more, then gives up.",
)

KEPT = Expectation(
    "2xx, kept in quarantine",
    _is_success,
    on_client_error=(
        f"It refuses genuine bytes that it does not understand. {_NEVER_AGAIN}: keep the bytes, answer 200, and look at"
        " them later."
    ),
    on_server_error=(
        "It fails on genuine bytes that it cannot read. A 5xx asks the platform for the same bytes again and again, and"
        " they never get better: keep the bytes, answer 200, and look at them later."
    ),
)

REPEATED = Expectation(
    "2xx, as the first time",
    _is_success,
    on_client_error="It refuses a repeated event. A repeat is no mistake of the sender: answer 200, and count it once.",
    on_server_error=(
        "It fails on a repeated event, so the platform sends it again and again: answer 200, and count it once."
    ),
)

FORGED = Expectation(
    "401",
    lambda status: status == 401,
    on_success=(
        "It takes what the source has not signed, so anybody can book commissions: compare the HMAC of the bytes as"
        " received with the signature before anything else."
    ),
    on_client_error="It refuses, but not with 401, so a wrong secret cannot be told from other faults: answer 401.",
    on_server_error=(
        "What nobody signed makes it fail, and the 5xx asks for more of it: verify the signature before anything else,"
        " and answer 401."
    ),
)

UNSIGNED_GARBAGE = Expectation(
    "401",
    lambda status: status == 401,
    on_success=FORGED.on_success,
    on_client_error=(
        "It parses the body before it verifies the signature, so strangers reach its parser: verify the bytes as"
        " received first, and answer 401."
    ),
    on_server_error=(
        "It parses the body before it verifies the signature, and strangers make it fail: verify the bytes as received"
        " first, and answer 401."
    ),
)

FORGED_SPACE = replace(
    FORGED,
    on_success=(
        "It takes bytes that nobody signed: it verifies nothing, or a body that was parsed and written again. Verify"
        " the bytes as received, and parse afterwards."
    ),
)

AS_SENT = Expectation(
    "2xx",
    _is_success,
    on_client_error=(
        "It verifies a body that was parsed and written again, not the bytes that were signed: verify the bytes as"
        f" received, and parse afterwards. {_NEVER_AGAIN}."
    ),
    on_server_error=GENUINE.on_server_error,
)


def exactly(status: int, meaning: str) -> Expectation:
    """Return the expectation of *status* and no other; *meaning* says what it tells the sender."""
    remedy = f"Answer {status}: {meaning}."
    return Expectation(
        str(status),
        lambda came: came == status,
        on_success=f"It takes what it cannot use. {remedy}",
        on_client_error=remedy,
        on_server_error=f"It fails, and the 5xx asks for the same again. {remedy}",
    )
