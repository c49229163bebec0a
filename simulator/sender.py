"""Posts to a receiver as a platform does: signed, over several connections, tried again on a ladder of delays."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from simulator.delivery import Post

LADDER: tuple[float, ...] = (0.2, 0.5, 1, 2, 5, 10)
"""Seconds between the attempts of one post."""

_TRY_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class SendReport:
    """
    What became of the posts: each is accepted, quarantined, refused or undelivered.

    Attributes:
        accepted: Answered 2xx, and not said to be quarantined.
        refused: Answered with a status that asks for a change by the sender; not tried again.
        undelivered: Given up after the last rung of the ladder, or answered with a status that is none of the above.
        duplicates: Posts that repeated an earlier one, whatever became of them.
        retries: Attempts after the first, over all posts.
        by_status: All answers, those to retried attempts included.
        errors: Attempts without an answer, by kind of error.
    """

    accepted: int = 0
    quarantined: int = 0
    refused: int = 0
    undelivered: int = 0
    duplicates: int = 0
    retries: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """Posts, each counted once."""
        return self.accepted + self.quarantined + self.refused + self.undelivered


async def send(
    url: str,
    secret: bytes,
    posts: Sequence[Post],
    *,
    connections: int = 8,
    rate: float | None = None,
    header: str = "X-Webhook-Signature",
    on_progress: Callable[[int, int], None] | None = None,
    ladder: Sequence[float] = LADDER,
) -> SendReport:
    """
    Post all *posts* to *url*, each body signed with hex HMAC-SHA256 under *secret* in *header*.

    They start in their order, but up to *connections* are under way at once. A post answered 429, 502, 503 or 504, or
    not at all, is tried again after the next delay of *ladder*, or after what `Retry-After` asks for if that is longer.

    Args:
        rate: Posts per second at most, over all connections; None for as fast as the receiver answers.
        on_progress: Called with the number of posts done and the number of all, after each.

    Raises:
        ValueError: *connections* or *rate* is not positive, or *url* is not an http or https address.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("Events are posted to an http or https address, such as http://127.0.0.1:8000/webhooks/demo.")
    if connections < 1 or (rate is not None and rate <= 0):
        raise ValueError("Sending needs at least one connection and, where a rate is given, a rate above 0.")
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    # A proxy of the environment cannot reach a receiver on this machine.
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=not _is_this_machine(url)) as client:
        sender = _Sender(client, url, secret, header, ladder, SendReport())
        queue = iter(enumerate(posts))
        started_at = asyncio.get_running_loop().time()

        async def work(queue: Iterator[tuple[int, Post]]) -> None:
            for turn, post in queue:
                if rate is not None:
                    await _sleep_until(started_at + turn / rate)
                await sender.deliver(post)
                if on_progress is not None:
                    on_progress(sender.report.sent, len(posts))

        async with asyncio.TaskGroup() as workers:
            for _ in range(connections):
                workers.create_task(work(queue))
        return sender.report


def sign(body: bytes, secret: bytes) -> str:
    return hmac.digest(secret, body, "sha256").hex()


@dataclass(frozen=True, slots=True)
class _Sender:
    client: httpx.AsyncClient
    url: str
    secret: bytes
    header: str
    ladder: Sequence[float]
    report: SendReport

    async def deliver(self, post: Post) -> None:
        """Try until there is an answer that stands, and count what became of it."""
        self.report.duplicates += post.is_duplicate
        answer = await self._attempt(post)
        for delay in self.ladder:
            if answer is not None and answer.status_code not in _TRY_AGAIN:
                break
            await asyncio.sleep(max(delay, _retry_after(answer)))
            self.report.retries += 1
            answer = await self._attempt(post)
        self._count(answer)

    async def _attempt(self, post: Post) -> httpx.Response | None:
        secret = self.secret if post.is_genuine else b"an impostor's guess"
        headers = {
            "content-type": "application/json",
            "user-agent": "hookmart-simulator",
            self.header: sign(post.body, secret),
        }
        try:
            answer = await self.client.post(self.url, content=post.body, headers=headers)
        except httpx.TransportError as error:
            self.report.errors[type(error).__name__] += 1
            return None
        self.report.by_status[answer.status_code] += 1
        return answer

    def _count(self, answer: httpx.Response | None) -> None:
        if answer is not None and answer.is_success:
            if _status(answer) == "quarantined":
                self.report.quarantined += 1
            else:
                self.report.accepted += 1
        elif answer is not None and answer.is_client_error and answer.status_code not in _TRY_AGAIN:
            self.report.refused += 1
        else:
            self.report.undelivered += 1


def _status(answer: httpx.Response) -> object:
    try:
        said = answer.json()
    except ValueError:
        return None
    return said.get("status") if isinstance(said, dict) else None


def _retry_after(answer: httpx.Response | None) -> float:
    """Seconds; 0 where nothing, or a date, is given."""
    asked = "" if answer is None else answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else 0.0


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
