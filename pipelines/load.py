"""
Staged batches into `raw`, exactly once.

A batch is released to the archive only after its load committed. Killed anywhere, the next load first completes the dlt
package that was under way, then releases what the ledger `raw.loads` holds already, then goes on; the merge key makes a
row that comes twice replace itself.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dlt

from ingest.staging import Segment, Stage
from pipelines.batches import Counts, ReadingOptions, empty_tables, read_batch
from pipelines.dlt_settings import apply_dlt_settings
from pipelines.errors import LoadLockedError
from pipelines.raw_tables import DATASET, raw_tables
from pipelines.status import write_status
from pipelines.warehouse import Warehouse, WarehouseSession

LOAD_BYTES = 64 * 1024 * 1024
"""Staged bytes of one load at most, so that memory does not grow with the backlog (one larger segment goes alone)."""

_OPEN_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LoadReport:
    """
    What one call did.

    Attributes:
        loads: Load packages that committed.
        segments: Segments released to the archive.
        counts: What became of their lines.
        poisoned: Names of segments set aside as unreadable, each with what the reader said.
    """

    loads: int = 0
    segments: int = 0
    counts: Counts = field(default_factory=Counts)
    poisoned: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Loader:
    """
    Loads one stage into one warehouse.

    Attributes:
        stage: Where the receiver leaves its segments.
        archive: Where a segment goes after its load has committed.
        warehouse: Where the rows go.
        state: Working folder: dlt keeps a package under way there, and the newest status lies there.
        now: Aware UTC clock.
        notice: Told about waits and segments set aside.
    """

    stage: Stage
    archive: Path
    warehouse: Warehouse
    state: Path
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    notice: Callable[[str], None] = lambda _message: None

    def load(self) -> LoadReport:
        """
        Load every segment that is closed by now, and those of receivers that died.

        Raises:
            LoadLockedError: Another loader kept working on this stage.
            WarehouseLockedError: Another program kept the warehouse open.
        """
        with self._lock(), self.warehouse.session() as session:
            pipeline = self._pipeline(session)
            self._finish_pending(pipeline, session)
            if session.missing_tables():
                pipeline.run(raw_tables(empty_tables()), loader_file_format="parquet")
                session.upgrade()
            self.stage.recover()
            report = LoadReport()
            for segments in _portions(self.stage.closed_segments()):
                report = self._load_portion(pipeline, session, segments, report)
            if report.segments:
                write_status(session, self.state)
            return report

    def finish_pending(self) -> None:
        """Complete a load that was interrupted, if there is one; nothing new is read."""
        if not self.state.exists():
            return
        with self._lock(), self.warehouse.session() as session:
            self._finish_pending(self._pipeline(session), session)

    def has_work(self) -> bool:
        """Return whether a closed segment waits, those of receivers that died included."""
        self.stage.recover()
        return bool(self.stage.closed_segments())

    def wait_for_open_segments(self, patience: float) -> None:
        """Wait until the segments that receivers are writing now have closed, for at most *patience* seconds."""
        deadline = time.monotonic() + patience
        writing = {segment.batch_id for segment in self.stage.live_segments()}
        while writing and time.monotonic() < deadline:
            time.sleep(_OPEN_POLL_SECONDS)
            writing &= {segment.batch_id for segment in self.stage.live_segments()}

    def _load_portion(
        self, pipeline: dlt.Pipeline, session: WarehouseSession, segments: Sequence[Segment], report: LoadReport
    ) -> LoadReport:
        loaded = session.loaded_batches([segment.batch_id for segment in segments])
        session.look_again_from(sorted(loaded))
        fresh = [segment for segment in segments if segment.batch_id not in loaded]
        batch = read_batch(fresh, session.last_load_seq() + 1, self.now(), session.known_events, self._reading())
        if batch.tables:
            displaced = batch.tables.get("displaced_events")
            if displaced is not None:
                session.forget_build()
            with session.loading(displaced):
                pipeline.run(raw_tables(batch.tables), loader_file_format="parquet")
        for segment, error in batch.poisoned:
            self.stage.set_aside(segment)
            self.notice(f"{segment.path.name} cannot be read and was set aside: {error}")
        poisoned = {segment.batch_id for segment, _ in batch.poisoned}
        released = [segment for segment in segments if segment.batch_id not in poisoned]
        for segment in released:
            self.stage.release(segment, self.archive)
        return LoadReport(
            loads=report.loads + bool(batch.tables),
            segments=report.segments + len(released),
            counts=report.counts + batch.counts,
            poisoned=(*report.poisoned, *((segment.path.name, error) for segment, error in batch.poisoned)),
        )

    def _reading(self) -> ReadingOptions:
        return ReadingOptions(scratch=self.state / "scratch")

    def _pipeline(self, session: WarehouseSession) -> dlt.Pipeline:
        apply_dlt_settings()
        return dlt.pipeline(
            "hookmart", pipelines_dir=str(self.state / "dlt"), destination=session.destination(), dataset_name=DATASET
        )

    @staticmethod
    def _finish_pending(pipeline: dlt.Pipeline, session: WarehouseSession) -> None:
        # A run with a package pending would load that and drop its own data without a word, so the old one goes first.
        if not pipeline.has_pending_data:
            return
        if session.loads_whole:
            # Its segments stand in the stage yet, or the ledger has it.
            pipeline.drop()
        else:
            pipeline.normalize()
            pipeline.load()
            session.remove_displaced()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.state.mkdir(parents=True, exist_ok=True)
        self.stage.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.stage.root / ".loader.lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + self.warehouse.patience
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    message = (
                        f"Another loader works on {self.stage.root}; it will load what is staged. Stop it to load here."
                    )
                    raise LoadLockedError(message) from error
            else:
                return
            if not told:
                self.notice(f"waiting: another loader works on {self.stage.root}")
                told = True
            time.sleep(0.1)


def _portions(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Split *segments*, in order, into portions of at most LOAD_BYTES."""
    portion: list[Segment] = []
    for segment in segments:
        if portion and sum(each.size for each in portion) + segment.size > LOAD_BYTES:
            yield portion
            portion = []
        portion.append(segment)
    if portion:
        yield portion
