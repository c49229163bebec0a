"""
What a lake holds already of the lines of a load.

As on a DuckDB file (`pipelines.duckdb_known_events`), but for how rows are found: those of a lake have no places, and
its catalog knows of each file the times that it is of, so that files of other times are not opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.duckdb_known_events import EVENT_TABLES, TIME, HeldEvents

_ISLANDS = 8
"""Stretches of time at most that a lookup is split into; each further one costs a query per table."""


@dataclass(frozen=True, slots=True)
class EventsInLake(HeldEvents):
    """What the attached lake holds of the lines of a load."""

    def _held_events(self, sought: str, schema: pa.Schema, by: str) -> pa.Table:
        conditions = self._stretches(sought) if by == TIME else ("true",)
        return pa.concat_tables(
            self._rows_of(table, sought, schema, condition) for table in EVENT_TABLES for condition in conditions
        )

    def _stretches(self, sought: str) -> Sequence[str]:
        """Return SQL conditions that together take in every `occurred_at` of *sought*, and little between."""
        rows = self.connection.execute(f"""
            with

            in_order as (

                select occurred_at, occurred_at - lag(occurred_at) over (order by occurred_at) as gap
                from {sought}

            ),

            widest as (

                select gap from in_order where gap > interval 1 hour order by gap desc limit {_ISLANDS - 1}

            ),

            islands as (

                select
                    occurred_at,
                    count(*) filter (gap >= (select min(gap) from widest)) over (order by occurred_at) as island
                from in_order

            )

            select min(occurred_at), max(occurred_at) from islands group by island order by 1
        """).fetchall()
        return [f"occurred_at between timestamp '{first}' and timestamp '{last}'" for first, last in rows]
