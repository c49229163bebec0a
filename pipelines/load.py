"""
Staged batches into `raw`, exactly once.

A batch is released to the archive only after its load committed. Killed anywhere, the next load first completes the dlt
package that was under way, then releases what the ledger `raw.loads` holds already, then goes on; the merge key makes a
row that comes twice replace itself.
"""

import fcntl
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dlt

from ingest.archive import Archive
from ingest.staging import Segment, Stage
from ingest.tombstones import Tombstones
from pipelines.batch_rows import rows_of_arrow
from pipelines.batches import Amendment, Counts, LoadBatch, PreparedBatch, ReadingOptions, empty_tables, prepare_batch
from pipelines.dlt_settings import apply_dlt_settings
from pipelines.errors import LoadLockedError
from pipelines.full_disk import full_disk_told
from pipelines.load_memory import LoadMemory, MemoryShares
from pipelines.process_memory import held_bytes
from pipelines.raw_tables import DATASET, raw_tables
from pipelines.status import write_status
from pipelines.warehouse import Warehouse, WarehouseSession

LOAD_SEGMENTS = 2_000
"""Of one load at most; each is a file to open."""

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

    def after(self, batch: LoadBatch, segments: int) -> "LoadReport":
        """Return this with a *batch* of so many *segments* more."""
        return LoadReport(
            loads=self.loads + bool(batch.tables),
            segments=self.segments + segments - len(batch.poisoned),
            counts=self.counts + batch.counts,
            poisoned=(*self.poisoned, *((segment.path.name, error) for segment, error in batch.poisoned)),
        )


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
        memory: That a load stays under.
        archive_days: A day of the archive goes so many days after it ended; None keeps them for ever.
        amendments: As of the reading (`pipelines.batches.ReadingOptions`).
    """

    stage: Stage
    archive: Path
    warehouse: Warehouse
    state: Path
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    notice: Callable[[str], None] = lambda _message: None
    memory: LoadMemory = field(default_factory=LoadMemory)
    archive_days: int | None = None
    amendments: Sequence[Amendment] = ()

    def load(self) -> LoadReport:
        """
        Load every segment that is closed by now, and those of receivers that died.

        Raises:
            LoadLockedError: Another loader kept working on this stage.
            WarehouseLockedError: Another program kept the warehouse open.
            DiskFullError: There was no room; the next load goes on.
        """
        with full_disk_told("load"), self.locked(), self.session() as session:
            pipeline = self.ready(session)
            self.stage.recover()
            segments = self.stage.closed_segments()
            loaded = session.loaded_batches([segment.batch_id for segment in segments])
            session.look_again_from(sorted(loaded))
            done = [segment for segment in segments if segment.batch_id in loaded]
            self._release(done)
            report = LoadReport(segments=len(done))
            fresh = [segment for segment in segments if segment.batch_id not in loaded]
            groups = (
                _portions(fresh, session.commit_bytes, len(fresh)) if session.commit_bytes else self.portions(fresh)
            )
            for number, group in enumerate(groups):
                if number:
                    session.reopen()
                    pipeline = self._pipeline(session)
                report = self._load_together(pipeline, session, group, report)
            if report.segments:
                write_status(session, self.state)
            self._forget_old_days()
            return report

    def _load_together(
        self, pipeline: dlt.Pipeline, session: WarehouseSession, segments: Sequence[Segment], report: LoadReport
    ) -> LoadReport:
        poisoned: list[tuple[Segment, str]] = []
        is_shared_out = not self.memory.is_plenty_for(sum(segment.size for segment in segments))
        limit = session.limit_memory if is_shared_out else _leave_memory
        limit(self.memory.of_waiting_warehouse)
        with session.together():
            for portion, prepared, shares in self.prepared(segments, session.last_load_seq() + 1):
                limit(shares.comparing)
                with closing(prepared.settle(session.known_events)) as batch:
                    self.commit(pipeline, session, batch, partial(limit, shares.inserting))
                limit(self.memory.of_waiting_warehouse)
                poisoned += batch.poisoned
                report = report.after(batch, len(portion))
            if is_shared_out:
                limit(self.shares().inserting)
        self._set_aside(poisoned)
        unread = {segment.batch_id for segment, _ in poisoned}
        self._release([segment for segment in segments if segment.batch_id not in unread])
        return report

    def session(self) -> AbstractContextManager[WarehouseSession]:
        """Hold the warehouse, with its share of the memory; raises as that does."""
        return self.warehouse.session(self.shares().inserting)

    def shares(self) -> MemoryShares:
        """Share out the memory that is left now; takes some milliseconds."""
        return self.memory.shares(held_bytes())

    def finish_pending(self) -> None:
        """Complete a load that was interrupted, if there is one; nothing new is read."""
        if not self.state.exists():
            return
        with self.locked(), self.session() as session:
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

    def ready(self, session: WarehouseSession) -> dlt.Pipeline:
        """Return the pipeline, with nothing under way and every table there."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # of a load that was killed
        pipeline = self._pipeline(session)
        self._finish_pending(pipeline, session)
        if session.missing_tables():
            empties = {name: rows_of_arrow(rows) for name, rows in empty_tables().items()}
            pipeline.run(raw_tables(empties), loader_file_format=session.file_format)
            session.upgrade()
        return pipeline

    def _tombstones(self) -> Tombstones:
        # Read each time: somebody may have been erased since the last one.
        return Tombstones(self.archive)

    def options(
        self, shares: MemoryShares, first: Sequence[Amendment] = (), last: Sequence[Amendment] = ()
    ) -> ReadingOptions:
        """Return how segments are read, with the amendments *first* and *last* before and behind its own."""
        tombstones = self._tombstones()
        erased = (tombstones,) if tombstones else ()
        return ReadingOptions(shares.reader, None, self._scratch, (*erased, *first, *self.amendments, *last))

    @property
    def _scratch(self) -> Path:
        return self.state / "scratch"

    def portions(self, segments: Sequence[Segment]) -> Iterator[list[Segment]]:
        """Split *segments*, in order, into what one load takes."""
        return _portions(segments, self.memory.of_portion, LOAD_SEGMENTS)

    def prepared(
        self, segments: Sequence[Segment], load_seq: int
    ) -> Iterator[tuple[list[Segment], PreparedBatch, MemoryShares]]:
        """
        Yield *segments* in portions, each with the memory for its load; asked for while the warehouse waits.

        With memory for two, one is read while that before is loaded.
        """
        is_plenty = self.memory.is_plenty_for(sum(segment.size for segment in segments))
        shares = self.shares()
        options = self.options(shares)
        portions = enumerate(self.portions(segments), start=load_seq)
        with ThreadPoolExecutor(1, thread_name_prefix="reading") as reading:
            ahead: deque[tuple[list[Segment], Future[PreparedBatch]]] = deque()
            for number, portion in portions:
                if not (is_plenty or self.memory.is_for_two):
                    shares = self.shares()
                keeping = None if is_plenty else shares.keeping
                options = replace(options, memory=shares.reader, keeping=keeping)
                if not self.memory.is_for_two:
                    yield portion, prepare_batch(portion, number, self.now(), options), shares
                    continue
                ahead.append((portion, reading.submit(prepare_batch, portion, number, self.now(), options)))
                if len(ahead) > 1:
                    before, prepared = ahead.popleft()
                    yield before, prepared.result(), shares
            for portion, prepared in ahead:
                yield portion, prepared.result(), shares

    @staticmethod
    def commit(
        pipeline: dlt.Pipeline,
        session: WarehouseSession,
        batch: LoadBatch,
        before_inserting: Callable[[], None] = lambda: None,
    ) -> None:
        """Load *batch*, whole or not at all, and close it; *before_inserting* is called when dlt has its rows."""
        if not batch.tables:
            return
        displaced = batch.tables.get("displaced_events")
        if displaced is not None:
            session.forget_build()
        tables = {name: rows.altered(partial(session.fitted, name)) for name, rows in batch.tables.items()}
        with session.loading(None if displaced is None else displaced.table):
            pipeline.extract(raw_tables(tables), loader_file_format=session.file_format)
            # They are in dlt's files now, and the warehouse can have the memory.
            batch.close()
            before_inserting()
            pipeline.normalize()
            pipeline.load()

    def _set_aside(self, poisoned: Sequence[tuple[Segment, str]]) -> None:
        for segment, error in poisoned:
            self.stage.set_aside(segment)
            self.notice(f"{segment.path.name} cannot be read and was set aside: {error}")

    def _forget_old_days(self) -> None:
        if self.archive_days is None:
            return
        gone = Archive(self.archive).remove_before(self.now(), self.archive_days)
        if gone:
            days = f"{gone[0]}" if len(gone) == 1 else f"{len(gone)} days up to {gone[-1]}"
            self.notice(f"archive: removed {days}, kept are {self.archive_days} days")

    def _release(self, segments: Sequence[Segment]) -> None:
        tombstones = self._tombstones()
        for segment in segments:
            self.stage.release(segment, self.archive, tombstones.cleaned_line if tombstones else None)

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
    def locked(self) -> Iterator[None]:
        """
        Keep other loaders of this stage out.

        Raises:
            LoadLockedError: Another one kept working on it.
        """
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


def _leave_memory(_most_bytes: int) -> None:
    """Limit nothing."""


def _portions(segments: Sequence[Segment], most_bytes: int, most: int) -> Iterator[list[Segment]]:
    """Split *segments*, in order, into portions of so many bytes (one larger segment goes alone) and segments."""
    portion: list[Segment] = []
    size = 0
    for segment in segments:
        if portion and (size + segment.size > most_bytes or len(portion) == most):
            yield portion
            portion, size = [], 0
        portion.append(segment)
        size += segment.size
    if portion:
        yield portion
