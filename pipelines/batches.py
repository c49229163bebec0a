"""
Closed segments to one load batch: what is new as typed rows, and a count of what became of every line.

Everything here is DuckDB over the segment files; no line becomes a Python object, unless an amendment makes it one.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingest.staging import Segment
from models.columns import EVENT_COLUMNS
from models.event_types import EVENT_TYPES
from pipelines.batch_rows import BatchRows, rows_of_table
from pipelines.event_tables import NO_MISFITS, ParsedEvents, parsed_events
from pipelines.fates import QUARANTINED_SCHEMA, KnownEvents, compare_arrivals, decide_fates
from pipelines.staged_lines import read_lines

Amendment = Callable[[duckdb.DuckDBPyConnection], None]
"""Changes the temp table `lines` of a connection before the lines are looked at."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lines of a load. `duplicate` includes the `conflicting`."""

    received: int = 0
    loaded: int = 0
    duplicate: int = 0
    conflicting: int = 0
    quarantined: int = 0
    refused: int = 0

    def displacing(self, events: int, conflicts: int) -> "Counts":
        """Return these, after *events* gave way to copies among the loaded, *conflicts* of them with other bodies."""
        return replace(
            self,
            loaded=self.loaded - events,
            duplicate=self.duplicate + events,
            conflicting=self.conflicting + conflicts,
        )

    def __add__(self, other: "Counts") -> "Counts":
        """Return the sums."""
        return Counts(
            self.received + other.received,
            self.loaded + other.loaded,
            self.duplicate + other.duplicate,
            self.conflicting + other.conflicting,
            self.quarantined + other.quarantined,
            self.refused + other.refused,
        )


@dataclass(frozen=True, slots=True)
class LoadBatch:
    """
    One load, ready for the warehouse.

    Attributes:
        load_seq: The load's place in the order of loads.
        tables: By name of the table in `raw`; only those with rows.
        counts: Over all its lines.
        poisoned: Segments with a line that is not ours, and what the reader said; none of their lines is in `tables`.
    """

    load_seq: int
    tables: dict[str, BatchRows]
    counts: Counts
    poisoned: list[tuple[Segment, str]]
    _reader: duckdb.DuckDBPyConnection | None = field(default=None, repr=False, compare=False)

    def close(self) -> None:
        """Let go of the rows of `tables`, which are read as they are asked for; again and again."""
        if self._reader is not None:
            self._reader.close()


def empty_tables() -> dict[str, pa.Table]:
    """Every raw table with its columns and no rows, so that a new warehouse has them before the first event."""
    with closing(_reader(ReadingOptions())) as reader:
        read_lines(reader, [], 0, datetime.now(UTC))
        parsed = {name: parsed_events(reader, name) for name in EVENT_COLUMNS}
        tables, _counts = _tables_of(reader, parsed, KnownEvents())
        return {name: rows.schema.empty_table() for name, rows in tables.items()}


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """
    How segments are read.

    Attributes:
        memory: Bytes that DuckDB may use to read them.
        keeping: Bytes that it may use to keep what it read; None for as many.
        scratch: Directory for what does not fit into them; None for one that DuckDB chooses.
        amendments: In order.
    """

    memory: int = 256 * 1024 * 1024
    keeping: int | None = None
    scratch: Path | None = None
    amendments: Sequence[Amendment] = ()


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """
    Segments read and taken apart; what the warehouse holds has not been asked yet.

    Attributes:
        load_seq: As on the rows.
        poisoned: As of the load.
    """

    load_seq: int
    poisoned: list[tuple[Segment, str]]
    _reader: duckdb.DuckDBPyConnection
    _parsed: dict[str, ParsedEvents]

    def settle(self, known: KnownEvents) -> LoadBatch:
        """Keep what *known* does not hold yet; of an event's copies the first received wins. Once only."""
        try:
            tables, counts = _tables_of(self._reader, self._parsed, known)
        except BaseException:
            self._reader.close()
            raise
        found = {name: rows for name, rows in tables.items() if rows.num_rows}
        return LoadBatch(self.load_seq, found, counts, self.poisoned, self._reader)

    def drop(self) -> None:
        """Let go of it, unsettled."""
        self._reader.close()


def prepare_batch(
    segments: Sequence[Segment], load_seq: int, loaded_at: datetime, options: ReadingOptions = ReadingOptions()
) -> PreparedBatch:
    """
    Read *segments*, on a connection of its own, so that another batch may be loaded meanwhile.

    Args:
        segments: Closed; none loaded before.
        load_seq: Written on every row; larger than that of any load before.
        loaded_at: Aware UTC; for the ledger of loads, and for what is replayed.
        options: How.
    """
    reader = _reader(options)
    try:
        poisoned = read_lines(reader, segments, load_seq, loaded_at)
        for amend in options.amendments:
            amend(reader)
        parsed = _parsed(reader)
        if options.keeping is not None:
            with suppress(duckdb.OutOfMemoryException):  # what cannot be moved to the disk stays
                reader.execute(f"set memory_limit = '{options.keeping}B'")
        return PreparedBatch(load_seq, poisoned, reader, parsed)
    except BaseException:
        reader.close()
        raise


def read_batch(
    segments: Sequence[Segment],
    load_seq: int,
    loaded_at: datetime,
    known: KnownEvents,
    options: ReadingOptions = ReadingOptions(),
) -> LoadBatch:
    """Prepare and settle a batch, which is to be closed."""
    return prepare_batch(segments, load_seq, loaded_at, options).settle(known)


def _parsed(reader: duckdb.DuckDBPyConnection) -> dict[str, ParsedEvents]:
    """Take apart what there is; to plan a query of so many columns takes longer than to read a few events."""
    types = reader.execute("select distinct event_type from lines where outcome = 'accepted'").fetchall()
    tables = {EVENT_TYPES[name].table for (name,) in types if name in EVENT_TYPES}
    return {name: parsed_events(reader, name) for name in EVENT_COLUMNS if name in tables}


def _reader(options: ReadingOptions) -> duckdb.DuckDBPyConnection:
    # A directory of its own: two of these at once would write to files of the same names.
    scratch = {}
    if options.scratch is not None:
        options.scratch.mkdir(parents=True, exist_ok=True)
        scratch = {"temp_directory": str(options.scratch / uuid4().hex)}
    # One thread: the other cores load the batch before meanwhile, and each thread takes 32 MB for reading JSON.
    reader = duckdb.connect(config={"memory_limit": f"{options.memory}B", "threads": 1, **scratch})
    # Tables are registered; what Python calls by the same name is none, and is looked for in every frame.
    reader.execute("set TimeZone = 'UTC'; set python_enable_replacements = false")
    return reader


def _tables_of(
    reader: duckdb.DuckDBPyConnection, parsed: dict[str, ParsedEvents], known: KnownEvents
) -> tuple[dict[str, BatchRows], Counts]:
    compare_arrivals(reader, known, pa.concat_tables([NO_MISFITS, *(events.misfits for events in parsed.values())]))
    decide_fates(reader, known)
    is_new = "line_number in (select line_number from arrivals where fate = 'loaded')"
    tables = {
        **{name: events.rows_where(is_new) for name, events in parsed.items()},
        "quarantined_events": _rows_of(reader, "quarantined_events", _QUARANTINED, QUARANTINED_SCHEMA),
        "replayed_events": rows_of_table(reader, "replays"),
        "event_conflicts": _rows_of(reader, "event_conflicts", _CONFLICTS),
        "displaced_events": _rows_of(reader, "displaced_events", _DISPLACED),
        "deliveries": _rows_of(reader, "deliveries", _DELIVERIES),
        "loads": _rows_of(reader, "loads", _LOADS),
    }
    totals = tables["loads"].table.select(list(Counts.__slots__)).to_pylist()
    displaced = tables["displaced_events"].table
    return tables, sum((Counts(**row) for row in totals), Counts()).displacing(
        displaced.num_rows, pc.sum(displaced["is_conflict"]).as_py() or 0
    )


def _rows_of(reader: duckdb.DuckDBPyConnection, name: str, sql: str, schema: pa.Schema | None = None) -> BatchRows:
    reader.execute(f"create or replace temp table rows_of_{name} as {sql}")
    return rows_of_table(reader, f"rows_of_{name}", schema)


# A row that the warehouse holds open comes once more, whole, when its replay has loaded.
_QUARANTINED = """
    with

    replayed as (

        select delivery_id, position, replayed_at from replays
        union all
        select delivery_id, position, replayed_at from known_replays

    ),

    arrived as (

        select
            delivery_id, cast(position as bigint) as position, source_id, event_id, event_type, schema_version,
            fate_reason as reason, fate_detail as detail, payload, payload_base64, received_at, body_sha256, batch_id,
            load_seq
        from lines
        join fates using (line_number)
        where fate = 'quarantined'

    ),

    held as (

        select held_quarantine.* exclude (replayed_at)
        from held_quarantine
        semi join replayed using (delivery_id, position)
        where held_quarantine.replayed_at is null

    )

    select *
    from (from arrived union all by name from held)
    left join replayed using (delivery_id, position)
"""

_CONFLICTS = """
    with

    arrived as (

        select
            source_id, event_id, event_type, occurred_at, kept_body_sha256, body_sha256, payload, received_at,
            delivery_id, position, batch_id, load_seq
        from lines
        join fates using (line_number)
        where fate = 'conflicting'

    ),

    gave_way as (

        select
            held.source_id, held.event_id, held.event_type, held.occurred_at, displaced.kept_body_sha256,
            held.body_sha256, held.payload, held.received_at, held.delivery_id, 0 as position, held.batch_id,
            displaced.load_seq
        from displaced
        join displaced_bodies as held using (source_id, event_id)

    )

    select distinct on (source_id, event_id, body_sha256) * exclude (position)
    from (from arrived union all by name from gave_way)
    order by source_id, event_id, body_sha256, received_at, delivery_id, position
"""

_DISPLACED = """
    select
        source_id, event_id, batch_id, occurred_at, received_at, body_sha256, kept_body_sha256, is_conflict,
        kept_batch_id, load_seq
    from displaced
"""

_DELIVERIES = """
    select
        delivery_id, source_id, received_at, status_code, outcome, reason, detail, response_ms, body_bytes, event_id,
        secret_name, batch_id, load_seq
    from lines
    where line_number in (select min(line_number) from lines where is_delivery group by delivery_id)
"""

_LOADS = """
    select
        batch_id,
        source_id,
        cast(received_at as date) as received_date,
        load_seq,
        loaded_at,
        max(received_at) as last_received_at,
        count(fate) as received,
        count(*) filter (fate = 'loaded') as loaded,
        count(*) filter (fate in ('duplicate', 'conflicting')) as duplicate,
        count(*) filter (fate = 'conflicting') as conflicting,
        count(*) filter (fate = 'quarantined') as quarantined,
        count(*) filter (fate = 'refused') as refused
    from lines
    left join fates using (line_number)
    group by all
"""
