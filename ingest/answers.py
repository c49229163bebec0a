"""What a sender is told."""

from typing import NamedTuple

import orjson
from starlette.types import Send

from ingest.errors import REFUSALS
from ingest.staging import IGNORED, StagedLine

Headers = tuple[tuple[bytes, bytes], ...]

_CONTENT_TYPE = (b"content-type", b"application/json")


class Answer(NamedTuple):
    """
    An answer, ready to be sent.

    Attributes:
        extra: Headers besides the content's type and length.
    """

    status_code: int
    body: bytes
    extra: Headers = ()

    @property
    def is_ours(self) -> bool:
        """Whether the fault is ours, and a retry welcome."""
        return self.status_code >= 500

    def headers(self) -> Headers:
        """All its headers."""
        return (_CONTENT_TYPE, (b"content-length", b"%d" % len(self.body)), *self.extra)

    def on_the_wire(self, status_line: bytes, before: bytes) -> bytes:
        """The whole of it as HTTP/1.1, *before* being headers that are ready to be sent."""
        extra = b"".join([b"%b: %b\r\n" % header for header in self.extra]) if self.extra else b""
        return b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
            status_line,
            before,
            len(self.body),
            extra,
            self.body,
        )


def accepted(lines: list[StagedLine], *, is_array: bool) -> Answer:
    """The answer to a delivery that is durable: what became of its event, or of each of several."""
    if not is_array:
        line = lines[0]
        status = IGNORED if line.reason == IGNORED else line.outcome
        return Answer(200, orjson.dumps({"status": status, "event_id": line.event_id}))
    events = [{"status": line.outcome, "event_id": line.event_id} for line in lines]
    is_any_accepted = any(line.outcome == "accepted" for line in lines)
    return Answer(200, orjson.dumps({"status": "accepted" if is_any_accepted else "quarantined", "events": events}))


def _refusal(status_code: int) -> Answer:
    match status_code:
        case 503:
            return Answer(503, b'{"status":"unavailable"}', ((b"retry-after", b"5"),))
        case 429:
            return Answer(429, b'{"status":"refused"}', ((b"retry-after", b"1"),))
        case 405:
            return Answer(405, b'{"status":"refused"}', ((b"allow", b"POST"),))
    return Answer(status_code, b'{"status":"refused"}')


REFUSED: dict[str, Answer] = {reason: _refusal(status_code) for reason, status_code in REFUSALS.items()}
"""By reason. None of them tells more than its status."""


async def send_answer(send: Send, answer: Answer) -> None:
    """Send *answer* by ASGI."""
    await send({"type": "http.response.start", "status": answer.status_code, "headers": list(answer.headers())})
    await send({"type": "http.response.body", "body": answer.body})
