"""What a cloud warehouse holds already of the lines of a load: their ids go there in the question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from models.columns import EVENT_COLUMNS
from pipelines import cloud_statements as statements
from pipelines.fates import (
    BODIES_SCHEMA,
    DELIVERIES_SCHEMA,
    KNOWN_SCHEMA,
    QUARANTINED_SCHEMA,
    REPLAYED_SCHEMA,
    KnownEvents,
)

IDS_AT_A_TIME = 2_000
"""In one question: BigQuery takes a million characters and ten thousand values, and an id may have 128."""

_EVENT = ("event_id", "source_id")
_PLACE = ("delivery_id", "position")


@dataclass(frozen=True, slots=True)
class EventsInCloud(KnownEvents):
    """
    What the warehouse holds of the lines of a load.

    Attributes:
        execute: Runs SQL, with values for its `$name`s, and returns the rows.
        others: SQL, true of the rows that count.
    """

    execute: Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
    is_empty: bool
    others: str = "1 = 1"

    def accepted(self, arriving: pa.Table) -> pa.Table:
        """Return those of *arriving* that are in an event table."""
        # An id is unique within a source whatever its type, so every table is asked.
        return self._held(tuple(EVENT_COLUMNS), arriving, _EVENT, KNOWN_SCHEMA)

    def bodies(self, known: pa.Table) -> pa.Table:
        """Return the same events with their bodies."""
        return self._held(tuple(EVENT_COLUMNS), known, _EVENT, BODIES_SCHEMA)

    def refused(self, deliveries: pa.Table) -> pa.Table:
        """Return those of *deliveries* that are held as refused."""
        return self._held(("deliveries",), deliveries, ("delivery_id",), DELIVERIES_SCHEMA, "outcome = 'refused'")

    def quarantined(self, places: pa.Table) -> pa.Table:
        """Return the rows at *places*, replayed ones included."""
        return self._held(("quarantined_events",), places, _PLACE, QUARANTINED_SCHEMA)

    def replayed(self, places: pa.Table) -> pa.Table:
        """Return those of *places* whose replay has loaded."""
        return self._held(("replayed_events",), places, _PLACE, REPLAYED_SCHEMA)

    def _held(
        self, tables: tuple[str, ...], rows: pa.Table, key: tuple[str, ...], schema: pa.Schema, condition: str = "1 = 1"
    ) -> pa.Table:
        if self.is_empty or not rows.num_rows:
            return schema.empty_table()
        sought = set(zip(*(rows[name].to_pylist() for name in key), strict=True))
        ids = sorted({each[0] for each in sought})
        found = []
        for start in range(0, len(ids), IDS_AT_A_TIME):
            part = ids[start : start + IDS_AT_A_TIME]
            sql = statements.held_rows(tables, schema.names, key[0], len(part), f"{condition} and {self.others}")
            found += self.execute(sql, {f"value_{at}": each for at, each in enumerate(part)})
        # The question went by the first part of the key alone.
        of_key = [schema.names.index(name) for name in key]
        wanted = [row for row in found if tuple(row[at] for at in of_key) in sought]
        return pa.table(
            [pa.array([row[at] for row in wanted], each.type) for at, each in enumerate(schema)], schema=schema
        )
