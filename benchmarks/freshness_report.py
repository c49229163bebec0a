"""What a run of steady traffic has to say: Markdown tables for people, the same figures for programs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from benchmarks.loader_report import mebibytes
from benchmarks.mart_reader import Generation, Probe
from benchmarks.process_meter import Reading, cores, peak_bytes
from benchmarks.spread import Spread, spread_text

_MINUTE = 60.0
_LEAST_OF_THE_RATE = 0.98


@dataclass(frozen=True, slots=True)
class FreshnessRun:
    """
    One run, in seconds of one clock.

    Attributes:
        history: Events in the warehouse before; *warehouse_bytes* is the size of its file then.
        began: When the warm-up was over, and what is posted began to count.
        posted_until: When the last event was answered or given up.
        published_at: When the last click was found.
        drained: When `up` had ended.
        posts: Of every event, in the order of their first attempts.
        clicks: The probes among them.
        readings: Of `up`.
        own_cores: Processors that posting and reading kept busy, the warm-up included.
        busy_cores: Those that the whole machine did, likewise.
        troubles: Answers other than 2xx, and attempts without an answer, by kind; each was tried again.
    """

    history: int
    warehouse_bytes: int
    rate: float
    began: float
    posted_until: float
    published_at: float
    drained: float
    posts: Sequence[Probe]
    clicks: Sequence[Probe]
    generations: Sequence[Generation]
    readings: Sequence[Reading]
    own_cores: float
    busy_cores: float
    troubles: Mapping[str, int]

    def faults(self) -> list[str]:
        """Why the figures are not to be trusted; empty where they are."""
        found = []
        if self.per_second() < self.rate * _LEAST_OF_THE_RATE:
            found.append(f"{self.per_second():.0f} events a second were posted, not {self.rate:g}.")
        if unanswered := sum(probe.acknowledged_at is None for probe in self.posts):
            found.append(f"{unanswered:,} events were never acknowledged.")
        if Spread.of(self.freshness()) is None:
            found.append("No two clicks were published.")
        return found

    def per_second(self) -> float:
        """First attempts a second, without the warm-up."""
        at = [probe.posted_at for probe in self._counted(self.posts)]
        return (len(at) - 1) / (at[-1] - at[0]) if len(at) > 1 else 0.0

    def freshness(self) -> list[float]:
        """Of the clicks after the warm-up, from POST to mart."""
        return _freshness(self._counted(self.clicks))

    def document(self) -> dict[str, Any]:
        """The run for programs."""
        spread = Spread.of(self.freshness())
        return {
            "history": self.history,
            "per_second": self.per_second(),
            "seconds": self.posted_until - self.began,
            "freshness": spread and asdict(spread),
            "cores": cores(self._measured()),
            "own_cores": self.own_cores,
            "busy_cores": self.busy_cores,
            "peak_bytes": peak_bytes(self.readings),
            "troubles": dict(self.troubles),
            "clicks": [asdict(probe) for probe in self.clicks],
            "generations": [asdict(each) for each in self.generations],
            "readings": [asdict(each) for each in self.readings],
        }

    def markdown(self) -> str:
        """The run as two tables: all of it, and minute by minute."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in self._rows())
        minutes = "\n".join(f"| {' | '.join(row)} |" for row in self._minutes())
        return (
            f"| what | |\n|---|---|\n{rows}\n\n"
            "| posted in minute | events | p50 s | longest s | processors | memory, MiB |\n|--:|--:|--:|--:|--:|--:|\n"
            f"{minutes}\n"
        )

    def _rows(self) -> list[tuple[str, str]]:
        posted, warm_up = self._counted(self.posts), [each for each in self.clicks if each.posted_at < self.began]
        answers = [each.acknowledged_at - each.posted_at for each in posted if each.acknowledged_at is not None]
        answered = Spread.of(answers)
        read_at = [each.read_at for each in self.generations if self.began <= each.read_at < self.posted_until]
        apart = [later - earlier for earlier, later in pairwise(read_at)]
        measured = self._measured()
        posting = [each for each in self.readings if each.at < self.posted_until]
        added = max((each.added_seconds for each in self.generations), default=0.0)
        return [
            ("in the warehouse before", f"{self.history:,} events, {mebibytes(self.warehouse_bytes)} MiB"),
            ("posted", f"{len(posted):,} events in {self.posted_until - self.began:.0f} s, {self.per_second():.1f}/s"),
            (
                "answers other than 2xx",
                ", ".join(f"{count:,} {kind}" for kind, count in self.troubles.items()) or "none",
            ),
            ("answered", f"p50 {answered.p50 * 1000:.1f} ms, p99 {answered.p99 * 1000:.1f} ms" if answered else "-"),
            ("**from POST to published mart**", spread_text(self.freshness(), "clicks")),
            ("of which the reader's looking", f"{added:.2f} s at most"),
            ("in the warm-up before", spread_text(_freshness(warm_up), "clicks")),
            (
                "publications",
                f"{len(read_at)}, one every {statistics.median(apart):.1f} s (median)" if apart else f"{len(read_at)}",
            ),
            (
                "after the last answer",
                f"{max(0.0, self.published_at - self.posted_until):.1f} s to the last click in the mart, "
                f"{self.drained - self.posted_until:.1f} s until `up` had drained",
            ),
            ("processors that `up` kept busy", f"{cores(measured):.2f}"),
            ("that posting and reading did", f"{self.own_cores:.2f}"),
            ("that all else on the machine did", f"{max(0.0, self.busy_cores - self.own_cores - cores(posting)):.2f}"),
            ("memory of `up`, most at one time", f"{mebibytes(peak_bytes(self.readings))} MiB"),
        ]

    def _minutes(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        number = 0
        # The last answer comes a moment after the last minute.
        while (start := self.began + number * _MINUTE) < self.posted_until - 1:
            end = min(start + _MINUTE, self.posted_until)
            posted = [each for each in self.posts if start <= each.posted_at < end]
            spread = Spread.of(_freshness([each for each in self.clicks if start <= each.posted_at < end]))
            readings = [each for each in self.readings if start <= each.at < end]
            number += 1
            rows.append(
                (
                    str(number),
                    f"{len(posted):,}",
                    *((f"{spread.p50:.1f}", f"{spread.longest:.1f}") if spread else ("-", "-")),
                    f"{cores(readings):.2f}",
                    mebibytes(peak_bytes(readings)),
                )
            )
        return rows

    def _counted(self, probes: Sequence[Probe]) -> list[Probe]:
        return [probe for probe in probes if probe.posted_at >= self.began]

    def _measured(self) -> list[Reading]:
        return [each for each in self.readings if self.began <= each.at < self.posted_until]


def _freshness(probes: Sequence[Probe]) -> list[float]:
    return [probe.freshness for probe in probes if probe.freshness is not None]
