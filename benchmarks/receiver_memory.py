"""Many requests to one receiver: is its memory flat, and is all that it acknowledged on the disk?"""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from benchmarks.contenders import Contender
from benchmarks.contest import Contest
from ingest.staging import Stage

_CONNECTIONS = 64
_BODY_BYTES = 1024
_STEP = 100_000
_SLOWEST_PER_SECOND = 300
_MOST_GROWTH_BYTES = 16 * 1024 * 1024
_LOOK_SECONDS = 0.2


def watch_memory(contest: Contest, contender: Contender, requests: int, *, say: Callable[[str], None]) -> int:
    """
    Post until *requests* events stand in closed segments, saying after every 100,000 what memory the receiver holds.

    Segments are counted and removed as they close, so the disk does not fill.

    Returns:
        0: memory grew by no more than 16 MiB after the first tenth (at least 100,000) of the requests, nothing failed,
            and nothing acknowledged is missing. 1 otherwise.
    """
    most_seconds = 60 + requests // _SLOWEST_PER_SECOND
    with contest.folder() as folder, contest.serving(contender, folder) as server:
        stage = Stage(folder / "var" / "stage")
        counted = 0
        readings: list[tuple[int, int]] = []
        generator = contest.load_generator(contender.workers, _BODY_BYTES)
        started = monotonic()
        with generator.started(server.port, contender.path, _CONNECTIONS, most_seconds) as load:
            while counted < requests and load.is_running():
                sleep(_LOOK_SECONDS)
                counted += _drained(stage)
                if counted // _STEP > len(readings):
                    readings.append((counted, server.resident_bytes()))
                    say(_reading(*readings[-1], monotonic() - started))
            measurement = load.stop()
        peak_bytes = server.peak_bytes()
        server.stop()
        counted += _drained(stage)
    acknowledged = measurement.requests - measurement.failed
    settled = [resident for count, resident in readings if count >= requests // 10]
    growth = settled[-1] - settled[0] if settled else 0
    say(
        f"{acknowledged:,} acknowledged, {counted:,} on disk, {measurement.failed} failed,"
        f" {measurement.per_second:,.0f}/s; peak {peak_bytes / 1024**2:.1f} MiB, grown by {growth / 1024**2:.1f} MiB"
    )
    is_well = counted >= max(requests, acknowledged) and not measurement.failed and growth <= _MOST_GROWTH_BYTES
    return 0 if is_well else 1


def _reading(counted: int, resident: int, seconds: float) -> str:
    return f"{counted:>10,} requests  {resident / 1024**2:6.1f} MiB  {seconds:6.0f} s"


def _drained(stage: Stage) -> int:
    count = 0
    for segment in stage.closed_segments():
        count += _lines(segment.path)
        segment.path.unlink()
    return count


def _lines(path: Path) -> int:
    # Every request of this load is genuine, so every line is an event that was accepted or quarantined: one request.
    with path.open("rb") as file:
        return sum(1 for _ in file)
