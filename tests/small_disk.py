"""A small disk of its own, for tests in which a disk is full, or turns read-only."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

OPTIONS = {"of few bytes": "size=1m", "of few files": "size=8m,nr_inodes=60"}
_KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of its own, for all that the receiver writes."""

    path: Path

    def is_remounted(self, options: str) -> bool:
        """Change how it is mounted; say whether that could be done."""
        command = ["mount", "-o", f"remount,{options}", str(self.path)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def fill(self) -> None:
        """Take what room there is, of bytes and of files."""
        for number in count(sum(1 for _ in self.path.glob("ballast*"))):
            try:
                with (self.path / f"ballast{number}").open("wb", buffering=0) as file:
                    while file.tell() < 64 * _KIBIBYTE:
                        file.write(b"\0" * _KIBIBYTE)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return

    def free(self) -> None:
        """Give it back."""
        for path in self.path.glob("ballast*"):
            path.unlink()


@contextmanager
def mounted(path: Path, options: str) -> Iterator[SmallDisk]:
    """A disk at *path*, short of one thing; unmounted in the end. Skips the test where that needs more rights."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs leave to mount a file system")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
