"""From bytes to a header: whatever is sent, it is an event or a violation."""

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.reading import ContractViolation, EventHeader, read_event

EVENTS = sorted((Path(__file__).parent / "fixtures" / "events").glob("*.json"))
BODY = next(path for path in EVENTS if "payout.failed" in path.name).read_bytes()
EVENT: dict[str, Any] = json.loads(BODY)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def violation_of(body: bytes) -> ContractViolation:
    """Give the violation that *body* is."""
    with pytest.raises(ContractViolation) as violation:
        read_event(body)
    return violation.value


def with_extra(raw: str) -> bytes:
    """Write an event whose data holds one more field, its value spelled as *raw*."""
    return BODY.replace(b'"data": {', b'"data": {"extra": ' + raw.encode() + b", ", 1)


def test_the_header_says_what_the_receiver_needs() -> None:
    """The header holds the id, the type, the version and the instant in UTC."""
    assert read_event(BODY) == EventHeader(
        event_id="evt_0016",
        event_type="payout.failed",
        schema_version="1.0",
        occurred_at_text="2026-08-06T08:00:00.000000Z",
        has_synthetic_id=False,
        is_plain=True,
    )


@pytest.mark.parametrize("event", [{**EVENT, "id": None}, {name: EVENT[name] for name in EVENT if name != "id"}])
def test_an_event_without_an_id_is_named_after_its_body(event: dict[str, Any]) -> None:
    """A missing id is made from the bytes as sent, so that a retry of the same bytes has the same id."""
    body = json.dumps(event).encode()
    header = read_event(body)

    assert header.event_id == "sha256:" + hashlib.sha256(body).hexdigest()
    assert header.has_synthetic_id


def test_a_violation_makes_no_id_up() -> None:
    """What is quarantined without an id has none."""
    assert violation_of(json.dumps({**EVENT, "id": None, "data": None}).encode()).event_id is None


@pytest.mark.parametrize("event_id", [7, "", "x" * 129, "a\0b", ["evt"], {}])
def test_a_violation_tells_no_id_that_is_none(event_id: object) -> None:
    """An id that no column could hold is not handed on."""
    violation = violation_of(json.dumps({**EVENT, "id": event_id}).encode())

    assert violation.reason == "contract"
    assert violation.event_id is None
    assert violation.event_type == "payout.failed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"{}}",
        b"{{}}",
        b"[{}",
        BODY + BODY,
        BODY + b"]",
        BODY + b"\0",
        BODY.rstrip()[:-1],
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
        BODY.replace(b"evt_0016", b"evt_\xff"),
        BODY.replace(b"evt_0016", b"evt_\xed\xa0\x80"),
        BODY.replace(b"evt_0016", b"evt_\xc0\x80"),
        BODY.replace(b"evt_0016", b"evt_\0"),
        BODY.replace(b"evt_0016", b"evt_\\ud800"),
        BODY.replace(b'"evt_0016"', b"'evt_0016'"),
        BODY.replace(b'"attempt": 1', b'"attempt": 1e999'),
        BODY.replace(b'"attempt": 1', b'"attempt": ' + b"1" * 5000),
        BODY.replace(b'"attempt": 1', b'"attempt": NaN'),
        BODY.replace(b'"attempt": 1', b'"attempt": -Infinity'),
        BODY.replace(b'"attempt": 1', b'"attempt": 01'),
        BODY.replace(b'"attempt": 1', b'"attempt": 1,'),
        BODY.replace(b'"attempt": 1', b'"attempt": 1 // one'),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"NaN",
        b"event_id=evt_0016&type=payout.failed",
    ],
)
def test_what_the_loader_could_not_parse_is_malformed(body: bytes) -> None:
    """JSON in the strictest sense or none: a parser that forgives here would acknowledge what cannot be loaded."""
    assert body != BODY
    violation = violation_of(body)

    assert violation.reason == "malformed_json"
    assert (violation.event_id, violation.event_type, violation.schema_version) == (None, None, None)


@pytest.mark.parametrize(
    "body", [b"null", b"true", b"1", b'"event"', b"[]", b"[" + BODY + b"]", b"[" * 900 + b"]" * 900]
)
def test_json_that_is_no_object_says_so(body: bytes) -> None:
    """An event is an object; a list of events is none."""
    assert violation_of(body).reason == "not_an_object"


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b'"data": {', b'"data": {}, "data": {', 1),
        BODY.replace(b'"id": "evt_0016"', b'"id": "evt_0016", "id": "evt_0016"'),
        BODY.replace(b'"amount": "130.00"', b'"amount": "1.123456789", "amount": "130.00"', 1),
        BODY.replace(b'"amount": "130.00"', b'"\\u0061mount": "1", "amount": "130.00"', 1),
        with_extra('{"": 1, "": 1}'),
        with_extra('{"a\\u0022": 1, "a\\"": 1}'),
        with_extra('[[[{"a": "\\u0022", "a": "\\u0022"}]]]'),
        with_extra('{"a": {"b": "\\u0022\\u0022"}, "a": {}}'),
    ],
)
def test_a_name_that_stands_twice_in_one_object_breaks_the_contract(body: bytes) -> None:
    """Of two fields of one name the loader reads the first and this parser the last: neither is believed."""
    violation = violation_of(body)

    assert violation.reason == "contract"
    assert "twice" in violation.detail


def test_the_loader_reads_the_first_of_two_fields_of_one_name() -> None:
    """The reason for the rule above, so that nobody drops it as pedantry."""
    row = duckdb.execute("""select json_extract_string('{"a": "first", "a": "last"}', '$.a')""").fetchone()

    assert row == ("first",)
    assert json.loads('{"a": "first", "a": "last"}') == {"a": "last"}


@pytest.mark.parametrize(
    "raw",
    [
        r'"\u0022 \" \\\" \u005c\u005c \u005c\" \\u0022 \/"',
        r'{"a": {"b": 1}, "b": {"a": 1}, "A": 2}',
        r'"\\u0000"',
        r'"\\\\u0000"',
        r'"\u00e9 \ud83d\ude00"',
        "1" * 300,
        "0." + "1" * 5000,
        "0.1234567890123456789012345678901234567890",
        "1e-999",
        "[" * 200 + "]" * 200,
    ],
)
def test_an_unknown_field_may_hold_any_json(raw: str) -> None:
    """Escapes, long numbers and like names in different objects are no reason to refuse an event."""
    assert read_event(with_extra(raw)).event_id == "evt_0016"


@pytest.mark.parametrize(
    "raw", [r'"a\u0000"', r'"\\\u0000"', r'{"\u0000": 1}', r'[[["\u0000"]]]', r'{"a": [{"b": "\u0000"}]}']
)
def test_a_nul_in_any_string_breaks_the_contract(raw: str) -> None:
    """Not every warehouse can hold U+0000, so none is let in, not even in a field the contract does not know."""
    violation = violation_of(with_extra(raw))

    assert violation.reason == "contract"
    assert "U+0000" in violation.detail


@pytest.mark.parametrize("depth", [300, 900])
def test_an_event_nested_beyond_reason_breaks_the_contract(depth: int) -> None:
    """An object in an object, hundreds of times over, is a violation and not a crash."""
    assert violation_of(with_extra("[" * depth + "]" * depth)).reason == "contract"
    assert violation_of(with_extra("[" * depth + r'"\u0000"' + "]" * depth)).reason == "contract"


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_spelling_of_json_makes_no_difference(path: Path) -> None:
    """An event is the same with or without space between its fields, and with or without escapes."""
    event = json.loads(path.read_bytes()) | {"note": 'é "quoted" \\ / 😀'}
    spellings = (
        json.dumps(event, separators=(",", ":")).encode(),
        json.dumps(event, indent=4).encode(),
        json.dumps(event, ensure_ascii=False).encode(),
        b"\r\n\t " + json.dumps(event).encode() + b"\n",
    )

    assert len({read_event(spelling) for spelling in spellings}) == 1


def test_a_violation_tells_only_the_first_few_faults() -> None:
    """A body that is wrong throughout makes a short message, not a long one."""
    event = {**EVENT, "data": {**EVENT["data"], "payout": {**EVENT["data"]["payout"], "fees": [1] * 1000}}}
    violation = violation_of(json.dumps(event).encode())

    assert len(violation.detail) < 500
    assert violation.detail.endswith("and 995 more")


@settings(deadline=None)
@given(body=st.binary() | st.text().map(str.encode) | json_values.map(json.dumps).map(str.encode))
def test_no_bytes_raise_anything_but_a_violation(body: bytes) -> None:
    """Garbage in is a violation, whatever the garbage."""
    with pytest.raises(ContractViolation):
        read_event(body)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), path=st.sampled_from(EVENTS))
def test_a_damaged_event_is_read_or_is_a_violation(data: st.DataObject, path: Path) -> None:
    """An event with any node dropped or replaced by anything raises nothing but a violation."""
    event = json.loads(path.read_bytes())
    node: Any = event
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    if data.draw(st.booleans()):
        del node[key]
    else:
        node[key] = data.draw(json_values)

    try:
        header = read_event(json.dumps(event).encode())
    except ContractViolation as violation:
        assert violation.detail  # noqa: PT017 - some of these are events
    else:
        assert header.event_id
        assert header.occurred_at.tzinfo is not None


@settings(deadline=None)
@given(cut=st.integers(0, len(BODY) - 1), garbage=st.binary(max_size=4), skipped=st.integers(0, 4))
def test_a_body_damaged_on_its_way_is_read_or_is_a_violation(cut: int, garbage: bytes, skipped: int) -> None:
    """A few bytes changed anywhere raise nothing but a violation."""
    try:
        read_event(BODY[:cut] + garbage + BODY[cut + skipped :])
    except ContractViolation as violation:
        assert violation.reason  # noqa: PT017 - some of these are events
