"""docs/events.md against the contract: every event, every object, field by field."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from models import enumerations
from models.event_types import EVENT_TYPES
from models.json_schema import json_schema
from models.reading import Reason, read_event
from tests.documents import DOCUMENTS, ROOT, blocks_of, section_of, table_of, terms_of

FIXTURES = ROOT / "tests" / "fixtures"
EVENTS = DOCUMENTS["events.md"]

# Objects of the contract with a section of their own; the fields of all others stand where they are used.
OBJECT_SECTIONS: dict[str, str] = {
    "Click": "Click",
    "Conversion": "Conversion",
    "Commission": "Commission",
    "Payout": "Payout",
    "Partner": "Partner",
    "FullPartner": "Full partner",
    "Tracking": "Tracking",
    "Geo": "Geo",
    "Device": "Device",
    "Customer": "Customer",
    "QualifyingEvent": "Qualifying event",
    "Actor": "Actor",
    "Period": "Period",
    "Rate": "Rate",
    "Tier": "Tier",
    "RatedTier": "Rated tier",
}
EXTENDS: dict[str, str] = {"FullPartner": "Partner", "RatedTier": "Tier"}
DEFINITIONS: dict[str, Any] = json_schema()["$defs"]  # type: ignore[assignment]
EVENT_DEFINITIONS: dict[str, Any] = {
    each["properties"]["type"]["const"]: each for each in DEFINITIONS.values() if "schema_version" in each["properties"]
}


def _object_within(schema: dict[str, Any]) -> tuple[str | None, bool]:
    """The definition that *schema* refers to, and whether it is a list of it."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2], False
    if "items" in schema:
        return _object_within(schema["items"])[0], True
    return next((found for each in schema.get("anyOf", ()) if (found := _object_within(each))[0]), (None, False))


def _fields(definition: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted paths and whether they are required, down to the objects that are documented apart."""
    for name, schema in definition["properties"].items():
        path = prefix + name
        yield path, name in definition.get("required", ())
        within, is_list = _object_within(schema)
        if within is not None and within not in OBJECT_SECTIONS and within != "Money":
            yield from _fields(DEFINITIONS[within], path + ("[]." if is_list else "."))


def _documented(heading: str) -> dict[str, bool]:
    """The fields in the tables of a section, with those of the section it says it adds to."""
    text = section_of(EVENTS, heading)
    added = {terms_of(row[0])[0]: row[2] == "yes" for row in table_of(text, "field")}
    adds_to = re.search(r"As `([a-z._]+)`", text)
    return {**(_documented(f"`{adds_to[1]}`") if adds_to else {}), **added}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_is_documented_field_by_field(event_type: str) -> None:
    """The section of an event lists what its data may hold and what it must, no more and no less."""
    data = DEFINITIONS[_object_within(EVENT_DEFINITIONS[event_type]["properties"]["data"])[0] or ""]
    assert _documented(f"`{event_type}`") == dict(_fields(data))


@pytest.mark.parametrize("name", OBJECT_SECTIONS)
def test_every_shared_object_is_documented_field_by_field(name: str) -> None:
    """So do the sections of the objects that several events carry."""
    inherited = dict(_fields(DEFINITIONS[EXTENDS[name]])) if name in EXTENDS else {}
    own = {path: required for path, required in _fields(DEFINITIONS[name]) if path not in inherited}
    assert _documented(OBJECT_SECTIONS[name]) == own


def test_the_envelope_is_documented_field_by_field() -> None:
    """The envelope is the same for every event."""
    for definition in EVENT_DEFINITIONS.values():
        envelope = {name: name in definition["required"] for name in definition["properties"]}
        assert _documented("Envelope") == envelope


def test_the_ranks_are_those_that_order_events() -> None:
    """The place of an event in the table is the rank that settles ties."""
    ranks = {
        terms_of(cell)[0]: rank
        for row in table_of(section_of(EVENTS, "Order"), "entity")
        for rank, cell in enumerate(row)
        if "`" in cell
    }
    assert ranks == {each.name: each.lifecycle_rank for each in EVENT_TYPES.values()}


def test_every_enumeration_is_listed_value_by_value() -> None:
    """A value that is added to the code is missed in the documentation, and the other way round."""
    text = section_of(EVENTS, "Enumerations")
    listed = [tuple(terms_of(row[1])) for row in table_of(text, "field")]
    by_category = {terms_of(row[0])[0]: tuple(terms_of(row[1])) for row in table_of(text, "category")}
    constants = {
        name: value for name, value in vars(enumerations).items() if name.isupper() and isinstance(value, tuple)
    }
    del constants["REJECTION_REASON_CODES"]  # all of them; documented by category
    assert sorted(listed) == sorted(constants.values())
    assert by_category == enumerations.REJECTION_REASONS_BY_CATEGORY


def test_every_reason_for_quarantine_is_listed() -> None:
    """Whoever finds a reason in the warehouse finds it explained."""
    rows = table_of(section_of(EVENTS, "Refused or quarantined"), "reason")
    assert [terms_of(row[0])[0] for row in rows] == list(get_args(Reason))


def test_the_example_event_is_one() -> None:
    """The example is one of the events the tests are made of."""
    (example,) = blocks_of(section_of(EVENTS, "An example"), "json")
    assert json.loads(example) in [json.loads(path.read_text()) for path in (FIXTURES / "events").glob("*.json")]
    assert read_event(example.encode()).event_type == "conversion.qualified"
