"""
The stage: a directory of segments between the receiver and the loader. This module alone knows their format.

A segment is a file of JSON lines in UTF-8, each ended by a newline. While its writer lives it is `<batch_id>.open`,
held under an exclusive flock; closed, and from then on never edited, it is `<batch_id>.jsonl`. `<batch_id>` is a UUID
v7 in hex and the writer's process id, so names sort by age. A `<batch_id>.new` is one that its writer may not have
locked yet.

A line stands for one event; the first line of a request stands for the delivery as well. A refused request left no
event: its line has a null `event_id`. Writing is the part of `ingest.group_commit` and `ingest.segment_file`; commands
publish whole segments here. What cannot be read is kept as `<batch_id>.unreadable`.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from itertools import chain
from logging import getLogger
from pathlib import Path
from typing import BinaryIO, Self
from uuid import UUID

import orjson
import zstandard

from ingest.damage import Survey, is_whole, survey
from ingest.durable_files import is_same_file, make_directory, sync_directory, write_whole
from ingest.uuid7 import new_uuid7, time_of

SEGMENT_COLUMNS: dict[str, str] = {
    "is_delivery": "BOOLEAN",
    "delivery_id": "VARCHAR",
    "source_id": "VARCHAR",
    "received_at": "VARCHAR",
    "status_code": "INTEGER",
    "outcome": "VARCHAR",
    "reason": "VARCHAR",
    "detail": "VARCHAR",
    "response_ms": "DOUBLE",
    "body_bytes": "BIGINT",
    "secret_name": "VARCHAR",
    "event_id": "VARCHAR",
    "event_type": "VARCHAR",
    "schema_version": "VARCHAR",
    "occurred_at": "VARCHAR",
    "has_synthetic_id": "BOOLEAN",
    "body_sha256": "VARCHAR",
    "payload": "VARCHAR",
    "payload_base64": "VARCHAR",
    "position": "INTEGER",
    "is_replay": "BOOLEAN",
}
"""Every field of a line and its DuckDB type, as `read_json(columns = ...)` takes them."""

IGNORED = "ignored"
"""
The reason of a line that waits for nothing: a platform's payload that its mapping makes no event of, on purpose. It is
written as quarantined, so that one who knows no mapping keeps it; where it is loaded it is the outcome of the delivery.
"""

NEW, OPEN, CLOSED, UNREADABLE = ".new", ".open", ".jsonl", ".unreadable"

ARCHIVED = CLOSED + ".zst"
"""Of a segment in the archive."""

_COMPRESSION = 3
"""zstd's own default: a tenth of the bytes, at several hundred megabytes a second."""

_logger = getLogger(__name__)


# Neither frozen nor slotted: one is made and encoded for every request, and each of the two would add a third to that.
@dataclass(kw_only=True)
class StagedLine:
    """
    One line of a segment: an event, a delivery, or both.

    Attributes:
        is_delivery: True on the first line of a request.
        delivery_id: UUID v7, the same on all lines of a request.
        received_at: RFC 3339 in UTC with microseconds and "Z"; so is `occurred_at`.
        outcome: "accepted", "quarantined" or "refused".
        reason: Why it was not accepted: a short code; `detail` names the field, never a value.
        response_ms: From the request's first byte until it was handed to the writer.
        secret_name: Where the secret that verified it is kept, never the secret.
        body_sha256: In hex, over the body as sent.
        event_type: The contract's; where a mapping has yet to be applied to `payload`, the mapping's name, a colon and
            the platform's word.
        payload: The body as sent, as text; null where it is not UTF-8 or holds NUL, and for refused requests.
        payload_base64: The body as sent, where `payload` cannot hold it.
        position: The event's place in its delivery, from 0; with `delivery_id` it names the event for good.
        is_replay: True on a line that gives an event out of quarantine once more, under its own delivery and position.
    """

    is_delivery: bool
    delivery_id: str
    source_id: str
    received_at: str
    status_code: int
    outcome: str
    reason: str | None = None
    detail: str | None = None
    response_ms: float
    body_bytes: int
    secret_name: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    schema_version: str | None = None
    occurred_at: str | None = None
    has_synthetic_id: bool | None = None
    body_sha256: str | None = None
    payload: str | None = None
    payload_base64: str | None = None
    position: int = 0
    is_replay: bool = False

    def encode(self) -> bytes:
        """The line as it stands in a segment, newline included."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """The line that *line*, with or without its newline, was made from."""
        return cls(**orjson.loads(line))


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One segment as found on disk.

    Attributes:
        batch_id: Its name, without the suffix; sorts by age.
        size: In bytes, unpacked, at the time of looking.
    """

    batch_id: str
    path: Path
    size: int

    @property
    def made_at(self) -> datetime:
        """
        When it was opened, as its name says, UTC.

        Raises:
            ValueError: Its name is none that we give.
        """
        return time_of(UUID(self.batch_id.partition("-")[0]))

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open what it holds, unpacked where it is archived."""
        with self.path.open("rb") as file:
            if not self.path.name.endswith(ARCHIVED):
                yield file
            else:
                with zstandard.ZstdDecompressor().stream_reader(file) as unpacked, BufferedReader(unpacked) as plain:
                    yield plain

    def lines(self) -> Iterator[StagedLine]:
        """Its whole lines, in order. For looking at; the loader reads segments with DuckDB."""
        with self.opened() as file:
            for line in file:
                if is_whole(line):
                    yield StagedLine.decode(line)


class Stage:
    """
    The reader's side of a stage.

    Safe beside running receivers and beside other readers; nothing here waits for a lock.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def closed_segments(self) -> list[Segment]:
        """Segments ready to load, oldest first."""
        return self._segments(CLOSED)

    def live_segments(self) -> list[Segment]:
        """Segments that a running receiver is still writing and that hold something: they will close by themselves."""
        return [segment for segment in self._segments(OPEN) if segment.size and _is_held(segment.path)]

    def publish(self, lines: Iterable[StagedLine]) -> Segment | None:
        """
        Stage *lines* as one closed segment, for commands; the stage is made where it is missing.

        Durable when it returns, all of it or none; None where there are no lines. Killed before, it leaves at most a
        file that nobody takes for a segment.
        """
        encoded = (line.encode() for line in lines)
        first = next(encoded, None)
        if first is None:
            return None
        make_directory(self.root)
        batch_id = new_batch_id()
        path = self.root / f"{batch_id}{CLOSED}"
        size = write_whole(path, chain([first], encoded))
        return Segment(batch_id, path, size)

    def recover(self) -> list[Segment]:
        """
        Close the segments that a receiver left behind when it died, and say which.

        What a torn last line held was never acknowledged: it is cut off. Every other whole line stays. What cannot be
        read between or behind them may have been acknowledged: it is kept aside, with a warning. A segment left empty
        goes. One that the disk does not let us close is logged and left for the next time, so that it does not keep
        others from loading. Killed at any point, the next recovery does the same.
        """
        recovered = []
        for segment in self._segments(NEW) + self._segments(OPEN):
            try:
                closed = self._close_abandoned(segment)
            except OSError as error:
                _logger.warning(
                    "Segment %s could not be recovered (%s); it stays for the next try.", segment.path, error
                )
            else:
                recovered.extend(closed)
        return recovered

    def release(self, segment: Segment, archive: Path, amend: Callable[[bytes], bytes] | None = None) -> None:
        """
        Move *segment*, loaded and committed, to the day of its name (UTC) under *archive*, compressed.

        Durable when it returns; may be repeated after a crash at any point.

        Args:
            amend: Gives what is to be kept of a line, newline included.

        Raises:
            FileNotFoundError: The segment stands neither in the stage nor in the archive.
        """
        day = archive / segment.made_at.date().isoformat()
        make_directory(day)
        # An archived copy gets its name only once it is whole; those of earlier versions are plain.
        if any((day / f"{segment.batch_id}{suffix}").exists() for suffix in (ARCHIVED, CLOSED)):
            segment.path.unlink(missing_ok=True)
        else:
            with segment.path.open("rb") as lines:
                size = segment.path.stat().st_size
                pieces = compressed(lines, size) if amend is None else compressed_whole(map(amend, lines))
                write_whole(day / f"{segment.batch_id}{ARCHIVED}", pieces)
            segment.path.unlink()
        sync_directory(day)
        sync_directory(segment.path.parent)

    def set_aside(self, segment: Segment) -> Path:
        """Keep a closed segment that cannot be read out of the loader's way, as `<batch_id>.unreadable`; say where."""
        aside, number = segment.path.with_suffix(UNREADABLE), 2
        while aside.exists():  # bytes that its recovery kept, or a copy of it set aside before
            aside, number = self.root / f"{segment.batch_id}.{number}{UNREADABLE}", number + 1
        segment.path.rename(aside)
        sync_directory(self.root)
        return aside

    def _segments(self, suffix: str) -> list[Segment]:
        found = []
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.endswith(suffix):
                    with suppress(FileNotFoundError):  # closed or released since it was listed
                        path = Path(entry.path)
                        found.append(Segment(entry.name.removesuffix(suffix), path, path.stat().st_size))
        return sorted(found, key=lambda segment: segment.batch_id)

    def _close_abandoned(self, segment: Segment) -> list[Segment]:
        with _locked(segment.path) as descriptor:
            if descriptor is None:
                return []
            with os.fdopen(os.dup(descriptor), "rb") as file:
                parts = survey(file)
                if parts.unreadable:
                    return self._close_damaged(segment, file, parts)
            if parts.end != segment.size:
                _logger.warning("Segment %s: cut %d bytes never acknowledged.", segment.path, segment.size - parts.end)
            if not parts.end:
                segment.path.unlink()
                sync_directory(self.root)
                return []
            os.ftruncate(descriptor, parts.end)
            os.fsync(descriptor)
            closed = segment.path.with_suffix(CLOSED)
            segment.path.rename(closed)
            sync_directory(self.root)
            return [Segment(segment.batch_id, closed, parts.end)]

    def _close_damaged(self, segment: Segment, file: BinaryIO, parts: Survey) -> list[Segment]:
        # The damaged file goes last: until then another try finds all of it, and does the same once more.
        aside = segment.path.with_suffix(UNREADABLE)
        lost = write_whole(aside, _stretches(file, parts.unreadable))
        _logger.warning("Segment %s: %d bytes cannot be read; they are kept in %s.", segment.path, lost, aside)
        closed = segment.path.with_suffix(CLOSED)
        size = write_whole(closed, _stretches(file, parts.whole)) if parts.whole else 0
        segment.path.unlink()
        sync_directory(self.root)
        return [Segment(segment.batch_id, closed, size)] if size else []


def new_batch_id() -> str:
    """A name for a new segment of this process; sorts after all its earlier ones."""
    return f"{new_uuid7().hex}-{os.getpid()}"


def compressed(file: BinaryIO, size: int) -> Iterator[bytes]:
    """*file*, of *size* bytes, as one frame of zstd that says how long its content is and what it adds up to."""
    return _compressor().read_to_iter(file, size=size)


def compressed_whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """*lines* as such a frame."""
    yield _compressor().compress(b"".join(lines))


def _compressor() -> zstandard.ZstdCompressor:
    # With the checksum a copy that was spoilt, or cut short, is not taken for a shorter one.
    return zstandard.ZstdCompressor(level=_COMPRESSION, write_checksum=True)


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Hold *path* under its lock, or yield None where its writer lives or the file has gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            # Between the open and the lock its writer may have closed it, or another reader recovered it: then the
            # name is gone, or is another's, and must not be touched.
            yield descriptor if is_same_file(descriptor, path) else None
    finally:
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _stretches(file: BinaryIO, stretches: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    for begin, end in stretches:
        file.seek(begin)
        yield file.read(end - begin)
