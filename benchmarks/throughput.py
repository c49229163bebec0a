"""The loader beside what DuckDB alone does with the same segments."""

import shutil
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.fresh_process import Cost, in_fresh_process, measured
from benchmarks.loader_report import Part, mebibytes, ratio, seconds_of
from benchmarks.loader_site import LoaderSite
from benchmarks.raw_inserts import insert_lines, insert_typed
from benchmarks.warm_loads import warm_load, warm_up

OURS, LINES, TYPED = "**hookmart**, warm", "DuckDB, lines as they are", "DuckDB, typed tables"


def throughput(segments: Path, events: int, rounds: int, scratch: Path, say: Callable[[str], None]) -> Part:
    """Load *segments*, which hold so many *events*, into an empty warehouse; all contenders take turns."""
    costs: dict[str, list[Cost]] = {OURS: [], LINES: [], TYPED: []}
    faults: list[str] = []
    for number in range(1, rounds + 1):
        for name, contender in ((OURS, _loader), (LINES, _lines), (TYPED, _typed)):
            cost, found = in_fresh_process(contender, segments, events, scratch / "round")
            say(f"throughput, round {number}, {name}: {cost.seconds:.2f} s")
            costs[name].append(cost)
            faults.extend(f"{name}: {fault}" for fault in found)
    smallest = {name: min(cost.seconds for cost in each) for name, each in costs.items()}
    median = {name: statistics.median(cost.seconds for cost in each) for name, each in costs.items()}
    rows = tuple(
        (
            name,
            *seconds_of([cost.seconds for cost in each]),
            f"{events / median[name]:,.0f}",
            f"{statistics.median(cost.cpu_seconds for cost in each):.2f}",
            mebibytes(max(cost.peak_bytes for cost in each)),
            ratio(smallest[OURS], smallest[name]),
            ratio(median[OURS], median[name]),
        )
        for name, each in costs.items()
    )
    return Part(
        f"{events:,} events into an empty warehouse",
        ("what", "min s", "median s", "events/s", "CPU s", "peak MiB", "hookmart x, min", "hookmart x, median"),
        rows,
        (f"{rounds} rounds, each contender in a process of its own.",),
        tuple({"part": "throughput", "what": name, **asdict(cost)} for name, each in costs.items() for cost in each),
        tuple(dict.fromkeys(faults)),
    )


def _loader(segments: Path, events: int, scratch: Path) -> tuple[Cost, list[str]]:
    warm_up(scratch / "warm")
    site = LoaderSite(scratch / "site")
    site.loader().load()
    load = warm_load(site, segments)
    shutil.rmtree(scratch)
    return load.cost, load.faults(events)


def _lines(segments: Path, events: int, scratch: Path) -> tuple[Cost, list[str]]:
    return _raw(insert_lines, segments, events, scratch)


def _typed(segments: Path, events: int, scratch: Path) -> tuple[Cost, list[str]]:
    return _raw(insert_typed, segments, events, scratch)


def _raw(insert: Callable[[Path, Path], int], segments: Path, events: int, scratch: Path) -> tuple[Cost, list[str]]:
    scratch.mkdir()
    count, cost = measured(lambda: insert(segments, scratch / "raw.duckdb"))
    shutil.rmtree(scratch)
    return cost, [] if count == events else [f"{count} rows instead of {events}"]
