"""A receiver killed between two instructions: what it acknowledged is in the stage, whole."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import orjson
import pytest

from ingest.staging import Stage
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
