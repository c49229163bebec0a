"""The receiver's side of the refused requests: kept in the background, within bounds, at nobody's expense."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from logging import getLogger
from pathlib import Path

from ingest.errors import NotStaged
from ingest.group_commit import StageWriter
from ingest.refused_directory import RefusedDirectory, RefusedLimits
from ingest.refused_request import RefusedRequest, UnverifiedRequest

_MOST_WAITING = 1_000
_MOST_WAITING_BYTES = 8 * 1024 * 1024
_BATCH = 256
_PREPARED_PER_PASS = 32
_LARGEST_PREPARED_IN_LOOP = 16 * 1024
_SEGMENT_MAX_BYTES = 1024 * 1024
_PAUSE_SECONDS = 1.0
"""Between two prunings under traffic, and after a failure of the disk."""
_LONGEST_BETWEEN_PRUNINGS = 60.0

_logger = getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RefusedStore:
    """
    Keeps refused requests in a directory; one per process and event loop, any number per directory.

    Of a flood, or while the disk fails, requests are dropped and counted: anyone can be refused, so nothing that is
    done here may cost the genuine deliveries time, memory or more disk than the limits say. Until the next pruning the
    directory may hold as much again as the limits allow, for each process.

    Args:
        root: The directory, made when it is first needed; not the stage.
        max_bytes: That the directory may hold; like the next two, over all processes that share it. Older requests
            make room for newer ones.
        max_count: Requests that it may hold.
        max_age_days: After which a request goes, traffic or none.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
        now: The clock by which requests grow old, timezone-aware.
        segment_max_age: Seconds after its first request at which a segment closes.

    Attributes:
        kept: Requests that are on the disk, or were until newer ones took their place.
        dropped: Requests that were not kept.
        pruned: Requests that this process removed, whoever had kept them.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        max_count: int,
        max_age_days: float,
        privacy_key: bytes | None = None,
        now: Callable[[], datetime] = _utc_now,
        segment_max_age: float = 5.0,
    ) -> None:
        self.kept = self.dropped = self.pruned = 0
        self.directory = RefusedDirectory(root)
        self._limits = RefusedLimits(max_bytes, max_count, timedelta(days=max_age_days))
        self._privacy_key = privacy_key
        self._now = now
        self._writer = StageWriter(
            root,
            segment_max_bytes=max(1, min(_SEGMENT_MAX_BYTES, max_bytes // 8)),
            segment_max_age=segment_max_age,
        )
        self._waiting: deque[UnverifiedRequest] = deque()
        self._waiting_bytes = 0
        self._is_running = False
        # Since the last pruning:
        self._written_count = self._written_bytes = 0
        self._told_dropped = 0

    async def start(self) -> None:
        """Keep what comes from now on. Does not touch the disk: a receiver starts while its disk is away."""
        await self._writer.start()
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._is_running = True
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._prune_now_and_then())]

    async def stop(self) -> None:
        """Keep what waits, drop what comes later."""
        self._is_running = False
        self._stopping.set()
        self._arrived.set()
        await asyncio.gather(*self._tasks)
        await self._writer.stop()
        await self._prune()

    def keep(self, request: UnverifiedRequest) -> None:
        """Have *request* kept in the background, or drop it where too much waits. Never waits, never raises."""
        size = request.size
        is_full = len(self._waiting) >= _MOST_WAITING or (
            self._waiting_bytes > 0 and self._waiting_bytes + size > _MOST_WAITING_BYTES
        )
        if not self._is_running or is_full:
            self.dropped += 1
            return
        self._waiting.append(request)
        self._waiting_bytes += size
        self._arrived.set()

    async def _write(self) -> None:
        while self._is_running or self._waiting:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            requests = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            lines = self._within_limits(await self._prepared(requests))
            self.dropped += len(requests) - len(lines)
            if lines:
                await self._append(lines)
            # Only now: what is being written still takes its memory.
            self._waiting_bytes -= sum(request.size for request in requests)

    async def _prepared(self, requests: list[UnverifiedRequest]) -> list[bytes]:
        lines = []
        for number, request in enumerate(requests):
            if number % _PREPARED_PER_PASS == 0:
                await asyncio.sleep(0)  # genuine deliveries first
            # A thread for each would cost more than it spares; a large body would hold up everyone.
            is_large = len(request.body) > _LARGEST_PREPARED_IN_LOOP
            lines.append(await asyncio.to_thread(self._line, request) if is_large else self._line(request))
        return [line for line in lines if line is not None]

    def _line(self, request: UnverifiedRequest) -> bytes | None:
        try:
            return RefusedRequest.of(request, self._privacy_key).encode()
        except Exception:
            # A request that nobody foresaw must not cost the others their place.
            _logger.exception("The refused request %s could not be kept.", request.delivery_id)
            return None

    def _within_limits(self, lines: list[bytes]) -> list[bytes]:
        # A flood writes no more between two prunings than may be kept at all.
        within = []
        for line in lines:
            has_room = self._written_bytes + len(line) <= self._limits.max_bytes
            if has_room and self._written_count < self._limits.max_count:
                self._written_bytes += len(line)
                self._written_count += 1
                within.append(line)
        return within

    async def _append(self, lines: list[bytes]) -> None:
        try:
            await self._writer.append(b"".join(lines))
        except NotStaged:
            # The writer has logged why. What comes during the pause fills the queue, and then is dropped.
            self.dropped += len(lines)
            await self._pause(_PAUSE_SECONDS)
        else:
            self.kept += len(lines)

    async def _prune_now_and_then(self) -> None:
        await asyncio.to_thread(self._recover)
        await self._prune()
        every = min(_LONGEST_BETWEEN_PRUNINGS, max(_PAUSE_SECONDS, self._limits.max_age.total_seconds() / 10))
        loop = asyncio.get_running_loop()
        pruned_at = loop.time()
        while self._is_running:
            await self._pause(_PAUSE_SECONDS)
            if self._written_count or loop.time() - pruned_at >= every:
                await self._prune()
                pruned_at = loop.time()
            if self.dropped > self._told_dropped:
                _logger.warning(
                    "%d refused requests were not kept in %s: too many came at once, or the disk failed.",
                    self.dropped - self._told_dropped,
                    self.directory.root,
                )
                self._told_dropped = self.dropped

    async def _prune(self) -> None:
        self._written_count = self._written_bytes = 0
        try:
            pruned = await asyncio.to_thread(self.directory.prune, self._limits, self._now())
        except OSError as error:
            _logger.warning("The refused requests in %s could not be pruned: %s", self.directory.root, error)
            return
        self.pruned += pruned
        if pruned:
            _logger.info("Removed the %d oldest refused requests from %s.", pruned, self.directory.root)

    def _recover(self) -> None:
        try:
            self.directory.stage.recover()
        except OSError as error:
            _logger.warning("The refused requests in %s cannot be read: %s", self.directory.root, error)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
