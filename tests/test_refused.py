"""The refused store in a running event loop: nothing waits for it, nothing outgrows it, nothing is miscounted."""

import asyncio
import errno
import gzip
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.refused import RefusedStore
from ingest.refused_directory import RefusedDirectory
from ingest.refused_request import UnverifiedRequest
from ingest.segment_file import SegmentFile
from tests.refused_requests import bytes_on_disk, closed_segment, kept_numbers, refused, unverified
from tests.test_staging import abandon

PERSONS = (b"Ada Lovelace", b"ada@example.org", b"203.0.113.7", b"Mozilla/5.0 (X11)", b"device-4711")


def store_in(root: Path, **settings: object) -> RefusedStore:
    """A store with room for everything, but where *settings* say otherwise."""
    roomy: dict[str, object] = {"max_bytes": 1 << 24, "max_count": 100_000, "max_age_days": 30.0}
    return RefusedStore(root, **(roomy | settings))  # type: ignore[arg-type]


def run(store: RefusedStore, act: Callable[[RefusedStore], Awaitable[None]]) -> None:
    """Let *act* use *store* while it runs."""

    async def running() -> None:
        await store.start()
        try:
            await act(store)
        finally:
            await store.stop()

    asyncio.run(running())


def keep(store: RefusedStore, *requests: UnverifiedRequest) -> None:
    """Offer *requests*, one after another, while it runs."""

    async def act(store: RefusedStore) -> None:
        for request in requests:
            store.keep(request)
            await asyncio.sleep(0)

    run(store, act)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.005)


def test_what_is_offered_is_on_disk_after_the_stop(tmp_path: Path) -> None:
    """In the order in which it came, closed, and counted."""
    store = store_in(tmp_path / "refused")
    keep(store, *(unverified(number) for number in range(600)))
    assert kept_numbers(tmp_path / "refused") == list(range(600))
    assert (store.kept, store.dropped, store.pruned) == (600, 0, 0)
    assert not list((tmp_path / "refused").glob("*.open"))


def test_it_is_durable_while_the_receiver_runs(tmp_path: Path) -> None:
    """A request does not wait for the stop, and its segment closes by itself."""

    async def act(store: RefusedStore) -> None:
        store.keep(unverified(1))
        await until(lambda: kept_numbers(tmp_path) == [1])
        await until(lambda: bool(list(tmp_path.glob("*.jsonl"))))

    run(store_in(tmp_path, segment_max_age=0.05), act)


def test_before_the_start_and_after_the_stop_requests_are_dropped(tmp_path: Path) -> None:
    """They are counted, and nothing is raised."""
    store = store_in(tmp_path)
    store.keep(unverified(1))
    keep(store, unverified(2))
    store.keep(unverified(3))
    assert (store.kept, store.dropped) == (1, 2)
    assert kept_numbers(tmp_path) == [2]


def test_starting_touches_no_disk(tmp_path: Path) -> None:
    """A receiver that refuses nothing leaves no directory behind."""
    keep(store_in(tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()


def test_large_bodies_are_kept_like_small_ones(tmp_path: Path) -> None:
    """Those that are prepared in a thread stand in their place among the others."""
    bodies = [os.urandom(size) for size in (10, 200_000, 20, 3_000_000, 30)]
    keep(store_in(tmp_path), *(unverified(number, body) for number, body in enumerate(bodies)))
    assert [request.body for request in RefusedDirectory(tmp_path).requests()] == bodies


def test_a_flood_is_dropped_beyond_what_may_wait_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is offered without a pause is taken up to a bound in requests or bytes, at once, and the rest is told."""

    async def act(store: RefusedStore) -> None:
        for number in range(5_000):
            store.keep(unverified(number))
        assert store.dropped == 4_000
        await until(lambda: store.kept == 1_000)
        for number in range(20):
            store.keep(unverified(5_000 + number, b"x" * (1 << 20)))
        assert store.dropped == 4_012
        await until(lambda: "4012 refused requests were not kept" in caplog.text.replace(",", ""))

    store = store_in(tmp_path, max_bytes=1 << 28)
    run(store, act)
    assert kept_numbers(tmp_path) == [*range(1_000), *range(5_000, 5_008)]


def test_one_that_is_larger_than_all_that_may_wait_is_kept_when_nothing_does(tmp_path: Path) -> None:
    """The largest body that the receiver reads is not refused for ever."""
    keep(store_in(tmp_path, max_bytes=1 << 26), unverified(1, b"x" * (16 << 20)))
    assert kept_numbers(tmp_path) == [1]


def test_the_loop_goes_on_while_the_disk_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are offered and dropped, and everything else runs, while a sync takes its time."""
    sync, is_reached, is_open = os.fdatasync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        is_reached.set()
        assert is_open.wait(30)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)

    async def act(store: RefusedStore) -> None:
        store.keep(unverified(0))
        await until(is_reached.is_set)
        for number in range(1, 2_000):
            store.keep(unverified(number))
            await asyncio.sleep(0)
        assert store.kept == 0
        assert store.dropped == 999
        is_open.set()

    store = store_in(tmp_path)
    run(store, act)
    assert store.kept == 1_001


def test_a_disk_that_fails_costs_the_requests_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What came while it failed is dropped and counted, what comes after is kept, and the log says so."""
    write = os.write
    is_broken = True

    def failing(descriptor: int, data: memoryview) -> int:
        if is_broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", failing)

    async def act(store: RefusedStore) -> None:
        nonlocal is_broken
        store.keep(unverified(1))
        await until(lambda: store.dropped == 1)
        is_broken = False
        store.keep(unverified(2))
        await until(lambda: store.kept == 1)

    store = store_in(tmp_path)
    run(store, act)
    assert (store.kept, store.dropped) == (1, 1)
    assert kept_numbers(tmp_path) == [2]
    assert "No space left on device" in caplog.text


def test_a_directory_that_cannot_be_made_is_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a file stands in its place, requests are dropped, and start and stop go by."""
    (tmp_path / "refused").write_text("a file")
    store = store_in(tmp_path / "refused")
    keep(store, unverified(1))
    assert (store.kept, store.dropped) == (0, 1)
    assert "could not be pruned" in caplog.text


def test_a_request_that_nobody_foresaw_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is dropped, counted and logged without its body."""

    def failing(body: bytes, _key: bytes | None) -> bytes:
        if b"2" in body:
            raise RuntimeError("unforeseen")
        return body

    monkeypatch.setattr("ingest.refused_request.without_personal_data", failing)
    store = store_in(tmp_path)
    keep(store, *(unverified(number, str(number).encode()) for number in (1, 2, 3)))
    assert kept_numbers(tmp_path) == [1, 3]
    assert store.dropped == 1
    assert "refused-2 could not be kept" in caplog.text


def test_the_count_is_kept_while_it_runs_and_when_it_stops(tmp_path: Path) -> None:
    """Pruning comes by itself under traffic, and once more at the end; the newest are those that stay."""

    async def act(store: RefusedStore) -> None:
        for number in range(30):
            store.keep(unverified(number))
            await until(lambda: store.kept == number + 1)  # noqa: B023  # awaited within the round
            if number % 10 == 9:
                await until(lambda: store._written_count == 0)

    store = store_in(tmp_path, max_count=10, segment_max_age=0.01)
    run(store, act)
    assert kept_numbers(tmp_path) == list(range(20, 30))
    assert (store.kept, store.pruned, store.dropped) == (30, 20, 0)


def test_one_that_could_never_be_kept_is_not_written(tmp_path: Path) -> None:
    """A request larger than the whole directory may be does not push out all others."""
    store = store_in(tmp_path, max_bytes=4_096)
    keep(store, unverified(1), unverified(2, b"x" * 8_192), unverified(3))
    assert kept_numbers(tmp_path) == [1, 3]
    assert (store.kept, store.dropped, store.pruned) == (2, 1, 0)


def test_age_takes_its_toll_without_traffic(tmp_path: Path) -> None:
    """What grew old while no receiver ran goes when one starts, and what grows old under it goes as well."""
    old = closed_segment(tmp_path, [refused(1)], datetime(2026, 6, 1, tzinfo=unverified(0).received_at.tzinfo))
    ahead = timedelta()

    async def act(store: RefusedStore) -> None:
        nonlocal ahead
        await until(lambda: not old.exists())
        store.keep(unverified(2))
        await until(lambda: bool(list(tmp_path.glob("*.jsonl"))))
        assert kept_numbers(tmp_path) == [2]
        ahead = timedelta(days=1)
        await until(lambda: kept_numbers(tmp_path) == [])

    store = store_in(
        tmp_path,
        max_age_days=10 / 86_400,
        segment_max_age=0.01,
        now=lambda: datetime.now(unverified(0).received_at.tzinfo) + ahead,
    )
    run(store, act)
    assert store.pruned == 2


def test_segments_that_a_dead_receiver_left_open_are_recovered(tmp_path: Path) -> None:
    """Their whole lines are kept, and closed like all others."""
    left = SegmentFile.create(tmp_path)
    left.append(refused(1).encode())
    abandon(left)
    keep(store_in(tmp_path), unverified(2))
    assert kept_numbers(tmp_path) == [1, 2]
    assert not list(tmp_path.glob("*.open"))


def test_several_receivers_share_a_directory(tmp_path: Path) -> None:
    """Each request of each is kept, or was pruned by one of them, and the limits hold for all together."""

    async def offer(store: RefusedStore, first: int) -> None:
        await store.start()
        for number in range(first, first + 200):
            store.keep(unverified(number))
            await asyncio.sleep(0.001)
        await store.stop()

    async def share(*stores: RefusedStore) -> None:
        await asyncio.gather(*(offer(store, 1_000 * number) for number, store in enumerate(stores)))

    roomy = [store_in(tmp_path / "roomy", segment_max_age=0.02) for _ in range(3)]
    asyncio.run(share(*roomy))
    assert sorted(kept_numbers(tmp_path / "roomy")) == [
        1_000 * store + number for store in range(3) for number in range(200)
    ]
    narrow = [store_in(tmp_path / "narrow", segment_max_age=0.02, max_count=250) for _ in range(3)]
    asyncio.run(share(*narrow))
    # Those that stopped at the same moment may have passed by each other.
    last = store_in(tmp_path / "narrow", max_count=250)
    keep(last)
    kept = kept_numbers(tmp_path / "narrow")
    assert len(kept) == 250
    assert len(kept) + sum(store.pruned + store.dropped for store in (*narrow, last)) == 600


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 3_000), max_size=60),
    max_bytes=st.integers(1_024, 40_000),
    max_count=st.integers(1, 40),
    segment_max_age=st.sampled_from([0.0001, 60.0]),
)
def test_kept_and_pruned_and_dropped_is_all_that_was_offered(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], max_bytes: int, max_count: int, segment_max_age: float
) -> None:
    """Whatever came and whatever the limits, what is on disk is within them, and every request is accounted for."""
    root = tmp_path_factory.mktemp("refused")
    store = store_in(root, max_bytes=max_bytes, max_count=max_count, segment_max_age=segment_max_age)
    keep(store, *(unverified(number, b"x" * size) for number, size in enumerate(sizes)))
    kept = kept_numbers(root)
    assert len(kept) == store.kept - store.pruned
    assert store.kept + store.dropped == len(sizes)
    assert len(kept) <= max_count
    assert bytes_on_disk(root) <= max_bytes


def test_no_personal_data_reaches_the_disk(tmp_path: Path) -> None:
    """Neither from the body nor from the headers, in no file of the directory, plain or encoded."""
    name, *others = (each.decode() for each in PERSONS)
    device = dict(zip(("ip", "user_agent", "device_id"), others[1:], strict=True))
    bodies = [
        orjson.dumps({"data": {"customer": {"name": name, "email": others[0]}, "device": device}}),
        orjson.dumps({"customer_email": others[0], "customer_name": name} | device)[:-1],
    ]
    bodies.append(gzip.compress(bodies[0]))
    headers = [(b"user-agent", PERSONS[3]), (b"x-forwarded-for", PERSONS[2]), (b"from", PERSONS[1])]
    zipped = [*headers, (b"content-encoding", b"gzip")]
    keep(store_in(tmp_path), *(unverified(n, body, zipped if n == 2 else headers) for n, body in enumerate(bodies)))
    assert kept_numbers(tmp_path) == [0, 1, 2]
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    on_disk += b"".join(request.body for request in RefusedDirectory(tmp_path).requests())
    assert [each for each in PERSONS if each in on_disk] == []


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
