"""The directory of refused requests: what it holds, what goes when it holds too much, and who may change it."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.refused_directory import RefusedDirectory, RefusedLimits
from ingest.segment_file import SegmentFile
from tests.refused_requests import bytes_on_disk, closed_segment, kept_numbers, refused
from tests.test_staging import abandon

LINE = len(refused(1).encode())
YEAR = timedelta(days=365)


def limits(*, max_bytes: int = 1 << 20, max_count: int = 1000, max_age: timedelta = YEAR) -> RefusedLimits:
    """Limits of which a test sets the one that it is about."""
    return RefusedLimits(max_bytes, max_count, max_age)


def three_segments(root: Path) -> list[Path]:
    """Nine requests, three in each."""
    return [closed_segment(root, [refused(number) for number in (first, first + 1, first + 2)]) for first in (1, 4, 7)]


def now() -> datetime:
    """The clock of the segments' names."""
    return datetime.now(UTC)


def test_what_fits_stays_to_the_byte(tmp_path: Path) -> None:
    """Pruning below the limits changes nothing, and leaves no file beside its lock."""
    paths = three_segments(tmp_path)
    contents = [path.read_bytes() for path in paths]
    assert RefusedDirectory(tmp_path).prune(limits(max_bytes=9 * LINE, max_count=9), now()) == 0
    assert [path.read_bytes() for path in paths] == contents
    assert sorted(path.name for path in tmp_path.iterdir() if path not in paths) == [".change.lock"]


@pytest.mark.parametrize("most", range(10))
def test_beyond_its_count_the_oldest_go(tmp_path: Path, most: int) -> None:
    """To the request, not to the segment: the newest stay, as many as may."""
    three_segments(tmp_path)
    assert RefusedDirectory(tmp_path).prune(limits(max_count=most), now()) == 9 - most
    assert kept_numbers(tmp_path) == list(range(10 - most, 10))


@pytest.mark.parametrize("most", range(10))
def test_beyond_its_bytes_the_oldest_go(tmp_path: Path, most: int) -> None:
    """The directory never holds a byte more than it may."""
    three_segments(tmp_path)
    assert RefusedDirectory(tmp_path).prune(limits(max_bytes=(most + 1) * LINE - 1), now()) == 9 - most
    assert kept_numbers(tmp_path) == list(range(10 - most, 10))
    assert bytes_on_disk(tmp_path) == most * LINE


def test_beyond_its_age_a_request_goes_by_the_clock(tmp_path: Path) -> None:
    """Whatever the room that is left; a segment that is not a day older than that stays."""
    for number, day in enumerate((1, 2, 3), start=1):
        closed_segment(tmp_path, [refused(number)], datetime(2026, 6, day, tzinfo=UTC))
    directory = RefusedDirectory(tmp_path)
    month = limits(max_age=timedelta(days=30))
    assert directory.prune(month, datetime(2026, 7, 1, tzinfo=UTC)) == 0
    assert directory.prune(month, datetime(2026, 7, 2, tzinfo=UTC)) == 1
    assert kept_numbers(tmp_path) == [2, 3]
    assert directory.prune(month, datetime(2026, 8, 1, tzinfo=UTC)) == 2
    assert kept_numbers(tmp_path) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=6), max_size=6),
    max_bytes=st.integers(0, 6000),
    max_count=st.integers(0, 30),
)
def test_what_is_pruned_and_what_stays_is_all_there_was(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], max_bytes: int, max_count: int
) -> None:
    """The rest is within the limits, is the newest, and a second pruning finds nothing to do."""
    root = tmp_path_factory.mktemp("refused")
    offered = 0
    for bodies in sizes:
        segment = []
        for size in bodies:
            segment.append(refused(offered, b"x" * size))
            offered += 1
        closed_segment(root, segment)
    directory = RefusedDirectory(root)
    allowed = limits(max_bytes=max_bytes, max_count=max_count)
    pruned = directory.prune(allowed, now())
    kept = kept_numbers(root)
    assert kept == list(range(pruned, offered))
    assert len(kept) <= max_count
    assert bytes_on_disk(root) <= max_bytes
    assert directory.prune(allowed, now()) == 0


def test_open_segments_count_and_stay(tmp_path: Path) -> None:
    """What is being written takes room from what is closed, and is read like it."""
    three_segments(tmp_path)
    writing = SegmentFile.create(tmp_path)
    writing.append(refused(10).encode() + refused(11).encode() + b'{"torn')
    assert RefusedDirectory(tmp_path).prune(limits(max_count=3), now()) == 8
    assert kept_numbers(tmp_path) == [9, 10, 11]
    assert RefusedDirectory(tmp_path).prune(limits(max_count=1), now()) == 1
    assert kept_numbers(tmp_path) == [10, 11]
    abandon(writing)


def test_what_is_no_request_is_passed_over(tmp_path: Path) -> None:
    """Neither foreign files nor damaged lines keep the others from being read, or from being pruned."""
    path = closed_segment(tmp_path, [refused(1)])
    with path.open("ab") as file:
        file.write(b'not json\n[1]\n{"delivery_id": "x"}\n' + refused(2).encode())
    (tmp_path / "notes.jsonl").write_text("a stranger's\n")
    assert kept_numbers(tmp_path) == [1, 2]
    assert RefusedDirectory(tmp_path).prune(limits(max_count=1), now()) == 4
    assert kept_numbers(tmp_path) == [2]
    assert (tmp_path / "notes.jsonl").read_text() == "a stranger's\n"


def test_what_recovery_could_not_read_does_not_stay_for_ever(tmp_path: Path) -> None:
    """Damaged bytes that were put aside count like the segment they came from, and go with it."""
    path = closed_segment(tmp_path, [refused(1)])
    path.rename(path.with_suffix(".unreadable"))
    closed_segment(tmp_path, [refused(2)])
    assert RefusedDirectory(tmp_path).prune(limits(max_bytes=2 * LINE), now()) == 0
    assert RefusedDirectory(tmp_path).prune(limits(max_bytes=2 * LINE - 1), now()) == 0
    assert [each.suffix for each in tmp_path.iterdir() if each.suffix != ".lock"] == [".jsonl"]
    assert kept_numbers(tmp_path) == [2]


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """Looking at it or pruning it does not make it."""
    root = tmp_path / "refused"
    assert kept_numbers(root) == []
    assert RefusedDirectory(root).prune(limits(), now()) == 0
    assert not root.exists()


def test_only_one_at_a_time_changes_segments(tmp_path: Path) -> None:
    """Pruning passes by while another rewrites, and does its work the next time; who must wait, waits."""
    three_segments(tmp_path)
    directory, other = RefusedDirectory(tmp_path), RefusedDirectory(tmp_path)
    order = []

    def wait_for_it() -> None:
        with other.changing():
            order.append("second")

    waiting = threading.Thread(target=wait_for_it)
    with directory.changing():
        assert other.prune(limits(max_count=1), now()) == 0
        waiting.start()
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
    assert other.prune(limits(max_count=1), now()) == 8


def test_a_segment_is_rewritten_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails in the middle leaves it as it was, and what was begun is cleared away the next time."""
    (path, *_) = three_segments(tmp_path)
    before = path.read_bytes()

    def failing(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    directory = RefusedDirectory(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="No space"):
            directory.prune(limits(max_count=8), now())
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*.rewriting"))
    assert directory.prune(limits(max_count=8), now()) == 1
    assert not list(tmp_path.glob("*.rewriting"))
    assert kept_numbers(tmp_path) == list(range(2, 10))


def test_others_on_the_machine_cannot_read_what_is_rewritten(tmp_path: Path) -> None:
    """A body may hold what is not theirs to see; the file is as closed to them as the one it replaces."""
    (path, *_) = three_segments(tmp_path)
    RefusedDirectory(tmp_path).prune(limits(max_count=8), now())
    assert path.stat().st_mode & 0o007 == 0
