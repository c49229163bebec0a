"""A few events into a warehouse that has many: what follows every second in a running line."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.fresh_process import in_fresh_process
from benchmarks.loader_report import Part, mebibytes, seconds_of
from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import staged_events, write_segments
from benchmarks.warm_loads import WarmLoad, warm_load

_EVENTS = 100


def small_loads(segments: Path, events: int, rounds: int, scratch: Path, say: Callable[[str], None]) -> Part:
    """Load *segments*, which hold so many *events*, then 100 new ones *rounds* times, in one process."""
    loads = in_fresh_process(_loads, segments, rounds, scratch / "small")
    costs = [load.cost for load in loads]
    for load in loads:
        say(f"small: {load.cost.seconds:.3f} s")
    return Part(
        f"{_EVENTS} events into a warehouse of {events:,}",
        ("what", "min s", "median s", "max s", "peak MiB"),
        (
            (
                "**hookmart**, warm",
                *seconds_of([cost.seconds for cost in costs]),
                f"{max(cost.seconds for cost in costs):.3f}",
                mebibytes(max(cost.peak_bytes for cost in costs)),
            ),
        ),
        (f"{rounds} loads after each other in one process, which has done the large one before.",),
        tuple({"part": "small", **asdict(load)} for load in loads),
        tuple(dict.fromkeys(fault for load in loads for fault in load.faults(_EVENTS))),
    )


def _loads(segments: Path, rounds: int, scratch: Path) -> list[WarmLoad]:
    site = LoaderSite(scratch / "site")
    warm_load(site, segments)
    loads = []
    for number in range(rounds + 1):
        few = scratch / f"few-{number}"
        write_segments(few, staged_events(_EVENTS, 800, seed=1000 + number, day=1 + number))
        loads.append(warm_load(site, few))
    shutil.rmtree(scratch)
    return loads[1:]  # the first still makes what dlt keeps from load to load
