"""
From a body to the header of an event, or to the one reason why it is none.

The body is parsed once, strictly: what is read here, the loader reads later, and reads the same. Hence a name that
stands twice in one object is refused: this parser keeps the last of the two, the loader the first.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import ValidationError

from models.envelope import Event
from models.event_types import EVENT_TYPES
from models.fitting import fitting, fitting_exactly
from models.registry import CONTRACTS
from models.scalars import in_utc

Reason = Literal["malformed_json", "not_an_object", "unknown_type", "unknown_version", "contract"]

_LONGEST_NAME = 128
_MOST_FAULTS_TOLD = 5
_SCHEMA_VERSION = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)


class ContractViolation(Exception):
    """
    A body that is no event of a known contract.

    Attributes:
        reason: What is wrong, as one word to count by; where several hold, the first in the order of *Reason*.
        detail: Where and what, by field path; never a value that was sent.
        event_id: As sent, where it could be read; nothing is made up for a missing one.
        event_type: As sent, where it could be read.
        schema_version: As sent, where it could be read.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        event_id: str | None = None,
        event_type: str | None = None,
        schema_version: str | None = None,
    ) -> None:
        """Keep what was found and what could be read."""
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.event_id = event_id
        self.event_type = event_type
        self.schema_version = schema_version


class EventHeader(NamedTuple):
    """
    What the receiver needs to know of an event.

    Attributes:
        event_id: The sender's; else `sha256:` and the hex SHA-256 of the body.
        event_type: One of the known types.
        schema_version: MAJOR.MINOR, the major a known one.
        occurred_at_text: RFC 3339 in UTC, with microseconds and "Z".
        has_synthetic_id: Whether the id was made from the body.
        is_plain: The event has no field that its contract does not know, and so nothing that must not be kept; false
            says nothing.
    """

    event_id: str
    event_type: str
    schema_version: str
    occurred_at_text: str
    has_synthetic_id: bool
    is_plain: bool

    @property
    def occurred_at(self) -> datetime:
        """Aware UTC, to the microsecond."""
        return datetime.fromisoformat(self.occurred_at_text)


def read_event(body: bytes) -> EventHeader:
    """
    Read one event from *body* and hold it to its contract.

    Checked in this order, the first fault being the reason: JSON, an object, a known type, a known major version, and
    then everything else. A higher minor version, fields the contract does not know and values its enumerations do not
    list are all read.

    Raises:
        ContractViolation: Whatever the bytes are - the only error that can leave this function.
    """
    event = _parse(body)
    contract = _find_contract(event)
    _refuse_nul(body, event)
    _refuse_repeated_names(body, event)
    event_id = event.get("id")
    occurred_at_text, is_plain = _hold_to(contract, event)
    return EventHeader(
        event_id=event_id or "sha256:" + hashlib.sha256(body).hexdigest(),
        event_type=event["type"],
        schema_version=event["schema_version"],
        occurred_at_text=occurred_at_text,
        has_synthetic_id=event_id is None,
        is_plain=is_plain,
    )


def _hold_to(contract: type[Event], event: dict[str, Any]) -> tuple[str, bool]:
    """Return the instant of *event*, in UTC, and whether it says nothing that *contract* does not know."""
    is_plain = fitting_exactly(contract).isinstance_python(event)
    if is_plain or fitting(contract).isinstance_python(event):
        timestamp: str = event["timestamp"]
        if timestamp[10::16] == "TZ":
            return timestamp, is_plain  # spelled as it is kept, as most are
        try:
            return _in_words(in_utc(datetime.fromisoformat(timestamp))), is_plain
        except ValueError:
            pass  # spelled as the contract allows and the calendar's own reader does not
    try:
        return _in_words(contract.model_validate(event).timestamp), False
    except ValidationError as error:
        raise _violation(event, "contract", _tell(error)) from None


def _in_words(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def _parse(body: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ContractViolation("malformed_json", str(error)) from None
    if not isinstance(event, dict):
        raise ContractViolation("not_an_object", "the body is JSON, but not an object")
    return event


def _find_contract(event: dict[str, Any]) -> type[Event]:
    event_type, schema_version = event.get("type"), event.get("schema_version")
    if not isinstance(event_type, str):
        raise _violation(event, "contract", "type: a string is required")
    if event_type not in EVENT_TYPES:
        raise _violation(event, "unknown_type", "type: not one of the known types")
    if schema_version == "1.0" and (contract := CONTRACTS.get((event_type, "1"))) is not None:
        return contract
    if not isinstance(schema_version, str) or not _SCHEMA_VERSION.fullmatch(schema_version):
        raise _violation(event, "contract", "schema_version: MAJOR.MINOR as a string is required")
    contract = CONTRACTS.get((event_type, schema_version.partition(".")[0]))
    if contract is None:
        raise _violation(event, "unknown_version", "schema_version: no contract is known for this major version")
    return contract


def _refuse_nul(body: bytes, event: dict[str, Any]) -> None:
    # PostgreSQL holds no U+0000 in a text. A raw one is no JSON, so only its escape is looked for; the escape may also
    # stand behind a backslash that is escaped itself, and then means nothing: hence the second look.
    # (One byte is found ten times as fast as six.)
    if b"\\" in body and b"\\u0000" in body and any("\0" in text for text in _strings(event)):
        raise _violation(event, "contract", "a string holds U+0000, which a warehouse cannot")


def _strings(value: object) -> Iterator[str]:
    # A list and not recursion: the parser nests deeper than Python may call.
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as members:
                yield from members
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)


def _refuse_repeated_names(body: bytes, event: dict[str, Any]) -> None:
    try:
        written = orjson.dumps(event)
    except orjson.JSONEncodeError:
        raise _violation(event, "contract", "nested more than 250 levels deep") from None
    # A name that the parser dropped took its two quotation marks with it. Whatever else differs between the body and
    # the event written out again (space, numbers, escapes) holds none, unless a mark is itself spelled as an escape.
    if written == body:
        return
    has_escaped_marks = b"\\" in body and b"\\u0022" in body
    if _repeats_a_name(body) if has_escaped_marks else written.count(b'"') != body.count(b'"'):
        raise _violation(event, "contract", "a name stands twice in one object")


def _repeats_a_name(body: bytes) -> bool:
    is_repeated = False

    def compare(pairs: list[tuple[str, object]]) -> None:
        nonlocal is_repeated
        is_repeated |= len({name for name, _ in pairs}) < len(pairs)

    json.loads(body, object_pairs_hook=compare)
    return is_repeated


def _tell(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:_MOST_FAULTS_TOLD]]
    if len(faults) > _MOST_FAULTS_TOLD:
        told.append(f"and {len(faults) - _MOST_FAULTS_TOLD} more")
    return "; ".join(told)


def _violation(event: dict[str, Any], reason: Reason, detail: str) -> ContractViolation:
    return ContractViolation(
        reason,
        detail,
        event_id=_readable(event.get("id")),
        event_type=_readable(event.get("type")),
        schema_version=_readable(event.get("schema_version")),
    )


def _readable(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and "\0" not in value:
        return value
    return None
