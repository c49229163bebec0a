"""A disk that is really full, or really read-only: nothing acknowledged is lost, and it passes by itself."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.line import Line
from tests.running_receiver import EVENT_FILES, RunningReceiver, until
from tests.small_disk import OPTIONS, SmallDisk, mounted

EVENT = orjson.loads(EVENT_FILES[3].read_bytes())
_KIBIBYTE = 1024


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """The disk under `var`, short of one thing; unmounted in the end."""
    with mounted(tmp_path / "var", OPTIONS[request.param]) as small:
        yield small


class Posting:
    """
    A sender that counts.

    Attributes:
        acknowledged: Bodies of the events answered 200, by id.
    """

    def __init__(self, receiver: RunningReceiver) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self._receiver = receiver
        self._sent = 0

    def post(self, *, size: int = 0) -> int:
        """Send one more event, so many bytes larger than others; return the status."""
        event_id = f"evt_{self._sent}"
        self._sent += 1
        body = orjson.dumps(EVENT | {"id": event_id, "note": "x" * size})
        answer = self._receiver.post(body)
        if answer.status_code == 200:
            self.acknowledged[event_id] = body
        else:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        return answer.status_code

    def assert_loaded(self, root: Path) -> None:
        """Stop the receiver; what it acknowledged is in the stage as it was sent, and in raw once."""
        staged = {line.event_id: line.payload for line in self._receiver.staged_after_stop() if line.event_id}
        for event_id, body in self.acknowledged.items():
            assert staged[event_id] == body.decode()
        assert _litter(self._receiver) == []
        line = Line(root)
        for path in self._receiver.stage.root.iterdir():
            shutil.copy(path, line.stage.root)
        assert line.load().poisoned == ()
        rows = line.query_warehouse("select event_id from raw.conversion_events")
        assert len(rows) == len({row["event_id"] for row in rows})
        assert self.acknowledged.keys() <= {row["event_id"] for row in rows}


def _litter(receiver: RunningReceiver) -> list[str]:
    """The names of the files that a failed delivery left behind."""
    return [path.name for path in receiver.stage.root.iterdir() if path.suffix != ".jsonl" or not path.stat().st_size]


def _assert_alive_but_not_ready(receiver: RunningReceiver) -> None:
    assert receiver.client.get("/healthz").status_code == 200
    assert receiver.client.get("/readyz").status_code == 503
    assert receiver.client.get("/metrics").status_code == 200
    assert receiver.post(b"{}", {}).status_code == 401
    assert receiver.post(b"{}", source="nobody").status_code == 404
    assert receiver.client.get("/webhooks/acme").status_code == 405


def _assert_well_again(receiver: RunningReceiver, posting: Posting, root: Path) -> None:
    assert [posting.post() for _ in range(10)] == [200] * 10
    assert receiver.client.get("/readyz").status_code == 200
    posting.assert_loaded(root)


@pytest.mark.parametrize("disk", ["of few bytes"], indirect=True)
def test_a_disk_that_deliveries_fill_keeps_each_that_was_acknowledged(tmp_path: Path, disk: SmallDisk) -> None:
    """A megabyte filled by events of all sizes up to the first that does not fit, and on, half of them too large."""
    with RunningReceiver(tmp_path) as receiver:
        posting = Posting(receiver)
        statuses = [posting.post(size=(number % 7) * 5 * _KIBIBYTE) for number in range(120)]
        assert statuses[0] == 200
        assert statuses.count(503) > 20
        disk.fill()
        until(lambda: posting.post(size=60 * _KIBIBYTE) == 503 and not _litter(receiver))
        _assert_alive_but_not_ready(receiver)
        assert disk.is_remounted("size=4m")
        _assert_well_again(receiver, posting, tmp_path / "line")


@pytest.mark.parametrize("disk", OPTIONS, indirect=True)
def test_a_disk_that_something_else_fills_is_left_as_it_is_until_there_is_room(tmp_path: Path, disk: SmallDisk) -> None:
    """Without room for a byte, or for a name: 503 to each delivery, not one file more, and 200 once there is room."""
    with RunningReceiver(tmp_path) as receiver:
        posting = Posting(receiver)
        assert posting.post() == 200
        disk.fill()
        until(lambda: posting.post(size=8 * _KIBIBYTE) == 503 and not _litter(receiver))
        disk.fill()
        names = sorted(path.name for path in receiver.stage.root.iterdir())
        assert {posting.post(size=8 * _KIBIBYTE) for _ in range(50)} == {503}
        assert sorted(path.name for path in receiver.stage.root.iterdir()) == names
        _assert_alive_but_not_ready(receiver)
        disk.free()
        _assert_well_again(receiver, posting, tmp_path / "line")


@pytest.mark.parametrize("disk", ["of few bytes"], indirect=True)
def test_a_disk_that_turns_read_only_is_ours_and_passes(tmp_path: Path, disk: SmallDisk) -> None:
    """As the kernel does with a disk that fails: 503 meanwhile, and 200 when it can be written again."""
    with RunningReceiver(tmp_path) as receiver:
        posting = Posting(receiver)
        assert posting.post() == 200
        until(lambda: disk.is_remounted("ro"))
        names = sorted(path.name for path in receiver.stage.root.iterdir())
        assert {posting.post() for _ in range(20)} == {503}
        _assert_alive_but_not_ready(receiver)
        assert sorted(path.name for path in receiver.stage.root.iterdir()) == names
        assert disk.is_remounted("rw")
        _assert_well_again(receiver, posting, tmp_path / "line")
