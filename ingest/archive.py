"""
The archive: every segment that has loaded, under the day of its name, compressed with zstd.

Files of earlier versions are plain, and are read like the others. DuckDB takes a compressed file that ends too early
for a shorter one, so what is read from here is looked through first.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import zstandard

from ingest.durable_files import sync_directory, write_whole
from ingest.staging import ARCHIVED, CLOSED, Segment, compressed_whole

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Archive:
    """
    The loaded segments.

    Attributes:
        root: Of the directories of days.
    """

    root: Path

    def segments(self, since: date | None = None) -> list[Segment]:
        """Return those made on *since* or later, of all days where it is None, oldest first; sizes unpacked."""
        found: dict[str, Segment] = {}
        for day, directory in self._days():
            if since is None or day >= since:
                for path in directory.iterdir():
                    segment = _segment_at(path)
                    # Where an earlier version left a plain copy too, one of them is enough.
                    if segment is not None and found.setdefault(segment.batch_id, segment).path.suffix == CLOSED:
                        found[segment.batch_id] = segment
        return sorted(found.values(), key=lambda segment: segment.batch_id)

    def rewrite(self, segment: Segment, amend: Callable[[bytes], bytes]) -> bool:
        """
        Keep of each line of *segment*, newline included, what *amend* gives; return whether anything changed.

        Durable on return; killed before, the segment is as it was, or as it should be.
        """
        with segment.opened() as file:
            before = list(file)
        after = [amend(line) for line in before]
        is_changed = after != before
        target = segment.path.with_name(segment.batch_id + ARCHIVED)
        if is_changed:
            write_whole(target, compressed_whole(after))
        # A plain copy beside the one that was just looked at would keep what is taken out.
        plain = segment.path.with_name(segment.batch_id + CLOSED)
        if target.exists() and plain.exists():
            plain.unlink()
            sync_directory(plain.parent)
        return is_changed

    def remove_before(self, now: datetime, kept_days: int) -> list[date]:
        """Remove the days that ended more than *kept_days* days before *now*, UTC; return which, oldest first."""
        last = now.date() - timedelta(days=kept_days + 1)
        gone = []
        for day, directory in self._days():
            if day <= last:
                shutil.rmtree(directory)
                gone.append(day)
        if gone:
            sync_directory(self.root)
        return gone

    def _days(self) -> Iterator[tuple[date, Path]]:
        with suppress(FileNotFoundError):
            for directory in sorted(self.root.iterdir()):
                with suppress(ValueError):  # not one of ours
                    yield date.fromisoformat(directory.name), directory


def damage_of(segment: Segment) -> str | None:
    """Return why the archived *segment* cannot be read to its end; None where it can."""
    try:
        with segment.opened() as file:
            size = sum(len(piece) for piece in iter(lambda: file.read(_PIECE_BYTES), b""))
    except (zstandard.ZstdError, OSError) as error:
        return str(error)
    return None if size == segment.size else "it ends too early"


def _segment_at(path: Path) -> Segment | None:
    for suffix in (ARCHIVED, CLOSED):
        if path.name.endswith(suffix):
            with path.open("rb") as file:
                header = file.read(18)
            size = path.stat().st_size
            if suffix == ARCHIVED:
                with suppress(zstandard.ZstdError):
                    size = zstandard.frame_content_size(header)
            return Segment(path.name.removesuffix(suffix), path, size)
    return None
