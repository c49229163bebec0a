"""
POST /webhooks/{source}: from the request to the answer, as a bare ASGI application.

Cheapest checks first, and none of them tells the sender more than the status. An answer of 200 means that the bytes are
durable. What is the sender's fault is 4xx; whatever is ours is 503, so that the sender tries again.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from logging import getLogger

import orjson
from starlette.types import Receive, Scope, Send

from ingest.errors import NotStaged, Refused
from ingest.group_commit import StageWriter
from ingest.privacy import without_personal_data
from ingest.settings import SourceSettings
from ingest.sources import Secret
from ingest.staging import StagedLine
from ingest.uuid7 import new_uuid7
from ingest.verify import verify
from models.reading import ContractViolation, read_event

PATH_PREFIX = "/webhooks/"

_MOST_DRAINED_BYTES = 4 * 1024 * 1024
_MOST_DRAINED_SECONDS = 5.0
_LONGEST_TEXT = 1_000

_logger = getLogger(__name__)


class Source:
    """A configured sender, ready to judge its requests."""

    def __init__(self, name: str, settings: SourceSettings, secrets: tuple[Secret, ...]) -> None:
        self.name = name
        self.scheme = settings.signing
        self.secrets = secrets
        self.max_body_bytes = settings.max_body_bytes
        self._networks: tuple[IPv4Network | IPv6Network, ...] = settings.allow_ips

    def allows(self, client: tuple[str, int] | None) -> bool:
        """Whether *client* may post. One without an address (a Unix socket) may only where anyone may."""
        if not self._networks:
            return True
        try:
            address = ip_address(client[0] if client else "")
        except ValueError:
            return False
        # A socket that listens on both families shows an IPv4 client as ::ffff:a.b.c.d.
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class Receiver:
    """
    The webhook endpoint.

    Args:
        sources: By name.
        writer: Started and stopped by whoever made it.
        now: The clock, timezone-aware.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
        body_seconds: A body that takes longer to arrive is refused.
        most_bytes_in_flight: Bodies held at one time, over all requests; beyond it, 429.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        writer: StageWriter,
        now: Callable[[], datetime],
        *,
        privacy_key: bytes | None = None,
        body_seconds: float = 30.0,
        most_bytes_in_flight: int = 256 * 1024 * 1024,
    ) -> None:
        self._sources = sources
        self._writer = writer
        self._now = now
        self._privacy_key = privacy_key
        self._body_seconds = body_seconds
        self._most_bytes_in_flight = most_bytes_in_flight
        self._bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose path begins with PATH_PREFIX."""
        source = self._sources.get(scope["path"].removeprefix(PATH_PREFIX))
        if source is None:
            await _answer_refused(send, Refused("unknown_source"))
            return
        delivery = _Delivery(source.name)
        try:
            await self._deliver(delivery, source, scope, receive, send)
        except Refused as refusal:
            line = delivery.line(self._now(), refusal.status_code, "refused")
            self._writer.append_unawaited(replace(line, reason=refusal.reason).encode())
            await _answer_refused(send, refusal)
        except NotStaged:
            await _answer(send, 503, b'{"status":"unavailable"}', (b"retry-after", b"5"))
        except ConnectionAbortedError:
            _logger.debug("A client of %s left before its body was whole; nothing was staged.", source.name)
        finally:
            self._bytes_in_flight -= delivery.body_bytes

    async def _deliver(self, delivery: "_Delivery", source: Source, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise Refused("wrong_method")
        if not source.allows(scope.get("client")):
            raise Refused("address_not_allowed")
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await self._read_body(delivery, source.max_body_bytes, receive)
        except TimeoutError:
            raise Refused("body_too_slow") from None
        if any(
            name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"} for name, value in headers
        ):
            raise Refused("unknown_content_encoding")
        now = self._now()
        verified = verify(source.scheme, body, headers, source.secrets, now)
        try:
            line = _staged(delivery, now, verified.secret_name, body, self._privacy_key)
        except Exception:
            # The sender did nothing wrong, so it must hear that a retry is worth it.
            _logger.exception("Delivery %s of %s could not be read.", delivery.delivery_id, source.name)
            raise NotStaged("A fault of the receiver; see its log.") from None
        await self._writer.append(line.encode())
        await _answer(send, 200, orjson.dumps({"status": line.outcome, "event_id": line.event_id}))

    async def _read_body(self, delivery: "_Delivery", max_body_bytes: int, receive: Receive) -> bytes:
        chunks = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            chunk: bytes = message.get("body", b"")
            delivery.body_bytes += len(chunk)
            self._bytes_in_flight += len(chunk)
            is_last = not message.get("more_body", False)
            is_too_large = delivery.body_bytes > max_body_bytes
            if is_too_large or self._bytes_in_flight > self._most_bytes_in_flight:
                if not is_last:
                    # Answering a sender in mid-body may reset the connection, and it would never see the answer.
                    await _drain(receive)
                raise Refused("body_too_large" if is_too_large else "too_much_in_flight")
            chunks.append(chunk)
            if is_last:
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Delivery:
    """What is known of a request so far."""

    __slots__ = ("body_bytes", "delivery_id", "source_name", "started")

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        self.delivery_id = str(new_uuid7())
        self.body_bytes = 0
        self.started = time.perf_counter()

    def line(self, received_at: datetime, status_code: int, outcome: str) -> StagedLine:
        """The line that stands for it in the stage."""
        return StagedLine(
            is_delivery=True,
            delivery_id=self.delivery_id,
            source_id=self.source_name,
            received_at=_rfc3339(received_at),
            status_code=status_code,
            outcome=outcome,
            response_ms=self.milliseconds(),
            body_bytes=self.body_bytes,
        )

    def milliseconds(self) -> float:
        """Since its first byte."""
        return round((time.perf_counter() - self.started) * 1000, 3)


def _staged(delivery: _Delivery, now: datetime, secret_name: str, body: bytes, privacy_key: bytes | None) -> StagedLine:
    kept = without_personal_data(body, privacy_key)
    payload = _as_text(kept)
    verified = replace(
        delivery.line(now, 200, "accepted"),
        secret_name=secret_name,
        body_sha256=hashlib.sha256(body).hexdigest(),
        payload=payload,
        payload_base64=base64.b64encode(kept).decode() if payload is None else None,
    )
    try:
        header = read_event(body)
    except ContractViolation as violation:
        return replace(
            verified,
            outcome="quarantined",
            response_ms=delivery.milliseconds(),
            reason=violation.reason,
            detail=_legible(violation.detail),
            event_id=_legible(violation.event_id),
            event_type=_legible(violation.event_type),
            schema_version=_legible(violation.schema_version),
        )
    return replace(
        verified,
        response_ms=delivery.milliseconds(),
        event_id=header.event_id,
        event_type=header.event_type,
        schema_version=header.schema_version,
        occurred_at=_rfc3339(header.occurred_at),
        has_synthetic_id=header.has_synthetic_id,
    )


def _as_text(body: bytes) -> str | None:
    if b"\0" in body:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _legible(text: str | None) -> str | None:
    # A warehouse's text cannot hold NUL, and nobody reads a megabyte of event type.
    return None if text is None else text[:_LONGEST_TEXT].replace("\0", "\ufffd")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


async def _drain(receive: Receive) -> None:
    drained = 0
    try:
        async with asyncio.timeout(_MOST_DRAINED_SECONDS):
            while drained < _MOST_DRAINED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                drained += len(message.get("body", b""))
    except TimeoutError:
        return


async def _answer_refused(send: Send, refusal: Refused) -> None:
    extra = {405: ((b"allow", b"POST"),), 429: ((b"retry-after", b"1"),)}.get(refusal.status_code, ())
    await _answer(send, refusal.status_code, b'{"status":"refused"}', *extra)


async def _answer(send: Send, status_code: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status_code,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
