"""
POST /webhooks/{source}: from the request to the answer, as a bare ASGI application.

Cheapest checks first, and none of them tells the sender more than the status. An answer of 200 means that the bytes are
durable. What the sender must change is 4xx; whatever is ours is 503, so that it tries again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from logging import getLogger

from starlette.types import Receive, Scope, Send

from ingest.answers import REFUSED, Answer, accepted, send_answer
from ingest.delivery import Delivery, refused_line
from ingest.door import Door, Source
from ingest.errors import NotStaged, Refused
from ingest.group_commit import StageWriter
from ingest.in_flight import InFlight
from ingest.judgement import judged
from ingest.metrics import ReceiverMetrics
from ingest.refusal_log import RefusalLog
from ingest.refused import RefusedStore
from ingest.refused_request import UnverifiedRequest
from ingest.staging import IGNORED, StagedLine

NO_SOURCE = "-"
"""What stands in the log for a path that names no source; no source can be called so."""

_MOST_DRAINED_BYTES = 4 * 1024 * 1024
_MOST_DRAINED_SECONDS = 5.0
_UNAUTHORISED = 401

_logger = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """
    Where what came in is kept.

    Attributes:
        stage: Started and stopped by whoever made it, as is the next but one.
        refused: Of requests that did not verify, with their bodies; None keeps none.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
    """

    stage: StageWriter
    refusals: RefusalLog
    refused: RefusedStore | None = None
    privacy_key: bytes | None = None


class Receiver:
    """
    The webhook endpoint.

    Args:
        door: Who may come in.
        keeping: Where it is kept.
        metrics: Told of every answer.
        in_flight: Of this process.
        now: The clock, timezone-aware.
        body_seconds: A body that takes longer to arrive is answered 503.
    """

    def __init__(
        self,
        door: Door,
        keeping: Keeping,
        metrics: ReceiverMetrics,
        in_flight: InFlight,
        now: Callable[[], datetime],
        *,
        body_seconds: float = 30.0,
    ) -> None:
        self.now = now
        self._door = door
        self._keeping = keeping
        self._metrics = metrics
        self._in_flight = in_flight
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose path begins with PATH_PREFIX."""
        source = self._door.source_at(scope["path"])
        delivery = Delivery(NO_SOURCE if source is None else source.name)
        try:
            admitted = self._admitted(source, scope)
            body = await self._read_body(delivery, admitted.max_body_bytes, receive)
            lines = self._judged(delivery, admitted, scope, body, self.now())
            await self._append(delivery, lines)
        except (Refused, NotStaged) as error:
            await send_answer(send, self._refused(delivery, error))
        except ConnectionAbortedError:
            self._metrics.answered(delivery.source_name, "aborted", None, 0, delivery.seconds(), delivery.body_bytes)
            _logger.debug("A client of %s left before its body was whole; nothing was staged.", delivery.source_name)
        else:
            await send_answer(send, self._accepted(delivery, lines))
        finally:
            self._in_flight.release(delivery.held_bytes)

    def take(
        self,
        scope: Scope,
        body: bytes,
        arrived: tuple[float, datetime],
        respond: Callable[[Answer], None],
    ) -> None:
        """
        Answer a POST that has arrived whole, as `__call__` does, without a task, a future or a wait of its own.

        Args:
            arrived: When, by the performance counter and by the clock.
            respond: Called once, at once or when the bytes are durable.
        """
        source = self._door.source_at(scope["path"])
        delivery = Delivery(NO_SOURCE if source is None else source.name, arrived[0])
        try:
            admitted = self._admitted(source, scope)
            delivery.held_bytes = self._in_flight.admit()
            self._count(delivery, len(body), admitted.max_body_bytes)
            lines = self._judged(delivery, admitted, scope, body, arrived[1])
        except (Refused, NotStaged) as error:
            self._in_flight.release(delivery.held_bytes)
            respond(self._refused(delivery, error))
            return

        def told(failure: NotStaged | None) -> None:
            self._in_flight.release(delivery.held_bytes)
            if failure is not None:
                delivery.take_another_id()
            respond(self._accepted(delivery, lines) if failure is None else self._refused(delivery, failure))

        encoded = lines[0].encode() if len(lines) == 1 else b"".join([line.encode() for line in lines])
        self._keeping.stage.append_then(encoded, told)

    async def _append(self, delivery: Delivery, lines: list[StagedLine]) -> None:
        try:
            await self._keeping.stage.append(b"".join([line.encode() for line in lines]))
        except NotStaged:
            delivery.take_another_id()
            raise

    def _admitted(self, source: Source | None, scope: Scope) -> Source:
        """What can be said before the body is read."""
        if source is None:
            raise Refused("unknown_source")
        if scope["method"] != "POST":
            raise Refused("wrong_method")
        if source.networks and not source.allows(self._door.client_of(scope)):
            raise Refused("address_not_allowed")
        if source.lacks_token:
            raise Refused("secret_unreadable")
        return source

    def _judged(self, delivery: Delivery, source: Source, scope: Scope, body: bytes, now: datetime) -> list[StagedLine]:
        try:
            return judged(
                source,
                delivery,
                scope["headers"],
                body,
                now,
                method=scope["method"],
                url=self._door.url_of(scope) if source.scheme.covers_url else "",
                privacy_key=self._keeping.privacy_key,
            )
        except Refused as refusal:
            if refusal.status_code == _UNAUTHORISED:
                if source.has_unreadable_secrets:
                    # The one that signed this may be among them.
                    raise Refused("secret_unreadable") from None
                self._keep_refused(delivery, source, scope, body, now, refusal.reason)
            raise
        except Exception:
            # The sender did nothing wrong, so it must hear that a retry is worth it.
            _logger.exception("Delivery %s of %s could not be read.", delivery.delivery_id, source.name)
            raise NotStaged("A fault of the receiver; see its log.") from None

    async def _read_body(self, delivery: Delivery, most_bytes: int, receive: Receive) -> bytes:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        deadline = loop.call_later(self._body_seconds, _overdue, delivery, task)
        try:
            return await self._read_counted(delivery, most_bytes, receive)
        except asyncio.CancelledError:
            if delivery.is_overdue and task is not None and not task.uncancel():
                raise Refused("body_too_slow") from None
            raise
        finally:
            deadline.cancel()

    async def _read_counted(self, delivery: Delivery, most_bytes: int, receive: Receive) -> bytes:
        chunks = []
        is_last = False
        try:
            delivery.held_bytes = self._in_flight.admit()
            while not is_last:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionAbortedError
                chunk: bytes = message.get("body", b"")
                is_last = not message.get("more_body", False)
                self._count(delivery, len(chunk), most_bytes)
                chunks.append(chunk)
        except Refused:
            if not is_last:
                # Answering a sender in mid-body may reset the connection, and it would never see the answer.
                await _drain(receive)
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _count(self, delivery: Delivery, count: int, most_bytes: int) -> None:
        delivery.body_bytes += count
        delivery.held_bytes += count
        self._in_flight.grow(count)
        if delivery.body_bytes > most_bytes:
            raise Refused("body_too_large")

    def _keep_refused(
        self, delivery: Delivery, source: Source, scope: Scope, body: bytes, now: datetime, reason: str
    ) -> None:
        if self._keeping.refused is None:
            return
        self._keeping.refused.keep(
            UnverifiedRequest(
                delivery_id=delivery.delivery_id,
                source_id=source.name,
                scheme=source.scheme,
                max_decompressed_bytes=source.max_decompressed_bytes,
                personal=None if source.mapping is None else source.mapping.personal,
                received_at=now,
                reason=reason,
                headers=scope["headers"],
                body=body,
                # A token in the path is a secret, and so not written.
                url=self._door.url_of(scope) if source.scheme.covers_url and not source.needs_token else None,
            )
        )

    def _refused(self, delivery: Delivery, error: Refused | NotStaged) -> Answer:
        reason = error.reason if isinstance(error, Refused) else "not_staged"
        answer = REFUSED[reason]
        self._keeping.refusals.record(refused_line(delivery, self.now(), answer.status_code, reason))
        self._metrics.answered(
            delivery.source_name,
            "unavailable" if answer.is_ours else "refused",
            reason,
            answer.status_code,
            delivery.seconds(),
            delivery.body_bytes,
        )
        return answer

    def _accepted(self, delivery: Delivery, lines: list[StagedLine]) -> Answer:
        first = lines[0]
        quarantined = 0 if len(lines) == 1 else sum(line.outcome == "quarantined" for line in lines)
        is_all_quarantined = first.outcome == "quarantined" and quarantined in {0, len(lines)}
        is_ignored = first.reason == IGNORED
        self._metrics.answered(
            delivery.source_name,
            IGNORED if is_ignored else "quarantined" if is_all_quarantined else "accepted",
            first.reason if is_all_quarantined and not is_ignored else None,
            200,
            delivery.seconds(),
            delivery.body_bytes,
            events=len(lines),
            secret=first.secret_name,
            quarantined_events=0 if is_all_quarantined else quarantined,
        )
        return accepted(lines, is_array=delivery.is_array)


def _overdue(delivery: Delivery, task: asyncio.Task[object] | None) -> None:
    delivery.is_overdue = True
    if task is not None:
        task.cancel()


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
