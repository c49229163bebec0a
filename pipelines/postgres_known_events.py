"""What a PostgreSQL warehouse holds already of the lines of a load."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from models.columns import EVENT_COLUMNS
from pipelines.fates import (
    BODIES_SCHEMA,
    DELIVERIES_SCHEMA,
    KNOWN_SCHEMA,
    QUARANTINED_SCHEMA,
    REPLAYED_SCHEMA,
    KnownEvents,
)
from pipelines.postgres_arrow import fetch, put
from pipelines.raw_tables import DATASET

_KEYS = "arriving_keys"
_EVENT = ("source_id", "event_id")
_DELIVERY = ("delivery_id",)
_PLACE = ("delivery_id", "position")


@dataclass(frozen=True, slots=True)
class EventsOnServer(KnownEvents):
    """
    What the server holds of the lines of a load: their keys go there, the rows found come back.

    The lookup goes by the unique index of each table's key, so it costs what the load is large, not what history is;
    the times that arrive need not narrow it.

    Attributes:
        others: SQL, true of the rows that count.
    """

    connection: Any
    is_empty: bool
    others: str = "true"

    def accepted(self, arriving: pa.Table) -> pa.Table:
        """Return those of *arriving* that are in an event table."""
        # An id is unique within a source whatever its type, so every table is asked.
        return self._held(tuple(EVENT_COLUMNS), arriving, _EVENT, KNOWN_SCHEMA)

    def bodies(self, known: pa.Table) -> pa.Table:
        """Return the same events with their bodies."""
        return self._held(tuple(EVENT_COLUMNS), known, _EVENT, BODIES_SCHEMA)

    def refused(self, deliveries: pa.Table) -> pa.Table:
        """Return those of *deliveries* that are held as refused."""
        return self._held(("deliveries",), deliveries, _DELIVERY, DELIVERIES_SCHEMA, "held.outcome = 'refused'")

    def quarantined(self, places: pa.Table) -> pa.Table:
        """Return the rows at *places*, replayed ones included."""
        return self._held(("quarantined_events",), places, _PLACE, QUARANTINED_SCHEMA)

    def replayed(self, places: pa.Table) -> pa.Table:
        """Return those of *places* whose replay has loaded."""
        return self._held(("replayed_events",), places, _PLACE, REPLAYED_SCHEMA)

    def _held(
        self, tables: tuple[str, ...], rows: pa.Table, key: tuple[str, ...], schema: pa.Schema, condition: str = "true"
    ) -> pa.Table:
        if self.is_empty or not rows.num_rows:
            return schema.empty_table()
        put(self.connection, _KEYS, rows.select(list(key)))
        try:
            matching = " and ".join(f"held.{name} = {_KEYS}.{name}" for name in key)
            columns = ", ".join(f"held.{name}" for name in schema.names)
            found = " union all ".join(
                f"select {columns} from {_KEYS} inner join {DATASET}.{table} as held on {matching} "
                f"where {condition} and {self.others}"
                for table in tables
            )
            return fetch(self.connection, found).cast(schema)
        finally:
            with self.connection.cursor() as cursor:
                cursor.execute(f"drop table {_KEYS}")
