"""What a certificate says to each answer: the status that is right passes, every other has its own sentence."""

import pytest

from hookmart.certification.check import Step, Verdict
from hookmart.certification.expectation import (
    AS_SENT,
    FORGED,
    GENUINE,
    KEPT,
    REPEATED,
    UNSIGNED_GARBAGE,
    Expectation,
    exactly,
)
from hookmart.certification.wire import Answer

LARGE = exactly(413, "the body is over the limit")


def answered(status: int | None, error: str = "") -> Answer:
    """An answer that is nothing but its status."""
    return Answer(status, "", 9.96, error)


@pytest.mark.parametrize(
    ("expectation", "status"),
    [(GENUINE, 200), (GENUINE, 202), (KEPT, 204), (REPEATED, 200), (FORGED, 401), (AS_SENT, 200), (LARGE, 413)],
)
def test_the_right_status_passes(expectation: Expectation, status: int) -> None:
    """Any 2xx is done; a refusal is the very status of the table."""
    check = expectation.judge(Step.EVENTS, "a check", "a click", answered(status))
    assert (check.verdict, check.remedy) == (Verdict.PASSED, "")


@pytest.mark.parametrize(
    ("expectation", "status", "sentence"),
    [
        (GENUINE, 401, "never sends it again, so the event is lost"),
        (GENUINE, 500, "The platform tries five times more"),
        (GENUINE, 302, "Platforms do not follow redirects"),
        (GENUINE, 429, "It holds off this address"),
        (KEPT, 400, "It refuses genuine bytes that it does not understand"),
        (KEPT, 500, "It fails on genuine bytes that it cannot read"),
        (REPEATED, 409, "A repeat is no mistake of the sender"),
        (REPEATED, 500, "It fails on a repeated event"),
        (FORGED, 200, "It takes what the source has not signed"),
        (FORGED, 403, "It refuses, but not with 401"),
        (FORGED, 500, "What nobody signed makes it fail"),
        (UNSIGNED_GARBAGE, 400, "It parses the body before it verifies the signature, so strangers"),
        (UNSIGNED_GARBAGE, 500, "It parses the body before it verifies the signature, and strangers"),
        (AS_SENT, 401, "It verifies a body that was parsed and written again"),
        (LARGE, 200, "It takes what it cannot use. Answer 413: the body is over the limit."),
        (LARGE, 400, "Answer 413: the body is over the limit."),
        (LARGE, 500, "It fails, and the 5xx asks for the same again. Answer 413"),
    ],
)
def test_a_wrong_status_says_what_to_do(expectation: Expectation, status: int, sentence: str) -> None:
    """What is wrong, what comes of it, and what to answer instead."""
    check = expectation.judge(Step.EVENTS, "a check", "a click", answered(status))
    assert check.verdict is Verdict.FAILED
    assert sentence in check.remedy
    assert check.came == str(status)


def test_no_answer_says_why() -> None:
    """Too late, or not at all: the one asks for less work before the answer, the other for a receiver that runs."""
    late = GENUINE.judge(Step.EVENTS, "a check", "a click", answered(None, "timeout"))
    assert late.came == "no answer in 10.0 s"
    assert late.remedy.startswith("It did not answer within 10 s.")
    away = GENUINE.judge(Step.EVENTS, "a check", "a click", answered(None, "Connection refused"))
    assert away.came == "no answer: Connection refused"
    assert "see that it runs" in away.remedy
