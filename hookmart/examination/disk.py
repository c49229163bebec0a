"""Room on the disks, and whether a sync there costs what a disk costs; measured, and nothing claimed beyond that."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from hookmart.examination.finding import Finding, Part
from hookmart.examination.mounts import IN_CONTAINER, VOLATILE, Mount, mount_of
from ingest.settings import Settings

_PART = Part("disk")

_LEAST_BYTES, _FEW_BYTES = 64 * 1024**2, 1024**3
_LEAST_INODES, _FEW_INODES = 1_000, 50_000
_SYNCS = 32
_SYNC_BYTES = 4_096

CHEAPEST_SYNC = 50e-6
"""Seconds; quicker than this, half of all syncs were answered from some memory, be it one with a battery."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    A directory of ours.

    Attributes:
        is_lasting: Whether what is in it exists nowhere else.
        room: Bytes that the next step of work needs there.
    """

    name: str
    path: Path
    is_lasting: bool = False
    room: int = 0

    @property
    def existing(self) -> Path:
        """The directory, or the nearest above it that is there."""
        return next(each for each in (self.path, *self.path.parents) if each.is_dir())


def places_of(settings: Settings) -> tuple[Place, ...]:
    """Return every directory that is written to."""
    warehouse = settings.warehouse
    return (
        Place("stage", settings.stage.directory, is_lasting=True),
        Place("archive", settings.stage.archive, is_lasting=True),
        Place("refused", settings.stage.refused),
        Place("state", warehouse.state),
        *((Place("warehouse", warehouse.database.parent),) if warehouse.destination == "duckdb" else ()),
        *(
            (Place("publish", warehouse.publish, room=_published_bytes(warehouse.publish)),)
            if warehouse.publishes_a_copy
            else ()
        ),
    )


def examined_disk(
    places: tuple[Place, ...], environ: Mapping[str, str], mount: Callable[[Path], Mount] = mount_of
) -> Iterator[Finding]:
    """Yield what the disks of *places* are like; the stage is the first of them."""
    for together in _by_disk(places):
        yield from _room(together)
    for place in places:
        yield from _kind(place, mount(place.existing))
    if "eatmydata" in environ.get("LD_PRELOAD", ""):
        yield _PART.wrong("libeatmydata is loaded: every sync is skipped, and a 2xx promises nothing. Run without it.")
    yield from _syncs(places[0], mount(places[0].existing))


def _by_disk(places: tuple[Place, ...]) -> list[list[Place]]:
    disks: dict[int, list[Place]] = {}
    for place in places:
        disks.setdefault(place.existing.stat().st_dev, []).append(place)
    return list(disks.values())


def _room(places: list[Place]) -> Iterator[Finding]:
    """Of *places* on one disk."""
    disk = os.statvfs(places[0].existing)
    free, needed = disk.f_bavail * disk.f_frsize, sum(place.room for place in places)
    named = ", ".join(place.name for place in places)
    told = f"The disk of {named} has {_size(free)} free"
    if free < _LEAST_BYTES:
        yield _PART.wrong(f"{told}; make room now: when it is full, requests are answered 503 and loads stop.")
    elif free < max(_FEW_BYTES, needed):
        need = f", and the next generation of the marts alone takes {_size(needed)}" if needed > free else ""
        yield _PART.warning(f"{told}{need}; make room before it is full.")
    else:
        yield _PART.good(f"{told}.")
    if disk.f_files and disk.f_favail < _FEW_INODES:
        says = f"The disk of {named} has room for {disk.f_favail:,} more files; remove some, or use another disk."
        yield _PART.wrong(says) if disk.f_favail < _LEAST_INODES else _PART.warning(says)


def _kind(place: Place, mount: Mount) -> Iterator[Finding]:
    on = f"{place.name} ({place.path}) is on {mount.kind}"
    if mount.kind in VOLATILE:
        says = f"{on}, which is memory: all of it is gone with the next start of the machine. Move it to a disk."
        yield _PART.wrong(says) if place.is_lasting else _PART.warning(says)
    elif mount.kind in IN_CONTAINER:
        yield _PART.warning(f"{on}, the container's own layer, which goes with the container; mount a volume there.")
    elif mount.is_over_network:
        yield _PART.warning(
            f"{on}: syncs and locks there are what a server, or a program, makes of them. Use a local disk, or be sure"
            " that they are real."
        )
    if mount.options & {"nobarrier", "barrier=0"}:
        yield _PART.warning(
            f"{on}, mounted without barriers: a sync does not empty the disk's own cache, and a power cut may take what"
            " was acknowledged. Mount it with barriers."
        )


def _syncs(stage: Place, mount: Mount) -> Iterator[Finding]:
    with suppress(OSError):  # the stage's own part says that nothing can be written
        took = sync_seconds(stage.existing)
        told = f"A sync on the stage's disk ({mount.kind}) takes {_time(took)}, the median of {_SYNCS}"
        if took < CHEAPEST_SYNC:
            yield _PART.warning(
                f"{told}: no disk is so quick, so some memory answers for it. Ask whoever runs the storage whether that"
                " memory survives a power cut; if it does not, what was acknowledged may be lost."
            )
        else:
            yield _PART.good(
                f"{told}, as a disk does. Whether the disk's own cache survives a power cut cannot be seen from here."
            )


def sync_seconds(directory: Path) -> float:
    """Return what `fdatasync` of a few appended kilobytes costs in *directory*, the median."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        took = []
        for _ in range(_SYNCS):
            file.write(bytes(_SYNC_BYTES))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took)


def _published_bytes(published: Path) -> int:
    current = published / "current"
    if not current.exists():
        return 0
    return sum(path.stat().st_size for path in current.iterdir())


def _size(count: int) -> str:
    return f"{count / 1024**3:,.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:,.0f} MiB"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.1f} µs"
