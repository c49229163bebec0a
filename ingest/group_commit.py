"""
The stage's writer: what waits is written together, synced once, and only then acknowledged.

Batches form by themselves while the sync before them runs, so nothing ever lingers. The event loop collects, one thread
of its own touches the disk, one job at a time.
"""

import asyncio
from collections.abc import Callable
from logging import getLogger
from pathlib import Path

from ingest.disk_thread import DiskThread
from ingest.errors import NotStaged
from ingest.segment_file import SegmentFile

_MOST_UNAWAITED = 10_000
_STOPPING = "The receiver is stopping; send it again."

Outcome = Callable[[NotStaged | None], None]
"""Told None once the lines are durable, or why they may not be."""

_logger = getLogger(__name__)


class StageWriter:
    """
    Appends lines durably to the stage in *root*; one per process and event loop.

    Args:
        root: The directory of the stage, made when it is first needed.
        segment_max_bytes: A segment closes once it holds this much; also the most that one sync waits for.
        segment_max_age: Seconds after its first line at which a segment closes, traffic or none.
    """

    def __init__(self, root: Path, *, segment_max_bytes: int = 8 * 1024 * 1024, segment_max_age: float = 1.0) -> None:
        self.root = root
        self._max_bytes = segment_max_bytes
        self._max_age = segment_max_age
        self._waiting: list[tuple[bytes, Outcome | None]] = []
        self._postponed: list[tuple[bytes, None]] = []  # nobody waits for them, and their batch failed
        self._segment: SegmentFile | None = None  # touched by the thread only while a job runs
        self._is_left_behind = False  # likewise; lines of the batch that failed may be on disk
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False  # the segment has reached its age
        self._is_woken = False
        self._is_busy = False
        self._is_stopping = True
        self._idle = asyncio.Event()

    async def start(self) -> None:
        """Accept appends. Does not touch the disk: a receiver starts, and answers 503, while its disk is away."""
        self._loop = asyncio.get_running_loop()
        self._disk = DiskThread(self._loop, "stage-writer")
        self._is_stopping = False

    async def stop(self) -> None:
        """Write what waits, close the open segment, refuse what comes later."""
        self._is_stopping = True
        self._waiting += self._postponed
        self._postponed = []
        self._idle.clear()
        self._wake()
        await self._idle.wait()
        self._disk.stop()

    async def append(self, lines: bytes) -> None:
        """
        Stage *lines*, whole and newline-ended. When this returns they are durable.

        Raises:
            NotStaged: They may be on disk all the same; the sender's retry is folded into one by the warehouse.
        """
        if self._is_stopping:
            raise NotStaged(_STOPPING)
        future: asyncio.Future[None] = self._loop.create_future()
        self.append_then(lines, lambda failure: _resolve(future, failure))
        await future

    def append_then(self, lines: bytes, told: Outcome) -> None:
        """As `append`, for whoever cannot wait: *told* is called from the event loop, exactly once."""
        if self._is_stopping:
            told(NotStaged(_STOPPING))
            return
        if self._postponed:
            self._waiting += self._postponed
            self._postponed = []
        self._waiting.append((lines, told))
        self._wake_soon()

    def append_unawaited(self, lines: bytes) -> bool:
        """
        Stage *lines* with the next batch, without a word on whether it worked.

        Where the disk fails, and they are surely not on it, they are tried again with the next delivery. Return whether
        there was room for them.
        """
        if self._is_stopping or len(self._waiting) >= _MOST_UNAWAITED:
            return False
        self._waiting.append((lines, None))
        self._wake_soon()
        return True

    def _wake_soon(self) -> None:
        # Once per pass of the loop, not once per item: all that this pass brings goes into one batch.
        if not self._is_woken and not self._is_busy:
            self._is_woken = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._is_woken = False
        if self._is_busy:
            return
        segment = self._segment
        if segment is not None and (self._is_due or segment.size >= self._max_bytes):
            self._run_close(segment)
        elif self._waiting:
            self._run_commit(self._take_batch())
        elif segment is not None and self._is_stopping:
            self._run_close(segment)
        else:
            self._idle.set()

    def _take_batch(self) -> list[tuple[bytes, Outcome | None]]:
        size = count = 0
        for lines, _ in self._waiting:
            size += len(lines)
            count += 1
            if size >= self._max_bytes:
                break
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _run_commit(self, batch: list[tuple[bytes, Outcome | None]]) -> None:
        def committed(failure: BaseException | None) -> None:
            self._is_busy = False
            if failure is not None:
                _logger.error("%d deliveries could not be staged in %s: %s", len(batch), self.root, failure)
                # Written twice, a line would be one that nothing explains.
                unawaited = [(lines, None) for lines, told in batch if told is None and not self._is_left_behind]
                self._postponed += unawaited[: _MOST_UNAWAITED - len(self._postponed)]
            elif self._postponed:
                self._waiting += self._postponed
                self._postponed = []
            if self._segment is None:
                self._forget_segment()
            elif self._timer is None:
                self._timer = self._loop.call_later(self._max_age, self._come_of_age)
            # First the disk gets its next batch: it works while these hear of theirs.
            self._wake()
            outcome = None if failure is None else _not_staged(self.root, failure)
            for _, told in batch:
                if told is not None:
                    _tell(told, outcome)

        self._is_busy = True
        data = b"".join([lines for lines, _ in batch])
        self._disk.run(lambda: self._commit(data), committed)

    def _run_close(self, segment: SegmentFile) -> None:
        def closed(failure: BaseException | None) -> None:
            self._is_busy = False
            if failure is not None:
                _logger.warning("Segment %s could not be closed (%s); recovery will close it.", segment.path, failure)
            self._wake()

        self._is_busy = True
        self._forget_segment()
        self._disk.run(segment.close, closed)

    def _commit(self, data: bytes) -> None:
        self._is_left_behind = False
        if self._segment is None:
            self._segment = SegmentFile.create(self.root)
        try:
            self._segment.append(data)
        except BaseException:
            segment, self._segment = self._segment, None
            self._is_left_behind = not segment.discard()
            raise

    def _come_of_age(self) -> None:
        self._is_due = True
        self._wake()

    def _forget_segment(self) -> None:
        self._segment = None
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _tell(told: Outcome, outcome: NotStaged | None) -> None:
    try:
        told(outcome)
    except Exception:
        # The others of the batch must hear of it, and the next batch must be written.
        _logger.exception("One who waited for a batch could not be told.")


def _resolve(future: asyncio.Future[None], failure: NotStaged | None) -> None:
    if future.done():  # its request was cancelled
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


def _not_staged(root: Path, cause: BaseException) -> NotStaged:
    error = NotStaged(f"Nothing was acknowledged: {cause}. Free or repair the disk of {root}; deliveries are retried.")
    error.__cause__ = cause
    return error
