"""
Lines of mapped sources: each body of a platform to the events that its mapping makes of it today.

This happens before anything else looks at the lines, so that a corrected mapping holds for everything that is loaded
from then on: what is staged, what the archive gives back, what is replayed from quarantine. The lines of a source
without a mapping are not touched; those of one with a mapping become Python objects here.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import duckdb
import pyarrow as pa

from ingest.staging import IGNORED
from mappings.errors import Unmappable
from mappings.mapping import SEPARATOR, MappedEvent
from mappings.mapping import Mapping as PlatformMapping

_LONGEST_DETAIL = 1_000

_MAPPED = pa.schema(
    [
        ("line_number", pa.int64()),
        ("place", pa.int32()),
        *(
            (name, pa.string())
            for name in ("outcome", "reason", "detail", "event_id", "event_type", "schema_version", "body_sha256")
        ),
        ("occurred_at", pa.timestamp("us")),
        ("has_synthetic_id", pa.bool_()),
        ("payload", pa.string()),
        ("payload_base64", pa.string()),
    ]
)


def is_platform_type(event_type: str | None) -> bool:
    """Whether *event_type* stands for a payload to which a mapping has yet to be applied."""
    return event_type is not None and SEPARATOR in event_type


@dataclass(frozen=True, slots=True)
class MappedLines:
    """
    Amends the lines of a connection (`pipelines.batches.ReadingOptions`).

    Of an accepted body the first event stays in the line's place; the others stand behind it, as further lines of the
    same delivery. A body that does not fit stays whole and waits in quarantine. One that is ignored stays the delivery
    that it is, and is no event.

    Attributes:
        mappings: By source.
    """

    mappings: Mapping[str, PlatformMapping]

    def __call__(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Map the lines."""
        cursor = reader.execute(_LINES_TO_MAP, {"sources": list(self.mappings)})
        rows = [row for line in cursor.fetchall() for row in self._mapped(*line)]
        if not rows:
            return
        reader.register("mapped", pa.Table.from_pylist(rows, schema=_MAPPED))
        reader.execute(_AMENDED)
        reader.unregister("mapped")

    def _mapped(
        self, line_number: int, source: str, sha256: str | None, payload: str | None, in_base64: str | None
    ) -> Iterator[dict[str, Any]]:
        mapping = self.mappings[source]
        body = payload.encode() if payload is not None else base64.b64decode(in_base64 or "")
        waiting = {
            "line_number": line_number, "place": 0, "outcome": "quarantined", "payload": payload,
            "payload_base64": in_base64, "body_sha256": sha256,
        }  # fmt: skip
        try:
            mapped = mapping.apply(body)
        except Unmappable as fault:
            detail = fault.detail[:_LONGEST_DETAIL].replace("\0", "\ufffd")
            event_type = mapping.label(fault.platform_type)
            yield {**waiting, "reason": fault.reason, "detail": detail, "event_type": event_type}
            return
        if not mapped.events:
            event_type = mapping.label(mapped.platform_type)
            yield {**waiting, "outcome": IGNORED, "detail": mapped.reason_ignored, "event_type": event_type}
            return
        for place, event in enumerate(mapped.events):
            yield {"line_number": line_number, "place": place, **_row(event)}


def _row(event: MappedEvent) -> dict[str, Any]:
    header = event.header
    return {
        "outcome": "accepted",
        "event_id": header.event_id,
        "event_type": header.event_type,
        "schema_version": header.schema_version,
        "occurred_at": header.occurred_at.astimezone(UTC).replace(tzinfo=None),
        "has_synthetic_id": header.has_synthetic_id,
        "body_sha256": event.sha256,
        "payload": event.payload.decode(),
    }


# What is accepted came before its source had a mapping, and is an event of the contract.
_LINES_TO_MAP = """
    select line_number, source_id, body_sha256, payload, payload_base64
    from lines
    where source_id in (select unnest($sources)) and outcome = 'quarantined'
"""

_REPLACED = ", ".join(f"mapped.{name} as {name}" for name in _MAPPED.names if name not in {"line_number", "place"})

# The first event has the line's own place, by which the quarantine knows a body that waits: it alone is the replay.
_AMENDED = f"""
    create or replace temp table lines as
    with

    amended as (

        select 0 as place, lines.*
        from lines
        anti join mapped using (line_number)
        union all by name
        select
            lines.* replace (
                {_REPLACED},
                cast(lines.position + mapped.place as integer) as position,
                lines.is_delivery and mapped.place = 0 as is_delivery,
                lines.is_replay and mapped.place = 0 as is_replay
            ),
            mapped.place
        from lines
        join mapped using (line_number)

    )

    select amended.* exclude (place) replace (row_number() over (order by line_number, place) as line_number)
    from amended
"""
