"""
Measure the marts: everything derived anew, what a load of late events touched, and nothing at all.

    python benchmarks/marts.py                        with 1 and 10 million events; Markdown tables
    python benchmarks/marts.py --histories 100000     in some minutes
"""

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  # started as a file, this is how it finds the project
from benchmarks.fresh_process import Cost, in_fresh_process, measured
from benchmarks.loader_report import Part, mebibytes, ratio
from benchmarks.loader_site import LoaderSite
from benchmarks.machine import describe
from benchmarks.mart_history import END, MartHistory, last_load, lines_of
from benchmarks.results import machine_lines
from benchmarks.staged_events import write_segments

_SCRATCH = ROOT / "var" / "benchmarks" / "marts"
_PACKAGES = ("duckdb", "dlt", "dbt-core", "dbt-duckdb", "pyarrow")
_DUPLICATES = 0.1

FULL, LATE, NEWEST = "everything anew", "late events loaded", "newest events loaded"
ONE, NOTHING = "one duplicate loaded", "nothing loaded since"


def main() -> int:
    """Do what the command line asks; 0 done."""
    arguments = _arguments().parse_args()
    scratch: Path = arguments.directory.resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    machine = describe(scratch, _PACKAGES, ())
    sys.stdout.write(machine_lines(machine))
    history = MartHistory(LoaderSite(scratch / "site"))
    runs: list[dict[str, Any]] = []
    for size in sorted(arguments.histories):
        history.grow(size, scratch)
        _say(f"{history.events:,} events: made, {mebibytes(history.site.warehouse().stat().st_size)} MiB")
        costs = in_fresh_process(_builds, history, arguments.batch, arguments.newest, arguments.rounds, scratch)
        sys.stdout.write(f"\n{_part(history.events, arguments, costs).markdown()}")
        sys.stdout.flush()
        runs += [{"events": size, "build": name, **asdict(cost)} for name, each in costs.items() for cost in each]
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": asdict(machine), "runs": runs}, indent=2) + "\n")
    shutil.rmtree(scratch)
    return 0


def _builds(history: MartHistory, late: int, newest: int, rounds: int, scratch: Path) -> dict[str, list[Cost]]:
    """Build in one process: everything, then after each of *rounds* loads of *late* events, and of *newest* ones."""
    builder = history.site.builder()
    costs: dict[str, list[Cost]] = {FULL: [], LATE: [], NEWEST: [], ONE: [], NOTHING: []}
    costs[FULL].append(measured(history.site.build_anew)[1])
    builder.build()
    for number in range(rounds):
        for name, bodies in (
            (LATE, _late(history, late, number)),
            (NEWEST, history.newest(number, newest)),
            (ONE, history.duplicates(number, 1)),
        ):
            _load(history, bodies, number, scratch)
            costs[name].append(measured(builder.build)[1])
        costs[NOTHING].append(measured(builder.build)[1])
    return costs


def _late(history: MartHistory, count: int, number: int) -> list[bytes]:
    """Return the *number*th *count* events in no order, a tenth of which have come before."""
    again = int(count * _DUPLICATES)
    bodies = [*history.late(number, count - again), *history.duplicates(number, again)]
    Random(number).shuffle(bodies)  # noqa: S311  # an order that can be repeated is the point
    return bodies


def _load(history: MartHistory, bodies: Sequence[bytes], number: int, scratch: Path) -> None:
    # Each load at a time of its own: segments are named by it, and one with the name of another has loaded already.
    received_at = END + timedelta(days=1, minutes=last_load(history.site))
    write_segments(scratch / "arriving", lines_of(bodies, received_at, 1000 * history.copies + number))
    history.site.stage(scratch / "arriving")
    history.site.loader().load()
    shutil.rmtree(scratch / "arriving")


def _part(events: int, arguments: argparse.Namespace, costs: dict[str, list[Cost]]) -> Part:
    full = statistics.median(cost.seconds for cost in costs[FULL])
    rows = []
    for name, each in costs.items():
        seconds = [cost.seconds for cost in each]
        median = statistics.median(seconds)
        rows.append(
            (
                name,
                f"{min(seconds):.2f}",
                f"{median:.2f}",
                f"{statistics.median(cost.cpu_seconds for cost in each):.2f}",
                mebibytes(max(cost.peak_bytes for cost in each)),
                ratio(median, full),
            )
        )
    return Part(
        f"{events:,} events in the warehouse, a load of {arguments.batch:,} late or {arguments.newest:,} of the newest",
        ("build", "min s", "median s", "CPU s", "peak MiB", "x everything anew"),
        tuple(rows),
        (
            "With dbt, the gate tests and publication; one process, which has built before. Late events are of the "
            "whole four months, in no order, a tenth of them duplicates; the newest are of the last days.",
        ),
        (),
        (),
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure builds of the marts on DuckDB.")
    parser.add_argument(
        "--histories", type=_numbers, default=[1_000_000, 10_000_000], help="events, for example 1000000"
    )
    parser.add_argument("--batch", type=int, default=20_000, help="late events of a load")
    parser.add_argument("--newest", type=int, default=2_500, help="events of a load of the newest")
    parser.add_argument("--rounds", type=int, default=3, help="loads of each kind")
    parser.add_argument("--json", type=Path, help="write every run to this file as well")
    parser.add_argument(
        "--directory", type=Path, default=_SCRATCH, help="removed in the end; default var/benchmarks/marts"
    )
    return parser


def _numbers(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(",")]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
