"""Makes one attempt as the kind of a delivery says: well, or with what is wrong with it."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zlib import crc32

from ingest.sources import Secret
from sending.answer import Answer
from sending.delivery import Delivery
from sending.http_client import HttpClient
from sending.signing import Headers, Signer
from simulator.faults import FaultName

CLIENT_CLOSED_REQUEST = 499
"""What stands for the answer where we hung up before there was one, as in the logs of nginx: not to be tried again."""

_COMMON_HEADERS: Headers = [("content-type", "application/json"), ("user-agent", "hookmart-simulator")]
_IMPOSTORS_KEY = b"an impostor's guess, long enough"
_FAR_OFF = timedelta(minutes=10)
_SLOW_PIECES = 5
_SLOW_SECONDS = 1.0
_AMOUNT = re.compile(rb'"amount":"-?(\d)')
_DIGIT = re.compile(rb'"timestamp":"(\d)')


class PlatformTransport:
    """
    Posts what an affiliate platform would, honest or not.

    Args:
        client: Of the receiver.
        signer: Of the source.
        timeout_seconds: Of each attempt.
        signed_url: Where a signature covers the URL: as the receiver knows it.
    """

    def __init__(self, client: HttpClient, signer: Signer, timeout_seconds: float, signed_url: str) -> None:
        self._client = client
        self._signer = signer
        self._impostor = replace(signer, secret=Secret("nowhere", _IMPOSTORS_KEY))
        self._timeout_seconds = timeout_seconds
        self._signed_url = signed_url

    async def __call__(self, delivery: Delivery) -> Answer:
        """Make one attempt."""
        body = delivery.body
        match delivery.kind:
            case FaultName.aborted_connections:
                return await self._abort(delivery, self._headers(self._signer, delivery))
            case FaultName.slow_connections:
                headers = [*self._headers(self._signer, delivery), ("content-length", str(len(body)))]
                return await self._client.post(_slowly(body), headers, self._timeout_seconds)
            case FaultName.wrong_secret:
                headers = self._headers(self._impostor, delivery)
            case FaultName.clock_skew:
                headers = self._headers(self._signer, delivery, _skew(self._signer, delivery))
            case FaultName.garbled_headers:
                headers = self._garbled(delivery)
            case _:
                headers = self._headers(self._signer, delivery)
        if delivery.kind == FaultName.tampering:
            body = tampered(body)
        return await self._client.post(body, headers, self._timeout_seconds)

    def _headers(self, signer: Signer, delivery: Delivery, skew: timedelta = timedelta(0)) -> Headers:
        at = datetime.now(UTC) + skew
        return [*_COMMON_HEADERS, *signer.headers(delivery.body, delivery.event_id, at, url=self._signed_url)]

    def _garbled(self, delivery: Delivery) -> Headers:
        proof = self._signer.headers(delivery.body, delivery.event_id, datetime.now(UTC), url=self._signed_url)
        spoilers = _SPOILERS if proof else _SPOILERS_OF_ENCODING
        return [*_COMMON_HEADERS, *spoilers[_lot(delivery, len(spoilers))](proof)]

    async def _abort(self, delivery: Delivery, headers: Headers) -> Answer:
        """Hang up in the headers, in the body, or after it without waiting for the answer."""
        target = urlsplit(self._client.url)
        path = target.path + (f"?{target.query}" if target.query else "")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"POST {path} HTTP/1.1\r\nhost: {target.netloc}\r\n{fields}content-length: {len(delivery.body)}\r\n\r\n"
        request = head.encode() + delivery.body
        cut = (len(head) // 2, len(head) + len(delivery.body) // 2, len(request))[_lot(delivery, 3)]
        is_tls = target.scheme == "https"
        started = asyncio.get_running_loop().time()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_seconds):
                _, writer = await asyncio.open_connection(
                    target.hostname,
                    target.port or (443 if is_tls else 80),
                    ssl=ssl.create_default_context() if is_tls else None,
                )
                writer.write(request[:cut])
                await writer.drain()
                writer.transport.abort()
        return Answer(asyncio.get_running_loop().time() - started, CLIENT_CLOSED_REQUEST, detail="hung up")


def tampered(body: bytes) -> bytes:
    """Return *body* with a digit of its first amount changed, or of its timestamp where no money is in it."""
    found = _AMOUNT.search(body) or _DIGIT.search(body)
    if found is None:
        return body + b" "
    place = found.start(1)
    return body[:place] + (b"9" if found[1] != b"9" else b"8") + body[place + 1 :]


def _lot(delivery: Delivery, sides: int) -> int:
    # The same for a delivery whenever it is tried, and whoever tries it.
    return crc32(delivery.delivery_id.encode()) % sides


def _skew(signer: Signer, delivery: Delivery) -> timedelta:
    if _lot(delivery, 2):
        return -timedelta(seconds=signer.scheme.tolerance_past_seconds) - _FAR_OFF
    return timedelta(seconds=signer.scheme.tolerance_future_seconds) + _FAR_OFF


async def _slowly(body: bytes) -> AsyncIterator[bytes]:
    size = -(-len(body) // _SLOW_PIECES)
    for start in range(0, len(body), size):
        await asyncio.sleep(_SLOW_SECONDS / _SLOW_PIECES)
        yield body[start : start + size]


def _with_first(proof: Headers, change: Callable[[str], str]) -> Headers:
    (name, value), *others = proof
    return [(name, change(value)), *others]


_SPOILERS_OF_ENCODING: tuple[Callable[[Headers], Headers], ...] = (
    lambda proof: [*proof, ("content-encoding", "br")],
    lambda proof: [*proof, ("content-encoding", "gzip")],
)
_SPOILERS: tuple[Callable[[Headers], Headers], ...] = (
    lambda proof: proof[1:],
    lambda proof: _with_first(proof, lambda _value: ""),
    lambda proof: [proof[0], *proof],
    lambda proof: _with_first(proof, lambda value: value[: len(value) // 2]),
    lambda proof: _with_first(proof, lambda value: value[:-2] + "\u00e9\u00e9"),
    lambda proof: _with_first(proof, lambda value: value + "0" * 9_000),
    *_SPOILERS_OF_ENCODING,
)
