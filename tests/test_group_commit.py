"""The stage's writer: durable before acknowledged, one sync for all who wait, and a disk that fails in every way."""

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ingest.errors import NotStaged
from ingest.group_commit import StageWriter
from ingest.staging import Stage
from tests.running_receiver import staged_lines
from tests.test_staging import line


def _run(root: Path, act: Callable[[StageWriter], Awaitable[None]], **limits: float) -> None:
    """Let *act* use a started writer, and stop it."""

    async def run() -> None:
        writer = StageWriter(root, **limits)  # type: ignore[arg-type]
        await writer.start()
        try:
            await act(writer)
        finally:
            await writer.stop()

    asyncio.run(run())


def _ids(root: Path) -> list[str | None]:
    return [each.event_id for each in staged_lines(Stage(root).closed_segments())]


def _suffixes(root: Path) -> list[str]:
    return sorted(path.suffix for path in root.iterdir())


class Gate:
    """An fdatasync that waits to be let through, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.is_reached = threading.Event()
        self.is_open = threading.Event()
        self._sync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self)

    def __call__(self, descriptor: int) -> None:
        """Stand for os.fdatasync."""
        self.calls += 1
        self.is_reached.set()
        assert self.is_open.wait(30)
        self._sync(descriptor)


def test_nothing_is_acknowledged_before_its_sync_has_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are written and the sync is under way: the sender still waits."""
    gate = Gate(monkeypatch)

    async def act(writer: StageWriter) -> None:
        waiting = asyncio.create_task(writer.append(line(1).encode()))
        await asyncio.to_thread(gate.is_reached.wait, 30)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) == len(line(1).encode())
        assert not waiting.done()
        gate.is_open.set()
        await waiting

    _run(tmp_path, act)


def test_all_who_wait_while_a_sync_runs_share_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred deliveries cost two syncs, and stand in the order in which they came."""
    gate = Gate(monkeypatch)

    async def act(writer: StageWriter) -> None:
        first = asyncio.create_task(writer.append(line(0).encode()))
        await asyncio.to_thread(gate.is_reached.wait, 30)
        others = [asyncio.create_task(writer.append(line(number).encode())) for number in range(1, 100)]
        await asyncio.sleep(0)
        gate.is_open.set()
        await asyncio.gather(first, *others)
        assert gate.calls == 2

    _run(tmp_path, act)
    assert _ids(tmp_path) == [f"evt_{number}" for number in range(100)]


def test_the_name_of_a_new_segment_is_synced_before_its_first_line_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synced file whose name is lost is a lost file: directory first, then data, then the answer."""
    order: list[str] = []
    rename, fsync, fdatasync = Path.rename, os.fsync, os.fdatasync

    def renamed(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        order.append("directory")

    def data_synced(descriptor: int) -> None:
        fdatasync(descriptor)
        order.append("data")

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "fdatasync", data_synced)

    async def act(writer: StageWriter) -> None:
        await writer.append(line(1).encode())
        order.append("acknowledged")
        await writer.append(line(2).encode())
        order.append("acknowledged")

    _run(tmp_path, act)
    created = ["rename", "directory", "data", "acknowledged"]
    assert order == [*created, "data", "acknowledged", "rename", "directory"]


def test_a_segment_closes_at_its_size_and_a_batch_is_cut_there(tmp_path: Path) -> None:
    """No segment grows much beyond the limit, however many wait at once."""
    size = len(line(0).encode())

    async def act(writer: StageWriter) -> None:
        await asyncio.gather(*(writer.append(line(number).encode()) for number in range(10)))

    _run(tmp_path, act, segment_max_bytes=size * 2 + 1)
    segments = Stage(tmp_path).closed_segments()
    assert [len(list(segment.lines())) for segment in segments] == [3, 3, 3, 1]


def test_a_segment_closes_at_its_age_and_the_next_gets_an_age_of_its_own(tmp_path: Path) -> None:
    """Without further traffic, segment after segment: nothing stays open for long."""

    async def act(writer: StageWriter) -> None:
        for number in range(3):
            await writer.append(line(number).encode())
            async with asyncio.timeout(30):
                while _suffixes(tmp_path) != [".jsonl"] * (number + 1):
                    await asyncio.sleep(0.005)

    _run(tmp_path, act, segment_max_age=0.02)
    assert _ids(tmp_path) == ["evt_0", "evt_1", "evt_2"]


def test_stopping_writes_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    """Who asked before the stop is answered; who asks after it is told to try again."""

    async def run() -> None:
        writer = StageWriter(tmp_path)
        with pytest.raises(NotStaged):
            await writer.append(line(0).encode())
        await writer.start()
        waiting = [asyncio.create_task(writer.append(line(number).encode())) for number in range(20)]
        writer.append_unawaited(line(20).encode())
        await asyncio.sleep(0)
        await writer.stop()
        await asyncio.gather(*waiting)
        with pytest.raises(NotStaged):
            await writer.append(line(21).encode())
        writer.append_unawaited(line(22).encode())

    asyncio.run(run())
    assert sorted(_ids(tmp_path), key=str) == sorted(f"evt_{number}" for number in range(21))
    assert _suffixes(tmp_path) == [".jsonl"]


def test_a_cancelled_request_does_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves while its batch is synced costs the batch nothing."""
    gate = Gate(monkeypatch)

    async def act(writer: StageWriter) -> None:
        leaving = asyncio.create_task(writer.append(line(0).encode()))
        staying = asyncio.create_task(writer.append(line(1).encode()))
        await asyncio.to_thread(gate.is_reached.wait, 30)
        leaving.cancel()
        await asyncio.sleep(0)
        gate.is_open.set()
        await staying

    _run(tmp_path, act)


class FailingDisk:
    """A disk that fails in one way while `is_broken`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        self.is_broken = False
        self._way = way
        self._calls = {name: getattr(os, name) for name in ("write", "fdatasync", "fsync", "ftruncate", "open")}
        for name in self._calls:
            monkeypatch.setattr(os, name, getattr(self, name))

    def write(self, descriptor: int, data: memoryview) -> int:
        """Stand for os.write; half of what is asked goes in before it fails."""
        if self.is_broken and self._way in {"full", "full and cannot truncate"}:
            if len(data) > 40:
                return int(self._calls["write"](descriptor, data[: len(data) // 2]))
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.is_broken and self._way == "takes nothing":
            return 0
        return int(self._calls["write"](descriptor, data))

    def fdatasync(self, descriptor: int) -> None:
        """Stand for os.fdatasync."""
        if self.is_broken and self._way == "cannot sync":
            raise OSError(errno.EIO, "Input/output error")
        self._calls["fdatasync"](descriptor)

    def fsync(self, descriptor: int) -> None:
        """Stand for os.fsync, of directories here."""
        if self.is_broken and self._way == "cannot sync directories":
            raise OSError(errno.EIO, "Input/output error")
        self._calls["fsync"](descriptor)

    def ftruncate(self, descriptor: int, size: int) -> None:
        """Stand for os.ftruncate."""
        if self.is_broken and self._way == "full and cannot truncate":
            raise OSError(errno.EIO, "Input/output error")
        self._calls["ftruncate"](descriptor, size)

    def open(self, path: Path, flags: int, mode: int = 0o777, **others: int) -> int:
        """Stand for os.open."""
        if self.is_broken and self._way == "cannot create" and flags & os.O_CREAT:
            raise OSError(errno.EMFILE, "Too many open files")
        return int(self._calls["open"](path, flags, mode, **others))


async def _refused(writer: StageWriter, number: int) -> None:
    with pytest.raises(NotStaged, match="Nothing was acknowledged"):
        await writer.append(line(number).encode())


@pytest.mark.parametrize("way", ["full", "takes nothing", "cannot sync", "cannot sync directories", "cannot create"])
def test_a_disk_that_fails_from_the_start_leaves_no_litter_and_is_forgiven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Every delivery is told so, not one file is left behind, and the first after the repair is staged."""
    disk = FailingDisk(monkeypatch, way)

    async def act(writer: StageWriter) -> None:
        disk.is_broken = True
        for number in range(5):
            await _refused(writer, number)
        assert _suffixes(tmp_path) == []
        disk.is_broken = False
        await writer.append(line(5).encode())

    _run(tmp_path, act)
    assert _ids(tmp_path) == ["evt_5"]


@pytest.mark.parametrize("way", ["full", "takes nothing", "cannot sync"])
def test_a_disk_that_fails_later_keeps_what_was_acknowledged_and_not_one_byte_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The failed segment is cut back, closed and never written to again; all of the failed batch is told so."""
    disk = FailingDisk(monkeypatch, way)

    async def act(writer: StageWriter) -> None:
        await writer.append(line(0).encode())
        disk.is_broken = True
        await asyncio.gather(*(_refused(writer, number) for number in range(1, 4)))
        await _refused(writer, 4)
        assert [segment.path.read_bytes() for segment in Stage(tmp_path).closed_segments()] == [line(0).encode()]
        assert _suffixes(tmp_path) == [".jsonl"]
        disk.is_broken = False
        await writer.append(line(5).encode())

    _run(tmp_path, act)
    assert _ids(tmp_path) == ["evt_0", "evt_5"]
    assert len(Stage(tmp_path).closed_segments()) == 2


def test_what_cannot_even_be_cut_back_is_left_to_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line stays on a disk that refuses everything; it stays unlocked, and recovery cuts it."""
    disk = FailingDisk(monkeypatch, "full and cannot truncate")

    async def act(writer: StageWriter) -> None:
        await writer.append(line(0).encode())
        disk.is_broken = True
        await _refused(writer, 1)
        disk.is_broken = False
        await writer.append(line(2).encode())
        assert _suffixes(tmp_path) == [".open", ".open"]
        assert [segment.path.read_bytes() for segment in Stage(tmp_path).recover()] == [line(0).encode()]

    _run(tmp_path, act)
    assert _ids(tmp_path) == ["evt_0", "evt_2"]


def test_a_segment_that_cannot_be_renamed_is_left_to_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing fails after the answers were given: the lines are durable, and unlocked for whoever comes next."""
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target.suffix == ".jsonl":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    async def act(writer: StageWriter) -> None:
        await writer.append(line(0).encode())

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        _run(tmp_path, act)
        assert _suffixes(tmp_path) == [".open"]
    Stage(tmp_path).recover()
    assert _ids(tmp_path) == ["evt_0"]


def test_a_fault_that_is_not_the_disks_is_told_to_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hangs for ever on an error that nobody foresaw, and no descriptor or lock is left behind."""
    write = os.write

    def failing(_descriptor: int, _data: memoryview) -> int:
        raise MemoryError

    async def act(writer: StageWriter) -> None:
        monkeypatch.setattr(os, "write", failing)
        await _refused(writer, 0)
        monkeypatch.setattr(os, "write", write)
        await writer.append(line(1).encode())

    before = len(list(Path("/proc/self/fd").iterdir()))
    _run(tmp_path, act)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _ids(tmp_path) == ["evt_1"]


def test_unawaited_lines_do_not_pile_up_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of refusals while the disk is slow is dropped beyond a bound; deliveries are not."""
    monkeypatch.setattr("ingest.group_commit._MOST_UNAWAITED", 3)
    gate = Gate(monkeypatch)

    async def act(writer: StageWriter) -> None:
        first = asyncio.create_task(writer.append(line(0).encode()))
        await asyncio.to_thread(gate.is_reached.wait, 30)
        for number in range(1, 10):
            writer.append_unawaited(line(number).encode())
        last = asyncio.create_task(writer.append(line(10).encode()))
        await asyncio.sleep(0)
        gate.is_open.set()
        await asyncio.gather(first, last)

    _run(tmp_path, act)
    assert _ids(tmp_path) == ["evt_0", "evt_1", "evt_2", "evt_3", "evt_10"]


def test_the_lock_is_held_for_the_life_of_the_segment(tmp_path: Path) -> None:
    """From its first line to its last no other process can take an open segment for an abandoned one."""

    async def act(writer: StageWriter) -> None:
        for number in range(3):
            await writer.append(line(number).encode())
            (path,) = tmp_path.glob("*.open")
            with path.open("rb") as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    _run(tmp_path, act, segment_max_age=3600)
