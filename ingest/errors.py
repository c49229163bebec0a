"""
What can go wrong between a request and the disk.

    IngestError
    ├── SettingsError   the configuration, at start: the program exits 2
    ├── Refused         the request cannot be taken, or not now: the status that REFUSALS gives its reason
    └── NotStaged       ours: 503 and Retry-After; nothing is acknowledged, and a retry is welcome

None of them ever carries a body or a secret.
"""

from collections.abc import Sequence

REFUSALS: dict[str, int] = {
    "unknown_source": 404,
    "wrong_method": 405,
    "address_not_allowed": 403,
    "too_much_in_flight": 429,
    "body_too_large": 413,
    "body_too_slow": 503,
    "unknown_content_encoding": 415,
    "missing_signature": 401,
    "repeated_signature": 401,
    "garbled_signature": 401,
    "bad_signature": 401,
    "missing_timestamp": 401,
    "garbled_timestamp": 401,
    "timestamp_out_of_tolerance": 401,
    "secret_unreadable": 503,
    "broken_compression": 400,
    "not_staged": 503,
}
"""
Why a request is refused, and the status that says so. The sender learns the status only.

4xx tells it never to send this again, so it stands only where the sender must change something; a body that came too
slowly, a secret that we cannot read and a disk that takes nothing may be better the next time.
"""


class IngestError(Exception):
    """Root of this package's errors."""


class SettingsError(IngestError):
    """
    The configuration cannot be used. The message is a full sentence that says what to do.

    Attributes:
        faults: A sentence for each thing that is wrong, the message first; more than one where several were found.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class Refused(IngestError):
    """
    The request was not proven genuine, or cannot be taken as it is, or not now.

    Attributes:
        reason: A key of REFUSALS.
        status_code: The answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status_code = REFUSALS[reason]


class NotStaged(IngestError):
    """The bytes are not durably on disk. The message names the cause and what the operator can do about it."""
