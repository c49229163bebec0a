"""
Soak the whole line: `hookmart up` under a platform with all faults, killed again and again, on this machine.

    python benchmarks/soak.py --minutes 10        lag, memory, files; and is everything there, once, in the end?
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  # started as a file, this is how it finds the project
from benchmarks.lag_probe import LagProbe
from benchmarks.machine import describe, is_in_memory
from benchmarks.mart_reader import Probe
from benchmarks.results import machine_lines
from benchmarks.running_server import ServerFailed
from benchmarks.soak_truth import counts, findings
from benchmarks.soaked_line import VICTIMS, Platform, SoakedLine, Traffic
from benchmarks.spread import spread_text

_SCRATCH = ROOT / "var" / "benchmarks" / "soak"
_LOOK_SECONDS = 1.0
_DRAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the line held at one moment, *at* seconds after the start."""

    at: float
    resident_bytes: int
    files: int
    disk_bytes: int


@dataclass(slots=True)
class Soak:
    """What was seen."""

    started: float = field(default_factory=time.monotonic)
    readings: list[Reading] = field(default_factory=list)
    killed: list[tuple[float, str]] = field(default_factory=list)
    down_seconds: float = 0.0

    def clock(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started


def main() -> int:
    """Do what the command line asks; 0 all is as it must be, 1 something is not, 2 cannot be done here."""
    arguments = _arguments().parse_args()
    directory: Path = arguments.directory.resolve()
    if directory.exists():
        shutil.rmtree(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    if is_in_memory(directory.parent):
        _say(f"Not soaked: {directory} is in memory, where a sync costs nothing; name a --directory on a disk.")
        return 2
    seconds = arguments.minutes * 60
    traffic = Traffic(
        events=max(100, int(seconds * arguments.rate)), partners=arguments.partners, rate=arguments.rate,
        seed=arguments.seed, faults=arguments.faults, speed_up=arguments.speed_up,
    )  # fmt: skip
    line, soak = SoakedLine(directory), Soak()
    platform = Platform(line, traffic)
    probe = LagProbe(line.url, directory / "var" / "published", soak.clock)
    try:
        wrong = [*_soaked(line, platform, probe, soak, arguments.kill_every), *findings(line, platform)]
    except ServerFailed as error:
        wrong = [str(error)]
    finally:
        platform.end()
        line.end()
    sys.stdout.write(_report(line, traffic, probe, soak, wrong, directory))
    if not wrong and not arguments.keep:
        shutil.rmtree(directory)
    return 1 if wrong else 0


def _soaked(line: SoakedLine, platform: Platform, probe: LagProbe, soak: Soak, kill_every: float) -> list[str]:
    rng = Random(1)  # noqa: S311  # the kills of a run can be had again
    line.start()
    platform.start()
    probe.start()
    victims: list[str] = []
    next_kill = soak.clock() + rng.uniform(0.5, 1.5) * kill_every
    while platform.is_running():
        time.sleep(_LOOK_SECONDS)
        soak.readings.append(_reading(line, soak))
        if not line.is_running():
            return ["`hookmart up` ended by itself."]
        if soak.clock() >= next_kill:
            # Every victim once, before any is a second time.
            victims = victims or rng.sample(VICTIMS, len(VICTIMS))
            _kill(line, platform, soak, victims.pop())
            next_kill = soak.clock() + rng.uniform(0.5, 1.5) * kill_every
    probe.stop_posting()
    deadline = soak.clock() + _DRAIN_SECONDS
    while probe.unpublished() and soak.clock() < deadline:
        time.sleep(_LOOK_SECONDS)
        soak.readings.append(_reading(line, soak))
    left = probe.unpublished()
    code = line.stop()
    probe.stop()
    said = [f"{left} acknowledged probes are in no mart."] if left else []
    said += [f"`hookmart up` drained with exit code {code}."] if code else []
    return [*said, *(f"A reader failed: {error}" for error in probe.errors)]


def _kill(line: SoakedLine, platform: Platform, soak: Soak, victim: str) -> None:
    began = soak.clock()
    if victim == "the sender":
        platform.kill()
        platform.start()
    else:
        line.kill(victim)
        line.start()
        soak.down_seconds += soak.clock() - began
    soak.killed.append((began, victim))
    _say(f"{began:6.0f} s  killed {victim}")


def _reading(line: SoakedLine, soak: Soak) -> Reading:
    files = size = 0
    # What goes while it is looked at does not count.
    for directory, _, names in os.walk(line.directory / "var"):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(directory, name).lstat().st_size
                files += 1
    return Reading(soak.clock(), line.resident_bytes(), files, size)


def _report(
    line: SoakedLine, traffic: Traffic, probe: LagProbe, soak: Soak, wrong: Sequence[str], directory: Path
) -> str:
    calm, hurt = _lags(probe, soak)
    seconds = soak.readings[-1].at if soak.readings else 0.0
    received = counts(line)
    kills = ", ".join(f"{what} {count}" for what, count in line.kills.items())
    rows = [
        ("events, distinct", f"{traffic.events:,} of {traffic.partners} partners, {traffic.rate:g} a second"),
        ("faults", traffic.faults),
        ("took", f"{seconds:,.0f} s, of which {soak.down_seconds:,.0f} s without a receiver"),
        ("killed", kills),
        *(
            (f"requests of {name}", ", ".join(f"{source[count]:,} {count}" for count in _COUNTS))
            for name, source in received.items()
        ),
        ("lag, from answer to mart", calm),
        ("lag across a kill", hurt),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    verdict = "Everything is there, once, and the marts are those of the truth." if not wrong else "\n".join(wrong)
    return (
        f"{machine_lines(describe(directory if directory.exists() else directory.parent))}\n| what | |\n|---|---|\n"
        f"{table}\n\n{_over_time(soak)}\n{verdict}\n"
    )


_COUNTS = ("received", "loaded", "duplicate", "quarantined", "refused", "unexplained")


def _lags(probe: LagProbe, soak: Soak) -> tuple[str, str]:
    calm: list[float] = []
    hurt: list[float] = []
    for each in probe.probes.values():
        if each.lag is not None:
            (hurt if _is_across_a_kill(each, soak) else calm).append(each.lag)
    return spread_text(calm, "probes"), spread_text(hurt, "probes")


def _is_across_a_kill(probe: Probe, soak: Soak) -> bool:
    return any(
        probe.posted_at - 1 <= at <= (probe.published_at or 0) for at, what in soak.killed if what != "the sender"
    )


def _over_time(soak: Soak) -> str:
    lines = ["| minute | memory, MiB | files | on disk, MiB |", "|--:|--:|--:|--:|"]
    minutes: dict[int, list[Reading]] = {}
    for reading in soak.readings:
        minutes.setdefault(int(reading.at // 60), []).append(reading)
    for minute, readings in minutes.items():
        last = readings[-1]
        most = max(each.resident_bytes for each in readings)
        lines.append(f"| {minute + 1} | {most / 1024**2:,.0f} | {last.files:,} | {last.disk_bytes / 1024**2:,.0f} |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Soak the whole line under faults and kills.")
    parser.add_argument("--minutes", type=float, default=10, help="of posting")
    parser.add_argument("--rate", type=float, default=200, help="events a second")
    parser.add_argument("--partners", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default="all", help="as `hookmart simulate` takes them")
    parser.add_argument("--speed-up", type=float, default=10, help="of the sender's waits between attempts")
    parser.add_argument("--kill-every", type=float, default=40, help="seconds, about, from one kill to the next")
    parser.add_argument("--keep", action="store_true", help="keep the directory where all is well")
    parser.add_argument("--directory", type=Path, default=_SCRATCH, help="on a disk; removed first")
    return parser


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
