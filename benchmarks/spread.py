"""How durations lie: their percentiles, as figures and as words."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """
    Of some durations, in seconds.

    Attributes:
        p50: The median; the other percentiles lie between two of the durations likewise.
    """

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self | None:
        """The spread of *seconds*; None of fewer than two."""
        if len(seconds) < 2:
            return None
        percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(len(seconds), percentiles[49], percentiles[94], percentiles[98], max(seconds))


def spread_text(seconds: Sequence[float], of: str) -> str:
    """The spread as the cell of a table, in seconds, of so many things named *of*."""
    spread = Spread.of(seconds)
    if spread is None:
        return "-"
    return (
        f"p50 {spread.p50:.1f} s, p95 {spread.p95:.1f} s, p99 {spread.p99:.1f} s, longest {spread.longest:.1f} s"
        f" ({spread.count:,} {of})"
    )
