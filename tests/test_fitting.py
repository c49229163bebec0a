"""The quick check of a contract against the contract itself: it may say no too often, and never yes."""

import copy
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.privacy import HASHED, without_personal_data
from models.contract import Contract
from models.fitting import fitting, fitting_exactly
from models.reading import ContractViolation, read_event
from models.registry import CONTRACTS

EVENTS = [json.loads(path.read_bytes()) for path in sorted((Path(__file__).parent / "fixtures/events").glob("*.json"))]
PERSONAL = [*HASHED, "email", "Email", "contact_email", "name", "first_name", "customer", "player", "user"]

# What senders get wrong, and what two readers of one value are apt to disagree on.
NASTY: list[object] = [
    None, True, 0, 1, -1, 1.0, 1.5, 2**63, -(2**63) - 1, "", " ", "x" * 128, "x" * 129, [], {}, [None], [{}],
    "1", "1.0", "-0.00", "+1", "01", "1e3", "1.123456789", "9" * 21, "\u0661", "EUR", "eur", "EURO", "\u0131dr", "ZZZ",
    "2026-06-03T10:00:00Z", "2026-06-03t10:00:00z", "2026-06-03 10:00:00Z", "2026-06-03T10:00:00",
    "2026-06-03T10:00:00.123456789Z", "2026-06-03T10:00:00.1234567890Z", "2026-06-03T24:00:00Z",
    "2026-02-29T10:00:00Z", "2024-02-29T10:00:00+14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
    "2026-06-03T10:00:60Z", "2026-06-03T10:00:00+24:00", "2026-06-03T10:00:00-00:00", "2026-W23-3T10:00:00Z",
    "2026-06-03", "2026-13-01", "20260603", 1780480800, "1780480800",
    {"amount": "1.00", "currency": "EUR"}, {"amount": 1, "currency": "EUR"}, {"amount": "1.00"},
    {"email": "a@example.com"}, {"name": "Ada"}, {"ip": "192.0.2.1"}, [{"ip": "192.0.2.1"}],
]  # fmt: skip


def paths(node: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the document itself included."""
    found = [above]
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        found += paths(member, (*above, name))
    return found


@st.composite
def altered_events(draw: st.DrawFn) -> dict[str, Any]:
    """An example with up to three of its values replaced, left out, or added to."""
    event: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(EVENTS)))
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from([path for path in paths(event) if path and path != ("type",)]))
        parent: Any = event
        for name in above:
            parent = parent[name]
        if draw(st.booleans()):
            parent[last] = copy.deepcopy(draw(st.sampled_from(NASTY)))
        elif isinstance(parent, dict) and draw(st.booleans()):
            parent[draw(st.sampled_from([*PERSONAL, "from", "from_currency", "note"]))] = copy.deepcopy(
                draw(st.sampled_from(NASTY))
            )
        else:
            del parent[last]
    parsed: dict[str, Any] = orjson.loads(json.dumps(event))  # as the receiver would have it
    return parsed


def contract_of(event: dict[str, Any]) -> type[Contract]:
    """The contract that an example was written for."""
    return CONTRACTS[event["type"], "1"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["id"])
def test_every_example_takes_the_quick_way(event: dict[str, Any]) -> None:
    """A check that always says no would be sound, and worth nothing."""
    assert fitting(contract_of(event)).isinstance_python(event)
    has_free_object = b'"breakdown":{' in orjson.dumps(event)
    assert fitting_exactly(contract_of(event)).isinstance_python(event) is not has_free_object


@given(event=altered_events())
@settings(max_examples=800, deadline=None)
def test_what_fits_is_read_by_the_contract_to_the_same_header(event: dict[str, Any]) -> None:
    """A yes is never wrong, and with either check the instant is the contract's own."""
    contract = contract_of(event)
    fits = fitting(contract).isinstance_python(event)
    assert fits or not fitting_exactly(contract).isinstance_python(event)
    body = orjson.dumps(event)
    try:
        read = contract.model_validate(event)
    except ValidationError:
        assert not fits
        with pytest.raises(ContractViolation):
            read_event(body)
    else:
        if event.get("schema_version") == "1.0":
            assert read_event(body).occurred_at == read.timestamp  # type: ignore[attr-defined]


@given(event=altered_events())
@settings(max_examples=800, deadline=None)
def test_an_event_that_fits_exactly_holds_no_personal_data(event: dict[str, Any]) -> None:
    """What is kept without a look for personal data is what such a look would have kept."""
    if fitting_exactly(contract_of(event)).isinstance_python(event):
        body = orjson.dumps(event)
        assert without_personal_data(body, b"k" * 32) == body


def test_a_field_the_contract_does_not_know_fits_but_not_exactly() -> None:
    """The two checks differ in this alone."""
    event = copy.deepcopy(EVENTS[0])
    event["data"]["partner"]["note"] = "x"
    assert fitting(contract_of(event)).isinstance_python(event)
    assert not fitting_exactly(contract_of(event)).isinstance_python(event)
