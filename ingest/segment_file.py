"""One segment being written: locked from before it is visible until it is closed, and never trusted after a failure."""

import errno
import fcntl
import os
from contextlib import suppress
from logging import getLogger
from pathlib import Path

from ingest.durable_files import is_same_file, make_directory, sync_directory
from ingest.staging import CLOSED, NEW, OPEN, new_batch_id

_ATTEMPTS_TO_LOCK = 3

_logger = getLogger(__name__)


class SegmentFile:
    """
    An open segment of this process. Blocking; one thread at a time.

    Attributes:
        path: Its name while open.
        size: Up to here every byte is durable.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor

    @classmethod
    def create(cls, root: Path) -> "SegmentFile":
        """
        A new, empty segment in *root*, which is made if it is missing. Its name is durable.

        Raises:
            OSError: The disk's; nothing is left behind.
        """
        make_directory(root)
        new, descriptor = _create_locked(root)
        segment = cls(new, descriptor)
        try:
            segment.path = new.rename(new.with_suffix(OPEN))
            sync_directory(root)
        except BaseException:
            segment.discard()
            raise
        return segment

    def append(self, lines: bytes) -> None:
        """
        Write *lines*; when this returns, they are durable.

        Raises:
            OSError: They may not be. Call `discard` and use this segment no more: after a failed sync the kernel may
                have dropped the pages, and it says so once only.
        """
        rest = memoryview(lines)
        while rest:
            written = os.write(self._descriptor, rest)
            if not written:
                raise OSError(errno.EIO, "the disk took no bytes", str(self.path))
            rest = rest[written:]
        os.fdatasync(self._descriptor)
        self.size += len(lines)

    def close(self) -> None:
        """
        Hand the segment to the loader.

        Raises:
            OSError: It could not be renamed; unlocked as it is now, the next recovery closes it.
        """
        try:
            self.path.rename(self.path.with_suffix(CLOSED))
            sync_directory(self.path.parent)
        finally:
            os.close(self._descriptor)

    def discard(self) -> bool:
        """
        Give up after a failure: keep what is durable as a closed segment, remove the rest; say whether that is done.

        Where the disk refuses even that, the file stays open and unlocked, and recovery cuts its torn tail; whole lines
        of the rest stay.
        """
        try:
            os.ftruncate(self._descriptor, self.size)
            if self.size:
                os.fsync(self._descriptor)
                self.path.rename(self.path.with_suffix(CLOSED))
            else:
                self.path.unlink()
            sync_directory(self.path.parent)
        except OSError as error:
            _logger.warning("Segment %s could not be closed (%s); recovery will close it.", self.path, error)
            return False
        else:
            return True
        finally:
            os.close(self._descriptor)


def probe(root: Path) -> None:
    """
    Write, sync and remove a file in *root*, as a first delivery would.

    Raises:
        OSError: What a delivery would meet.
    """
    make_directory(root)
    new, descriptor = _create_locked(root)
    try:
        os.write(descriptor, b"probe\n")
        os.fdatasync(descriptor)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()
        os.close(descriptor)
    sync_directory(root)


def _create_locked(root: Path) -> tuple[Path, int]:
    # A recovery in another process may find the file between its creation and its lock, and take it for litter. So it
    # is not called open before it is locked, and a name lost that way is simply tried again.
    for _ in range(_ATTEMPTS_TO_LOCK):
        path = root / f"{new_batch_id()}{NEW}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        if is_same_file(descriptor, path):
            return path, descriptor
        os.close(descriptor)
    raise OSError(errno.EAGAIN, "other processes keep removing new segments", str(root))
