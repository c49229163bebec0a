"""What follows from an answer: the sender's policy as a function, and how Retry-After is read."""

from datetime import UTC, datetime, timedelta

import pytest

from sending.answer import Answer, retry_after_seconds
from sending.policy import Policy, Progress, State

POLICY = Policy()
FIRST = Progress()
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def answered(status: int, retry_after: float | None = None) -> Answer:
    return Answer(0.01, status, retry_after=retry_after)


def test_the_policy_is_the_one_that_platforms_publish() -> None:
    """Ten seconds; 30 s, 2 min, 10 min, 1 h and 4 h."""
    assert POLICY.timeout_seconds == 10
    assert [timedelta(seconds=rung) for rung in POLICY.ladder] == [
        timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=4),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    """Any of them; the body does not count."""
    verdict = POLICY.verdict(FIRST, answered(status), 5.0, 6.0)
    assert (verdict.state, verdict.due_at) == (State.delivered, None)
    assert verdict.progress == Progress(1, 0, 5.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 410, 413, 415, 422, 451, 499])
def test_4xx_is_never_tried_again(status: int) -> None:
    """Not even with a Retry-After, and not even 408: the sender's side has to change something."""
    for answer in (answered(status), answered(status, 5.0)):
        verdict = POLICY.verdict(FIRST, answer, 5.0, 6.0)
        assert (verdict.state, verdict.due_at) == (State.refused, None)


@pytest.mark.parametrize(
    "answer",
    [
        *(answered(status) for status in (500, 501, 502, 503, 504, 599, 301, 302, 307, 308, 304, 429)),
        answered(503, 3600.0),
        *(Answer(1.0, error=error) for error in ("timeout", "no_connection", "connection_lost", "bad_answer")),
    ],
    ids=lambda answer: str(answer.status_code or answer.error),
)
def test_what_may_be_better_the_next_time_takes_every_rung_and_is_then_given_up(answer: Answer) -> None:
    """5xx, no answer, a redirection, and 429 without a time: six attempts; Retry-After counts with 429 alone."""
    progress, now, waits = FIRST, 100.0, []
    while (verdict := POLICY.verdict(progress, answer, now, now)).due_at is not None:
        assert verdict.state is State.waiting
        waits.append(verdict.due_at - now)
        progress, now = verdict.progress, verdict.due_at
    assert waits == list(POLICY.ladder)
    assert (verdict.state, verdict.progress) == (State.undeliverable, Progress(6, 5, 100.0))


def test_429_waits_as_long_as_it_is_asked_to_and_uses_no_rung() -> None:
    """Being busy is no failure: the ladder begins only where the answers become worse."""
    verdict = POLICY.verdict(FIRST, answered(429, 7.0), 5.0, 6.0)
    assert (verdict.state, verdict.due_at, verdict.progress) == (State.waiting, 13.0, Progress(1, 0, 5.0))
    after = POLICY.verdict(verdict.progress, answered(500), 13.0, 14.0)
    assert (after.due_at, after.progress) == (44.0, Progress(2, 1, 5.0))


@pytest.mark.parametrize(("asked", "waits"), [(0.0, 1.0), (0.2, 1.0), (1.0, 1.0), (90_000.0, 86_400.0)])
def test_429_is_asked_again_after_a_second_at_the_earliest_and_a_day_at_the_latest(asked: float, waits: float) -> None:
    """Zero would be a tight circle, and a year is a slip."""
    assert POLICY.verdict(FIRST, answered(429, asked), 0.0, 0.0).due_at == waits


def test_429_for_a_whole_day_is_undeliverable() -> None:
    """A receiver cannot hold an event for ever."""
    progress = Progress(500, 0, 0.0)
    assert POLICY.verdict(progress, answered(429, 60.0), 86_399.0, 86_399.9).state is State.waiting
    assert POLICY.verdict(progress, answered(429, 60.0), 86_400.0, 86_400.0).state is State.undeliverable


@pytest.mark.parametrize("policy", [{"timeout_seconds": 0}, {"ladder": (1, -1)}, {"patience_seconds": -1}])
def test_a_policy_that_cannot_be_is_refused(policy: dict[str, float]) -> None:
    """Time does not run backwards."""
    with pytest.raises(ValueError, match="0 or more"):
        Policy(**policy)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sat, 28 Nov 2026 12:01:30 GMT", 90.0),
        ("Saturday, 28-Nov-26 12:01:30 GMT", 90.0),
        ("Sat Nov 28 12:01:30 2026", 90.0),
        ("Sat, 28 Nov 2026 11:00:00 GMT", 0.0),
        (None, None), ("", None), ("-5", None), ("1.5", None), ("soon", None), ("\u0661", None), ("Sat, 99 Nov", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_in_any_form_of_http(value: str | None, seconds: float | None) -> None:
    """What can be neither is as if it were not there; a date that has passed is now."""
    assert retry_after_seconds(value, None, NOW) == seconds


def test_a_date_is_read_by_the_clock_of_the_receiver() -> None:
    """A receiver whose clock is an hour ahead, and asks for 30 seconds by it, gets 30 seconds."""
    said = retry_after_seconds("Sat, 28 Nov 2026 13:00:30 GMT", "Sat, 28 Nov 2026 13:00:00 GMT", NOW)
    assert said == 30
