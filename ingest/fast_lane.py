"""
The fast lane: webhooks that arrive whole are judged together with all others of the same moment.

ASGI wraps a request in a task, coroutines that wait for each other and two messages back, which costs as much as all
that is done for it; and a processor that goes from one request's socket to its signature and back again finds its
caches cold each time. So what has come in completely by the end of a read is set aside, the lot is judged in one go,
and the answers are written when the disk has it. Everything else (a body in several reads, another method or path, a
client that does not read) goes the ordinary way, and gets the same answers.
"""

import time
from functools import partial
from logging import getLogger
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from ingest.answers import Answer
from ingest.declined_upgrade import PlainHttpProtocol
from ingest.door import PATH_PREFIX

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from ingest.receiver import Receiver

_PATH_PREFIX = PATH_PREFIX.encode()

_logger = getLogger(__name__)


class _Webhook:
    """A request on the lane: as much of uvicorn's own cycle as its protocol looks at."""

    __slots__ = ("body", "disconnected", "is_whole", "keep_alive", "response_complete", "scope", "started")

    def __init__(self, scope: dict[str, Any], *, keep_alive: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.body = b""
        self.started = 0.0
        self.is_whole = self.response_complete = self.disconnected = False

    @property
    def message_event(self) -> "_Webhook":
        return self

    def set(self) -> None:
        """Nobody waits for more of it."""


class FastLaneProtocol(PlainHttpProtocol):
    """uvicorn's HTTP protocol with the lane beside it; for an application that has a `receiver`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiver: Receiver = self.app.receiver
        self._arrived = _arrived_at.setdefault(self.server_state, [])
        self._coming: _Webhook | None = None  # its body is being read
        self._idle_since: float | None = None

    def data_received(self, data: bytes) -> None:
        """Read on; a request that is not whole by the end goes the ordinary way."""
        super().data_received(data)
        if self._coming is not None:
            self._leave_the_lane(self._coming)

    def on_message_begin(self) -> None:
        """A request begins; what ASGI needs to know of it is put together when it is to be asked."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """The request can be told: on the lane, or the ordinary way."""
        path, _, query = self.url.partition(b"?")
        if (
            path.startswith(_PATH_PREFIX)
            and b"%" not in path
            and b"#" not in self.url
            and self.url.isascii()
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
        ):
            scope = {
                "type": "http",
                "method": "POST",
                "scheme": self.scheme,
                "path": path.decode("latin-1"),
                "raw_path": path,
                "query_string": query,
                "headers": self.headers,
                "client": self.client,
            }
            self._coming = webhook = _Webhook(scope, keep_alive=self.parser.should_keep_alive())
            self.cycle = cast("RequestResponseCycle", webhook)
        else:
            self._begin_for_asgi()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        if self._coming is None:
            super().on_body(body)
        else:
            self._coming.body = self._coming.body + body if self._coming.body else body

    def on_message_complete(self) -> None:
        """The request that came in is whole."""
        if self._coming is None:
            super().on_message_complete()
            return
        webhook, self._coming = self._coming, None
        webhook.started = time.perf_counter()
        if not self._arrived:
            self.loop.call_soon(_judge_all, self._receiver, self._arrived)
        self._arrived.append((self, webhook))

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it."""
        # What uvicorn does, but that a timer is armed once for many requests and not anew after each.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch_idleness(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for as long as it may; otherwise look again later."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing() or self._idle_since is None:
            return
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._watch_idleness(rest)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def answer(self, webhook: _Webhook, answer: Answer) -> None:
        """Write *answer* to the request that came as *webhook*."""
        if webhook.disconnected or self.transport.is_closing():
            return
        before = _formatted(self.server_state.default_headers)
        if not webhook.keep_alive:
            before += b"connection: close\r\n"
        self.transport.write(answer.on_the_wire(STATUS_LINE[answer.status_code], before))
        webhook.response_complete = True
        if not webhook.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _leave_the_lane(self, webhook: _Webhook) -> None:
        """Go the ordinary way with a request whose body has not come to its end."""
        self._coming = None
        webhook.response_complete = True
        try:
            self._begin_for_asgi()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if webhook.body:
            super().on_body(webhook.body)

    def _begin_for_asgi(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def _watch_idleness(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None


def _judge_all(receiver: "Receiver", arrived: list[tuple[FastLaneProtocol, _Webhook]]) -> None:
    webhooks = arrived.copy()
    arrived.clear()
    now = receiver.now()
    for protocol, webhook in webhooks:
        try:
            receiver.take(webhook.scope, webhook.body, (webhook.started, now), partial(protocol.answer, webhook))
        except Exception:
            # The others of this moment must have their answers all the same.
            _logger.exception("A request could not be answered.")
            protocol.transport.close()


# Of all connections of a server, which share its event loop.
_arrived_at: WeakKeyDictionary[ServerState, list[tuple[FastLaneProtocol, _Webhook]]] = WeakKeyDictionary()

_formatted_for: list[tuple[bytes, bytes]] = []
_formatted_bytes = b""


def _formatted(headers: list[tuple[bytes, bytes]]) -> bytes:
    """*headers* as they are sent; the same list, and uvicorn makes one a second, is written out once."""
    global _formatted_for, _formatted_bytes  # noqa: PLW0603
    if headers is not _formatted_for:
        _formatted_bytes = b"".join([b"%b: %b\r\n" % header for header in headers])
        _formatted_for = headers
    return _formatted_bytes
