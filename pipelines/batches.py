"""
Closed segments to one load batch: what is new as typed Arrow tables, and a count of what became of every line.

Everything here is DuckDB over the segment files; no line becomes a Python object.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from ingest.staging import SEGMENT_COLUMNS, Segment
from models.columns import EVENT_COLUMNS, Kind
from models.event_types import EVENT_TYPES
from pipelines.extraction import ARROW_TYPES, structure, typed, unreadable
from pipelines.fates import QUARANTINED_SCHEMA, KnownEvents, compare_arrivals, decide_fates

# A line longer than DuckDB's own limit is an error there; no line is longer than its segment.
_LEAST_LINE_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lines of a load. `duplicate` includes the `conflicting`."""

    received: int = 0
    loaded: int = 0
    duplicate: int = 0
    conflicting: int = 0
    quarantined: int = 0
    refused: int = 0

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
    tables: dict[str, pa.Table]
    counts: Counts
    poisoned: list[tuple[Segment, str]]


def empty_tables() -> dict[str, pa.Table]:
    """Every raw table with its columns and no rows, so that a new warehouse has them before the first event."""
    return {
        name: arrow.slice(0, 0)
        for name, arrow in _tables_of(_reader(), [], 0, datetime.now(UTC), KnownEvents())[0].items()
    }


def read_batch(segments: Sequence[Segment], load_seq: int, loaded_at: datetime, known: KnownEvents) -> LoadBatch:
    """
    Read *segments* and keep what the warehouse does not hold yet; within them the first received copy of an event wins.

    Args:
        segments: Closed; none loaded before.
        load_seq: Written on every row; larger than that of any load before.
        loaded_at: Aware UTC; for the ledger of loads, and for what is replayed.
        known: What the warehouse holds of the lines at hand.
    """
    reader = _reader()
    poisoned = list(_poisoned(reader, segments))
    bad = {segment.batch_id for segment, _ in poisoned}
    good = [segment for segment in segments if segment.batch_id not in bad]
    tables, counts = _tables_of(reader, good, load_seq, loaded_at, known)
    return LoadBatch(load_seq, {name: arrow for name, arrow in tables.items() if arrow.num_rows}, counts, poisoned)


def _reader() -> duckdb.DuckDBPyConnection:
    reader = duckdb.connect()
    reader.execute("set TimeZone = 'UTC'")
    return reader


def _poisoned(reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> Iterator[tuple[Segment, str]]:
    """Yield the segments that cannot be read; one pass over all of them where there are none."""
    if not segments or _reading_error(reader, segments) is None:
        return
    for segment in segments:
        if (error := _reading_error(reader, [segment])) is not None:
            yield segment, error


def _reading_error(reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> str | None:
    try:
        reader.execute(f"create or replace temp table staged as {_staged(segments)}")
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    row = reader.execute(f"select count(*) from staged where {_NOT_OURS}").fetchone()
    return f"lines that no receiver writes: {row[0]}" if row and row[0] else None


# JSON of another shape, or with a field lost or changed: loaded, it would stop every load or count as what it is not.
_NOT_OURS = """
    is_delivery is null or delivery_id is null or source_id is null
    or try_cast(received_at as timestamptz) is null
    or (occurred_at is not null and try_cast(occurred_at as timestamptz) is null)
    or coalesce(outcome, '') not in ('accepted', 'quarantined', 'refused')
    or (outcome = 'accepted' and (event_id is null or occurred_at is null or body_sha256 is null))
"""


def _staged(segments: Sequence[Segment]) -> str:
    columns = ", ".join(f"{name}: '{duckdb_type}'" for name, duckdb_type in SEGMENT_COLUMNS.items())
    if not segments:
        return (
            "select "
            + ", ".join(
                f"cast(null as {kind}) as {name}" for name, kind in {**SEGMENT_COLUMNS, "batch_id": "varchar"}.items()
            )
            + " where false"
        )
    paths = ", ".join("'" + str(segment.path).replace("'", "''") + "'" for segment in segments)
    limit = max(_LEAST_LINE_LIMIT, *(segment.size + 1 for segment in segments))
    return f"""
        select
            * exclude (filename) replace (
                -- Segments of before there were several events in a delivery, or replays, do not say.
                coalesce(position, 0) as position, coalesce(is_replay, false) as is_replay
            ),
            parse_filename(filename, true) as batch_id
        from read_json(
            [{paths}], format = 'newline_delimited', columns = {{{columns}}}, filename = true,
            maximum_object_size = {limit}
        )
    """


def _tables_of(
    reader: duckdb.DuckDBPyConnection,
    segments: Sequence[Segment],
    load_seq: int,
    loaded_at: datetime,
    known: KnownEvents,
) -> tuple[dict[str, pa.Table], Counts]:
    reader.execute(
        f"""
        create or replace temp table lines as
        select
            row_number() over () as line_number,
            staged.* replace (
                cast(received_at as timestamptz) at time zone 'UTC' as received_at,
                cast(occurred_at as timestamptz) at time zone 'UTC' as occurred_at
            ),
            cast({load_seq} as bigint) as load_seq,
            cast($loaded_at as timestamp) as loaded_at
        from ({_staged(segments)}) as staged
        """,
        {"loaded_at": loaded_at.replace(tzinfo=None)},
    )
    compare_arrivals(reader, known)
    event_tables = {name: _event_table(reader, name) for name in EVENT_COLUMNS}
    decide_fates(reader, known)
    tables = {
        **event_tables,
        "quarantined_events": _quarantined_table(reader),
        "replayed_events": reader.sql("from replays").to_arrow_table(),
        "event_conflicts": reader.sql(_CONFLICTS).to_arrow_table(),
        "deliveries": reader.sql(_DELIVERIES).to_arrow_table(),
        "loads": reader.sql(_LOADS).to_arrow_table(),
    }
    totals = tables["loads"].select(list(Counts.__slots__)).to_pylist()
    return tables, sum((Counts(**row) for row in totals), Counts())


def _event_table(reader: duckdb.DuckDBPyConnection, table: str) -> pa.Table:
    """Return the new events of one raw table; one whose JSON does not fit the columns after all goes to the misfits."""
    columns = EVENT_COLUMNS[table]
    ranks = {name: each.lifecycle_rank for name, each in EVENT_TYPES.items() if each.table == table}
    rank_of = " ".join(f"when '{name}' then {rank}" for name, rank in ranks.items())
    types = ", ".join(f"'{name}'" for name in ranks)
    # The contract was checked on the way in by another reader of JSON; where the two differ (a repeated key), the event
    # waits in quarantine instead of arriving with a value nobody checked.
    checks = ", ".join(
        [
            "case when event is null then 'payload' end",
            *(
                f"case when {check} then '{column.path}' end"
                for column in columns
                if (check := unreadable(column, "event"))
            ),
        ]
    )
    reader.execute(f"""
        create or replace temp table parsed as
        select
            lines.*,
            try(json_transform(lines.payload, '{structure(columns)}')) as event
        from lines
        join arrivals using (line_number)
        where arrivals.fate = 'loaded' and lines.event_type in ({types})
    """)
    reader.execute(f"""
        insert into misfits
        select line_number, concat_ws(', ', {checks}) from parsed where concat_ws(', ', {checks}) != ''
    """)
    arrow = reader.sql(f"""
        select
            source_id,
            event_id,
            event_type,
            schema_version,
            occurred_at,
            cast(case event_type {rank_of} end as bigint) as lifecycle_rank,
            has_synthetic_id,
            {", ".join(f'{typed(column, "event")} as "{column.name}"' for column in columns)},
            payload,
            received_at,
            body_sha256,
            delivery_id,
            batch_id,
            load_seq
        from parsed
        where line_number not in (select line_number from misfits)
    """).to_arrow_table()
    schema = pa.schema(
        [
            *(
                pa.field(name, _FRAME[name])
                for name in ("source_id", "event_id", "event_type", "schema_version", "occurred_at")
            ),
            *(pa.field(name, _FRAME[name]) for name in ("lifecycle_rank", "has_synthetic_id")),
            *(pa.field(column.name, ARROW_TYPES[column.kind]) for column in columns),
            *(
                pa.field(name, _FRAME[name])
                for name in ("payload", "received_at", "body_sha256", "delivery_id", "batch_id")
            ),
            pa.field("load_seq", _FRAME["load_seq"]),
        ]
    )
    return arrow.cast(schema)


def _quarantined_table(reader: duckdb.DuckDBPyConnection) -> pa.Table:
    return reader.sql(_QUARANTINED).to_arrow_table().select(QUARANTINED_SCHEMA.names).cast(QUARANTINED_SCHEMA)


_FRAME: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("source_id", "event_id", "event_type", "schema_version", "payload", "body_sha256", "delivery_id", "batch_id"),
        ARROW_TYPES[Kind.TEXT],
    ),
    "occurred_at": ARROW_TYPES[Kind.TIMESTAMP],
    "received_at": ARROW_TYPES[Kind.TIMESTAMP],
    "lifecycle_rank": ARROW_TYPES[Kind.INTEGER],
    "load_seq": ARROW_TYPES[Kind.INTEGER],
    "has_synthetic_id": ARROW_TYPES[Kind.BOOLEAN],
}

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
    select distinct on (source_id, event_id, body_sha256)
        source_id, event_id, event_type, occurred_at, kept_body_sha256, body_sha256, payload, received_at, delivery_id,
        batch_id, load_seq
    from lines
    join fates using (line_number)
    where fate = 'conflicting'
    order by source_id, event_id, body_sha256, received_at, delivery_id, position
"""

_DELIVERIES = """
    select
        delivery_id, source_id, received_at, status_code, outcome, reason, detail, response_ms, body_bytes, event_id,
        secret_name, batch_id, load_seq
    from lines
    where is_delivery
"""

_LOADS = """
    select
        batch_id,
        source_id,
        cast(received_at as date) as received_date,
        load_seq,
        loaded_at,
        max(received_at) as last_received_at,
        count(*) as received,
        count(*) filter (fate = 'loaded') as loaded,
        count(*) filter (fate in ('duplicate', 'conflicting')) as duplicate,
        count(*) filter (fate = 'conflicting') as conflicting,
        count(*) filter (fate = 'quarantined') as quarantined,
        count(*) filter (fate = 'refused') as refused
    from lines
    join fates using (line_number)
    group by all
"""
