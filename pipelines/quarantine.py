"""
What waits in quarantine, and its way back: judged by today's contracts, staged again for the next load.

A replay is staged under its own delivery, position and time of receipt, so it takes the place in history that it had
from the first. The load that brings it into its table marks the row here; see `pipelines.fates`. Replayed twice before
a load, or after a crash, the second copy is a duplicate.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ingest.staging import IGNORED, Stage, StagedLine
from mappings.errors import Unmappable
from mappings.mapping import Mapping as PlatformMapping
from models.event_types import EVENT_TYPES
from models.reading import ContractViolation, read_event
from pipelines.batches import ReadingOptions, read_batch
from pipelines.fates import QUARANTINED_SCHEMA, KnownEvents
from pipelines.mapped_lines import MappedLines, is_platform_type
from pipelines.raw_tables import DATASET
from pipelines.warehouse import Warehouse, WarehouseSession

PORTION_BYTES = 32 * 1024 * 1024
"""Of bodies judged and staged at a time, so that neither memory grows with the quarantine nor the loader waits long."""

_TABLE = f"{DATASET}.quarantined_events"
_BEYOND = "(delivery_id > $after_delivery or (delivery_id = $after_delivery and position > $after_position))"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedEvent:
    """
    A row of `raw.quarantined_events`.

    Attributes:
        event_id: As sent, where it could be read; so are `event_type` and `schema_version`.
        payload: What was sent, as text; null where `payload_base64` holds it.
        received_at: UTC, without a zone; so is `replayed_at`, null while it waits.
        body_sha256: In hex, over the event as sent.
        batch_id: Of the segment in the archive.
    """

    delivery_id: str
    position: int
    source_id: str
    event_id: str | None
    event_type: str | None
    schema_version: str | None
    reason: str | None
    detail: str | None
    payload: str | None
    payload_base64: str | None
    received_at: datetime
    replayed_at: datetime | None
    body_sha256: str | None
    batch_id: str
    load_seq: int

    @property
    def body(self) -> bytes:
        """The bytes as kept: as sent, but for personal data."""
        if self.payload is not None:
            return self.payload.encode()
        return base64.b64decode(self.payload_base64 or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineGroup:
    """
    Events of one source that wait, or waited, for one reason.

    Attributes:
        events: Ever quarantined.
        open: Not replayed yet.
        first_seen: When the first was received, UTC without a zone; `last_seen` the last.
    """

    source_id: str
    reason: str | None
    event_type: str | None
    schema_version: str | None
    events: int
    open: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    Which of the open events to replay: those that agree with all that is given.

    Attributes:
        since: Received then or later, UTC without a zone.
        until: Received before.
    """

    source_id: str | None = None
    event_type: str | None = None
    reason: str | None = None
    delivery_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """
    What a replay did.

    Attributes:
        examined: Open events that were judged.
        fitting: Those of them that today's contracts take; staged, unless it was a dry run.
        remaining: How many of the others wait for which reason, as judged today.
        segments: Staged.
    """

    examined: int = 0
    fitting: int = 0
    remaining: Counter[str] = field(default_factory=Counter)
    segments: int = 0


@dataclass(frozen=True, slots=True)
class Quarantine:
    """
    The quarantine of one warehouse, which is opened for short, and waited for while the loader has it.

    Attributes:
        warehouse: Holds what waits.
        stage: Takes what is replayed.
        mappings: Of the sources that send a platform's own payloads.
    """

    warehouse: Warehouse
    stage: Stage
    mappings: Mapping[str, PlatformMapping] = field(default_factory=dict)

    def groups(self, *, is_all: bool = False) -> list[QuarantineGroup]:
        """
        Return what waits, grouped, the largest group first; with *is_all* also groups of which nothing waits any more.

        Raises:
            WarehouseLockedError: Another program kept the warehouse open.
        """
        if not self.warehouse.exists():
            return []
        having = "" if is_all else "having sum(case when replayed_at is null then 1 else 0 end) > 0"
        with self.warehouse.session() as session:
            if not _has_quarantine(session):
                return []
            rows = session.execute(f"""
                select
                    source_id, reason, event_type, schema_version, count(*) as events,
                    sum(case when replayed_at is null then 1 else 0 end) as open, min(received_at), max(received_at)
                from {_TABLE}
                group by source_id, reason, event_type, schema_version
                {having}
                order by open desc, events desc, source_id, reason, event_type, schema_version
            """)
        return [
            QuarantineGroup(
                source_id=source, reason=reason, event_type=event_type, schema_version=version, events=events,
                open=int(waiting), first_seen=first, last_seen=last,
            )
            for source, reason, event_type, version, events, waiting, first, last in rows
        ]  # fmt: skip

    def events(self, delivery_id: str, position: int | None = None) -> list[QuarantinedEvent]:
        """
        Return what was quarantined of a delivery, in its order, replayed or not.

        Raises:
            WarehouseLockedError: Another program kept the warehouse open.
        """
        if not self.warehouse.exists():
            return []
        with self.warehouse.session() as session:
            where, values = "delivery_id = $delivery_id", {"delivery_id": delivery_id}
            found = list(_events(session, where, values)) if _has_quarantine(session) else []
        return [event for event in found if position in {None, event.position}]

    def replay(self, selection: Selection, *, is_dry_run: bool = False) -> ReplayReport:
        """
        Judge the open events of *selection* by today's contracts and columns; stage those that fit, unless dry.

        What is staged is durable, portion by portion. The others stay as they are.

        Raises:
            WarehouseLockedError: Another program kept the warehouse open.
            OSError: The stage's disk; what was staged before stays staged.
        """
        report = ReplayReport()
        for events in self._portions(selection):
            fitting, remaining = self._judge(events)
            segment = None if is_dry_run else self.stage.publish(fitting)
            report = ReplayReport(
                report.examined + len(events),
                report.fitting + len(fitting),
                report.remaining + remaining,
                report.segments + (segment is not None),
            )
        return report

    def _portions(self, selection: Selection) -> Iterator[list[QuarantinedEvent]]:
        """Yield the open events in the order of their places; the warehouse is open only while one is fetched."""
        wanted = {
            name: value
            for name in ("source_id", "event_type", "reason", "delivery_id", "since", "until")
            if (value := getattr(selection, name)) is not None
        }
        bounds = {"since": "received_at >= $since", "until": "received_at < $until"}
        conditions = ["replayed_at is null", *(bounds.get(name, f"{name} = ${name}") for name in wanted)]
        after: dict[str, str | int] = {}
        while self.warehouse.exists():
            beyond = [_BEYOND] if after else []
            with self.warehouse.session() as session:
                if not _has_quarantine(session):
                    return
                portion: list[QuarantinedEvent] = []
                size = 0
                for event in _events(session, " and ".join([*conditions, *beyond]), {**wanted, **after}):
                    portion.append(event)
                    size += len(event.payload or event.payload_base64 or "")
                    if size >= PORTION_BYTES:
                        break
            if not portion:
                return
            yield portion
            after = {"after_delivery": portion[-1].delivery_id, "after_position": portion[-1].position}

    def _judge(self, events: Sequence[QuarantinedEvent]) -> tuple[list[StagedLine], Counter[str]]:
        """Return the lines of those that fit, and how many others stay for which reason."""
        fitting = []
        remaining: Counter[str] = Counter()
        for event in events:
            mapping = self.mappings.get(event.source_id)
            try:
                line = _replayed(event) if mapping is None else _replayed_by(mapping, event)
            except (ContractViolation, Unmappable) as fault:
                remaining[fault.reason] += 1
            else:
                if line is None:
                    remaining[IGNORED] += 1
                else:
                    fitting.append(line)
        # Of two copies of an event only the first is looked at, so the second gets its turn when that has gone.
        while misfits := self._misfits(fitting):
            remaining["contract"] += len(misfits)
            fitting = [line for line in fitting if _place(line) not in misfits]
        return fitting, remaining

    def _misfits(self, lines: Sequence[StagedLine]) -> set[tuple[str, int]]:
        """Return the places of those lines that the loader would find no row for."""
        amendments = (MappedLines(self.mappings),) if self.mappings else ()
        with TemporaryDirectory() as directory:
            options = ReadingOptions(scratch=Path(directory), amendments=amendments)
            segment = Stage(Path(directory)).publish(replace(line, is_replay=False) for line in lines)
            if segment is None:
                return set()
            with closing(read_batch([segment], 0, datetime.now(UTC), KnownEvents(), options)) as batch:
                waiting = batch.tables.get("quarantined_events")
                rows = [] if waiting is None else waiting.table.select(["delivery_id", "position"]).to_pylist()
        if batch.poisoned:
            return {_place(line) for line in lines}
        misfits = {(row["delivery_id"], row["position"]) for row in rows}
        deliveries = {delivery_id for delivery_id, _ in misfits}
        # Any of the events of a platform's body holds up the body.
        mapped = {_place(line) for line in lines if is_platform_type(line.event_type)}
        return misfits | {place for place in mapped if place[0] in deliveries}


def _has_quarantine(session: WarehouseSession) -> bool:
    return "quarantined_events" not in session.missing_tables()


def _events(session: WarehouseSession, where: str, values: Mapping[str, Any]) -> Iterator[QuarantinedEvent]:
    names = QUARANTINED_SCHEMA.names
    for row in session.rows(
        f"select {', '.join(names)} from {_TABLE} where {where} order by delivery_id, position", values
    ):
        yield QuarantinedEvent(**dict(zip(names, row, strict=True)))


def _replayed(event: QuarantinedEvent) -> StagedLine:
    """
    The line that gives *event* to the loader once more.

    Raises:
        ContractViolation: It fits no contract of today either.
    """
    header = read_event(event.body)
    # Without the personal data the body has another hash; what counts is that of what was sent, as at the door.
    body_sha256 = event.body_sha256 or hashlib.sha256(event.body).hexdigest()
    return replace(
        _line(event, body_sha256),
        event_id=f"sha256:{body_sha256}" if header.has_synthetic_id else header.event_id,
        event_type=header.event_type,
        schema_version=header.schema_version,
        occurred_at=_stamp(header.occurred_at),
        has_synthetic_id=header.has_synthetic_id,
    )


def _line(event: QuarantinedEvent, body_sha256: str) -> StagedLine:
    return StagedLine(
        is_delivery=False,
        delivery_id=event.delivery_id,
        position=event.position,
        is_replay=True,
        source_id=event.source_id,
        received_at=_stamp(event.received_at.replace(tzinfo=UTC)),
        status_code=200,
        outcome="accepted",
        response_ms=0.0,
        body_bytes=len(event.body),
        body_sha256=body_sha256,
        payload=event.payload,
        payload_base64=event.payload_base64,
    )


def _replayed_by(mapping: PlatformMapping, event: QuarantinedEvent) -> StagedLine | None:
    """
    The line that gives *event*, a platform's body, to the loader once more; None where the mapping ignores it by now.

    Raises:
        Unmappable: The mapping of today makes no events of it either.
        ContractViolation: It is an event of the contract, and fits none of today.
    """
    if event.event_type in EVENT_TYPES:
        return _replayed(event)
    mapped = mapping.apply(event.body)
    if not mapped.events:
        return None
    header = mapped.events[0].header
    return replace(
        _line(event, event.body_sha256 or hashlib.sha256(event.body).hexdigest()),
        event_id=header.event_id,
        event_type=mapping.label(mapped.platform_type),
        occurred_at=header.occurred_at_text,
        has_synthetic_id=header.has_synthetic_id,
    )


def _place(line: StagedLine) -> tuple[str, int]:
    return line.delivery_id, line.position


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
