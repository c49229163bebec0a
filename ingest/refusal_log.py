"""The record of refused requests, at a pace that the disk and the warehouse can bear."""

import time
from collections.abc import Callable
from logging import getLogger

from ingest.group_commit import StageWriter
from ingest.staging import StagedLine

_PER_SECOND = 100.0
_BURST = 10_000.0
_SECONDS_BETWEEN_WARNINGS = 60.0

_logger = getLogger(__name__)


class RefusalLog:
    """
    Records refusals in the stage without keeping anyone waiting, and stays within a rate.

    Anyone can be refused, as fast as he can send: what is written for it must not fill the disk that the genuine
    deliveries need. Beyond the rate a refusal is counted in `unrecorded`, and only there.
    """

    def __init__(self, writer: StageWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self.unrecorded = 0
        self._writer = writer
        self._clock = clock
        self._credit = _BURST
        self._credited_at = clock()
        self._warned_at = float("-inf")

    def record(self, line: StagedLine) -> None:
        """Have *line* written with the next batch, if there is room for it."""
        now = self._clock()
        self._credit = min(_BURST, self._credit + (now - self._credited_at) * _PER_SECOND)
        self._credited_at = now
        if self._credit >= 1 and self._writer.append_unawaited(line.encode()):
            self._credit -= 1
            return
        self.unrecorded += 1
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            _logger.warning("%d refusals so far came too fast to be recorded one by one.", self.unrecorded)
