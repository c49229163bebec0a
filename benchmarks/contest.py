"""One server under one load: started afresh, asked, loaded, stopped, and its disk counted."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.load_generator import Load, LoadGenerator
from benchmarks.machine import cores_for
from benchmarks.results import Run
from benchmarks.running_server import RunningServer, free_port
from benchmarks.signed_bodies import SignedBody, signed_bodies

_POOL = 400
_FORGED = "0" * 64


class Contest:
    """
    The terms that are the same for all.

    Args:
        directory: On the disk that is measured; each run gets an empty folder in it.
        seconds: A measurement takes.
        warm_up_seconds: Of the same load before it, not measured.
        is_pinned: Whether servers and load generator get cores of their own.
    """

    def __init__(self, directory: Path, *, seconds: int, warm_up_seconds: int, is_pinned: bool) -> None:
        self._directory = directory
        self._seconds = seconds
        self._warm_up_seconds = warm_up_seconds
        self._is_pinned = is_pinned
        self._pools: dict[int, list[SignedBody]] = {}

    def run(self, contender: Contender, load: Load, round_number: int) -> Run:
        """
        Measure *contender* once.

        Raises:
            ServerFailed: It did not start, answer or stop.
            LoadFailed: The load generator failed.
        """
        bodies = self.bodies(load.body_bytes)
        with self.folder() as folder, self.serving(contender, folder) as server:
            faults = _wrong_answers(contender, server, bodies[0])
            acknowledged = 0 if faults else 1
            generator = self.load_generator(contender.workers, load.body_bytes)
            if self._warm_up_seconds:
                warm_up = generator.run(server.port, contender.path, load.connections, self._warm_up_seconds)
                acknowledged += warm_up.requests - warm_up.failed
                # What the warm-up left unanswered stands in the queue before this one.
                acknowledged += server.status_of(contender.path, bodies[0].body, bodies[0].signature) == 200
            measurement = generator.run(server.port, contender.path, load.connections, self._seconds)
            acknowledged += measurement.requests - measurement.failed
            if measurement.failed:
                faults.append(f"{measurement.failed} failed")
            peak_bytes = server.peak_bytes()
            server.stop()
            kept = contender.kept(folder)
            if kept is not None and kept < acknowledged:
                faults.append(f"{acknowledged - kept} LOST")
        return Run(contender.name, load, round_number, measurement, acknowledged, kept, peak_bytes, tuple(faults))

    def bodies(self, size: int) -> list[SignedBody]:
        """The pool of bodies of *size* bytes that is posted over and over."""
        if size not in self._pools:
            self._pools[size] = signed_bodies(size, _POOL)
        return self._pools[size]

    def load_generator(self, workers: int, body_bytes: int) -> LoadGenerator:
        """What posts to a server of *workers* processes."""
        return LoadGenerator(self.bodies(body_bytes), cores_for(workers, is_pinned=self._is_pinned).load)

    def serving(self, contender: Contender, folder: Path) -> RunningServer:
        """Make the server of *contender*, to be entered."""
        port = free_port()
        cores = cores_for(contender.workers, is_pinned=self._is_pinned)
        return RunningServer(contender.command(folder, port), folder, port, cores.server)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder on the disk that is measured, removed afterwards."""
        self._directory.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._directory))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _wrong_answers(contender: Contender, server: RunningServer, signed: SignedBody) -> list[str]:
    faults = []
    status = server.status_of(contender.path, signed.body, signed.signature)
    if not 200 <= status < 300:
        faults.append(f"{status} to a good signature")
    if contender.is_verifying:
        status = server.status_of(contender.path, signed.body, _FORGED)
        if not 400 <= status < 500:
            faults.append(f"{status} to a forged signature")
    return faults
