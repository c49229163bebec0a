"""From a verified body to its lines: one event, an array of them, or something that is neither."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.delivery import Delivery, rfc3339, staged_lines
from ingest.staging import StagedLine
from tests.asgi_receiver import Ask, ask
from tests.running_receiver import CONFIGURATION, EVENT_FILES, signature

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
EVENT, OTHER = EVENT_FILES[2].read_bytes().strip(), EVENT_FILES[3].read_bytes().strip()
ARRAYS = CONFIGURATION + "arrays = true\n"

_SPACE = st.text(" \t\n\r", max_size=3).map(str.encode)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abc]},["\\', max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_ELEMENTS = st.lists(
    st.one_of(
        st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode(), _JSON, st.booleans()),
        st.sampled_from([EVENT, OTHER]),
    ),
    min_size=1,
    max_size=6,
)


def lines_of(body: bytes, *, may_be_array: bool = True) -> list[StagedLine]:
    """The lines of a delivery of *body*."""
    return staged_lines(Delivery("acme"), NOW, "env:ACME_SECRET", body, may_be_array=may_be_array)


def kept(line: StagedLine) -> bytes:
    """The bytes that stand for the event."""
    return base64.b64decode(line.payload_base64) if line.payload_base64 else (line.payload or "").encode()


def array_of(elements: list[bytes], spaces: list[bytes]) -> bytes:
    """An array of *elements* with *spaces* wherever there may be some."""
    padding = iter(spaces)
    inner = b",".join(next(padding, b"") + element + next(padding, b"") for element in elements)
    return next(padding, b"") + b"[" + inner + b"]" + next(padding, b"")


@given(elements=_ELEMENTS, spaces=st.lists(_SPACE, max_size=14))
@settings(deadline=None)
def test_each_element_of_an_array_is_an_event_byte_for_byte(elements: list[bytes], spaces: list[bytes]) -> None:
    """However it is written and whatever stands between: brackets in strings, escapes, numbers of any size."""
    lines = lines_of(array_of(elements, spaces))
    assert [kept(line) for line in lines] == elements
    assert [line.body_sha256 for line in lines] == [hashlib.sha256(element).hexdigest() for element in elements]
    assert [line.position for line in lines] == list(range(len(elements)))
    assert [line.is_delivery for line in lines] == [True] + [False] * (len(elements) - 1)
    assert len({(line.delivery_id, line.received_at, line.body_bytes) for line in lines}) == 1
    assert [line.outcome == "accepted" for line in lines] == [element in {EVENT, OTHER} for element in elements]


@given(body=st.binary(max_size=300) | st.binary(max_size=300).map(lambda inner: b"[" + inner))
@settings(deadline=None)
def test_any_bytes_are_one_delivery(body: bytes) -> None:
    """Whatever it is, it is kept as sent under one delivery, and nothing is raised."""
    for may_be_array in (False, True):
        lines = lines_of(body, may_be_array=may_be_array)
        assert [line.is_delivery for line in lines].count(True) == 1
        if len(lines) == 1 and b"mail" not in body.lower():
            assert kept(lines[0]) in body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "not_an_object"),
        (b"[" + b"1," * 5000 + b"1]", "not_an_object"),
        (b" [ ] ", "not_an_object"),
        (b"[" + EVENT, "malformed_json"),
        (b"[" + EVENT + b",]", "malformed_json"),
        (b"[" + EVENT + b" " + EVENT + b"]", "malformed_json"),
        (b"[" + EVENT + b"]]", "malformed_json"),
        (b"[" + EVENT + b"]\n[" + EVENT + b"]", "malformed_json"),
        (EVENT + b"\n" + OTHER, "malformed_json"),
        (b"[\xff]", "malformed_json"),
        (b"[1e999,\x00]", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"[" * 100_000 + b"]" * 100_000, "malformed_json"),
    ],
    ids=["empty", "crumbs", "empty with space", "open", "comma", "no comma", "too closed", "two arrays", "no array",
         "not UTF-8", "NUL", "deep and open", "deep"],
)  # fmt: skip
def test_what_is_no_array_of_anything_is_quarantined_whole(body: bytes, reason: str) -> None:
    """Nothing of it is taken for an event, and nothing of it is lost."""
    [line] = lines_of(body)
    assert (line.outcome, line.reason, kept(line), line.position) == ("quarantined", reason, body, 0)


def test_an_array_is_no_event_where_the_source_sends_none(tmp_path: Path) -> None:
    """It is genuine, so it is quarantined; nobody guesses what was meant."""
    body = b"[" + EVENT + b"]"
    [answer], [line] = ask(tmp_path, CONFIGURATION, [Ask(body, signature(body))])
    assert (answer.status_code, answer.json()) == (200, {"status": "quarantined", "event_id": None})
    assert (line.reason, line.payload) == ("not_an_object", body.decode())


def test_one_bad_element_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Each is answered for itself, in its place."""
    event = orjson.loads(EVENT)
    unknown = orjson.dumps(event | {"id": "evt_unknown", "type": "click.imagined"})
    nameless = orjson.dumps({name: value for name, value in event.items() if name != "id"})
    elements = [unknown, EVENT, b"17", nameless, EVENT]
    body = b"[" + b",".join(elements) + b"]"
    [answer], lines = ask(tmp_path, ARRAYS, [Ask(body, signature(body))])
    synthetic = f"sha256:{hashlib.sha256(nameless).hexdigest()}"
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "accepted",
            "events": [
                {"status": "quarantined", "event_id": "evt_unknown"},
                {"status": "accepted", "event_id": event["id"]},
                {"status": "quarantined", "event_id": None},
                {"status": "accepted", "event_id": synthetic},
                {"status": "accepted", "event_id": event["id"]},
            ],
        },
    )
    assert [kept(line) for line in lines] == elements
    assert [(line.position, line.is_delivery, line.reason) for line in lines] == [
        (0, True, "unknown_type"),
        (1, False, None),
        (2, False, "not_an_object"),
        (3, False, None),
        (4, False, None),
    ]
    assert {line.body_bytes for line in lines} == {len(body)}
    assert {line.status_code for line in lines} == {200}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (EVENT, {"status": "accepted", "event_id": orjson.loads(EVENT)["id"]}),
        (b"{}", {"status": "quarantined", "event_id": None}),
        (b"[]", {"status": "quarantined", "event_id": None}),
        (b"[{", {"status": "quarantined", "event_id": None}),
        (b"", {"status": "quarantined", "event_id": None}),
        (b"[1]", {"status": "quarantined", "events": [{"status": "quarantined", "event_id": None}]}),
        (
            b"[" + EVENT + b"]",
            {"status": "accepted", "events": [{"status": "accepted", "event_id": orjson.loads(EVENT)["id"]}]},
        ),
        (
            b'[1, {"id": "evt_1"}]',
            {
                "status": "quarantined",
                "events": [{"status": "quarantined", "event_id": None}, {"status": "quarantined", "event_id": "evt_1"}],
            },
        ),
    ],
)
def test_the_form_of_an_answer_is_that_of_the_delivery(tmp_path: Path, body: bytes, answer: dict[str, Any]) -> None:
    """An array is answered by element, be it of one; what is none is answered as anywhere else."""
    [answered], lines = ask(tmp_path, ARRAYS, [Ask(body, signature(body))])
    assert (answered.status_code, answered.json()) == (200, answer)
    assert len(lines) == len(answer.get("events", [body]))


def test_a_text_that_a_warehouse_cannot_hold_is_kept_out_of_the_columns() -> None:
    """A NUL goes, and nobody reads a megabyte of event type; the payload has it all."""
    event = orjson.loads(EVENT)
    body = orjson.dumps(event | {"type": "x" * 1_000_000 + "\0"})
    [line] = lines_of(body)
    assert (line.event_type is None or len(line.event_type) <= 1000, kept(line)) == (True, body)
    for text in (line.detail, line.event_id, line.event_type, line.schema_version):
        assert "\0" not in (text or "")


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1)), minutes=st.integers(-840, 840)
)
@settings(deadline=None)
def test_a_time_is_written_in_utc_to_the_microsecond(moment: datetime, minutes: int) -> None:
    """Whatever its zone, it reads as the same instant, and as text it sorts by time."""
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = rfc3339(there)
    assert (len(text), text[-1]) == (27, "Z")
    assert datetime.fromisoformat(text) == there
