"""
The further ids of a customer: external ids that stand beside the id in what is kept, and beside nobody else's.

They are looked for in bodies as sent, of the archive, of segments that could not be read and of `raw`: a body in
quarantine has no columns, a mapping may take no notice of an id, and old days of the archive may be gone. Refused
requests teach nothing, as anybody can send one.
"""

import base64
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
import pyarrow as pa

from ingest.archive import Archive
from ingest.erased_json import external_ids_in
from ingest.staging import UNREADABLE, Segment
from models.columns import EVENT_COLUMNS, Kind
from pipelines.load import Loader
from pipelines.raw_tables import DATASET
from pipelines.warehouse import WarehouseSession

TABLES = ("event_conflicts", "quarantined_events", *EVENT_COLUMNS)
"""Those of `raw` that hold bodies of events."""

TEXT_COLUMNS = {
    table: {column.name: column for column in columns if column.kind in {Kind.TEXT, Kind.JSON}}
    for table, columns in EVENT_COLUMNS.items()
}
"""Columns of a table, besides its payload, in which an id may stand."""

_Pair = tuple[str, str, str]
"""A source, the id of a customer of it, an external id beside it."""


def further_ids(loader: Loader, customer: str, sources: Collection[str]) -> set[tuple[str, str]]:
    """Return the external ids, each with its source, by which only the *customer* of these *sources* goes."""
    found = {
        (source, external)
        for source, each, external in _pairs(loader, {customer})
        if each == customer and source in sources
    }
    if not found:
        return found
    of_others = _pairs(loader, {external for _, external in found})
    return found - {(source, external) for source, each, external in of_others if each != customer}


def rows_holding(session: WarehouseSession, table: str, ids: Collection[str]) -> pa.Table:
    """Return the rows of *table* whose text may hold one of *ids*."""
    texts = sorted(set(ids))
    return session.arrow(rows_with(table, len(texts)), {f"id_{at}": text for at, text in enumerate(texts)})


def rows_with(table: str, number: int) -> str:
    """Return the query for rows that may hold one of so many `$id_0`, in base64 or spelled with escapes as well."""
    texts = ["payload", *TEXT_COLUMNS.get(table, ())]
    # Every engine knows `replace`; how to look for a text within another they have no common word for.
    found = [f"{column} <> replace({column}, $id_{at}, '')" for column in texts for at in range(number)]
    found.append("payload <> replace(payload, chr(92) || 'u', '')")
    if table == "quarantined_events":
        found.append("payload_base64 is not null")
    return f"select * from {DATASET}.{table} where {' or '.join(found)}"


def _pairs(loader: Loader, ids: Collection[str]) -> Iterator[_Pair]:
    """Yield what is kept of those that may have one of *ids*, and of others."""
    unreadable = [Segment(path.name, path, 0) for path in loader.stage.root.glob(f"*{UNREADABLE}")]
    for segment in (*Archive(loader.archive).segments(), *unreadable):
        with segment.opened() as file:
            for line in file:
                if _may_hold(line, ids):
                    yield from _pairs_of_line(line)
    with loader.warehouse.session() as session:
        for table in TABLES:
            for row in rows_holding(session, table, ids).to_pylist():
                yield from _pairs_of(row)
                if row.get("customer_id") and row.get("customer_external_id"):
                    yield row["source_id"], row["customer_id"], row["customer_external_id"]


def _may_hold(line: bytes, ids: Collection[str]) -> bool:
    # A body stands in a line as text, so an escape of the sender begins with two backslashes there.
    return b"\\\\" in line or b'"payload_base64":"' in line or any(each.encode() in line for each in ids)


def _pairs_of_line(line: bytes) -> Iterator[_Pair]:
    with suppress(ValueError, TypeError):  # one that no receiver wrote
        yield from _pairs_of(orjson.loads(line))


def _pairs_of(held: Mapping[str, Any]) -> Iterator[_Pair]:
    """Yield those in the body of a staged line or of a row."""
    source, text, in_base64 = (held.get(name) for name in ("source_id", "payload", "payload_base64"))
    if text is None and in_base64 is not None:
        text = base64.b64decode(in_base64).decode("utf-8", "surrogateescape")
    if source is not None and text is not None:
        yield from ((source, each, external) for each, external in external_ids_in(text))
