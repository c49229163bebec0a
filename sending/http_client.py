"""One attempt over HTTP: posts, and says what came of it; raises nothing that a receiver could cause."""

import asyncio
import time
from collections.abc import AsyncIterable
from datetime import UTC, datetime
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from sending.answer import Answer, retry_after_seconds
from sending.signing import Headers

_LONGEST_ANSWER = 64 * 1024
# Shorter than receivers keep an idle connection: a post on one that is being closed would fail for nothing.
_IDLE_SECONDS = 3.0


class HttpClient:
    """
    Keeps connections open between posts; as many at once as posts are under way.

    Args:
        url: Of the receiver; a proxy of the environment is used unless it is this very machine.

    Raises:
        ValueError: *url* is not an http or https address.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        self.url = url

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            # Each attempt has its own time, below.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=not _is_this_machine(self.url),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._session.close()

    async def post(self, body: bytes | AsyncIterable[bytes], headers: Headers, timeout_seconds: float) -> Answer:
        """
        Post *body* once, and return what came of it within *timeout_seconds*; redirections are not followed.

        A body in pieces goes out as they come; *headers* then say how long it is.
        """
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._answer(body, headers, started)
        except TimeoutError:
            error, detail = "timeout", f"no answer in {timeout_seconds:g} s"
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError) as failure:
            error, detail = "no_connection", str(failure)
        except (aiohttp.ServerConnectionError, aiohttp.ClientPayloadError, OSError) as failure:
            error, detail = "connection_lost", str(failure) or type(failure).__name__
        except aiohttp.ClientError as failure:
            error, detail = "bad_answer", type(failure).__name__
        return Answer(time.perf_counter() - started, error=error, detail=detail)

    async def _answer(self, body: bytes | AsyncIterable[bytes], headers: Headers, started: float) -> Answer:
        async with self._session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
            said = bytearray()
            # What is longer is not read to its end; the connection is closed then.
            while len(said) < _LONGEST_ANSWER and (chunk := await response.content.read(_LONGEST_ANSWER)):
                said += chunk
            return Answer(
                time.perf_counter() - started,
                response.status,
                retry_after=retry_after_seconds(
                    response.headers.get("Retry-After"), response.headers.get("Date"), datetime.now(UTC)
                ),
                body=bytes(said),
            )


def check_url(url: str) -> None:
    """
    Return if events can be posted to *url*.

    Raises:
        ValueError: They cannot.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("Events are posted to an http or https address, such as http://127.0.0.1:8000/webhooks/demo.")


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
