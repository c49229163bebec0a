"""The mappings that come with hookmart: what each makes of each payload, to the last field."""

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.platform_privacy import without_platform_personal_data
from mappings.errors import Unmappable
from models.reading import read_event
from tests.platform_payloads import (
    FILES,
    NAMES,
    PERSONAL,
    PLATFORMS,
    cleaned,
    expected,
    files_of,
    mapping_of,
    name_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_payload_becomes_exactly_these_events(path: Path) -> None:
    """Every field is where the contract has it, and the contract takes every event."""
    mapped = mapping_of(path.parent.name).apply(cleaned(path))
    assert [json.loads(event.payload) for event in mapped.events] == expected(path)
    for event in mapped.events:
        assert read_event(event.payload) == event.header
    assert (mapped.reason_ignored is None) == bool(mapped.events)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_payload_that_it_makes_an_event_of(name: str) -> None:
    """A rule that no payload reaches would be a guess."""
    mapping = mapping_of(name)
    made = {
        (mapping.apply(cleaned(path)).platform_type, event["type"])
        for path in files_of(name)
        for event in expected(path)
    }
    for rule in mapping.rules:
        assert any((each, rule.event_type) in made for each in rule.platform_types), (
            rule.platform_types,
            rule.event_type,
        )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_personal_passes_the_door(path: Path) -> None:
    """No name or address of a customer is in what is written, nor the address of a partner; a partner's name may be."""
    raw = path.read_bytes().lower()
    assert json.loads(cleaned(path))
    for marker in PERSONAL:
        assert marker not in cleaned(path).lower()
        assert marker not in without_platform_personal_data(raw, None, mapping_of(path.parent.name).personal)


def test_every_payload_says_where_its_shape_is_from() -> None:
    """The list beside the payloads is complete."""
    listed = re.findall(r"^\| `([a-z0-9-]+\.json)` \| .+ \|$", (PLATFORMS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in FILES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(garbage=JSON, place=st.integers(0, 10_000), data=st.data())
def test_garbage_is_said_to_be_garbage(name: str, garbage: object, place: int, data: st.DataObject) -> None:
    """Whatever stands in a payload, and whatever a payload is, the mapping gives events or one reason why not."""
    payloads = files_of(name)
    document = json.loads(payloads[place % len(payloads)].read_text())
    within, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(within[key], dict) and within[key] and data.draw(st.booleans()):
        within = within[key]
        key = data.draw(st.sampled_from(sorted(within)))
    within[key] = garbage
    for body in (json.dumps(document).encode(), json.dumps(garbage).encode()):
        cleaned_body = without_platform_personal_data(body, b"k" * 32, mapping_of(name).personal)
        with suppress(Unmappable):
            assert all(read_event(event.payload) for event in mapping_of(name).apply(cleaned_body).events)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"[]", b"null", b'{"event": NaN}', b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"1" * 5_000, b'{"event": "sale.created", "data": ' + b"9" * 5_000 + b"}", b'{"event": 1}', b'{"event": ""}',
        b'{"id": "\\ud800", "event": "link.clicked", "data": {"link": {"partnerId": "\\ud800"}}}',
        b'{"id": "a", "event": "commission.created", "createdAt": "2026-05-01T00:00:00Z", "data": {"id": "c",'
        b' "earnings": 1e999999999, "currency": "usd", "partner": {"id": "p"}}}',
    ],
)  # fmt: skip
def test_a_hostile_body_is_refused_in_a_word(body: bytes) -> None:
    """Neither depth nor size nor a number that would fill the memory gets anywhere."""
    kept = without_platform_personal_data(body, None, mapping_of("dub").personal)
    with pytest.raises(Unmappable):
        mapping_of("dub").apply(kept)


def test_a_fault_names_the_path_and_not_the_value() -> None:
    """Whoever reads the detail finds the field; what was sent stays where it is."""
    document = json.loads((PLATFORMS / "dub" / "commission-created.json").read_text())
    document["data"]["currency"] = "dollars"
    with pytest.raises(Unmappable) as caught:
        mapping_of("dub").apply(json.dumps(document).encode())
    assert caught.value.reason == "mapping"
    assert caught.value.platform_type == "commission.created"
    assert caught.value.detail == "data.earnings (for data.commission.amount): a known currency code is expected"


def test_a_currency_that_nobody_names_is_asked_for() -> None:
    """Where the payload names none, the source must; nothing is assumed."""
    path = PLATFORMS / "firstpromoter" / "commission-created.json"
    with pytest.raises(Unmappable, match="set `mapping_currency` of the source"):
        mapping_of("firstpromoter").in_currency(None).apply(cleaned(path))


def test_an_unknown_type_is_told_from_one_that_is_ignored() -> None:
    """A type that no rule and no list knows waits in quarantine; one that is listed is no event."""
    with pytest.raises(Unmappable, match="unknown_type"):
        mapping_of("dub").apply(b'{"id": "evt_1", "event": "link.exploded"}')
    assert mapping_of("dub").apply(b'{"id": "evt_1", "event": "link.created"}').events == ()
