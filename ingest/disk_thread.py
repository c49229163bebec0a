"""One thread that does what blocks on the disk, a job at a time, and tells the event loop how it went."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Job = Callable[[], object]
Told = Callable[[BaseException | None], None]


class DiskThread:
    """
    A thread of its own; the executors of the standard library would take longer to hand a small job over than to do it.

    Args:
        loop: On which whoever gave a job is told.
        name: Of the thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Job, Told] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Job, told: Told) -> None:
        """Have *job* done after all given before; then *told* is called on the event loop, with what it raised."""
        self._jobs.put((job, told))

    def stop(self) -> None:
        """Return when all jobs are done. What is told of the last ones comes later."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, told = given
            failure: BaseException | None = None
            try:
                job()
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is for whoever gave the job
                failure = error
            self._loop.call_soon_threadsafe(told, failure)
