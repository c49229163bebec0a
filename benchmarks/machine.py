"""The machine that figures are from, and which of its cores each side gets."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROBES = 200
_IN_MEMORY = {"tmpfs", "ramfs"}
_SERVER_PACKAGES = ("uvicorn", "uvloop", "httptools", "fastapi", "orjson", "pydantic")
_SERVER_PROGRAMS = (("node", "--version"), ("wrk", "-v"), ("webhook", "-version"))


@dataclass(frozen=True, slots=True)
class Machine:
    """
    Where a run took place.

    Attributes:
        sync_us: Median time to append 1 KiB to a file and sync it, in microseconds: what one durable answer costs
            when it waits alone.
        versions: Of the programs involved.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    file_system: str
    sync_us: float
    versions: str


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores a server and the load generator are pinned to; None leaves it to the kernel."""

    server: tuple[int, ...] | None
    load: int | None


def cores_for(workers: int, *, is_pinned: bool) -> Cores:
    """
    One core for each worker from the first on, the last one for the load generator.

    Where there are too few for that, the server may use all of them, and shares the last with the load generator.
    """
    if not is_pinned:
        return Cores(None, None)
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return Cores(None, None)
    of_server = available[:workers] if len(available) > workers else available
    return Cores(tuple(of_server), available[-1])


def pinned(command: Sequence[str], cpus: Sequence[int] | None) -> list[str]:
    """*command*, to be run on *cpus* only."""
    if cpus is None:
        return list(command)
    return ["taskset", "--cpu-list", ",".join(map(str, cpus)), *command]


def file_system_of(path: Path) -> str:
    """The type of the file system that holds *path*."""
    best, found = -1, "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind, *_ = line.split()
        if path.resolve().is_relative_to(mount) and len(mount) > best:
            best, found = len(mount), kind
    return found


def is_in_memory(path: Path) -> bool:
    """Whether *path* is on no disk, where a sync costs nothing."""
    return file_system_of(path) in _IN_MEMORY


def busy_seconds() -> float:
    """The processors' time that all processes of this machine have had since it was started."""
    user, nice, system, _idle, _waiting, *interrupts = Path("/proc/stat").read_text(encoding="ascii").split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) / os.sysconf("SC_CLK_TCK")


def describe(
    directory: Path,
    packages: Sequence[str] = _SERVER_PACKAGES,
    programs: Sequence[tuple[str, str]] = _SERVER_PROGRAMS,
) -> Machine:
    """
    This machine, with the disk that *directory* is on.

    Args:
        packages: Of Python, that have a part in it.
        programs: Likewise, each with the option that makes it tell its version.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 1024**3, 1),
        system=f"{platform.system()} {platform.release()}",
        file_system=file_system_of(directory),
        sync_us=_sync_microseconds(directory),
        versions=", ".join([f"Python {platform.python_version()}", *_python_packages(packages), *_programs(programs)]),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _sync_microseconds(directory: Path) -> float:
    probe = directory / "sync.probe"
    took = []
    with probe.open("wb", buffering=0) as file:
        for _ in range(_PROBES):
            started = time.perf_counter()
            file.write(b"x" * 1024)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    probe.unlink()
    return round(statistics.median(took) * 1e6, 1)


def _python_packages(names: Sequence[str]) -> list[str]:
    from importlib.metadata import version  # noqa: PLC0415  # nothing else here needs it

    return [f"{name} {version(name)}" for name in names]


def _programs(programs: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    for name, option in programs:
        try:
            answer = subprocess.run([name, option], capture_output=True, text=True, check=False).stdout  # noqa: S603  # ours
        except FileNotFoundError:
            continue
        words = (answer.splitlines() or [""])[0].split()
        told = next((word for word in words if any(letter.isdigit() for letter in word)), "?")
        found.append(f"{name} {told.removeprefix('v')}")
    return found
