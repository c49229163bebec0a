"""What the warehouse holds of a run, found by event id and by the hash of each body."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hookmart.certification.specimen import Sent
from models.event_types import RAW_EVENT_TABLES
from pipelines.raw_tables import DATASET
from pipelines.warehouse import Warehouse, WarehouseSession

_AT_A_TIME = 500
"""Values of one query."""


@dataclass(slots=True)
class Arrived:
    """
    What the warehouse holds of a run.

    Attributes:
        events: Rows of `raw`, by event id.
        deliveries: Requests answered 2xx, by the event id that they name.
        quarantined: SHA-256 of bodies in quarantine.
        forged: SHA-256 of forged bodies that are anywhere.
        conflicts: Event ids with another body kept apart.
        load_seq: Of the newest load.
    """

    events: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    quarantined: set[str] = field(default_factory=set)
    forged: set[str] = field(default_factory=set)
    conflicts: set[str] = field(default_factory=set)
    load_seq: int = 0

    def lacks(self, sent: Sent) -> bool:
        """Whether anything that was acknowledged is not here yet."""
        return bool(
            sent.acknowledged - self.events.keys()
            or sent.quarantined - self.quarantined
            or sent.conflicting - self.conflicts
        )


def look(warehouse: Warehouse, source: str, sent: Sent) -> Arrived:
    """
    Return what *warehouse* holds of what was *sent* to *source*.

    Raises:
        WarehouseLockedError: A load or a build kept it for longer than anybody waits.
    """
    if not warehouse.exists():
        return Arrived()
    with warehouse.session() as session:
        return Arrived() if session.missing_tables() else _arrived(session, source, sent)


def _arrived(session: WarehouseSession, source: str, sent: Sent) -> Arrived:
    ids = sorted({*sent.acknowledged, *sent.unanswered})
    arrived = Arrived(load_seq=session.last_load_seq())
    for table in RAW_EVENT_TABLES:
        arrived.events.update(_counts(session, table, source, "event_id", ids))
        arrived.forged.update(_counts(session, table, source, "body_sha256", sorted(sent.forged)))
    arrived.deliveries.update(_counts(session, "deliveries", source, "event_id", ids, "and status_code = 200"))
    bodies = sorted(sent.quarantined | sent.forged)
    quarantined = _counts(session, "quarantined_events", source, "body_sha256", bodies).keys()
    arrived.quarantined.update(quarantined & sent.quarantined)
    arrived.forged.update(quarantined & sent.forged)
    arrived.conflicts.update(_counts(session, "event_conflicts", source, "event_id", sorted(sent.conflicting)))
    return arrived


def _counts(
    session: WarehouseSession, table: str, source: str, column: str, values: Sequence[str], also: str = ""
) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(values), _AT_A_TIME):
        names: Mapping[str, Any] = {f"value_{at}": value for at, value in enumerate(values[start : start + _AT_A_TIME])}
        places = ", ".join(f"${name}" for name in names)
        rows = session.execute(
            f"select {column}, count(*) from {DATASET}.{table} "
            f"where source_id = $source and {column} in ({places}) {also} group by {column}",
            {"source": source, **names},
        )
        found.update({value: int(count) for value, count in rows})
    return found
