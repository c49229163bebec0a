"""What the loader is given: segments of distinct, valid events, as the receiver would have written them."""

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from ingest.staging import CLOSED, StagedLine
from models.reading import ContractViolation, read_event

SOURCE = "acme"
FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
SEGMENT_BYTES = 8 * 1024 * 1024
"""The receiver's own default."""

_DAY = timedelta(days=1)
_FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures" / "events"
_EVENT_ID, _ENTITY_ID, _INSTANT = "evt_" + "0" * 24, "0" * 16, "2000-01-01T00:00:00.000000Z"

_WEIGHTS = {
    "click.tracked": 40,
    "conversion.created": 15,
    "conversion.qualified": 12,
    "conversion.updated": 1,
    "conversion.rejected": 2,
    "commission.calculated": 12,
    "commission.approved": 9,
    "commission.adjusted": 2,
    "payout.scheduled": 2,
    "payout.processing": 2,
    "payout.completed": 2,
    "partner.approved": 1,
}
"""Of every hundred events; types that are not named do not come."""


@dataclass(frozen=True, slots=True)
class Template:
    """
    A valid event with places to fill in.

    Attributes:
        pieces: Of its body, between the event's id, its entity's id and its instant, in the order of `places`.
        places: The texts that stood between the pieces.
    """

    event_type: str
    schema_version: str
    pieces: tuple[str, ...]
    places: tuple[str, ...]

    def body(self, event_id: str, entity_id: str, instant: str) -> str:
        """The event of that name; as many bytes long as every other of its template."""
        values = {_EVENT_ID: event_id, _ENTITY_ID: entity_id, _INSTANT: instant}
        filled = [
            text for piece, place in zip(self.pieces, self.places, strict=False) for text in (piece, values[place])
        ]
        return "".join([*filled, self.pieces[-1]])


def templates(size: int) -> list[Template]:
    """
    A template for each type, as often as it is to come among a hundred; its bodies have *size* bytes where they can.

    A larger example loses what its contract does not require, the largest parts first; a smaller one is padded.
    """
    found = {}
    for path in sorted(_FIXTURES.glob("*.json")):
        event = json.loads(path.read_bytes())
        if event["type"] in _WEIGHTS:
            found[event["type"]] = _template(event, size)
    return [found[name] for name, weight in _WEIGHTS.items() for _ in range(weight)]


def staged_events(count: int, size: int, *, seed: int, day: int = 0, late: float = 0) -> Iterator[StagedLine]:
    """
    *count* accepted events, one to a delivery, received evenly over a day.

    Args:
        size: Of a body, in bytes.
        seed: Other seeds give other ids.
        day: Which, from FIRST_DAY on.
        late: Days back to which one event in a hundred happened, at random; the others have just happened.
    """
    random = Random(seed)  # noqa: S311  # a sequence that can be repeated is the point
    kinds = templates(size)
    step = _DAY / count
    for number in range(count):
        received_at = FIRST_DAY + day * _DAY + number * step
        happened = received_at - timedelta(seconds=random.expovariate(0.5))
        if late and not number % 100:
            happened -= random.random() * late * _DAY
        kind = random.choice(kinds)
        event_id = f"evt_{random.getrandbits(96):024x}"
        instant = instant_of(happened)
        yield accepted_line(
            received_at, random, event_id, kind.event_type, kind.schema_version, instant,
            kind.body(event_id, f"{random.getrandbits(64):016x}", instant),
        )  # fmt: skip


def accepted_line(
    received_at: datetime,
    random: Random,
    event_id: str,
    event_type: str,
    schema_version: str,
    occurred_at: str,
    payload: str,
    body_sha256: str | None = None,
) -> StagedLine:
    """The line of a delivery of one event; *body_sha256* where it is not to be that of *payload*."""
    raw = payload.encode()
    return StagedLine(
        is_delivery=True, delivery_id=str(_uuid7_of(received_at, random)), source_id=SOURCE,
        received_at=instant_of(received_at), status_code=200, outcome="accepted", response_ms=0.75, body_bytes=len(raw),
        secret_name="env:ACME_WEBHOOK_SECRET", event_id=event_id, event_type=event_type,  # noqa: S106  # its name only
        schema_version=schema_version, occurred_at=occurred_at, has_synthetic_id=False,
        body_sha256=body_sha256 or hashlib.sha256(raw).hexdigest(), payload=payload,
    )  # fmt: skip


def write_segments(directory: Path, lines: Iterable[StagedLine], segment_bytes: int = SEGMENT_BYTES) -> int:
    """Write *lines* as closed segments of about *segment_bytes* into *directory*, which is made; return their bytes."""
    directory.mkdir(parents=True)
    random = Random(str(directory))  # noqa: S311  # names only
    total = size = 0
    held: list[bytes] = []
    name = ""
    for line in lines:
        if not held:
            name = f"{_uuid7_of(datetime.fromisoformat(line.received_at), random).hex}-1{CLOSED}"
        held.append(line.encode())
        size += len(held[-1])
        if size >= segment_bytes:
            total += (directory / name).write_bytes(b"".join(held))
            held, size = [], 0
    if held:
        total += (directory / name).write_bytes(b"".join(held))
    return total


def instant_of(moment: datetime) -> str:
    """*moment* as it stands in a line: RFC 3339, UTC, microseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _uuid7_of(moment: datetime, random: Random) -> UUID:
    # As if made then: what sorts by name sorts by the time received, as it does behind a receiver.
    noise = random.getrandbits(74)
    return UUID(
        int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & (1 << 62) - 1
    )


def _template(event: dict[str, Any], size: int) -> Template:
    event = copy.deepcopy(event)
    entity = event["type"].partition(".")[0]
    event["id"], event["timestamp"], event["emitted_at"] = _EVENT_ID, _INSTANT, _INSTANT
    event["data"][entity]["id"] = f"{entity}_{_ENTITY_ID}"
    for path in _parts(event):
        if len(_compact(event)) <= size:
            break
        _leave_out(event, path)
    partner = event["data"]["partner"]
    partner["name"] = "x" * max(1, size - len(_compact(event | {"data": event["data"]})) + len(partner.get("name", "")))
    body = _compact(event)
    read_event(body.encode())
    pieces, places = [], []
    rest = body
    while found := [(rest.find(place), place) for place in (_EVENT_ID, _ENTITY_ID, _INSTANT) if place in rest]:
        at, place = min(found)
        pieces.append(rest[:at])
        places.append(place)
        rest = rest[at + len(place) :]
    return Template(event["type"], event["schema_version"], (*pieces, rest), tuple(places))


def _parts(event: dict[str, Any]) -> list[tuple[str, ...]]:
    """What may be left out, nulls first, then whole sections of the data, then fields of them; large ones first."""
    data = event["data"]
    sections = [(name,) for name in data]
    fields = [(name, field) for name, section in data.items() if isinstance(section, dict) for field in section]
    nulls = [path for path in fields if data[path[0]][path[1]] is None]
    sections.sort(key=lambda path: -len(_compact(data[path[0]])))
    fields.sort(key=lambda path: -len(_compact(data[path[0]][path[1]])))
    return [*nulls, *sections, *(path for path in fields if path not in nulls)]


def _leave_out(event: dict[str, Any], path: tuple[str, ...]) -> None:
    *parents, name = ("data", *path)
    holder: Any = event
    for parent in parents:
        holder = holder.get(parent, {})
    if name not in holder or path in {("partner",), ("partner", "name")} or name == "id":
        return
    value = holder.pop(name)
    try:
        read_event(_compact(event).encode())
    except ContractViolation:
        holder[name] = value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
