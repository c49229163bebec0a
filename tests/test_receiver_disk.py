"""A disk that takes nothing, takes its time, or is not there: what the receiver answers, and that it comes back."""

import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.raw_http import Connection, request_head
from tests.running_receiver import (
    CONFIGURATION,
    EVENT_FILES,
    SLOW_DISK,
    RunningReceiver,
    signature,
    staged_lines,
    until,
)

EVENT = EVENT_FILES[2].read_bytes()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[RunningReceiver]:
    with RunningReceiver(tmp_path) as running:
        yield running


def limit_files(receiver: RunningReceiver, size: int) -> None:
    """Let the receiver write files of *size* bytes at most."""
    resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_stage_that_cannot_be_written_is_ours_and_passes(receiver: RunningReceiver) -> None:
    """While the disk takes nothing the sender is asked to retry, nothing is left behind, and then all is well again."""
    assert receiver.client.get("/readyz").status_code == 200
    limit_files(receiver, 0)
    for _ in range(5):
        answer = receiver.post(EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert receiver.post(EVENT, {}).status_code == 401, "a refusal does not depend on the disk"
    assert receiver.client.get("/readyz").status_code == 503
    assert receiver.client.get("/healthz").status_code == 200
    limit_files(receiver, resource.RLIM_INFINITY)
    assert receiver.post(EVENT).status_code == 200
    assert receiver.client.get("/readyz").status_code == 200
    assert [line.status_code for line in receiver.staged_after_stop() if line.outcome != "refused"] == [200]
    assert {path.suffix for path in receiver.stage.root.iterdir()} == {".jsonl"}


def test_what_was_refused_while_the_disk_failed_is_recorded_with_the_next_delivery(receiver: RunningReceiver) -> None:
    """Neither our own faults nor the refusals of that time are missing from the record."""
    limit_files(receiver, 0)
    for _ in range(20):
        assert receiver.post(EVENT).status_code == 503
        assert receiver.post(EVENT, {}).status_code == 401
        assert receiver.post(EVENT, source="nobody").status_code == 404
    limit_files(receiver, resource.RLIM_INFINITY)
    assert receiver.post(EVENT).status_code == 200
    until(lambda: len(receiver.staged()) == 61)
    assert Counter((line.source_id, line.status_code, line.reason) for line in receiver.staged()) == {
        ("acme", 503, "not_staged"): 20,
        ("acme", 401, "missing_signature"): 20,
        ("-", 404, "unknown_source"): 20,
        ("acme", 200, None): 1,
    }
    assert len({line.delivery_id for line in receiver.staged()}) == 61


def test_what_was_refused_while_the_disk_failed_is_recorded_at_the_latest_at_the_end(tmp_path: Path) -> None:
    """A receiver that stops writes what it still has to say, if the disk lets it."""
    (tmp_path / "var").write_text("in the way")
    with RunningReceiver(tmp_path) as receiver:
        assert receiver.post(EVENT).status_code == 503
        assert receiver.post(EVENT, {}).status_code == 401
        until(lambda: receiver.log.read_text().count(f"could not be staged in {receiver.stage.root}:") == 3)
        (tmp_path / "var").unlink()
        lines = receiver.staged_after_stop()
    assert [(line.status_code, line.reason) for line in lines] == [(503, "not_staged"), (401, "missing_signature")]


def test_a_receiver_whose_disk_never_comes_back_stops_all_the_same(receiver: RunningReceiver) -> None:
    """It is not kept from stopping by what it cannot write."""
    limit_files(receiver, 0)
    assert receiver.post(EVENT).status_code == 503
    assert receiver.stop() == 0
    assert list(receiver.stage.root.iterdir()) == []


def test_a_segment_at_the_limit_of_a_files_size_does_not_stop_the_receiver(receiver: RunningReceiver) -> None:
    """What no longer fits into one file fits into the next."""
    limit_files(receiver, len(EVENT) * 3)
    answers = [receiver.post(EVENT).status_code for _ in range(12)]
    assert set(answers) == {200, 503}
    assert "503, 503" not in str(answers)
    staged = Counter(line.status_code for line in receiver.staged_after_stop())
    assert staged[200] == answers.count(200)


def test_a_receiver_starts_and_stays_alive_without_its_stage(tmp_path: Path) -> None:
    """A disk that is not there at start means 503 until it is, not a receiver that must be restarted."""
    (tmp_path / "var").write_text("in the way")
    with RunningReceiver(tmp_path) as receiver:
        assert receiver.client.get("/readyz").status_code == 503
        assert receiver.post(EVENT).status_code == 503
        (tmp_path / "var").unlink()
        assert receiver.post(EVENT).status_code == 200
        assert [line.status_code for line in receiver.staged_after_stop()] == [503, 200]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[RunningReceiver, Path]]:
    """A receiver, and the file that holds up its disk while it is there; segments do not close by themselves."""
    gate = tmp_path / "gate"
    configuration = CONFIGURATION.replace("0.2", "3600")
    with RunningReceiver(tmp_path, configuration, before=SLOW_DISK.format(gate=gate)) as receiver:
        try:
            yield receiver, gate
        finally:
            gate.unlink(missing_ok=True)


def event(name: str) -> bytes:
    """An event called *name*."""
    return orjson.dumps(orjson.loads(EVENT) | {"id": name})


def ask(connection: Connection, name: str, *, is_torn: bool) -> None:
    """Post the event called *name*: in one piece, which takes the fast lane, or in two."""
    body = event(name)
    request = request_head("/webhooks/acme", [("Content-Length", str(len(body))), *signature(body).items()]) + body
    connection.send(*([request[:-10], request[-10:]] if is_torn else [request]))


def is_being_written(receiver: RunningReceiver) -> bool:
    """Whether a segment holds something that no sync has confirmed yet."""
    return any(segment.size for segment in receiver.stage.live_segments())


@pytest.mark.parametrize("is_torn", [False, True], ids=["lane", "ordinary"])
def test_nobody_is_answered_before_the_disk_is(slow: tuple[RunningReceiver, Path], *, is_torn: bool) -> None:
    """Those who come during a sync wait for the next; each gets the answer to his own event."""
    receiver, gate = slow
    gate.touch()
    connections = [Connection(receiver.url) for _ in range(10)]
    for number, connection in enumerate(connections):
        ask(connection, f"evt-{number}", is_torn=is_torn)
    until(lambda: is_being_written(receiver))
    assert receiver.client.get("/healthz").status_code == 200, "it has time for others"
    assert (receiver.figures()("in_flight_bytes") or 0) > 0
    assert receiver.figures().all("requests_total", "outcome") == {}
    gate.unlink()
    answers = [connection.answer() for connection in connections]
    assert [orjson.loads(answer.body)["event_id"] for answer in answers] == [f"evt-{number}" for number in range(10)]
    assert receiver.figures()("in_flight_bytes") == 0


@pytest.mark.parametrize("is_torn", [False, True], ids=["lane", "ordinary"])
def test_a_client_that_leaves_while_its_event_is_being_synced_harms_nobody(
    slow: tuple[RunningReceiver, Path], *, is_torn: bool
) -> None:
    """Its event is kept, whoever shares its batch is answered, and it no longer counts as under way."""
    receiver, gate = slow
    gate.touch()
    leaving, ahead, staying = (Connection(receiver.url) for _ in range(3))
    ask(leaving, "left", is_torn=is_torn)
    until(lambda: is_being_written(receiver))
    ask(ahead, "ahead", is_torn=is_torn)
    ask(ahead, "behind", is_torn=False)
    ask(staying, "stayed", is_torn=is_torn)
    leaving.reset()
    ahead.reset()
    assert receiver.client.get("/healthz").status_code == 200
    gate.unlink()
    assert staying.answer().status_code == 200
    until(lambda: receiver.figures()("in_flight_bytes") == 0)
    assert receiver.post(event("later")).status_code == 200
    staged = [line.event_id for line in receiver.staged_after_stop()]
    assert {"left", "stayed", "later"} <= set(staged) <= {"left", "ahead", "behind", "stayed", "later"}
    assert len(staged) == len(set(staged))
    assert "Traceback" not in receiver.log.read_text()


def test_sigterm_answers_what_has_been_asked_and_exits_with_0(slow: tuple[RunningReceiver, Path]) -> None:
    """Whoever waits for the disk gets his answer; then the segment is closed, whatever its age."""
    receiver, gate = slow
    assert receiver.post(event("before")).status_code == 200
    assert receiver.stage.closed_segments() == []
    gate.touch()
    connections = [Connection(receiver.url) for _ in range(6)]
    for number, connection in enumerate(connections):
        ask(connection, f"evt-{number}", is_torn=number % 2 == 0)
    ask(connections[0], "sent ahead", is_torn=False)
    until(lambda: (receiver.figures()("in_flight_bytes") or 0) > 6 * 4096)
    receiver.process.terminate()
    until(lambda: "Shutting down" in receiver.log.read_text())
    assert receiver.process.poll() is None
    gate.unlink()
    assert [connection.answer().status_code for connection in connections] == [200] * 6
    assert connections[0].answer().status_code == 200
    assert all(connection.is_closed() for connection in connections)
    assert receiver.stop() == 0
    staged = sorted(line.event_id or "" for line in staged_lines(receiver.stage.closed_segments()))
    assert staged == sorted(["before", "sent ahead", *(f"evt-{number}" for number in range(6))])
    assert {path.suffix for path in receiver.stage.root.iterdir()} == {".jsonl"}
