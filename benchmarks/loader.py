"""
Measure the loader: beside what DuckDB alone needs, with little to do, with very much to do, and with a long past.

    python benchmarks/loader.py                                    everything; Markdown tables
    python benchmarks/loader.py throughput small --events 20000    in a minute
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  # started as a file, this is how it finds the project
from benchmarks.backlogs import backlogs
from benchmarks.histories import histories
from benchmarks.loader_report import Part
from benchmarks.machine import describe, is_in_memory
from benchmarks.results import machine_lines
from benchmarks.small_loads import small_loads
from benchmarks.staged_events import staged_events, write_segments
from benchmarks.throughput import throughput

_SCRATCH = ROOT / "var" / "benchmarks" / "loader"
_BODY_BYTES = 800
_PACKAGES = ("duckdb", "dlt", "pyarrow", "orjson")

_SPACE = {"throughput": 4_000, "small": 4_000, "backlog": 4_000, "history": 1_500}
"""Bytes of disk per event, generously: a segment's line (none of a history's), the row, and what is written aside."""


def main() -> int:
    """Do what the command line asks; 0 done, 1 something measured was wrong, 2 cannot be measured here."""
    arguments = _arguments().parse_args()
    scratch: Path = arguments.directory.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    if is_in_memory(scratch):
        return _cannot(f"{scratch} is in memory, where a sync costs nothing; name a --directory on a disk")
    needed = max(_SPACE[part] * size for part in arguments.parts for size in _sizes(arguments)[part])
    if shutil.disk_usage(scratch).free < needed:
        return _cannot(f"{scratch} has less than {needed / 1e9:.0f} GB free; name another --directory or smaller sizes")
    machine = describe(scratch, _PACKAGES, ())
    sys.stdout.write(f"{machine_lines(machine)}Events of {_BODY_BYTES} bytes.\n")
    parts = []
    for part in _measured(arguments, scratch):
        sys.stdout.write(f"\n{part.markdown()}")
        sys.stdout.flush()
        parts.append(part)
    if arguments.json:
        document = {"machine": asdict(machine), "runs": [run for part in parts for run in part.runs]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if any(part.faults for part in parts) else 0


def _measured(arguments: argparse.Namespace, scratch: Path) -> Iterator[Part]:
    runs = scratch / "runs"
    shutil.rmtree(runs, ignore_errors=True)  # of a run that was broken off
    runs.mkdir()
    for name, measure in _PARTS.items():
        if name in arguments.parts:
            yield measure(arguments, scratch, runs)
    runs.rmdir()


def _throughput(arguments: argparse.Namespace, scratch: Path, runs: Path) -> Part:
    return throughput(_segments(scratch, arguments.events), arguments.events, arguments.rounds, runs, _say)


def _small(arguments: argparse.Namespace, scratch: Path, runs: Path) -> Part:
    return small_loads(_segments(scratch, arguments.events), arguments.events, arguments.small_rounds, runs, _say)


def _backlog(arguments: argparse.Namespace, scratch: Path, runs: Path) -> Part:
    sizes = _sizes(arguments)["backlog"]
    return backlogs({size: _segments(scratch, size) for size in sizes}, runs, _say)


def _history(arguments: argparse.Namespace, _scratch: Path, runs: Path) -> Part:
    return histories(sorted(arguments.histories), arguments.batch, arguments.rounds, runs, _say)


_PARTS: dict[str, Callable[[argparse.Namespace, Path, Path], Part]] = {
    "throughput": _throughput,
    "small": _small,
    "backlog": _backlog,
    "history": _history,
}


def _sizes(arguments: argparse.Namespace) -> dict[str, list[int]]:
    return {
        "throughput": [arguments.events],
        "small": [arguments.events],
        "backlog": [arguments.backlog // 2, arguments.backlog],
        "history": arguments.histories,
    }


def _segments(scratch: Path, events: int) -> Path:
    """Where the segments of so many events are; made once, and read once so that no contender is the first."""
    directory = scratch / f"segments-{events}-{_BODY_BYTES}"
    if not directory.exists():
        _say(f"making {events:,} events")
        making = scratch / "segments.making"
        shutil.rmtree(making, ignore_errors=True)
        write_segments(making, staged_events(events, _BODY_BYTES, seed=events))
        making.rename(directory)
    for path in directory.iterdir():
        path.read_bytes()
    return directory


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the loader into DuckDB.")
    names = ", ".join(_PARTS)
    parser.add_argument("parts", nargs="*", type=_part, default=list(_PARTS), help=f"some of {names}; default: all")
    parser.add_argument("--events", type=_positive, default=200_000, help="of `throughput` and `small`")
    parser.add_argument("--rounds", type=_positive, default=5, help="of `throughput` and `history`")
    parser.add_argument("--small-rounds", type=_positive, default=20, help="of `small`")
    parser.add_argument("--backlog", type=_positive, default=1_000_000, help="events; half as many come first")
    sizes = "of `history`, in events, for example 1000000,5000000"
    parser.add_argument("--histories", type=_numbers, default=[1_000_000, 5_000_000, 20_000_000], help=sizes)
    parser.add_argument("--batch", type=_positive, default=20_000, help="events of a load of `history`")
    parser.add_argument("--json", type=Path, help="write every run to this file as well")
    parser.add_argument(
        "--directory", type=Path, default=_SCRATCH, help="on the disk to measure; default var/benchmarks/loader"
    )
    return parser


def _part(text: str) -> str:
    if text not in _PARTS:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(_PARTS)}")
    return text


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return int(text)


def _numbers(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _cannot(reason: str) -> int:
    _say(f"Not measured: {reason}.")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
