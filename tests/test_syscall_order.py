"""What the kernel was asked for, in which order: killed processes cannot show whether a sync came before its answer."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from unittest import mock

import orjson
import pytest

from tests.raw_http import Connection, request_head
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature
from tests.syscall_trace import SYSTEM_CALLS, answers_of, calls_of, premature_answers

EVENT = orjson.loads(EVENT_FILES[3].read_bytes())
STAGE = Path("/var/stage")


def _can_trace() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-f", "-o", os.devnull, "true"], check=False).returncode == 0


class TracedReceiver(RunningReceiver):
    """A receiver under strace; `calls` are there once it has stopped."""

    def __enter__(self) -> Self:
        """Start it as the child of strace."""
        self.trace = self.log.with_name("trace")
        strace = self.log.with_name("strace.sh")
        strace.write_text(
            f"#!/bin/sh\nexec strace -f -y -s 1048576 -e trace={SYSTEM_CALLS} -e signal=none -o '{self.trace}'"
            f" '{sys.executable}' \"$@\"\n"
        )
        strace.chmod(0o755)
        with mock.patch.object(sys, "executable", str(strace)):
            return super().__enter__()

    def stop(self) -> int:
        """Drain the receiver: strace itself hears no signal."""
        tracer = self.process.pid
        if self.process.poll() is None:
            for traced in Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split():
                os.kill(int(traced), signal.SIGTERM)
        return self.process.wait(60)


def _request(event_id: str) -> tuple[bytes, bytes]:
    body = orjson.dumps(EVENT | {"id": event_id})
    head = request_head("/webhooks/acme", [("Content-Length", str(len(body))), *signature(body).items()])
    return head, body


def _post_one_by_one(receiver: RunningReceiver, event_ids: Iterable[str], *, is_split: bool) -> None:
    with Connection(receiver.url) as connection:
        for event_id in event_ids:
            head, body = _request(event_id)
            connection.send(*((head, body) if is_split else (head + body,)))
            assert connection.answer().status_code == 200


def _post_at_once(receiver: RunningReceiver, event_ids: list[str], *, is_split: bool) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(receiver.url)) for _ in event_ids]
        for connection, event_id in zip(connections, event_ids, strict=True):
            head, body = _request(event_id)
            connection.send(*((head, body) if is_split else (head + body,)))
        assert [connection.answer().status_code for connection in connections] == [200] * len(event_ids)


_needs_strace = pytest.mark.skipif(not _can_trace(), reason="needs strace, and leave to trace a child")


@_needs_strace
@pytest.mark.parametrize("is_split", [False, True], ids=["in one read", "in two reads"])
def test_no_answer_leaves_before_its_event_is_durable(tmp_path: Path, *, is_split: bool) -> None:
    """Whether alone or with 31 others: line, sync of the line and sync of the segment's name come before the 200."""
    alone = [f"alone-{number}" for number in range(20)]
    crowds = [[f"crowd-{crowd}-{number}" for number in range(32)] for crowd in range(5)]
    with TracedReceiver(tmp_path, CONFIGURATION.replace("0.2", "0.05")) as receiver:
        _post_one_by_one(receiver, alone, is_split=is_split)
        for crowd in crowds:
            _post_at_once(receiver, crowd, is_split=is_split)
        assert receiver.stop() == 0

    calls = calls_of(receiver.trace.read_text(encoding="latin-1"))
    answered = sorted(event_id for answer in answers_of(calls) for event_id in answer.event_ids)
    assert answered == sorted(alone + [event_id for crowd in crowds for event_id in crowd])
    assert premature_answers(calls, receiver.stage.root) == []
    assert len(list(receiver.stage.root.iterdir())) > 1, "the names of several segments were put to the test"


@_needs_strace
def test_a_receiver_that_does_not_sync_is_caught(tmp_path: Path) -> None:
    """With its data's sync left out, every answer is one too early: a trace of the real thing shows it."""
    event_ids = [f"alone-{number}" for number in range(5)]
    with TracedReceiver(tmp_path, before="import os\nos.fdatasync = lambda descriptor: None\n") as receiver:
        _post_one_by_one(receiver, event_ids, is_split=False)
        assert receiver.stop() == 0
    calls = calls_of(receiver.trace.read_text(encoding="latin-1"))
    assert len(premature_answers(calls, receiver.stage.root)) == len(event_ids)


_HEAD = r'"HTTP/1.1 200 OK\r\ncontent-length: 37\r\n\r\n"'
_BODY = r'"{\"status\":\"accepted\",\"event_id\":\"a1\"}"'
_LINE = r'"{\"is_delivery\":true,\"event_id\":\"a1\"}\n"'
_HALVES = (r'"{\"is_delivery\":true,\"event_"', r'"id\":\"a1\"}\n"')
_SEGMENT = "5</var/stage/01.open>"
_MADE = [
    '2  mkdir("/var/stage", 0777) = 0',
    "2  fsync(5</var>) = 0",
]
_NAMED = [
    '2  rename("/var/stage/01.new", "/var/stage/01.open") = 0',
    "2  fsync(6</var/stage>) = 0",
]
_WRITTEN = [f"2  write({_SEGMENT}, {_LINE}, 37) = 37"]
_SYNCED = [f"2  fdatasync({_SEGMENT}) = 0"]
_ANSWERED = [f"1  writev(7<socket:[9]>, [{{iov_base={_HEAD}, iov_len=39}}, {{iov_base={_BODY}, iov_len=37}}], 2) = 76"]

_GOOD = {
    "one after the other": [*_MADE, *_NAMED, *_WRITTEN, *_SYNCED, *_ANSWERED],
    "the stage was there before": [*_NAMED, *_WRITTEN, *_SYNCED, *_ANSWERED],
    "between those of another thread": [
        *_NAMED,
        f"2  write({_SEGMENT}, {_LINE}, 37 <unfinished ...>",
        '1  write(7<socket:[9]>, "HTTP/1.1 503 Service Unavailable\\r\\ncontent-length: 0\\r\\n\\r\\n", 57) = 57',
        "2  <... write resumed>)              = 37",
        f"2  fdatasync({_SEGMENT} <unfinished ...>",
        '1  write(8<pipe:[3]>, "x", 1) = 1',
        "2  <... fdatasync resumed>) = 0",
        *_ANSWERED,
    ],
    "in two writes each": [
        *_NAMED,
        f"2  write({_SEGMENT}, {_HALVES[0]}, 27) = 27",
        f"2  write({_SEGMENT}, {_HALVES[1]}, 10) = 10",
        *_SYNCED,
        f"1  write(7<socket:[9]>, {_HEAD}, 39) = 39",
        f"1  sendto(7<socket:[9]>, {_BODY}, 37, 0, NULL, 0) = 37",
    ],
}  # fmt: skip
_BAD = {
    "never written": [*_NAMED, *_SYNCED, *_ANSWERED],
    "never synced": [*_NAMED, *_WRITTEN, *_ANSWERED],
    "synced before it was written": [*_NAMED, *_SYNCED, *_WRITTEN, *_ANSWERED],
    "synced after the answer": [*_NAMED, *_WRITTEN, *_ANSWERED, *_SYNCED],
    "a failed sync": [*_NAMED, *_WRITTEN, f"2  fdatasync({_SEGMENT}) = -1 EIO (Input/output error)", *_ANSWERED],
    "another segment synced": [*_NAMED, *_WRITTEN, "2  fdatasync(5</var/stage/02.open>) = 0", *_ANSWERED],
    "answered while the sync runs": [
        *_NAMED,
        *_WRITTEN,
        f"2  fdatasync({_SEGMENT} <unfinished ...>",
        *_ANSWERED,
        "2  <... fdatasync resumed>) = 0",
    ],
    "written while the sync runs": [
        *_NAMED,
        f"2  fdatasync({_SEGMENT} <unfinished ...>",
        f"3  write({_SEGMENT}, {_LINE}, 37) = 37",
        "2  <... fdatasync resumed>) = 0",
        *_ANSWERED,
    ],
    "synced with half of the line": [
        *_NAMED,
        f"2  write({_SEGMENT}, {_LINE}, 37) = 27",
        *_SYNCED,
        f"2  write({_SEGMENT}, {_HALVES[1]}, 10) = 10",
        *_ANSWERED,
    ],
    "the first bytes of the answer sent ahead": [
        *_NAMED,
        *_WRITTEN,
        f"1  write(7<socket:[9]>, {_HEAD}, 39) = 10",
        *_SYNCED,
        f"1  write(7<socket:[9]>, {_HEAD[:1] + _HEAD[11:]}, 29) = 29",
        f"1  write(7<socket:[9]>, {_BODY}, 37) = 37",
    ],
    "the name never synced": [_NAMED[0], *_WRITTEN, *_SYNCED, *_ANSWERED],
    "the name synced after the answer": [_NAMED[0], *_WRITTEN, *_SYNCED, *_ANSWERED, _NAMED[1]],
    "the name synced before it was given": [_NAMED[1], _NAMED[0], *_WRITTEN, *_SYNCED, *_ANSWERED],
    "the name given while the directory's sync runs": [
        "2  fsync(6</var/stage> <unfinished ...>",
        _NAMED[0].replace("2", "3", 1),
        "2  <... fsync resumed>) = 0",
        *_WRITTEN,
        *_SYNCED,
        *_ANSWERED,
    ],
    "a directory's sync that failed": [
        _NAMED[0],
        "2  fsync(6</var/stage>) = -1 EIO (Input/output error)",
        *_WRITTEN,
        *_SYNCED,
        *_ANSWERED,
    ],
    "a stage whose own name was never synced": [_MADE[0], *_NAMED, *_WRITTEN, *_SYNCED, *_ANSWERED],
}


@pytest.mark.parametrize("trace", _GOOD.values(), ids=_GOOD)
def test_a_good_order_is_found_good(trace: list[str]) -> None:
    """Whatever else happens in between, an answer after its syncs is no fault."""
    calls = calls_of("\n".join(trace))
    assert [answer.event_ids for answer in answers_of(calls)] == [("a1",)]
    assert premature_answers(calls, STAGE) == []


@pytest.mark.parametrize("trace", _BAD.values(), ids=_BAD)
def test_a_wrong_order_is_caught(trace: list[str]) -> None:
    """Each way in which an answer could be given too early is told by the trace alone."""
    calls = calls_of("\n".join(trace))
    assert [answer.event_ids for answer in answers_of(calls)] == [("a1",)]
    assert len(premature_answers(calls, STAGE)) == 1


def test_a_trace_that_is_cut_short_proves_nothing() -> None:
    """Where strace has left out the rest of a text, the answer may be in it."""
    with pytest.raises(ValueError, match="cut short"):
        calls_of('1  write(7<socket:[9]>, "HTTP/1."..., 78) = 78')
