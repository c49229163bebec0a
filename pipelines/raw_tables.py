"""The dlt source: every table of `raw` with its key, so that a redelivered row replaces itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TColumnSchema
from dlt.extract import DltResource

from models.columns import EVENT_COLUMNS
from pipelines.batch_rows import BatchRows

DATASET = "raw"

ALLOCATIONS = "payout_allocations"
"""A view of `raw`: what the payout events say they settle, as rows."""


@dataclass(frozen=True, slots=True)
class RawTable:
    """
    One table of `raw`.

    Attributes:
        name: In the schema `raw`.
        key: What identifies a row; a load that repeats it replaces the row by itself.
        first_by: Of two rows with one key in one load, the smaller stays.
        clock: An instant that a row which repeats repeats too, so that a search can leave out other days.
        replaced_when: SQL over `held` and `arriving`: whether a row that comes again takes the place of the one before;
            None where it never does.
    """

    name: str
    key: tuple[str, ...]
    first_by: str = "load_seq"
    clock: str | None = None
    replaced_when: str | None = None


RAW_TABLES: dict[str, RawTable] = {
    table.name: table
    for table in (
        # Two senders may use the same id: without source_id the merge would fold them into one row.
        *(RawTable(name, ("source_id", "event_id"), first_by="received_at") for name in EVENT_COLUMNS),
        # A row comes once more when its replay has loaded, to say so.
        RawTable("quarantined_events", ("delivery_id", "position"), clock="received_at", replaced_when="true"),
        RawTable("replayed_events", ("delivery_id", "position")),
        RawTable(
            "event_conflicts",
            ("source_id", "event_id", "body_sha256"),
            first_by="received_at",
            replaced_when="arriving.received_at < held.received_at",
        ),
        RawTable("displaced_events", ("source_id", "event_id", "batch_id")),
        RawTable("deliveries", ("delivery_id",), clock="received_at"),
        RawTable("loads", ("batch_id", "source_id", "received_date")),
    )
}


@dlt.source(name="hookmart")
def raw_tables(tables: Mapping[str, BatchRows]) -> Iterator[DltResource]:
    """Yield one resource per table, merged on its key."""
    for name, rows in tables.items():
        table = RAW_TABLES[name]
        yield dlt.resource(
            rows.altered(partial(_keyed, table)).pieces,
            name=table.name,
            primary_key=table.key,
            # insert-only and append double rows after a kill between the staging copy's commit and its done-mark;
            # delete-insert in one transaction does not.
            write_disposition={"disposition": "merge", "strategy": "delete-insert"},
            columns=_hints(table, rows.schema),
        )


def _hints(table: RawTable, schema: pa.Schema) -> dict[str, TColumnSchema]:
    """What the Arrow schema does not say: which copy stays, and that instants are UTC without a zone."""
    hints: dict[str, TColumnSchema] = {
        field.name: {"data_type": "timestamp", "timezone": False}
        for field in schema
        if pa.types.is_timestamp(field.type)
    }
    hints.setdefault(table.first_by, {})["dedup_sort"] = "asc"
    return hints


def _keyed(table: RawTable, arrow: pa.Table) -> pa.Table:
    """Say in the Arrow schema that a key is never null."""
    return arrow.cast(pa.schema([field.with_nullable(field.name not in table.key) for field in arrow.schema]))
