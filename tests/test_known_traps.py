"""Traps that earlier receivers fell into, and that no other test names."""

import base64
from pathlib import Path

import orjson

from pipelines.status import read_status
from tests.line import Line
from tests.running_receiver import EVENT_FILES, RunningReceiver, until

EVENT = orjson.dumps(orjson.loads(EVENT_FILES[3].read_bytes()))
_WHOLE = EVENT.removesuffix(b"}")

UNLOADABLE = {
    "a number beyond all": _WHOLE + b',"x":1e999}',
    "an integer beyond 64 bits": EVENT.replace(b'"version":1', b'"version":123456789012345678901234567890'),
    "half a character": _WHOLE + b',"x":"\\ud800"}',
    "bytes that are no UTF-8": _WHOLE + b',"x":"\xff\xfe"}',
    "an escaped NUL": _WHOLE + b',"x":"\\u0000"}',
    "a NUL": _WHOLE + b',"x":"\0"}',
    "a name that stands twice": _WHOLE + b',"id":"another"}',
    "a name that stands twice, once in escapes": _WHOLE + b',"\\u0069d":"another"}',
    "a name that stands twice, deep inside": EVENT.replace(b'"is_first":true', b'"is_first":true,"is_first":false'),
    "nesting that readers bear differently": _WHOLE + b',"x":' + b"[" * 600 + b"]" * 600 + b"}",
    "not a number": _WHOLE + b',"x":NaN}',
    "something behind the event": EVENT + b" {}",
    "a byte order mark": b"\xef\xbb\xbf" + EVENT,
}

_SYNC_FAILS_AND_CANNOT_BE_UNDONE = """
import errno, os
def _failing_once(call):
    failures = [OSError(errno.EIO, "Input/output error")]
    def failing(descriptor, *others):
        if failures and "/stage/" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise failures.pop()
        call(descriptor, *others)
    return failing
os.fdatasync, os.ftruncate = _failing_once(os.fdatasync), _failing_once(os.ftruncate)
"""


def _lines_unexplained(line: Line) -> set[int]:
    return {source.unexplained for source in read_status(line.root / "state").sources.values()}


def test_what_the_loaders_parser_cannot_read_is_not_accepted_as_an_event(tmp_path: Path) -> None:
    """A receiver with a laxer parser would acknowledge it and poison a load: it is quarantined, byte for byte."""
    with RunningReceiver(tmp_path) as receiver:
        for body in UNLOADABLE.values():
            answer = receiver.post(body)
            assert (answer.status_code, answer.json()["status"]) == (200, "quarantined")
        assert receiver.post(EVENT).json()["status"] == "accepted"
    line = Line(tmp_path / "var")
    assert line.load().poisoned == ()
    assert _lines_unexplained(line) == {0}
    rows = line.query_warehouse("select payload, payload_base64 from raw.quarantined_events")
    kept = [
        base64.b64decode(row["payload_base64"]) if row["payload_base64"] else row["payload"].encode() for row in rows
    ]
    assert sorted(kept) == sorted(UNLOADABLE.values())
    assert line.query_warehouse("select count(*) as n from raw.conversion_events") == [{"n": 1}]


def test_an_event_that_was_answered_503_and_is_on_disk_all_the_same_is_one_row(tmp_path: Path) -> None:
    """Its sync failed and it could not be cut off: the sender's retry is a second line, and the load folds the two."""
    with RunningReceiver(tmp_path, before=_SYNC_FAILS_AND_CANNOT_BE_UNDONE) as receiver:
        assert receiver.post(EVENT).status_code == 503
        assert receiver.post(EVENT).status_code == 200
    line = Line(tmp_path / "var")
    counts = line.load().counts
    assert (counts.loaded, counts.duplicate, counts.conflicting) == (1, 1, 0)
    assert _lines_unexplained(line) == {0}
    assert line.query_warehouse("select count(*) as n from raw.conversion_events") == [{"n": 1}]


def test_a_refusal_that_may_be_on_disk_is_not_written_again(tmp_path: Path) -> None:
    """Its batch failed and could not be cut off: a second line of one delivery is one that nothing explains."""
    with RunningReceiver(tmp_path, before=_SYNC_FAILS_AND_CANNOT_BE_UNDONE) as receiver:
        assert receiver.post(EVENT, {}).status_code == 401
        until(lambda: b"stage: [Errno 5]" in receiver.log.read_bytes())
        assert receiver.post(EVENT).status_code == 200
    line = Line(tmp_path / "var")
    assert (line.load().counts.refused, _lines_unexplained(line)) == (1, {0})
