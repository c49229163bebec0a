"""The same small load into warehouses with a short and a long past."""

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.fresh_process import in_fresh_process
from benchmarks.held_history import HeldHistory
from benchmarks.loader_report import Part, mebibytes, ratio, seconds_of
from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import staged_events, write_segments
from benchmarks.warm_loads import WarmLoad, warm_load, warm_up

_LATE_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Again:
    """
    Which events come once more.

    Attributes:
        is_recent: Those of the last day only.
        is_moved: One of them with another body and timestamp.
    """

    is_recent: bool
    is_moved: bool


AGAIN: Mapping[str, Again] = {
    "of the last day": Again(is_recent=True, is_moved=False),
    "of any day": Again(is_recent=False, is_moved=False),
    "of any day, one with another timestamp": Again(is_recent=False, is_moved=True),
}


def histories(sizes: Sequence[int], events: int, rounds: int, scratch: Path, say: Callable[[str], None]) -> Part:
    """Load *events*, a tenth of them duplicates, *rounds* times into histories of *sizes*, ascending."""
    history = HeldHistory(LoaderSite(scratch / "history" / "site"))
    rows: list[tuple[str, ...]] = []
    runs: list[dict[str, Any]] = []
    faults: list[str] = []
    notes: list[str] = []
    smallest: dict[str, tuple[float, float]] = {}
    for size in sizes:
        history.grow(size, scratch / "history")
        on_disk = history.site.warehouse().stat().st_size
        say(f"history of {size:,}: made, {mebibytes(on_disk)} MiB")
        history, first, loads = in_fresh_process(_loads, history, events, rounds, scratch / "history" / "loads")
        notes.append(
            f"{size:,}: {mebibytes(on_disk)} MiB on disk; the first load of a day, which counts all rows once, took "
            f"{first.cost.seconds:.2f} s."
        )
        for name, each in loads.items():
            seconds = [load.cost.seconds for load in each]
            now = min(seconds), statistics.median(seconds)
            base = smallest.setdefault(name, now)
            say(f"history of {size:,}, {name}: {now[1]:.2f} s")
            rows.append(
                (
                    f"{size:,}; {name}",
                    *seconds_of(seconds),
                    mebibytes(max(load.cost.peak_bytes for load in each)),
                    *(ratio(value, to) for value, to in zip(now, base, strict=True)),
                )
            )
            runs.extend({"part": "history", "history": size, "again": name, **asdict(load)} for load in each)
            faults.extend(
                f"{size:,}, {name}: {fault}"
                for load in each
                for fault in load.faults(events - events // 10, events // 10)
            )
    shutil.rmtree(scratch / "history")
    return Part(
        f"{events:,} events, a tenth of them duplicates, into a history",
        ("history; duplicates", "min s", "median s", "peak MiB", "x the first, min", "x the first, median"),
        tuple(rows),
        (f"{rounds} rounds in one process.", *notes),
        tuple(runs),
        tuple(dict.fromkeys(faults)),
    )


def _loads(
    history: HeldHistory, events: int, rounds: int, scratch: Path
) -> tuple[HeldHistory, WarmLoad, dict[str, list[WarmLoad]]]:
    warm_up(scratch / "warm")
    first = _load(history, events, scratch, Again(is_recent=True, is_moved=False))
    loads: dict[str, list[WarmLoad]] = {name: [] for name in AGAIN}
    for _ in range(rounds):
        for name, again in AGAIN.items():
            loads[name].append(_load(history, events, scratch, again))
    return history, first, loads


def _load(history: HeldHistory, events: int, scratch: Path, again: Again) -> WarmLoad:
    midnight = history.next_day()
    day = history.days - 1
    repeated = history.lines_again(events // 10, midnight, day, is_recent=again.is_recent, is_moved=again.is_moved)
    fresh = staged_events(events - events // 10, 800, seed=day + 2, day=day, late=min(_LATE_DAYS, day))
    write_segments(scratch / "segments", chain(repeated, fresh))
    load = warm_load(history.site, scratch / "segments")
    shutil.rmtree(scratch / "segments")
    return load
