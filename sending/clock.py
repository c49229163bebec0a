"""The time by which a sender waits: the real one, or one that runs faster."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a sender needs of a clock."""

    def now(self) -> float:
        """Return seconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Return once so many seconds of this clock have passed."""


class SystemClock:
    """
    The machine's clock, from now on *speed* times as fast.

    With a speed above 1 four hours of waiting are seconds. Only waiting runs faster: what is signed, and how long a
    receiver may take to answer, stays in real time.

    Raises:
        ValueError: *speed* is not above 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("A clock runs at a speed above 0.")
        self._speed = speed
        self._began_at = time.time()
        self._began = time.monotonic()

    def now(self) -> float:
        """Return seconds since 1970."""
        return self._began_at + (time.monotonic() - self._began) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Return once so many seconds of this clock have passed."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)
