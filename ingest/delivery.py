"""From a verified body to the lines that stand for it in the stage."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from ingest.privacy import without_personal_data
from ingest.staging import StagedLine
from ingest.uuid7 import new_uuid7_text
from models.reading import ContractViolation, read_event

_LONGEST_TEXT = 1_000
_MANY_ELEMENTS = 1_000
_LEAST_EVENT_BYTES = 64
# Numbers stay text: what is looked for is where an element ends, not what it says.
_SCANNER = json.JSONDecoder(parse_int=len, parse_float=len)
_BETWEEN = re.compile(r"[ \t\n\r,]*")


class Delivery:
    """
    What is known of a request so far.

    Attributes:
        source_name: Of the source it was posted to.
        started: When its first byte was seen, by the performance counter.
        delivery_id: UUID v7.
        body_bytes: As sent, up to now.
        held_bytes: What it counts for among the bytes in flight.
        is_overdue: Its body took too long to arrive.
        is_array: Its events came in an array, be it of one.
    """

    __slots__ = ("body_bytes", "delivery_id", "held_bytes", "is_array", "is_overdue", "source_name", "started")

    def __init__(self, source_name: str, started: float | None = None, *, body_bytes: int = 0) -> None:
        self.source_name = source_name
        self.started = time.perf_counter() if started is None else started
        self.delivery_id = new_uuid7_text()
        self.body_bytes = body_bytes
        self.held_bytes = 0
        self.is_overdue = self.is_array = False

    def take_another_id(self) -> None:
        """Go on under another: the lines under the one it had may be on disk, though the answer says they are not."""
        self.delivery_id = new_uuid7_text()

    def seconds(self) -> float:
        """Since its first byte."""
        return time.perf_counter() - self.started

    def milliseconds(self) -> float:
        """As `seconds`, for the log."""
        return round(self.seconds() * 1000, 3)


def refused_line(delivery: Delivery, received_at: datetime, status_code: int, reason: str) -> StagedLine:
    """The line of a request that left no event."""
    return StagedLine(
        is_delivery=True,
        delivery_id=delivery.delivery_id,
        source_id=delivery.source_name,
        received_at=rfc3339(received_at),
        status_code=status_code,
        outcome="refused",
        reason=reason,
        response_ms=delivery.milliseconds(),
        body_bytes=delivery.body_bytes,
    )


def staged_lines(
    delivery: Delivery,
    received_at: datetime,
    secret_name: str,
    body: bytes,
    *,
    may_be_array: bool = False,
    privacy_key: bytes | None = None,
) -> list[StagedLine]:
    """
    Return a line per event of *body*; an event that fits no contract is quarantined, and never holds up the others.

    Args:
        delivery: What the lines say of the request; learns whether it is an array.
        received_at: Timezone-aware.
        secret_name: Of the secret that verified it.
        body: Verified, and no longer compressed. Personal data in it goes no further.
        may_be_array: A JSON array is one event per element; otherwise it is no event.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
    """
    stamp = _stamp(received_at)
    events = _elements(body) if may_be_array else None
    if not events:
        return [_line(delivery, stamp, secret_name, body, 0, privacy_key)]
    delivery.is_array = True
    return [_line(delivery, stamp, secret_name, event, position, privacy_key) for position, event in enumerate(events)]


def rfc3339(moment: datetime) -> str:
    """*moment*, timezone-aware, as the stage writes it."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


# All that arrive in one moment have one time.
_stamp = lru_cache(maxsize=16)(rfc3339)


def _line(
    delivery: Delivery, received_at: str, secret_name: str, event: bytes, position: int, privacy_key: bytes | None
) -> StagedLine:
    sha256 = hashlib.sha256(event).hexdigest()
    try:
        header = read_event(event)
    except ContractViolation as violation:
        payload, in_base64 = kept(without_personal_data(event, privacy_key))
        return StagedLine(
            is_delivery=position == 0,
            delivery_id=delivery.delivery_id,
            position=position,
            source_id=delivery.source_name,
            received_at=received_at,
            status_code=200,
            outcome="quarantined",
            reason=violation.reason,
            detail=legible(violation.detail),
            response_ms=delivery.milliseconds(),
            body_bytes=delivery.body_bytes,
            secret_name=secret_name,
            event_id=legible(violation.event_id),
            event_type=legible(violation.event_type),
            schema_version=legible(violation.schema_version),
            body_sha256=sha256,
            payload=payload,
            payload_base64=in_base64,
        )
    # An event that says only what its contract knows holds nothing that must go.
    payload, in_base64 = kept(event if header.is_plain else without_personal_data(event, privacy_key))
    return StagedLine(
        is_delivery=position == 0,
        delivery_id=delivery.delivery_id,
        position=position,
        source_id=delivery.source_name,
        received_at=received_at,
        status_code=200,
        outcome="accepted",
        response_ms=delivery.milliseconds(),
        body_bytes=delivery.body_bytes,
        secret_name=secret_name,
        event_id=header.event_id,
        event_type=header.event_type,
        schema_version=header.schema_version,
        occurred_at=header.occurred_at_text,
        has_synthetic_id=header.has_synthetic_id,
        body_sha256=sha256,
        payload=payload,
        payload_base64=in_base64,
    )


def _elements(body: bytes) -> list[bytes] | None:
    """The elements of a JSON array, byte for byte; None where *body* is none."""
    if body.lstrip(b" \t\n\r")[:1] != b"[":
        return None
    try:
        count = len(orjson.loads(body))
        if count > _MANY_ELEMENTS and len(body) < count * _LEAST_EVENT_BYTES:
            return None  # no events, whatever else: a line for each would take minutes and hundreds of megabytes
        return list(_scan(body.decode()))
    except (orjson.JSONDecodeError, RecursionError):
        return None


def _scan(array: str) -> Iterator[bytes]:
    # It has been parsed already, so what stands between two elements is space and a comma.
    end = array.index("[") + 1
    while (between := _BETWEEN.match(array, end)) and array[at := between.end()] != "]":
        _, end = _SCANNER.raw_decode(array, at)
        yield array[at:end].encode()


def kept(body: bytes) -> tuple[str | None, str | None]:
    """*body* as the line holds it: as text, or in base64 where text cannot be it."""
    if b"\0" not in body:
        try:
            return body.decode(), None
        except UnicodeDecodeError:
            pass
    return None, base64.b64encode(body).decode()


def legible(text: str | None) -> str | None:
    """*text* as a warehouse holds it and somebody reads it."""
    # A warehouse's text cannot hold NUL, and nobody reads a megabyte of event type.
    return None if text is None else text[:_LONGEST_TEXT].replace("\0", "\ufffd")
