"""HTTP by hand: requests as bytes, in as many segments as a test wants, and what comes back on the same connection."""

import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_PATIENCE_SECONDS = 30.0
_SOCKETS = Path("/proc/net/tcp")


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """
    An answer as it came.

    Attributes:
        headers: Names in lower case; without the date.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes


def request_head(path: str, headers: Iterable[tuple[str, str]], *, method: str = "POST", version: str = "1.1") -> bytes:
    """The request line and headers, with the empty line that ends them."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in (("Host", "receiver.test"), *headers))
    return f"{method} {path} HTTP/{version}\r\n{fields}\r\n".encode("latin-1")


def chunked(body: bytes, size: int = 100) -> bytes:
    """*body* in chunks of *size*, as `Transfer-Encoding: chunked` has it."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class Connection:
    """One connection to the receiver at *url*, on which a test writes what it likes."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)), _PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        """The connection is there."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self._socket.close()

    def send(self, *segments: bytes) -> None:
        """Write *segments*, each once the receiver has read the one before."""
        for number, segment in enumerate(segments):
            if number:
                self._wait_until_read()
            self._socket.sendall(segment)

    def answer(self) -> RawAnswer:
        """
        The next answer, an interim one among them.

        Raises:
            EOFError: The receiver has closed the connection before one was whole.
        """
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        headers.pop("date", None)
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return RawAnswer(int(status_line.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Whether the receiver closes the connection without another byte; waits for one or the other."""
        try:
            self._receive()
        except (EOFError, ConnectionResetError):
            return True
        return False

    def reset(self) -> None:
        """Leave as a crashed client does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise EOFError
        self._received += data

    def _wait_until_read(self) -> None:
        # Nothing else says when a segment has been read, and two that are read at once are one to the receiver.
        ours, theirs = self._socket.getsockname()[1], self._socket.getpeername()[1]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(_queued(ours, theirs)):
            assert time.monotonic() < deadline, "the receiver does not read on"
            time.sleep(0.001)


def _queued(ours: int, theirs: int) -> tuple[int, int]:
    """Bytes that our side has not delivered, and those that the other has not read."""
    sent = unread = 0
    for row in _SOCKETS.read_text(encoding="ascii").splitlines()[1:]:
        local, remote, _, queues = row.split()[1:5]
        ports = (int(local[-4:], 16), int(remote[-4:], 16))
        if ports == (ours, theirs):
            sent = int(queues[:8], 16)
        elif ports == (theirs, ours):
            unread = int(queues[9:], 16)
    return sent, unread
