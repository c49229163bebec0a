"""What a part of the loader's benchmark has to say: a Markdown table for people, the runs for programs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part, measured.

    Attributes:
        notes: Sentences below the table.
        runs: Every single run, ready for JSON.
        faults: Why its figures are not to be trusted; empty where they are.
    """

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    runs: tuple[dict[str, Any], ...]
    faults: tuple[str, ...]

    def markdown(self) -> str:
        """The part as a chapter; the first column is text, the others figures."""
        lines = [
            f"### {self.title}",
            "",
            f"| {' | '.join(self.heading)} |",
            f"|---|{'--:|' * (len(self.heading) - 1)}",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        for note in (*self.notes, *(f"**Not to be trusted**: {fault}." for fault in self.faults)):
            lines += ["", note]
        return "\n".join(lines) + "\n"


def seconds_of(values: Sequence[float]) -> tuple[str, str]:
    """The smallest and the median, at least one value, as cells."""
    return _seconds(min(values)), _seconds(statistics.median(values))


def mebibytes(size: int) -> str:
    """*size* bytes as a cell in MiB."""
    return f"{size / _MEBIBYTE:,.0f}"


def ratio(value: float, to: float) -> str:
    """How many times *to* it is, as a cell."""
    return f"{value / to:.2f}"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"
