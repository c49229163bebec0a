"""What a server takes while it runs: its memory and its processor's time, read every second."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.repeated_look import RepeatedLook
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


class ProcessMeter(RepeatedLook):
    """Reads what the processes of *server* take."""

    def __init__(self, server: RunningServer, clock: Callable[[], float]) -> None:
        super().__init__(_SECONDS_APART)
        self.readings: list[Reading] = []
        self._server = server
        self._clock = clock

    def look(self) -> None:
        """Take one reading."""
        self.readings.append(Reading(self._clock(), self._server.resident_bytes(), self._server.cpu_seconds()))


def peak_bytes(readings: Sequence[Reading]) -> int:
    """The most memory at any of them; 0 of none."""
    return max((each.resident_bytes for each in readings), default=0)


def cores(readings: Sequence[Reading]) -> float:
    """How many processors it kept busy from the first of them to the last; 0 of fewer than two."""
    if len(readings) < 2:
        return 0.0
    first, last = readings[0], readings[-1]
    return (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)
