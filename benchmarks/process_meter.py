"""What a server takes while it runs: its memory and its processor's time, read every second."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.running_server import RunningServer

_SECONDS_APART = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """
    At one moment, over all processes of the server.

    Attributes:
        resident_bytes: Pages that they share count in each.
        cpu_seconds: Since it was started.
    """

    at: float
    resident_bytes: int
    cpu_seconds: float


class ProcessMeter:
    """Reads in a thread of its own, from `start` to `stop`."""

    def __init__(self, server: RunningServer, clock: Callable[[], float]) -> None:
        self.readings: list[Reading] = []
        self._server = server
        self._clock = clock
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()

    def between(self, began: float, ended: float) -> list[Reading]:
        """The readings of that time, oldest first."""
        return [each for each in self.readings if began <= each.at < ended]

    def _read(self) -> None:
        while not self._is_over.wait(_SECONDS_APART):
            self.readings.append(Reading(self._clock(), self._server.resident_bytes(), self._server.cpu_seconds()))


def peak_bytes(readings: list[Reading]) -> int:
    """The most memory at any of them; 0 of none."""
    return max((each.resident_bytes for each in readings), default=0)


def cores(readings: list[Reading]) -> float:
    """How many processors it kept busy from the first of them to the last; 0 of fewer than two."""
    if len(readings) < 2:
        return 0.0
    first, last = readings[0], readings[-1]
    return (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)
