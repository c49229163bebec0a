"""How much memory a backlog takes: the same for a large one as for half of it, or it is not bounded."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.fresh_process import in_fresh_process
from benchmarks.loader_report import Part, mebibytes
from benchmarks.loader_site import LoaderSite
from benchmarks.warm_loads import WarmLoad, warm_load


def backlogs(segments: Mapping[int, Path], scratch: Path, say: Callable[[str], None]) -> Part:
    """Load each of *segments*, by their number of events, at the default memory setting in a process of its own."""
    loads = {}
    for events, directory in segments.items():
        loads[events], limit = in_fresh_process(_load, directory, scratch / "backlog")
        say(f"backlog of {events:,}: {loads[events].cost.seconds:.1f} s")
    rows = tuple(
        (
            f"{events:,} events",
            f"{load.cost.seconds:,.1f}",
            f"{events / load.cost.seconds:,.0f}",
            mebibytes(load.cost.peak_bytes),
            mebibytes(load.cost.before_bytes),
        )
        for events, load in loads.items()
    )
    faults = [f"{events:,}: {fault}" for events, load in loads.items() for fault in load.faults(events)]
    return Part(
        "A backlog into an empty warehouse",
        ("backlog", "s", "events/s", "peak MiB", "before it began MiB"),
        rows,
        (f"In a fresh process each, at the default memory setting of {mebibytes(limit)} MiB.",),
        tuple({"part": "backlog", "events": events, **asdict(load)} for events, load in loads.items()),
        tuple(faults),
    )


def _load(segments: Path, scratch: Path) -> tuple[WarmLoad, int]:
    site = LoaderSite(scratch / "site")
    loader = site.loader()
    load = warm_load(site, segments)
    shutil.rmtree(scratch)
    return load, loader.memory.total
