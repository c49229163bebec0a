"""A real HTTP server that answers each post as a script says: with any status, late, never, or not in HTTP at all."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, BrokenBarrierError, Event, Lock, Thread
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Say:
    """
    One answer.

    Attributes:
        status: 0 closes the connection without a word.
        raw: Bytes in place of an answer.
        is_hanging: No answer until the server is closed.
        is_stuck: The answer's head comes, and its body never does.
        together: Answers once so many posts wait for it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"status": "accepted"}'
    raw: bytes = b""
    is_hanging: bool = False
    is_stuck: bool = False
    together: Barrier | None = None


OK, HANG, CUT = Say(), Say(is_hanging=True), Say(0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One post as the server saw it; *at* is by the clock it was given."""

    at: float
    body: bytes
    headers: Mapping[str, str]


class MisbehavingServer:
    """
    Answers the n-th post of a body with the n-th entry of the script, and all later ones with its last.

    Args:
        script: For every body that has none of its own in *scripts*.
        scripts: By body.
        now: What the time of an attempt is read from.
    """

    def __init__(
        self,
        *script: Say,
        scripts: Mapping[bytes, Sequence[Say]] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.attempts: defaultdict[bytes, list[Attempt]] = defaultdict(list)
        self._script = script or (OK,)
        self._scripts = dict(scripts or {})
        self._now = now
        self._lock = Lock()
        self._is_over = Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                say = server._next(body, {name.lower(): value for name, value in self.headers.items()})
                if say.together is not None:
                    with suppress(BrokenBarrierError):
                        say.together.wait()
                if say.is_hanging:
                    server._is_over.wait()
                if say.status == 0 or say.is_hanging or say.raw:
                    self.wfile.write(say.raw)
                    self.close_connection = True
                    return
                self.send_response_only(say.status)
                for name, value in {"date": self.date_time_string(), **say.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(say.body)))
                self.end_headers()
                if say.is_stuck:
                    server._is_over.wait()
                self.wfile.write(say.body)

            def do_GET(self) -> None:
                server._next(b"a GET", {})

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                """A client that leaves is part of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/demo"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def received(self) -> list[str]:
        """The ids of all events posted, each attempt once."""
        return [json.loads(each.body)["id"] for attempts in self.attempts.values() for each in attempts]

    def heal(self) -> None:
        """Answer well from now on."""
        self._scripts, self._script = {}, (OK,)

    def times(self, body: bytes) -> list[float]:
        """When *body* was posted."""
        return [each.at for each in self.attempts[body]]

    def _next(self, body: bytes, headers: Mapping[str, str]) -> Say:
        with self._lock:
            attempts = self.attempts[body]
            attempts.append(Attempt(self._now(), body, headers))
            script = self._scripts.get(body, self._script)
            return script[min(len(attempts), len(script)) - 1]
