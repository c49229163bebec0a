"""Segments to the temp table `lines` of a DuckDB connection, in one pass; no line becomes a Python object."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import duckdb

from ingest.staging import SEGMENT_COLUMNS, Segment

# A line longer than DuckDB's own limit is an error there; no line is longer than its segment.
_LEAST_LINE_LIMIT = 16 * 1024 * 1024

# JSON of another shape, or with a field lost or changed: loaded, it would stop every load or count as what it is not.
_NOT_OURS = """
    is_delivery is null or delivery_id is null or source_id is null
    or try_cast(received_at as timestamptz) is null
    or (occurred_at is not null and try_cast(occurred_at as timestamptz) is null)
    or coalesce(outcome, '') not in ('accepted', 'quarantined', 'refused')
    or (
        outcome = 'accepted'
        and (event_id is null or occurred_at is null or body_sha256 is null)
    )
"""


def read_lines(
    reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment], load_seq: int, loaded_at: datetime
) -> list[tuple[Segment, str]]:
    """
    Make `lines` of all lines of *segments*, and return the segments that cannot be read, with what the reader said.

    `lines` has SEGMENT_COLUMNS, its instants as timestamps in UTC, with `line_number`, `batch_id`, `load_seq` and
    `loaded_at` (as *loaded_at*, UTC). Of a segment that cannot be read it has no line.
    """
    if not segments or _error_of(reader, segments, load_seq, loaded_at) is None:
        if not segments:
            _create(reader, segments, load_seq, loaded_at)
        return []
    poisoned = list(_poisoned(reader, segments, load_seq, loaded_at))
    bad = {segment.batch_id for segment, _ in poisoned}
    _create(reader, [segment for segment in segments if segment.batch_id not in bad], load_seq, loaded_at)
    return poisoned


def _poisoned(
    reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment], load_seq: int, loaded_at: datetime
) -> Iterator[tuple[Segment, str]]:
    for segment in segments:
        if (error := _error_of(reader, [segment], load_seq, loaded_at)) is not None:
            yield segment, error


def _error_of(
    reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment], load_seq: int, loaded_at: datetime
) -> str | None:
    try:
        _create(reader, segments, load_seq, loaded_at)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        return str(error).splitlines()[0]
    row = reader.execute("select count(*) from lines where is_not_ours").fetchone()
    return f"lines that no receiver writes: {row[0]}" if row and row[0] else None


def _create(reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment], load_seq: int, loaded_at: datetime) -> None:
    reader.execute(
        f"""
        create or replace temp table lines as
        select
            row_number() over () as line_number,
            staged.* replace (
                try_cast(received_at as timestamptz) at time zone 'UTC' as received_at,
                try_cast(occurred_at as timestamptz) at time zone 'UTC' as occurred_at,
                -- Segments of before there were several events in a delivery, or replays, do not say.
                coalesce(position, 0) as position,
                coalesce(is_replay, false) as is_replay
            ),
            coalesce({_NOT_OURS}, true) as is_not_ours,
            cast({load_seq} as bigint) as load_seq,
            cast($loaded_at as timestamp) as loaded_at
        from ({_staged(segments)}) as staged
        """,
        {"loaded_at": loaded_at.replace(tzinfo=None)},
    )


def _staged(segments: Sequence[Segment]) -> str:
    if not segments:
        every = {**SEGMENT_COLUMNS, "batch_id": "varchar"}
        nulls = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in every.items())
        return f"select {nulls} where false"
    columns = ", ".join(f"{name}: '{duckdb_type}'" for name, duckdb_type in SEGMENT_COLUMNS.items())
    paths = ", ".join("'" + str(segment.path).replace("'", "''") + "'" for segment in segments)
    limit = max(_LEAST_LINE_LIMIT, *(segment.size + 1 for segment in segments))
    return f"""
        select * exclude (filename), string_split(parse_filename(filename), '.')[1] as batch_id
        from read_json(
            [{paths}], format = 'newline_delimited', columns = {{{columns}}}, filename = true,
            maximum_object_size = {limit}
        )
    """
