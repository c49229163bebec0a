"""Several processes on one stage: workers on one port, and receivers on ports of their own."""

import threading
from collections import Counter
from itertools import count
from pathlib import Path

import orjson

from tests.raw_http import Connection, request_head
from tests.running_receiver import EVENT_FILES, RunningReceiver, signature, until

EVENT = orjson.loads(EVENT_FILES[2].read_bytes())
EACH = 60


class Senders:
    """
    Some who post at the same time, one to each of *urls*.

    Attributes:
        names: Of all events they ever posted.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._rounds = count()

    def post(self, *urls: str) -> None:
        """Post so many events to each, all of which must be accepted."""
        answers: list[int] = []
        threads = [
            threading.Thread(target=self._post_all, args=(url, f"{next(self._rounds)}", answers)) for url in urls
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * EACH * len(urls)

    def _post_all(self, url: str, prefix: str, answers: list[int]) -> None:
        for number in range(EACH):
            body = orjson.dumps(EVENT | {"id": f"{prefix}-{number}"})
            headers = [("Content-Length", str(len(body))), *signature(body).items()]
            with Connection(url) as connection:  # a new one each, so that every process gets some
                connection.send(request_head("/webhooks/acme", headers) + body)
                answers.append(connection.answer().status_code)
            self.names.append(f"{prefix}-{number}")


def writers(receiver: RunningReceiver) -> Counter[str]:
    """The processes that wrote what is in the stage, by their number of events."""
    counts: Counter[str] = Counter()
    for segment in receiver.stage.closed_segments():
        counts[segment.batch_id.partition("-")[2]] += len(list(segment.lines()))
    return counts


def test_several_workers_share_one_port_and_one_stage(tmp_path: Path) -> None:
    """Each writes segments of its own; nothing is lost or doubled, and a stopped receiver leaves none of them open."""
    senders = Senders()
    with RunningReceiver(tmp_path, workers=2) as receiver:

        def have_both_written() -> bool:
            senders.post(receiver.url, receiver.url)
            return len(writers(receiver)) == 2

        until(have_both_written)
        assert receiver.figures()("events_total", source="acme", outcome="accepted") == len(senders.names)
        assert receiver.stop() == 0
        assert sorted(str(line.event_id) for line in receiver.staged()) == sorted(senders.names)
    assert {path.suffix for path in receiver.stage.root.iterdir()} == {".jsonl"}


def test_receivers_on_ports_of_their_own_share_one_stage(tmp_path: Path) -> None:
    """One may start, recover and stop while the other writes: neither touches what is the other's."""
    senders = Senders()
    with RunningReceiver(tmp_path) as one:
        senders.post(one.url)
        with RunningReceiver(tmp_path) as other:
            senders.post(one.url, other.url)
            assert other.stop() == 0
        senders.post(one.url)
        assert one.stop() == 0
    assert sorted(str(line.event_id) for line in one.staged()) == sorted(senders.names)
    assert writers(one) == {str(one.process.pid): 3 * EACH, str(other.process.pid): EACH}
    assert {path.suffix for path in one.stage.root.iterdir()} == {".jsonl"}
