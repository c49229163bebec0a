"""From runs to figures: medians over the rounds, ratios within one load, a Markdown table for people."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.load_generator import Load, Measurement
from benchmarks.machine import Machine

_BASELINES = ("noop-fastapi", "noop-asgi")
_LONGEST_REASON = 160


@dataclass(frozen=True, slots=True)
class Run:
    """
    One server under one load, once.

    Attributes:
        contender: Its name.
        acknowledged: Answers of 2xx since it started, those before the measurement among them.
        kept: Events on its disk afterwards; None for one that keeps none.
        peak_bytes: The most memory it has held.
        faults: What was wrong, in words; empty when all was well.
    """

    contender: str
    load: Load
    round_number: int
    measurement: Measurement
    acknowledged: int
    kept: int | None
    peak_bytes: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """
    All rounds of one contender under one load.

    Attributes:
        per_second: Median over the rounds; so are the latencies.
        slowest: Of the rounds, in requests a second; *fastest* likewise.
        peak_bytes: The largest.
    """

    per_second: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    peak_bytes: int
    acknowledged: int
    kept: int | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A contender as the table shows it.

    Attributes:
        reasons: Why it was not run, by load.
    """

    name: str
    title: str
    keeps: str
    reasons: Mapping[Load, str]


def figures_of(runs: Sequence[Run]) -> Figures:
    """The figures of *runs*, at least one, all of one contender under one load."""
    rates = [run.measurement.per_second for run in runs]
    kept = [run.kept for run in runs if run.kept is not None]
    return Figures(
        per_second=statistics.median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=statistics.median(run.measurement.p50_ms for run in runs),
        p99_ms=statistics.median(run.measurement.p99_ms for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        acknowledged=sum(run.acknowledged for run in runs),
        kept=sum(kept) if kept else None,
        faults=tuple(dict.fromkeys(fault for run in runs for fault in run.faults)),
    )


def machine_lines(machine: Machine) -> str:
    """The machine, in a sentence each."""
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB of memory; {machine.system}; the disk"
        f" under {machine.file_system} appends and syncs 1 KiB in {machine.sync_us:.0f} us (median).\n"
        f"{machine.versions}.\n"
    )


def markdown(loads: Sequence[Load], entries: Sequence[Entry], runs: Sequence[Run]) -> str:
    """A table for each of *loads*."""
    return "\n".join(_table(load, entries, runs) for load in loads)


def _table(load: Load, entries: Sequence[Entry], runs: Sequence[Run]) -> str:
    found: dict[str, Figures] = {}
    for entry in entries:
        own = [run for run in runs if run.load == load and run.contender == entry.name]
        if own:
            found[entry.name] = figures_of(own)
    plural = "connection" if load.connections == 1 else "connections"
    lines = [
        f"### {load.connections} {plural}, bodies of {load.body_bytes:,} bytes",
        "",
        "| receiver | requests/s | x no-op FastAPI | x no-op ASGI | p50 ms | p99 ms | peak MiB | 2xx means | checked |",
        "|---|--:|--:|--:|--:|--:|--:|---|---|",
        *(_row(entry, load, found) for entry in entries),
    ]
    one, two = found.get("hookmart"), found.get("hookmart-2")
    if one and two:
        lines += ["", f"Two workers: {two.per_second / one.per_second:.2f} times one."]
    return "\n".join(lines) + "\n"


def _row(entry: Entry, load: Load, found: Mapping[str, Figures]) -> str:
    figures = found.get(entry.name)
    if figures is None:
        return f"| {entry.title} | | | | | | | {entry.keeps} | not run: {_shortened(entry.reasons.get(load))} |"
    cells = [
        entry.title,
        _rate(figures),
        *(_ratio(figures, found.get(name)) for name in _BASELINES),
        f"{figures.p50_ms:.2f}",
        f"{figures.p99_ms:.2f}",
        f"{figures.peak_bytes / 1024**2:.0f}",
        entry.keeps,
        _checked(figures, entry.reasons.get(load)),
    ]
    return f"| {' | '.join(cells)} |"


def _shortened(reason: str | None) -> str:
    words = " ".join((reason or "it did not finish").split()).replace("|", "\\|")
    if len(words) <= _LONGEST_REASON:
        return words
    half = _LONGEST_REASON // 2
    return f"{words[:half]} ... {words[-half:]}"


def _rate(figures: Figures) -> str:
    median = f"{figures.per_second:,.0f}"
    return median if figures.slowest == figures.fastest else f"{median} ({figures.slowest:,.0f}-{figures.fastest:,.0f})"


def _ratio(figures: Figures, baseline: Figures | None) -> str:
    return "" if baseline is None else f"{figures.per_second / baseline.per_second:.2f}"


def _checked(figures: Figures, broken_off: str | None) -> str:
    if figures.faults or broken_off:
        return "; ".join([*figures.faults, *([f"broken off: {_shortened(broken_off)}"] if broken_off else [])])
    if figures.kept is None:
        return f"{figures.acknowledged:,} answers"
    return f"{figures.acknowledged:,} answers, {figures.kept:,} kept"
