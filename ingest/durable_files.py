"""Files and directories that outlive a loss of power: their contents are synced, and so are their names."""

import os
from collections.abc import Iterable
from pathlib import Path

_ASIDE = ".writing"
"""A file that is not whole yet; nobody but its writer looks at it."""


def make_directory(directory: Path) -> None:
    """Make *directory* and what is missing above it, durably."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Bring the names in *directory* to the disk: a synced file without its name is lost all the same."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, pieces: Iterable[bytes]) -> int:
    """Make *path* of *pieces*, durable and whole or not there at all; return its size in bytes."""
    aside = path.with_suffix(_ASIDE)
    try:
        with aside.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return size


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether *path* still names the file that *descriptor* holds."""
    held = os.fstat(descriptor)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return held.st_nlink > 0 and (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
