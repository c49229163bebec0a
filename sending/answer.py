"""What came of one attempt: a status, or why there was none, and when the receiver wants to hear again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer to one attempt, or what came in its place.

    Attributes:
        seconds: From the first byte sent to the last received, or to the failure; real time.
        status_code: None where no whole answer came.
        error: Why none came: "timeout", "no_connection", "connection_lost" or "bad_answer"; None where one did.
        detail: Of the error, for people; empty where there is none.
        retry_after: Seconds that the receiver asks to be left alone; None where it does not say, or not legibly.
        body: The beginning of what it said.
    """

    seconds: float
    status_code: int | None = None
    error: str | None = None
    detail: str = ""
    retry_after: float | None = None
    body: bytes = b""


def retry_after_seconds(value: str | None, answered_at: str | None, now: datetime) -> float | None:
    """
    Return the seconds that a `Retry-After` header asks for, never below 0; None where it cannot be read.

    Args:
        value: A number of seconds, or an HTTP date.
        answered_at: The `Date` header of the same answer: a date is that of the receiver's clock, which may be wrong,
            so it is compared with what the same clock says now.
        now: Timezone-aware; in place of *answered_at* where that is missing or cannot be read.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    date = _http_date(text)
    if date is None:
        return None
    return max(0.0, (date - (_http_date(answered_at or "") or now)).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
