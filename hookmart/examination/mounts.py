"""Which file system a path is on, as the kernel lists them."""

import re
from dataclasses import dataclass
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")

VOLATILE = frozenset({"tmpfs", "ramfs"})
"""Kept in memory: gone with the next start of the machine."""

IN_CONTAINER = frozenset({"overlay", "aufs"})
"""A container's own layer: gone with the container."""

_OVER_NETWORK = re.compile(r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|ceph|glusterfs|lustre|afs|beegfs|fuse(\..+)?")


@dataclass(frozen=True, slots=True)
class Mount:
    """
    One mounted file system.

    Attributes:
        kind: As the kernel calls it, such as ext4; "unknown" where it cannot be told.
        options: Of the mount and of the file system.
    """

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def is_over_network(self) -> bool:
        """Whether somebody else's machine, or a program, stands between us and the disk."""
        return _OVER_NETWORK.fullmatch(self.kind) is not None


def mount_of(path: Path, mountinfo: Path = _MOUNTINFO) -> Mount:
    """Return the mount that *path* is on."""
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Mount(Path("/"), "unknown", frozenset())
    resolved = path.resolve()
    found = [mount for mount in map(_mount, lines) if resolved == mount.point or mount.point in resolved.parents]
    # The longest; and of two on one point the later one hides the earlier.
    return max(
        enumerate(found),
        key=lambda each: (len(each[1].point.parts), each[0]),
        default=(0, Mount(Path("/"), "unknown", frozenset())),
    )[1]


def _mount(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, more = before.split(), after.split()
    point = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 8)), fields[4])
    return Mount(Path(point), more[0], frozenset(f"{fields[5]},{more[2] if len(more) > 2 else ''}".split(",")))
