"""Several processes that count as one: real ones, killed and scraped."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from ingest.segment_file import SegmentFile
from ingest.worker_metrics import shared_between_workers
from tests.running_receiver import EVENT_FILES, RunningReceiver, signature
from tests.scrape import Figures

ROOT = Path(__file__).parent.parent
NOW = 1_780_000_000.0

_WORKER = """
import asyncio, json, os, sys, threading
from pathlib import Path

heir_of = sys.argv[2]
if heir_of:
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob(f"*_{heir_of}.db"):
        path.rename(path.with_name(path.name.replace(heir_of, str(os.getpid()))))

from ingest.metrics import ReceiverMetrics
from ingest.staging import Stage

metrics = ReceiverMetrics(["acme"], Stage(Path(sys.argv[1])))
elsewhere = {"held": 0, "dropped": 0}
metrics.watch(in_flight_bytes=lambda: elsewhere["held"], refused_bodies_dropped=lambda: elsewhere["dropped"])
threading.Thread(target=lambda: asyncio.run(metrics.follow()), daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    name, arguments = json.loads(line)
    answer = (elsewhere.update if name == "elsewhere" else getattr(metrics, name))(**arguments)
    print(json.dumps(answer and answer[0].decode()), flush=True)
"""


class Worker:
    """A process of its own that counts, and is told what by us; killed when its block ends."""

    def __init__(self, stage: Path, heir_of: int | None = None) -> None:
        self._stage = stage
        self._heir_of = heir_of

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(self._stage), str(self._heir_of or "")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, unless that has been done."""
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, name: str, **arguments: Any) -> Any:
        """Call a method there, or set what is kept `elsewhere`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def accept(self, times: int, *, now: float = NOW) -> None:
        """Let it answer *times* accepted deliveries of 100 bytes."""
        for _ in range(times):
            self.tell(
                "answered",
                source="acme",
                outcome="accepted",
                reason=None,
                status=200,
                seconds=0.002,
                body_bytes=100,
                secret="env:ACME",
                now=now,
            )

    def scraped(self) -> Figures:
        """What it answers to a scrape."""
        return Figures(self.tell("render").encode())

    def kill(self) -> None:
        """End it between two instructions."""
        self._process.kill()
        self._process.communicate()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what other processes do in their own time."""
    deadline = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    with shared_between_workers():
        yield Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


@pytest.mark.usefixtures("shared_directory")
def test_two_processes_add_up_whichever_is_asked(tmp_path: Path) -> None:
    """Counts and bytes in flight are sums over both, times are the newest, the stage is counted once."""
    stage = tmp_path / "stage"
    segment = SegmentFile.create(stage)
    segment.append(b"{}\n")
    segment.close()
    with Worker(stage) as one, Worker(stage) as other:
        one.accept(3, now=NOW + 5)
        other.accept(4, now=NOW)
        one.tell("elsewhere", held=1000)
        other.tell("elsewhere", held=200, dropped=2)
        other.tell(
            "answered",
            source="acme",
            outcome="refused",
            reason="bad_signature",
            status=401,
            seconds=0.3,
            body_bytes=1,
        )
        # What is kept elsewhere, a worker shows the others every second.
        until(lambda: one.scraped()("in_flight_bytes") == 1200)
        for found in (one.scraped(), other.scraped()):
            assert found.all("requests_total", "outcome", "status") == {("accepted", "200"): 7, ("refused", "401"): 1}
            assert found("body_bytes_total", source="acme") == 701
            assert found("events_total", source="acme", outcome="accepted") == 7
            assert found("response_seconds_bucket", source="acme", le="0.0025") == 7
            assert found("response_seconds_bucket", source="acme", le="+Inf") == 8
            assert found("response_seconds_count", source="acme") == 8
            assert found("last_event_timestamp_seconds", source="acme") == NOW + 5
            assert found("secret_last_used_timestamp_seconds", source="acme", secret="env:ACME") == NOW + 5
            assert found("in_flight_bytes") == 1200
            assert found("refused_bodies_dropped_total") == 2
            assert found("stage_waiting_bytes") == 3
            assert found("stage_segments", state="closed") == 1
            assert not any(name.startswith("process_") for name in found.metrics), "whose would they be?"


@pytest.mark.usefixtures("shared_directory")
def test_what_a_dead_worker_counted_stays(tmp_path: Path) -> None:
    """A counter never falls because a worker was killed; but the bodies it held are gone with it."""
    with ExitStack() as workers:
        one, other = (workers.enter_context(Worker(tmp_path)) for _ in range(2))
        one.accept(5)
        one.tell("elsewhere", held=1000)
        other.tell("elsewhere", held=1)
        until(lambda: other.scraped()("in_flight_bytes") == 1001)
        one.kill()
        successor = workers.enter_context(Worker(tmp_path))
        successor.accept(1)
        for worker in (other, successor):
            found = worker.scraped()
            assert found("events_total", source="acme", outcome="accepted") == 6
            assert found("response_seconds_count", source="acme") == 6
            assert found("in_flight_bytes") == 1


@pytest.mark.usefixtures("shared_directory")
def test_a_worker_that_gets_a_dead_ones_process_id_counts_on(tmp_path: Path) -> None:
    """Process ids come again, and with them the file: its counts go on, its bytes in flight do not."""
    with Worker(tmp_path) as first:
        first.accept(5)
        first.tell("elsewhere", held=1000, dropped=2)
        assert first.scraped()("in_flight_bytes") == 1000
    with Worker(tmp_path, heir_of=first.pid) as heir:
        assert heir.scraped()("in_flight_bytes") == 0
        heir.accept(2)
        heir.tell("elsewhere", held=3, dropped=1)
        found = heir.scraped()
        assert found("refused_bodies_dropped_total") == 3
        assert found("body_bytes_total", source="acme") == 700
        assert found("response_seconds_bucket", source="acme", le="0.0025") == 7
        assert found("in_flight_bytes") == 3


def test_an_empty_file_of_a_worker_killed_at_birth_does_not_stop_scrapes(
    tmp_path: Path, shared_directory: Path
) -> None:
    """The library makes a file before it sizes it; left like that, it must not end all scrapes for good."""
    (shared_directory / "counter_999999999.db").touch()
    with Worker(tmp_path) as worker:
        worker.accept(1)
        assert worker.scraped()("body_bytes_total", source="acme") == 100


def test_the_shared_directory_is_private_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind, in files or in the environment, even when the server fails."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "another's")
    seen: list[Path] = []

    def serve_and_fail() -> None:
        with shared_between_workers():
            seen.append(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
            assert seen[0].stat().st_mode & 0o777 == 0o700
            (seen[0] / "counter_1.db").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        serve_and_fail()
    assert not seen[0].exists()
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == "another's"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_receiver_tells_what_it_answered(tmp_path: Path, workers: int) -> None:
    """Over real HTTP, whichever worker answers: what was sent is what is counted."""
    body = EVENT_FILES[0].read_bytes()
    with RunningReceiver(tmp_path, workers=workers) as receiver:
        for _ in range(20):
            with httpx.Client(base_url=receiver.url, trust_env=False) as client:  # a connection each, so for any worker
                assert client.post("/webhooks/acme", content=body, headers=signature(body)).status_code == 200
        assert receiver.post(b"[]").status_code == 200
        assert receiver.post(body, {"X-Webhook-Signature": "00"}).status_code == 401
        assert receiver.post(body, source="nobody").status_code == 404
        until(lambda: _scraped(receiver)("stage_segments", state="closed") != 0)
        # Another worker shows once a second what it holds.
        until(lambda: _scraped(receiver)("in_flight_bytes") == 0)
        found = _scraped(receiver)
        answer = receiver.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert {key[:2] + key[3:]: value for key, value in _requests(found).items()} == {
        ("acme", "accepted", "200"): 20,
        ("acme", "quarantined", "200"): 1,
        ("acme", "refused", "401"): 1,
        ("", "refused", "404"): 1,
    }
    assert found.all("events_total", "outcome") == {("accepted",): 20, ("quarantined",): 1}
    assert found("body_bytes_total", source="acme") == 21 * len(body) + 2
    assert found("response_seconds_count", source="acme") == 22
    assert found("in_flight_bytes") == 0
    newest = found("last_event_timestamp_seconds", source="acme")
    assert newest is not None
    assert abs(newest - time.time()) < 60
    assert found("secret_last_used_timestamp_seconds", source="acme", secret="env:ACME_SECRET") is not None
    assert (found.metrics.get("process_cpu_seconds_total") is None) is (workers > 1)


def _scraped(receiver: RunningReceiver) -> Figures:
    return Figures(receiver.client.get("/metrics").content)


def _requests(found: Figures) -> dict[tuple[str, ...], float]:
    return found.all("requests_total", "source", "outcome", "reason", "status")
