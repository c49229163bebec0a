"""One request at a time to the receiver under test, exactly as given, and what came back."""

import http.client
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from ingest.errors import SettingsError
from sending.signing import Headers

CONNECTIONS = 8
"""At one time, at most."""

_MOST_READ = 65_536
_MOST_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came of one request.

    Attributes:
        status: None where no answer came.
        text: Of its body, as far as it is read.
        error: Why no answer came; "timeout" where the limit passed.
        retry_after: The header's value; empty where there is none.
    """

    status: int | None
    text: str
    seconds: float
    error: str = ""
    retry_after: str = ""

    @property
    def is_success(self) -> bool:
        """Whether a sender takes it for done."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_timeout(self) -> bool:
        """Whether the sender's limit passed first."""
        return self.error == "timeout"

    def shown(self) -> str:
        """Return it in a few words."""
        if self.status is None:
            return f"no answer in {self.seconds:.1f} s" if self.is_timeout else f"no answer: {self.error}"
        text = " ".join(self.text.split())
        return f"{self.status} {text[:_MOST_SHOWN]}".rstrip()


class Wire:
    """
    The way to the receiver.

    Args:
        url: Of the webhook of one source.
        timeout: Seconds after which the platform gives an attempt up.

    Raises:
        SettingsError: *url* is none that can be posted to.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"{url!r} is no address of a receiver; give one such as https://hooks.example.com.")
        self.url = url
        self.timeout = timeout
        self._context = ssl.create_default_context()
        self._client = httpx.Client(
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            timeout=timeout,
            verify=self._context,
            trust_env=not is_this_machine(url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, body: bytes, headers: Headers, *, method: str = "POST", url: str | None = None) -> Answer:
        """Send one request, once; redirects are not followed, as platforms do not."""
        return self._sent(self._client, method, url or self.url, body, headers)

    def send_from(self, address: str, body: bytes, headers: Headers) -> Answer:
        """Send one request from another address of this machine."""
        transport = httpx.HTTPTransport(verify=self._context, local_address=address)
        with httpx.Client(transport=transport, timeout=self.timeout) as client:
            return self._sent(client, "POST", self.url, body, headers)

    def _sent(self, client: httpx.Client, method: str, url: str, body: bytes, headers: Headers) -> Answer:
        started = time.monotonic()
        ours = [("content-type", "application/json"), ("user-agent", "hookmart-certify")]
        try:
            # Read in pieces under one limit: httpx's own is of each piece, and a trickle would never end.
            with client.stream(method, url, content=body, headers=[*ours, *headers]) as answer:
                text = self._read(answer, started)
        except httpx.TimeoutException:
            return Answer(None, "", time.monotonic() - started, "timeout")
        except httpx.TransportError as error:
            return Answer(None, "", time.monotonic() - started, str(error) or type(error).__name__)
        wait = answer.headers.get("retry-after", "")
        return Answer(answer.status_code, text, time.monotonic() - started, retry_after=wait)

    def abort(self, body: bytes, headers: Headers) -> None:
        """Begin to send *body*, and hang up in the middle of it."""
        with closing(self._connection()) as connection:
            self._begin(connection, body[: len(body) // 2], len(body), headers)

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Have a body of *size* bytes under way, all but its last byte; hung up at the end."""
        with closing(self._connection()) as connection:
            with suppress(TimeoutError):  # whoever does not read on holds the rest back
                self._begin(connection, b" " * (size - 1), size, [])
            yield

    def _begin(self, connection: http.client.HTTPConnection, piece: bytes, size: int, headers: Headers) -> None:
        parts = urlsplit(self.url)
        connection.putrequest("POST", parts.path + (f"?{parts.query}" if parts.query else ""))
        for name, value in [*headers, ("content-type", "application/json"), ("content-length", str(size))]:
            connection.putheader(name, value)
        connection.endheaders(piece)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, timeout=self.timeout, context=self._context)
        return http.client.HTTPConnection(parts.netloc, timeout=self.timeout)

    def _read(self, answer: httpx.Response, started: float) -> str:
        read = b""
        for piece in answer.iter_bytes():
            read += piece
            if time.monotonic() - started > self.timeout:
                raise httpx.ReadTimeout("the answer took too long")
            if len(read) > _MOST_READ:
                break
        return read[:_MOST_READ].decode("utf-8", "replace")


def worst(answers: Sequence[Answer]) -> Answer:
    """Return the one of *answers* that is furthest from done; none at all is the worst."""
    return max(answers, key=lambda answer: 0 if answer.is_success else 1000 if answer.status is None else answer.status)


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the value that *share* of *seconds*, not empty, do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def is_this_machine(url: str) -> bool:
    """Return whether *url* names this machine: no proxy of the environment can reach what listens there."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
