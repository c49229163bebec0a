"""Senders that keep their connections and send each event again until it is acknowledged, whatever dies meanwhile."""

import asyncio
from collections import Counter, deque
from contextlib import suppress
from itertools import cycle

import orjson

from ingest.privacy import without_personal_data
from tests.running_receiver import EVENT_FILES, signature

_EVENTS = [orjson.loads(path.read_bytes()) for path in EVENT_FILES]
# Those that are staged byte for byte; of the others personal data is left out.
_TEMPLATES = [event for event in _EVENTS if without_personal_data(orjson.dumps(event), None) == orjson.dumps(event)]
_SECONDS_BETWEEN_TRIES = 0.02


class SteadySenders:
    """
    Many senders with one list of what they sent.

    Attributes:
        bodies: Of all events ever sent, by id.
        attempts: How often each was begun to be sent.
        acknowledged: Ids answered 200, in the order of the answers.
    """

    def __init__(self, prefix: str, senders: int = 12) -> None:
        self.bodies: dict[str, bytes] = {}
        self.attempts: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self._prefix = prefix
        self._senders = senders
        self._templates = cycle(_TEMPLATES)
        self._unanswered: deque[str] = deque()

    async def send_until_dead(self, port: int) -> None:
        """Send from all at once until the receiver lets go of every connection."""
        await asyncio.gather(*(self._send(port, goes_on=False) for _ in range(self._senders)))

    async def send_until_cancelled(self, port: int) -> None:
        """Send from all at once, connecting anew whenever a connection is lost."""
        await asyncio.gather(*(self._send(port, goes_on=True) for _ in range(self._senders)))

    async def send_unanswered(self, port: int) -> None:
        """Send again what has no answer yet, until all of it has."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while self._unanswered:
            await self._post(reader, writer, self._unanswered[0])
            self._unanswered.popleft()
        writer.close()

    async def acknowledge_more(self, count: int) -> None:
        """Wait until *count* more events are acknowledged."""
        goal = len(self.acknowledged) + count
        async with asyncio.timeout(60):
            while len(self.acknowledged) < goal:
                await asyncio.sleep(0.001)

    async def _send(self, port: int, *, goes_on: bool) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    while True:
                        await self._send_next(reader, writer)
                finally:
                    writer.close()
            if not goes_on:
                return
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _send_next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event_id = self._unanswered.popleft() if self._unanswered else self._new_event()
        try:
            await self._post(reader, writer, event_id)
        except BaseException:
            self._unanswered.append(event_id)
            raise

    def _new_event(self) -> str:
        event_id = f"{self._prefix}-{len(self.bodies)}"
        self.bodies[event_id] = orjson.dumps(next(self._templates) | {"id": event_id})
        return event_id

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, event_id: str) -> None:
        body = self.bodies[event_id]
        self.attempts[event_id] += 1
        headers = {"Host": "x", "Content-Length": str(len(body)), **signature(body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /webhooks/acme HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        content = orjson.loads(await reader.readexactly(length))
        assert (answer[:12], content) == (b"HTTP/1.1 200", {"status": "accepted", "event_id": event_id})
        self.acknowledged.append(event_id)
