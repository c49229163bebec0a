"""A clock that stands still but for the waiting, so that the moments of attempts are exact."""

import asyncio


class WaitingClock:
    """Time that passes only in `sleep`, at once. For one connection: several would each move it on."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)
