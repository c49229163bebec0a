"""The published JSON Schema against the events it describes."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # it ships no types

from models.enumerations import COMMISSION_MODELS
from models.event_types import EVENT_TYPES
from models.json_schema import json_schema

EVENTS = sorted((Path(__file__).parent / "fixtures" / "events").glob("*.json"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Make a validator of the published document, as a sender would."""
    return Draft202012Validator(json.loads(json.dumps(json_schema())))


def test_the_document_is_json_schema_2020_12() -> None:
    """The document keeps the rules of the dialect it names."""
    document: dict[str, Any] = json_schema()

    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_document_has_one_alternative_per_event_type() -> None:
    """An event is one of the known types, and each alternative names its own."""
    document: dict[str, Any] = json_schema()
    alternatives = [document["$defs"][each["$ref"].removeprefix("#/$defs/")] for each in document["oneOf"]]

    assert [each["properties"]["type"]["const"] for each in alternatives] == list(EVENT_TYPES)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_each_example_is_valid(validator: Draft202012Validator, path: Path) -> None:
    """Whoever follows the document sends what the examples show."""
    validator.validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("amount", 200.0),
        ("amount", "1.123456789"),
        ("amount", "+1"),
        ("currency", "ZZZ"),
        ("currency", None),
    ],
)
def test_money_that_is_not_read_is_not_valid(validator: Draft202012Validator, member: str, value: object) -> None:
    """The document refuses an amount that is no exact text, and a currency that is not known."""
    event = json.loads(next(path for path in EVENTS if "commission.calculated" in path.name).read_bytes())
    event["data"]["commission"]["amount"][member] = value

    assert not validator.is_valid(event)


@pytest.mark.parametrize("name", ["id", "type", "schema_version", "timestamp", "data"])
def test_a_required_field_is_asked_for(validator: Draft202012Validator, name: str) -> None:
    """The document asks for every field of the envelope that a sender must send, the id among them."""
    event = json.loads(EVENTS[0].read_bytes())
    del event[name]

    assert not validator.is_valid(event)


def test_an_enumeration_is_listed_and_left_open(validator: Draft202012Validator) -> None:
    """The known values stand in the document, and a value added later is valid all the same."""
    document: dict[str, Any] = json_schema()
    event = json.loads(next(path for path in EVENTS if "commission.calculated" in path.name).read_bytes())
    event["data"]["commission"]["model"] = "added_later"

    assert document["$defs"]["Commission"]["properties"]["model"]["examples"] == list(COMMISSION_MODELS)
    assert validator.is_valid(event)


def test_an_unknown_field_is_valid(validator: Draft202012Validator) -> None:
    """A sender may say more than the document lists."""
    event = json.loads(EVENTS[0].read_bytes())
    event["data"]["partner"]["favourite_colour"] = "green"

    assert validator.is_valid(event)


def test_each_call_gives_a_document_of_its_own() -> None:
    """Whoever changes the document changes a copy."""
    json_schema().clear()

    assert json_schema()["$defs"]
