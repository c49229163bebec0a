"""Segments to the temp table `lines` of a DuckDB connection, in one pass; no line becomes a Python object."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ingest.staging import SEGMENT_COLUMNS, Segment
from mappings.mapping import SEPARATOR
from pipelines.extraction import utc_of
from pipelines.sql_literals import sql_text

# DuckDB takes buffers of twice the longest line that it is told to expect, for each thread; most lines are short.
_SHORT_LINE = 2 * 1024 * 1024
_SPARE_MEMORY = 256 * 1024 * 1024

# JSON of another shape, or with a field lost or changed: loaded, it would stop every load or count as what it is not.
_NOT_OURS = f"""
    is_delivery is null or delivery_id is null or source_id is null
    or {utc_of("received_at")} is null
    or (occurred_at is not null and {utc_of("occurred_at")} is null)
    or coalesce(outcome, '') not in ('accepted', 'quarantined', 'refused')
    or (
        outcome = 'accepted'
        and (event_id is null or occurred_at is null or body_sha256 is null)
    )
"""

_IS_UNMAPPED = f"outcome = 'accepted' and contains(coalesce(event_type, ''), '{SEPARATOR}')"


def read_lines(
    reader: duckdb.DuckDBPyConnection, segments: Sequence[Segment], load_seq: int, loaded_at: datetime
) -> list[tuple[Segment, str]]:
    """
    Make `lines` of all lines of *segments*, and return the segments that cannot be read, with what the reader said.

    `lines` has SEGMENT_COLUMNS, its instants as timestamps in UTC, with `line_number`, `batch_id`, `load_seq` and
    `loaded_at` (as *loaded_at*, UTC). A payload to which a mapping has yet to be applied is quarantined. Of a segment
    that cannot be read it has no line.
    """
    lines = _Lines(reader, load_seq, loaded_at)
    if lines.error_of(segments) is None:
        return []
    errors = [(segment, lines.error_of([segment])) for segment in segments]
    lines.error_of([segment for segment, error in errors if error is None])
    return [(segment, error) for segment, error in errors if error is not None]


@dataclass(frozen=True, slots=True)
class _Lines:
    reader: duckdb.DuckDBPyConnection
    load_seq: int
    loaded_at: datetime

    def error_of(self, segments: Sequence[Segment]) -> str | None:
        """Make the table of *segments*; return why they cannot be read, None where they can."""
        try:
            self._create(segments)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            return str(error).splitlines()[0]
        row = self.reader.execute("select count(*) from lines where is_not_ours").fetchone()
        return f"lines that no receiver writes: {row[0]}" if row and row[0] else None

    def _create(self, segments: Sequence[Segment]) -> None:
        try:
            self._create_of_lines(segments, _SHORT_LINE)
        except duckdb.InvalidInputException:
            # No line is longer than its segment. The memory for it has to be had, whatever the limit is.
            longest = max(segment.size for segment in segments) + 1
            if longest <= _SHORT_LINE:
                raise
            self.reader.execute(f"set memory_limit = '{16 * longest + _SPARE_MEMORY}B'")
            self._create_of_lines(segments, longest)

    def _create_of_lines(self, segments: Sequence[Segment], longest: int) -> None:
        self.reader.execute(
            f"""
            create or replace temp table lines as
            select
                row_number() over () as line_number,
                staged.* replace (
                    {utc_of("received_at")} as received_at,
                    {utc_of("occurred_at")} as occurred_at,
                    -- Segments of before there were several events in a delivery, or replays, do not say.
                    coalesce(position, 0) as position,
                    coalesce(is_replay, false) as is_replay,
                    -- Of a platform's payload nobody knows which events it tells of until its mapping is applied.
                    case when {_IS_UNMAPPED} then 'quarantined' else outcome end as outcome,
                    case when {_IS_UNMAPPED} then 'unmapped' else reason end as reason
                ),
                coalesce({_NOT_OURS}, true) as is_not_ours,
                cast({self.load_seq} as bigint) as load_seq,
                cast($loaded_at as timestamp) as loaded_at
            from ({_staged(segments, longest)}) as staged
            """,
            {"loaded_at": self.loaded_at.replace(tzinfo=None)},
        )


def _staged(segments: Sequence[Segment], longest: int) -> str:
    if not segments:
        every = {**SEGMENT_COLUMNS, "batch_id": "varchar"}
        nulls = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in every.items())
        return f"select {nulls} where false"
    columns = ", ".join(f"{name}: '{duckdb_type}'" for name, duckdb_type in SEGMENT_COLUMNS.items())
    paths = ", ".join(sql_text(segment.path) for segment in segments)
    return f"""
        select * exclude (filename), string_split(parse_filename(filename), '.')[1] as batch_id
        from read_json(
            [{paths}], format = 'newline_delimited', columns = {{{columns}}}, filename = true,
            maximum_object_size = {longest}
        )
    """
