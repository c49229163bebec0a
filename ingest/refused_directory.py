"""The directory of refused requests: segments like the stage's, pruned from the oldest and rewritten whole."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ingest.durable_files import make_directory, sync_directory
from ingest.refused_request import RefusedRequest
from ingest.staging import CLOSED, NEW, OPEN, UNREADABLE, Segment, Stage

_ASIDE = ".rewriting"
_CHANGE_LOCK = ".change.lock"
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RefusedLimits:
    """What the directory may hold at most; beyond it, the oldest requests go."""

    max_bytes: int
    max_count: int
    max_age: timedelta


class RefusedDirectory:
    """
    Where refused requests are kept.

    Safe beside running receivers and other readers: only closed segments are changed, each under a lock of the
    directory and by a rename, so a reader sees all of a segment or none of it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stage = Stage(root)
        self._counts: dict[tuple[str, int], int] = {}

    def requests(self) -> Iterator[RefusedRequest]:
        """Every request that is kept, oldest segment first, those in open segments included."""
        for segment in self._segments(CLOSED, OPEN):
            for line in whole_lines(segment):
                with suppress(ValueError):
                    yield RefusedRequest.decode(line)

    def prune(self, limits: RefusedLimits, now: datetime) -> int:
        """
        Remove the oldest requests until *limits* hold; return how many.

        What stands in open segments counts and stays: they close soon. While another process changes the directory,
        nothing is done, and the next time will do it.

        Raises:
            OSError: The disk's.
        """
        if not self.root.exists():
            return 0
        with self.changing(is_patient=False) as is_mine:
            return self._prune(limits, now) if is_mine else 0

    def rewrite(self, segment: Segment, lines: Iterable[bytes]) -> None:
        """
        Make *segment* hold *lines* and no others; without any it goes. Only within `changing`; durable on return.

        Raises:
            OSError: The disk's; the segment is as it was, or as it should be.
        """
        content = b"".join(lines)
        if content:
            aside = segment.path.with_suffix(_ASIDE)
            with open(aside, "wb", opener=_for_us_only) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(segment.path)
        else:
            segment.path.unlink(missing_ok=True)
        sync_directory(self.root)

    @contextmanager
    def changing(self, *, is_patient: bool = True) -> Iterator[bool]:
        """
        Hold the right to change closed segments.

        Args:
            is_patient: Wait for it; otherwise yield False where another has it.
        """
        with locked(self.root / _CHANGE_LOCK, is_patient=is_patient) as is_mine:
            if is_mine:
                for path in self.root.glob(f"*{_ASIDE}"):  # of one that was killed
                    path.unlink()
            yield is_mine

    def _prune(self, limits: RefusedLimits, now: datetime) -> int:
        being_written = self._segments(NEW, OPEN)
        room_bytes = limits.max_bytes - sum(segment.size for segment in being_written)
        room_count = limits.max_count - sum(self._count(segment) for segment in being_written)
        oldest = now - limits.max_age
        gone = 0
        closed = self._segments(CLOSED, UNREADABLE)
        known = {segment.batch_id for segment in closed}
        self._counts = {key: count for key, count in self._counts.items() if key[0] in known}
        for segment in reversed(closed):
            count = self._count(segment)
            is_young = segment.made_at >= oldest
            if is_young and segment.size <= room_bytes and count <= room_count:
                room_bytes -= segment.size
                room_count -= count
                continue
            kept = _newest(segment, room_bytes, room_count) if is_young and segment.path.suffix == CLOSED else []
            self.rewrite(segment, kept)
            gone += count - len(kept)
            # What is older than the first that had to go, goes too.
            room_bytes = room_count = 0
        return gone

    def _segments(self, *suffixes: str) -> list[Segment]:
        found = []
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            for entry in entries:
                path = Path(entry.path)
                with suppress(FileNotFoundError, ValueError):  # changed since it was listed; not one of ours
                    segment = Segment(path.stem, path, path.stat().st_size)
                    _ = segment.made_at
                    if path.suffix in suffixes:
                        found.append(segment)
        return sorted(found, key=lambda segment: segment.batch_id)

    def _count(self, segment: Segment) -> int:
        if segment.path.suffix == UNREADABLE:
            return 0
        # A closed segment changes by being rewritten only, and then becomes shorter.
        key = (segment.batch_id, segment.size)
        if key not in self._counts:
            self._counts[key] = _newlines_in(segment.path)
        return self._counts[key]


def whole_lines(segment: Segment) -> Iterator[bytes]:
    """The lines of *segment*, newlines included, without the torn one that may end it; none where it has gone."""
    with suppress(FileNotFoundError), segment.path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


@contextmanager
def locked(path: Path, *, is_patient: bool) -> Iterator[bool]:
    """Hold *path*, made where it is missing, under a lock that dies with its process; False where another has it."""
    make_directory(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _newlines_in(path: Path) -> int:
    # By the piece, not by the line: this goes on beside a receiver that is being flooded.
    try:
        with path.open("rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE_BYTES), b""))
    except FileNotFoundError:
        return 0


def _newest(segment: Segment, max_bytes: int, max_count: int) -> list[bytes]:
    lines = list(whole_lines(segment))
    start = len(lines)
    while start and len(lines) - start < max_count and (max_bytes := max_bytes - len(lines[start - 1])) >= 0:
        start -= 1
    return lines[start:]
