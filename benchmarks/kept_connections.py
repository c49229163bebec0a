"""A client that takes little of the processor: it is to be what is measured, not what measures."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sending.answer import Answer
from sending.signing import Headers

# Shorter than the receiver keeps an idle connection: a post on one that is being closed would fail for nothing.
_IDLE_SECONDS = 3.0
_CONTENT_LENGTH = b"content-length:"


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0


class KeptConnections:
    """
    Posts to one path of this machine; connections are kept, as many as posts are under way at once.

    It understands what `hookmart serve` answers, and no more of HTTP than that: heads with a length. So it takes a good
    half of the processor's time that `sending.http_client` takes.
    """

    def __init__(self, port: int, path: str) -> None:
        self.url = f"http://127.0.0.1:{port}{path}"
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        self._idle: list[_Connection] = []

    async def post(self, body: bytes, headers: Headers, timeout_seconds: float) -> Answer:
        """Post *body* once, and return what came of it within *timeout_seconds*."""
        began = time.perf_counter()
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        request = f"{self._head}{fields}content-length: {len(body)}\r\n\r\n".encode() + body
        try:
            async with asyncio.timeout(timeout_seconds), self._connection(began) as connection:
                connection.writer.write(request)
                head = await connection.reader.readuntil(b"\r\n\r\n")
                said = await connection.reader.readexactly(_length(head))
        except TimeoutError:
            return Answer(time.perf_counter() - began, error="timeout")
        except (OSError, EOFError) as failure:
            return Answer(time.perf_counter() - began, error="connection_lost", detail=str(failure))
        return Answer(time.perf_counter() - began, int(head[9:12]), body=said)

    def close(self) -> None:
        """Close all that are kept."""
        for each in self._idle:
            each.writer.close()

    @asynccontextmanager
    async def _connection(self, began: float) -> AsyncIterator[_Connection]:
        while self._idle and (self._idle[-1].reader.at_eof() or self._idle[-1].used_at < began - _IDLE_SECONDS):
            self._idle.pop().writer.close()
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = _Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        try:
            yield connection
        except BaseException:
            # An answer may still come on it, to a question that nobody has any more.
            connection.writer.close()
            raise
        connection.used_at = time.perf_counter()
        self._idle.append(connection)


def _length(head: bytes) -> int:
    at = head.lower().index(_CONTENT_LENGTH) + len(_CONTENT_LENGTH)
    return int(head[at : head.index(b"\r\n", at)])
