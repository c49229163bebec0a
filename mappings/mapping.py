"""A mapping applied: one payload of the platform to the events that it tells of, each held to its contract."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from mappings.conversions import Unconvertible, text
from mappings.errors import Unmappable
from mappings.expression import Expression, parsed
from mappings.field import MappedField
from mappings.mapped_list import MEMBER, MappedList, put_fields
from mappings.personal import PersonalData
from models.reading import ContractViolation, EventHeader, read_event

SEPARATOR = ":"
"""Between a mapping's name and the platform's word for an event; no event type of the contract holds one."""

_LONGEST_TYPE = 100
_SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """
    An event that a payload tells of.

    Attributes:
        payload: JSON of the contract, its names sorted: the same payload always gives the same bytes.
    """

    header: EventHeader
    payload: bytes

    @property
    def sha256(self) -> str:
        """Of the payload, in hex: two deliveries that say the same of an event are one."""
        return hashlib.sha256(self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class MappedBody:
    """
    What a payload tells of.

    Attributes:
        platform_type: The platform's word.
        events: In the order of the mapping's rules; none where the mapping ignores it, and
        reason_ignored: why, then.
    """

    platform_type: str
    events: tuple[MappedEvent, ...]
    reason_ignored: str | None = None


@dataclass(frozen=True, slots=True)
class EventRule:
    """
    When a payload tells of an event, and what it says.

    Attributes:
        platform_types: The platform's words for it.
        event_type: The contract's.
        when: The event happened only where this is true; None: always.
        each: A list of the payload; one event for each of its members, which expressions find as `item`.
        ids: What the event's id is made of. One expression: the platform's own id. Several: a hash of what they find.
        suffix: What is put behind the platform's id, so that several events of one payload differ.
        fields: Of envelope and data.
    """

    platform_types: tuple[str, ...]
    event_type: str
    when: Expression | None
    each: Expression | None
    ids: tuple[Expression, ...]
    suffix: Expression | None
    fields: tuple[MappedField | MappedList, ...]

    def documents(self, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what the expressions are asked of, once for each event."""
        if self.each is None:
            if self.when is None or self.when.is_true(payload):
                yield payload
            return
        members = self.each.of_document(payload)
        if members is None:
            return
        if not isinstance(members, list):
            raise Unmappable("mapping", f"{self.each.text}: a list is expected")
        for member in members:
            document = {**payload, MEMBER: member}
            if self.when is None or self.when.is_true(document):
                yield document

    def event_in(self, document: dict[str, Any], currency: str | None) -> MappedEvent:
        """
        Return the event that *document* tells of.

        Raises:
            Unmappable: It is none of the contract.
        """
        event: dict[str, Any] = {
            "id": self._id_in(document),
            "type": self.event_type,
            "schema_version": _SCHEMA_VERSION,
            "data": {},
        }
        put_fields(event, self.fields, document, currency)
        try:
            payload = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
            return MappedEvent(read_event(payload), payload)
        except ContractViolation as violation:
            raise Unmappable(
                "contract", f"as {self.event_type} (rule for {', '.join(self.platform_types)}): {violation.detail}"
            ) from None
        except (orjson.JSONEncodeError, RecursionError):
            raise Unmappable("contract", f"as {self.event_type}: a text is not Unicode") from None

    def _id_in(self, document: dict[str, Any]) -> str:
        parts = [_part(each, document) for each in self.ids]
        if len(parts) > 1:
            return "h:" + hashlib.sha256("|".join([self.event_type, *parts]).encode("utf-8", "replace")).hexdigest()
        if not parts[0]:
            raise Unmappable("mapping", f"{self.ids[0].text} (for id): the payload has none")
        return parts[0] if self.suffix is None else f"{parts[0]}#{_part(self.suffix, document)}"


@dataclass(frozen=True, slots=True)
class Mapping:
    """
    How one platform's payloads become events.

    Attributes:
        name: Of the platform, for people and before its event types.
        documentation: Where the platform describes its payloads.
        platform_type: Where a payload says what it is.
        ignored: The platform's words for what is no event of ours.
        personal: What is taken out before anything is written.
        currency: Of amounts where the payload names none; None: such a payload does not fit.
    """

    name: str
    documentation: tuple[str, ...]
    platform_type: Expression
    rules: tuple[EventRule, ...]
    ignored: frozenset[str]
    personal: PersonalData
    currency: str | None = None

    def in_currency(self, currency: str | None) -> "Mapping":
        """Return this for a source whose payloads name no currency."""
        return replace(self, currency=currency)

    def label(self, platform_type: str | None) -> str:
        """What stands for the event type while the payload is not mapped yet; no event type of the contract is so."""
        is_legible = platform_type is not None and platform_type.isprintable() and platform_type.isascii()
        return f"{self.name}{SEPARATOR}{platform_type[:_LONGEST_TYPE] if is_legible and platform_type else '?'}"

    def apply(self, body: bytes) -> MappedBody:
        """
        Return what *body*, without its personal data, tells of: all of it or nothing.

        Raises:
            Unmappable: It does not fit; the only error that can leave this function.
        """
        payload = parsed(body)
        platform_type = self._type_of(payload)
        try:
            events = self._events_of(payload, platform_type)
        except Unmappable as fault:
            fault.platform_type = platform_type
            raise
        return events

    def _type_of(self, payload: dict[str, Any]) -> str:
        found = self.platform_type.of_document(payload)
        if not isinstance(found, str) or not found:
            raise Unmappable("unknown_type", f"{self.platform_type.text} (for the type): the payload does not say it")
        return found

    def _events_of(self, payload: dict[str, Any], platform_type: str) -> MappedBody:
        rules = [rule for rule in self.rules if platform_type in rule.platform_types]
        if not rules:
            if platform_type in self.ignored:
                return MappedBody(platform_type, (), "the mapping ignores this type")
            raise Unmappable("unknown_type", "the mapping has no rule for this type")
        events = tuple(rule.event_in(document, self.currency) for rule in rules for document in rule.documents(payload))
        if len({event.header.event_id for event in events}) < len(events):
            raise Unmappable("mapping", "two events of this payload have one id; give a rule a `suffix`")
        return MappedBody(platform_type, events, None if events else "no rule of this type applies")


def _part(expression: Expression, document: dict[str, Any]) -> str:
    found = expression.of_document(document)
    if found is None or isinstance(found, bool):
        return "" if found is None else str(found).lower()
    try:
        return text(found) or ""
    except Unconvertible:
        # Amounts take part as they were sent, to the digit.
        if isinstance(found, dict | list):
            raise Unmappable("mapping", f"{expression.text} (for id): a value is expected") from None
        return str(found)
