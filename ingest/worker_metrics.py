"""
Several workers that count as one.

Each keeps its figures in files of one directory, which outlive it; whoever is scraped adds up all of them. The library
calls this its multiprocess mode.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import Metric, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY = Path("/dev/shm")  # noqa: S108  # a directory of our own is made in it


def is_shared() -> bool:
    """Whether this process was started within `shared_between_workers`, and so counts for others to see."""
    # As the library found it when it was imported; the variable may have been set since.
    return values.ValueClass is not values.MutexValue


@contextmanager
def shared_between_workers() -> Iterator[None]:
    """
    Let the processes spawned while this is open count together; what they counted is gone when it closes.

    For the process that starts them, which counts nothing itself. They must be spawned, not forked: the library decides
    when it is imported.
    """
    before = os.environ.get(_DIRECTORY_VARIABLE)
    # In memory where we can: to write to a mapped file on a full disk kills the process, and a receiver outlives that.
    parent = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
    with TemporaryDirectory(prefix="hookmart-metrics-", dir=parent) as directory:
        os.environ[_DIRECTORY_VARIABLE] = directory
        try:
            yield
        finally:
            del os.environ[_DIRECTORY_VARIABLE]
            if before is not None:
                os.environ[_DIRECTORY_VARIABLE] = before


class WorkersCollector(Collector):
    """The sums over all workers, those dead by now included; only what these held in flight is gone."""

    def collect(self) -> Iterable[Metric]:
        """The metrics of all files."""
        directory = Path(os.environ[_DIRECTORY_VARIABLE])
        for path in directory.glob("gauge_live*.db"):
            process_id = int(path.stem.rpartition("_")[2])
            if not _is_alive(process_id):
                mark_process_dead(process_id)  # type: ignore[no-untyped-call]
        files = []
        for path in directory.glob("*.db"):
            # Another scrape may have removed it. And an empty one, whose maker has only begun or was killed just then,
            # would make every scrape fail.
            with suppress(FileNotFoundError):
                if path.stat().st_size:
                    files.append(str(path))
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
