"""A receiver killed between two instructions: what it acknowledged is in the stage, whole."""

import asyncio
import random
import threading
from collections import Counter
from pathlib import Path

import duckdb
import httpx
import orjson
import pytest

from ingest.staging import Stage
from pipelines.load import Loader
from pipelines.warehouse import Warehouse
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature, staged_lines

ROUNDS = 3
SENDERS = 12
EVENT = orjson.loads(EVENT_FILES[3].read_bytes())


async def _send_until_it_dies(url: str, name: str, kill_after: int, receiver: RunningReceiver) -> list[str]:
    """Post from many senders at once, kill the receiver after so many answers; return the ids it acknowledged."""
    acknowledged: list[str] = []

    async def send(sender: int, client: httpx.AsyncClient) -> None:
        for number in range(10_000):
            event_id = f"{name}-{sender}-{number}"
            body = orjson.dumps(EVENT | {"id": event_id})
            try:
                answer = await client.post(f"{url}/webhooks/acme", content=body, headers=signature(body))
            except httpx.TransportError:
                return
            assert answer.json() == {"status": "accepted", "event_id": event_id}
            acknowledged.append(event_id)
            if len(acknowledged) == kill_after:
                receiver.process.kill()

    async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
        await asyncio.gather(*(send(sender, client) for sender in range(SENDERS)))
    return acknowledged


@pytest.mark.parametrize("max_age", ["0.01", "3600"], ids=["closing all the time", "never closing"])
def test_every_acknowledged_event_survives_a_kill(tmp_path: Path, max_age: str) -> None:
    """Round after round on one stage: each acknowledged id stands in it, and no line of it is torn."""
    acknowledged: list[str] = []
    choose = random.Random(max_age)
    for number in range(ROUNDS):
        with RunningReceiver(tmp_path, CONFIGURATION.replace("0.2", max_age)) as receiver:
            kill_after = choose.randrange(50, 250)
            acknowledged += asyncio.run(_send_until_it_dies(receiver.url, f"{number}", kill_after, receiver))
            receiver.process.wait()
    stage = Stage(tmp_path / "var" / "stage")
    stage.recover()
    staged = Counter(line.event_id for line in staged_lines(stage.closed_segments()))
    assert len(acknowledged) >= ROUNDS * 50
    assert [event_id for event_id in acknowledged if not staged[event_id]] == []
    assert max(staged.values()) == 1
    assert {path.suffix for path in stage.root.iterdir()} == {".jsonl"}
    for segment in stage.closed_segments():
        assert segment.path.read_bytes().count(b"\n") == len(list(segment.lines()))


def test_every_acknowledged_event_is_loaded_exactly_once(tmp_path: Path) -> None:
    """Receivers die under load while a loader works beside them: each acknowledged id is one row of raw in the end."""
    warehouse = Warehouse(tmp_path / "var" / "warehouse.duckdb")
    stage = Stage(tmp_path / "var" / "stage")
    loader = Loader(stage, tmp_path / "var" / "archive", warehouse, tmp_path / "var" / "state")
    acknowledged: list[str] = []
    stop = threading.Event()

    def load_all_the_while() -> None:
        while not stop.wait(0.1):
            loader.load()

    beside = threading.Thread(target=load_all_the_while)
    beside.start()
    choose = random.Random(7)
    for number in range(ROUNDS):
        with RunningReceiver(tmp_path, CONFIGURATION.replace("0.2", "0.05")) as receiver:
            kill_after = choose.randrange(100, 400)
            acknowledged += asyncio.run(_send_until_it_dies(receiver.url, f"{number}", kill_after, receiver))
            receiver.process.wait()
    stop.set()
    beside.join()
    loader.load()
    with duckdb.connect(warehouse.database, read_only=True) as connection:
        rows = connection.execute("select event_id, count(*) from raw.conversion_events group by event_id").fetchall()
        (unexplained,) = connection.execute("select sum(received - loaded - duplicate) from raw.loads").fetchall()[0]
    assert {count for _, count in rows} == {1}
    assert set(acknowledged) <= {event_id for event_id, _ in rows}
    assert len(acknowledged) >= ROUNDS * 100
    assert unexplained == 0
    assert stage.closed_segments() == []
