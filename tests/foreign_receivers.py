"""Receivers of somebody else's, under a real server: one that is right, and five that do one thing wrong each."""

import asyncio
import gzip
import hashlib
import hmac
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.running_receiver import SECRET

Answer = tuple[int, dict[str, Any]]
Headers = list[tuple[bytes, bytes]]

_LIMIT = 1_048_576


class ForeignReceiver:
    """Right in everything; not ours, and with no warehouse that anybody could look into."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, said = await self.answer(scope, body)
        content = json.dumps(said).encode()
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": content})

    async def answer(self, scope: Any, body: bytes) -> Answer:
        """What it says to a request that has come whole."""
        if scope["path"].startswith("/count/"):
            return 200, {"count": self.held[scope["path"].removeprefix("/count/")]}
        if scope["path"] != "/hooks/platform":
            return 404, {}
        if scope["method"] != "POST":
            return 405, {}
        if len(body) > _LIMIT:
            return 413, {}
        return self.taken(scope["headers"], body)

    def taken(self, headers: Headers, body: bytes) -> Answer:
        """What becomes of a body of the right size at the right place."""
        encoding = dict(headers).get(b"content-encoding", b"")
        if encoding not in {b"", b"gzip"}:
            return 415, {}
        if not self.is_signed(headers, body):
            return 401, {}
        if encoding:
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError):
                return 400, {}
        return self.kept(body)

    def is_signed(self, headers: Headers, body: bytes) -> bool:
        """Whether there is one signature, and it is good."""
        signatures = [value for name, value in headers if name == b"x-webhook-signature"]
        return len(signatures) == 1 and hmac.compare_digest(signatures[0], signature_of(body))

    def kept(self, body: bytes) -> Answer:
        """What becomes of a genuine body."""
        try:
            event = json.loads(body)
        except ValueError:
            return self.garbage()
        self.hold(event.get("id") or "sha256:" + hashlib.sha256(body).hexdigest())
        return 202, {"ok": True}

    def garbage(self) -> Answer:
        """What it says to genuine bytes that it cannot read."""
        return 200, {"ok": False}

    def hold(self, event_id: str) -> None:
        """Keep an event."""
        self.held[event_id] = 1


def signature_of(body: bytes) -> bytes:
    """What the platform writes into the header."""
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest().encode()


class WithoutHmac(ForeignReceiver):
    """Trusts whoever knows the address."""

    def is_signed(self, headers: Headers, body: bytes) -> bool:  # noqa: ARG002
        """Everything is."""
        return True


class ParsesFirst(ForeignReceiver):
    """Lets its framework parse, and verifies what it writes again: what many tutorials show."""

    def taken(self, headers: Headers, body: bytes) -> Answer:
        """As a framework does that hands on an object."""
        if dict(headers).get(b"content-encoding"):
            return super().taken(headers, body)
        try:
            event = json.loads(body)
        except ValueError:
            return 400, {"error": "body is not JSON"}
        again = json.dumps(event, separators=(",", ":")).encode()
        return self.kept(again) if self.is_signed(headers, again) else (401, {})


class WithoutDedup(ForeignReceiver):
    """Takes every delivery for an event."""

    def hold(self, event_id: str) -> None:
        """Keep it once more."""
        self.held[event_id] += 1


class FailsOnGarbage(ForeignReceiver):
    """Has no idea that JSON may be malformed."""

    def garbage(self) -> Answer:
        """An exception, as its framework answers it."""
        return 500, {"error": "internal"}


class Blocks(ForeignReceiver):
    """Does all its work before it answers."""

    async def answer(self, scope: Any, body: bytes) -> Answer:
        """After twelve seconds."""
        await asyncio.sleep(12)
        return await super().answer(scope, body)


@contextmanager
def served(receiver: ForeignReceiver) -> Iterator[str]:
    """Serve *receiver* on a port of its own, and give the address of its webhook."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(receiver, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/platform"
        server.should_exit = server.force_exit = True
        thread.join(30)
