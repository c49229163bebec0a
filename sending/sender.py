"""Takes deliveries from a stream, posts them over several connections, and keeps to the policy with each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from logging import getLogger
from typing import Protocol

from sending.answer import Answer
from sending.clock import Clock
from sending.delivery import Delivery
from sending.delivery_log import DeliveryLog
from sending.policy import Policy, Progress, State, Verdict

_MOST_WAITING = 10_000
_MOST_WAITING_IN_A_LOG = 1_000_000
_MOST_APART = 256

_logger = getLogger(__name__)

Transport = Callable[[Delivery], Awaitable[Answer]]
"""Makes one attempt, signed anew; raises nothing that a receiver could cause."""


class Observer(Protocol):
    """Told of every attempt, as soon as its answer is there."""

    def __call__(self, delivery: Delivery, answer: Answer, verdict: Verdict) -> None:
        """Take note."""


def log_failures(delivery: Delivery, answer: Answer, verdict: Verdict) -> None:
    """Say in the program's log what was refused, for somebody to look, and what was given up."""
    said = answer.status_code if answer.error is None else answer.error
    if verdict.state is State.refused:
        _logger.warning("%s was refused with %s and is not sent again; look into it.", delivery.delivery_id, said)
    elif verdict.state is State.undeliverable:
        _logger.error(
            "%s is undeliverable after %d attempts, the last answered %s; send it again once the receiver is well.",
            delivery.delivery_id,
            verdict.progress.attempts,
            said,
        )


@dataclass(order=True, slots=True)
class _Waiting:
    """
    A delivery in the queue of those to be tried again.

    Attributes:
        delivery: None where its body stays in the log.
    """

    due_at: float
    turn: int
    delivery_id: str = field(compare=False)
    progress: Progress = field(compare=False)
    delivery: Delivery | None = field(compare=False, default=None)


class Sender:
    """
    Posts a stream of deliveries by a policy.

    While one waits for its next attempt, others go on. When too many wait, the stream is not read on until some are
    done, so memory stays bounded however long a receiver is away: 10,000 with their bodies, or a million where a log
    keeps the bodies.

    Args:
        transport: Makes one attempt.
        clock: By which it waits.
        log: Where every attempt is recorded, and from which what waits is taken up again; None keeps it in memory.
        observe: Told of every attempt.
        connections: Posts under way at once, apart from those that are sent beside them.
        rate: First attempts a second at most; None for as many as are answered.

    Raises:
        ValueError: *connections* or *rate* is not positive.
    """

    def __init__(
        self,
        transport: Transport,
        policy: Policy,
        clock: Clock,
        *,
        log: DeliveryLog | None = None,
        observe: Observer = log_failures,
        connections: int = 8,
        rate: float | None = None,
    ) -> None:
        if connections < 1 or (rate is not None and rate <= 0):
            raise ValueError("Sending needs at least one connection and, where a rate is given, a rate above 0.")
        self._transport = transport
        self._policy = policy
        self._clock = clock
        self._log = log
        self._observe = observe
        self._connections = connections
        self._rate = rate
        self._waiting: list[_Waiting] = []
        self._turns = count()
        self._apart = asyncio.Semaphore(_MOST_APART)
        self._is_earlier = asyncio.Event()

    async def send(self, deliveries: Iterable[Delivery]) -> None:
        """
        Return once each of *deliveries*, and each that the log says is waiting, is delivered, refused or given up.

        They begin in their order. Those that the log knows already are passed over.
        """
        if self._log is not None:
            for each in self._log.waiting():
                self._push(_Waiting(each.due_at, next(self._turns), each.delivery_id, each.progress))
        stream = _Stream(deliveries, self._log, self._rate)
        is_done = False
        while not is_done:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(self._connections):
                        tasks.create_task(self._work(stream, tasks))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
            # What was sent apart may have come to wait when nobody was left to look after it.
            is_done = not self._waiting

    async def _work(self, stream: "_Stream", tasks: asyncio.TaskGroup) -> None:
        while True:
            waiting = self._due()
            if waiting is not None:
                await self._attempt(await self._read(waiting), waiting.progress)
            elif stream.has_more and len(self._waiting) < self._most_waiting:
                delivery = stream.take()
                if delivery is None:
                    continue
                if delivery.is_apart:
                    await self._apart.acquire()
                    tasks.create_task(self._attempt_apart(delivery))
                else:
                    await stream.pace()
                    await self._attempt(delivery, Progress())
            elif self._waiting:
                await self._until_due()
            else:
                return

    async def _attempt_apart(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery, Progress())
        finally:
            self._apart.release()

    async def _attempt(self, delivery: Delivery, progress: Progress) -> None:
        started_at = self._clock.now()
        answer = await self._transport(delivery)
        verdict = self._policy.verdict(progress, answer, started_at, self._clock.now())
        self._observe(delivery, answer, verdict)
        if self._log is not None:
            self._log.record(delivery, answer, verdict, started_at)
            if self._log.is_behind:
                await self._log.durable()
        if verdict.due_at is not None:
            kept = delivery if self._log is None else None
            self._push(_Waiting(verdict.due_at, next(self._turns), delivery.delivery_id, verdict.progress, kept))

    def _push(self, waiting: _Waiting) -> None:
        heappush(self._waiting, waiting)
        if self._waiting[0] is waiting:
            self._is_earlier.set()

    async def _until_due(self) -> None:
        """Wait for the first of those that wait, or for one that is due before it."""
        self._is_earlier.clear()
        tasks = {
            asyncio.ensure_future(self._clock.sleep(max(0.0, self._waiting[0].due_at - self._clock.now()))),
            asyncio.ensure_future(self._is_earlier.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _due(self) -> _Waiting | None:
        if self._waiting and self._waiting[0].due_at <= self._clock.now():
            return heappop(self._waiting)
        return None

    async def _read(self, waiting: _Waiting) -> Delivery:
        if waiting.delivery is not None:
            return waiting.delivery
        assert self._log is not None  # noqa: S101  # bodies are left out of the queue only where there is a log
        return await self._log.delivery(waiting.delivery_id)

    @property
    def _most_waiting(self) -> int:
        return _MOST_WAITING if self._log is None else _MOST_WAITING_IN_A_LOG


class _Stream:
    """The deliveries to come, at their pace."""

    def __init__(self, deliveries: Iterable[Delivery], log: DeliveryLog | None, rate: float | None) -> None:
        self._deliveries = iter(deliveries)
        self._log = log
        self._seconds_apart = 0.0 if rate is None else 1 / rate
        self._next_at = asyncio.get_running_loop().time()
        self.has_more = True

    def take(self) -> Delivery | None:
        """The next that the log does not know; None once there is none."""
        for delivery in self._deliveries:
            if self._log is None or not self._log.knows(delivery.delivery_id):
                return delivery
        self.has_more = False
        return None

    async def pace(self) -> None:
        """Wait for the turn of what was taken last."""
        if not self._seconds_apart:
            return
        now = asyncio.get_running_loop().time()
        # What was missed in a long pause is not made good in a rush.
        self._next_at = max(self._next_at, now - 1)
        turn, self._next_at = self._next_at, self._next_at + self._seconds_apart
        await asyncio.sleep(max(0.0, turn - now))
