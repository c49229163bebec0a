"""
The archive through the loader again: what `raw` lacks is loaded, and what it has is read again and counted anew.

A batch that the ledger has keeps its place there. It is read with today's mappings and columns, and compared with what
`raw` holds of it (`pipelines.recount`): rows that read otherwise are replaced, and where nothing differs nothing is
written. A batch that the ledger lacks, as in a warehouse that is made anew, is loaded as if it came from the stage.
At the end what waits in quarantine is judged by today's contracts, as `quarantine replay` does.

Killed anywhere, what has committed is right, and another call does the rest.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dlt
import duckdb
import pyarrow as pa

from ingest.archive import Archive, damage_of
from ingest.staging import Segment
from pipelines.batches import Counts, prepare_batch
from pipelines.fates import PLACES_SCHEMA
from pipelines.full_disk import full_disk_told
from pipelines.load import Loader
from pipelines.quarantine import Quarantine
from pipelines.quarantine import Selection as Waiting
from pipelines.raw_tables import DATASET
from pipelines.recount import Recount, recount
from pipelines.status import write_status
from pipelines.warehouse import WarehouseSession, quoted_names

_LONGEST_OPEN = timedelta(days=1)
"""A segment holds what was received this long after it was opened, at most; an hour is what the settings allow."""

_GROUPS = pa.schema([("batch_id", pa.string()), ("source_id", pa.string())])
_HELD_GROUPS = pa.schema([*_GROUPS, ("load_seq", pa.int64()), ("loaded_at", pa.timestamp("us"))])
_HELD_WAITING = pa.schema(
    [
        *PLACES_SCHEMA,
        *(
            (name, pa.string())
            for name in (
                "event_id", "event_type", "schema_version", "reason", "detail", "payload", "payload_base64",
                "body_sha256",
            )
        ),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReplaySelection:
    """
    Which archived lines to read again: those that agree with all that is given.

    A batch is read again whole, as far as it is of the source of such a line.

    Attributes:
        source_id: Of the configuration, today's or an earlier one.
        since: Received then or later, UTC without a zone.
        until: Received before.
    """

    source_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_EVERYTHING = ReplaySelection()


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """
    What one call did, or would do.

    Attributes:
        segments: Read.
        counts: What became of their lines, as counted now.
        loaded: Of the events, those that `raw` did not hold.
        changed: Those that read otherwise than they stood there, and were replaced.
        removed: Those that are no longer an event, or no longer under that id.
        released: Events that fit a contract of today, out of quarantine.
        damaged: Names of segments that cannot be read, each with why.
    """

    segments: int = 0
    counts: Counts = field(default_factory=Counts)
    loaded: int = 0
    changed: int = 0
    removed: int = 0
    released: int = 0
    damaged: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class ArchiveReplay:
    """
    Replays the archive of one loader.

    Attributes:
        loader: Its stage, archive, warehouse and amendments.
        quarantine: Of the same stage and warehouse.
        is_dry_run: Nothing is written. What several segments bring is then new in each of them.
        on_progress: Told how many segments are done, and of how many.
    """

    loader: Loader
    quarantine: Quarantine
    is_dry_run: bool = False
    on_progress: Callable[[int, int], None] = lambda _done, _all: None
    _report: ReplayReport = field(default_factory=ReplayReport, init=False)

    def replay(self, selection: ReplaySelection) -> ReplayReport:
        """
        Read the lines of *selection* again, and bring `raw` to what they say today.

        Raises:
            LoadLockedError: Another loader kept working on this stage.
            WarehouseLockedError: Another program kept the warehouse open.
            DiskFullError: There was no room; another call goes on.
        """
        since = None if selection.since is None else (selection.since - _LONGEST_OPEN).date()
        self._replay(Archive(self.loader.archive).segments(since), selection)
        self._replay_quarantine(selection)
        return self._report

    def replay_batches(self, batch_ids: Collection[str]) -> ReplayReport:
        """Read the lines of these batches again, and leave what waits in quarantine."""
        segments = Archive(self.loader.archive).segments()
        self._replay([segment for segment in segments if segment.batch_id in batch_ids], _EVERYTHING)
        return self._report

    def _replay(self, segments: Sequence[Segment], selection: ReplaySelection) -> None:
        self._report = ReplayReport()
        with full_disk_told("replay"), self.loader.locked(), self.loader.session() as session:
            pipeline = self.loader.ready(session)
            readable = self._readable(segments)
            done = 0
            for portion in self.loader.portions(readable):
                self._replay_portion(pipeline, session, portion, selection)
                done += len(portion)
                self.on_progress(done, len(readable))
            if not self.is_dry_run:
                write_status(session, self.loader.state, recounting=True)

    def _readable(self, segments: Sequence[Segment]) -> list[Segment]:
        damaged = [(segment, damage_of(segment)) for segment in segments]
        for segment, damage in damaged:
            if damage is not None:
                self._tell_damage(segment, damage)
        return [segment for segment, damage in damaged if damage is None]

    def _tell_damage(self, segment: Segment, damage: str) -> None:
        self._report = replace(self._report, damaged=(*self._report.damaged, (segment.path.name, damage)))
        self.loader.notice(f"{segment.path} cannot be read and is left out: {damage}")

    def _replay_portion(
        self, pipeline: dlt.Pipeline, session: WarehouseSession, portion: Sequence[Segment], selection: ReplaySelection
    ) -> None:
        held = _held_groups(session, [segment.batch_id for segment in portion])
        known = set(held["batch_id"].to_pylist())
        chosen = _Chosen(selection, held)
        in_ledger = [segment for segment in portion if segment.batch_id in known]
        if in_ledger:
            self._read_again(session, in_ledger, chosen)
        fresh = [segment for segment in portion if segment.batch_id not in known or segment.batch_id in chosen.fresh]
        if fresh:
            self._load(pipeline, session, fresh, chosen)

    def _read_again(self, session: WarehouseSession, segments: Sequence[Segment], chosen: "_Chosen") -> None:
        names = [segment.batch_id for segment in segments]
        waiting = _WaitingLines(_held_waiting(session, names))
        options = self.loader.options(
            self.loader.shares(), (chosen.keep_held, waiting.note_places), (waiting.keep_waiting,)
        )
        # Each line gets the place of its batch; what is given here is for none.
        prepared = prepare_batch(segments, 0, self.loader.now(), options)
        with closing(prepared.settle(session.known_apart_from(names))) as batch:
            changes = recount(session, batch, chosen.groups, waiting.held) if chosen.groups.num_rows else Recount()
        for segment, damage in batch.poisoned:
            self._tell_damage(segment, damage)
        if not self.is_dry_run:
            changes.write(session)
        self._count(len(segments) - len(batch.poisoned), batch.counts, *changes.events())

    def _load(
        self, pipeline: dlt.Pipeline, session: WarehouseSession, segments: Sequence[Segment], chosen: "_Chosen"
    ) -> None:
        options = self.loader.options(self.loader.shares(), (chosen.keep_fresh,))
        prepared = prepare_batch(segments, session.last_load_seq() + 1, self.loader.now(), options)
        with closing(prepared.settle(session.known_events)) as batch:
            if not self.is_dry_run:
                self.loader.commit(pipeline, session, batch)
        for segment, damage in batch.poisoned:
            self._tell_damage(segment, damage)
        read_before = sum(segment.batch_id in chosen.fresh for segment in segments)
        self._count(len(segments) - len(batch.poisoned) - read_before, batch.counts, batch.counts.loaded, 0, 0)

    # As an event is counted: new, changed, gone.
    def _count(self, segments: int, counts: Counts, loaded: int, changed: int, removed: int) -> None:
        before = self._report
        self._report = replace(
            before,
            segments=before.segments + segments,
            counts=before.counts + counts,
            loaded=before.loaded + loaded,
            changed=before.changed + changed,
            removed=before.removed + removed,
        )

    def _replay_quarantine(self, selection: ReplaySelection) -> None:
        waiting = Waiting(source_id=selection.source_id, since=selection.since, until=selection.until)
        judged = self.quarantine.replay(waiting, is_dry_run=self.is_dry_run)
        released = judged.fitting
        if judged.segments:
            released = self.loader.load().counts.loaded
        self._report = replace(self._report, released=released)


@dataclass(slots=True)
class _Chosen:
    """
    The lines that are asked for, in two parts: those whose batch and source the ledger has, and the others.

    Attributes:
        groups: The batches and sources of the first part, once it was read.
        fresh: The batches that have both.
    """

    selection: ReplaySelection
    held: pa.Table
    groups: pa.Table = field(default_factory=_GROUPS.empty_table)
    fresh: set[str] = field(default_factory=set)

    def keep_held(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Keep the first part, each line with the place and time of its load."""
        self._choose(reader)
        rows = reader.execute("select distinct batch_id from chosen anti join held_groups using (batch_id, source_id)")
        self.fresh = {batch_id for (batch_id,) in rows.fetchall()}
        reader.execute(
            "delete from chosen where (batch_id, source_id) not in (select (batch_id, source_id) from held_groups)"
        )
        self.groups = reader.sql("from chosen").to_arrow_table().cast(_GROUPS)
        reader.execute("""
            create or replace temp table lines as
            select lines.* replace (held_groups.load_seq as load_seq, held_groups.loaded_at as loaded_at)
            from lines
            semi join chosen using (batch_id, source_id)
            join held_groups using (batch_id, source_id)
        """)
        reader.unregister("held_groups")

    def keep_fresh(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Keep the second part."""
        self._choose(reader)
        reader.execute("""
            create or replace temp table lines as
            from lines
            semi join chosen using (batch_id, source_id)
            anti join held_groups using (batch_id, source_id)
        """)
        reader.unregister("held_groups")

    def _choose(self, reader: duckdb.DuckDBPyConnection) -> None:
        reader.register("held_groups", self.held)
        reader.execute(
            """
            create or replace temp table chosen as
            select distinct batch_id, source_id
            from lines
            where
                ($source is null or source_id = $source)
                and ($since is null or received_at >= cast($since as timestamp))
                and ($until is null or received_at < cast($until as timestamp))
            """,
            {"source": self.selection.source_id, "since": self.selection.since, "until": self.selection.until},
        )


@dataclass(frozen=True, slots=True)
class _WaitingLines:
    """
    Lines that `raw` has in quarantine stay what they are there, whatever would be made of them today.

    Their way out is a replay of the quarantine, which counts them as it should: the row stays, marked.

    Attributes:
        held: The rows of the quarantine (_HELD_WAITING) that came with the batches at hand.
    """

    held: pa.Table

    def note_places(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Note which places there were before any mapping."""
        if self.held.num_rows:
            reader.execute(
                "create or replace temp table staged_places as select distinct delivery_id, position from lines"
            )

    def keep_waiting(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Make the lines of today what they were when they were quarantined."""
        if not self.held.num_rows:
            return
        reader.register("waiting", self.held)
        # What a mapping makes of a body besides its first event, it makes when the body is replayed.
        reader.execute("""
            delete from lines
            where
                delivery_id in (select delivery_id from waiting)
                and (delivery_id, position) not in (select (delivery_id, position) from staged_places)
        """)
        replaced = ", ".join(
            f"case when waits then waiting.{name} else lines.{name} end as {name}"
            for name in _HELD_WAITING.names
            if name not in PLACES_SCHEMA.names
        )
        reader.execute(f"""
            create or replace temp table lines as
            select
                lines.* replace (
                    case when waits then 'quarantined' else lines.outcome end as outcome, {replaced}
                )
            from (
                select lines.*, waiting.delivery_id is not null and not lines.is_replay as waits
                from lines
                left join waiting using (delivery_id, position)
            ) as lines
            left join waiting using (delivery_id, position)
        """)
        reader.execute("alter table lines drop column waits")
        reader.unregister("waiting")


def _held_groups(session: WarehouseSession, batch_ids: Sequence[str]) -> pa.Table:
    return session.arrow(
        "select batch_id, source_id, min(load_seq) as load_seq, min(loaded_at) as loaded_at "
        f"from {DATASET}.loads where batch_id in ({quoted_names(batch_ids)}) group by batch_id, source_id"
    ).cast(_HELD_GROUPS)


def _held_waiting(session: WarehouseSession, batch_ids: Sequence[str]) -> pa.Table:
    return session.arrow(
        f"select {', '.join(_HELD_WAITING.names)} from {DATASET}.quarantined_events "
        f"where batch_id in ({quoted_names(batch_ids)})"
    ).cast(_HELD_WAITING)


def utc(moment: datetime) -> datetime:
    """Return *moment* as `raw` has it: UTC without a zone, which is what one without a zone is taken for."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
