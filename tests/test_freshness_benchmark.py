"""The benchmark of freshness: what it measures with tells the truth."""

import asyncio
import json
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest

from benchmarks.kept_connections import KeptConnections
from benchmarks.loaded_events import not_once
from benchmarks.loader_site import LoaderSite
from benchmarks.mart_history import MartHistory
from benchmarks.mart_reader import MartReader
from benchmarks.spread import Spread
from models.columns import EVENT_COLUMNS
from pipelines.publish import publish
from tests.line import fixture_bodies
from tests.running_receiver import EVENT_FILES, RunningReceiver, signature


def test_kept_connections_tell_every_answer_and_outlive_a_connection_that_was_closed(tmp_path: Path) -> None:
    """A receiver that ends a connection costs no event: the next post opens another."""
    body = fixture_bodies(EVENT_FILES[0].parent)[0]

    async def answers(receiver: RunningReceiver) -> list[int | str | None]:
        client = KeptConnections(urlsplit(receiver.url).port or 0, "/webhooks/acme")
        found = [await client.post(body, list(headers.items()), 5.0) for headers in (signature(body), {})]
        for each in client._idle:
            each.reader.feed_eof()
        found.append(await client.post(body, list(signature(body).items()), 5.0))
        receiver.stop()
        found.append(await client.post(body, list(signature(body).items()), 5.0))
        client.close()
        return [each.status_code or each.error for each in found]

    with RunningReceiver(tmp_path) as receiver:
        assert asyncio.run(answers(receiver)) == [200, 401, 200, "connection_lost"]


def test_a_reader_finds_what_a_new_generation_has_and_tells_what_looking_added(tmp_path: Path) -> None:
    """Each generation is read once, by a connection of its own; the clock counts seconds."""
    found: list[tuple[str, float]] = []
    ticks = count()
    reader = MartReader(
        tmp_path / "published",
        lambda: float(next(ticks)),
        lambda connection: [row[0] for row in connection.execute("select click_id from clicks").fetchall()],
        lambda name, at: found.append((name, at)),
    )
    reader.look()
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.clicks as select 'clk_1' as click_id")
        for load_seq in (1, 2):
            publish(connection, tmp_path / "published", load_seq)
            reader.look()
            reader.look()
    assert found == [("clk_1", 2.0), ("clk_1", 5.0)]
    assert [each.added_seconds for each in reader.generations] == [2.0, 2.0]
    assert not reader.errors


def test_events_that_are_missing_or_twice_are_counted(tmp_path: Path) -> None:
    """Each acknowledged event has to be in `raw` once, in whatever table, and of its own source."""
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("create schema raw")
        for table in EVENT_COLUMNS:
            connection.execute(f"create table raw.{table} (source_id text, event_id text)")
        connection.execute("insert into raw.click_events values ('acme', 'a'), ('acme', 'b'), ('other', 'c')")
        connection.execute("insert into raw.payout_events values ('acme', 'b')")
    assert not_once(tmp_path / "warehouse.duckdb", "acme", ["a", "b", "c", "d"]) == (2, 1)


def test_what_comes_next_is_not_in_the_history_and_comes_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events of all copies that are posted are distinct, and as late as they happened."""
    monkeypatch.setattr("benchmarks.mart_history.PLAYED", 2_000)
    monkeypatch.setattr("benchmarks.mart_history._LAST_EVENTS", 400)
    history = MartHistory(LoaderSite(tmp_path), to_come=50, copies=3)
    events = [json.loads(body) for body in history.next(140)]
    ids = [event["id"] for event in events]
    times = [event["timestamp"] for event in events]
    assert len(set(ids)) == 140
    assert times == sorted(times)
    assert not set(ids) & {event.event_id for event in history._played}
    assert len(history._played) + len(history._held_back) == 2_000


def test_percentiles_lie_within_what_was_measured() -> None:
    """No percentile is longer than the longest, and of one duration there is none."""
    spread = Spread.of([1.0, 2.0, 3.0, 4.0])
    assert spread is not None
    assert (spread.p50, spread.p95, spread.p99) == pytest.approx((2.5, 3.85, 3.97))
    assert (spread.longest, spread.count) == (4.0, 4)
    assert Spread.of([1.0]) is None
