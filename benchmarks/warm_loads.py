"""What one load costs in a process that has loaded before, and what it has to show for it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fresh_process import Cost, measured
from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import staged_events, write_segments

_WARMING = 200


@dataclass(frozen=True, slots=True)
class WarmLoad:
    """
    One call of `Loader.load()`.

    Attributes:
        received: Lines that it read; `loaded` and `duplicate` are what became of them.
        unexplained: Lines of the whole warehouse that the status cannot account for.
    """

    cost: Cost
    received: int
    loaded: int
    duplicate: int
    unexplained: int

    def faults(self, loaded: int, duplicate: int = 0) -> list[str]:
        """Say what differs from so many *loaded* and *duplicate* lines; nothing where all is well."""
        found = []
        if (self.loaded, self.duplicate) != (loaded, duplicate) or self.received != loaded + duplicate:
            found.append(f"{self.loaded} loaded and {self.duplicate} duplicates instead of {loaded} and {duplicate}")
        if self.unexplained:
            found.append(f"{self.unexplained} lines unexplained")
        return found


def warm_up(scratch: Path) -> None:
    """Load a little twice under *scratch*, which is made and removed: imports, and what dlt keeps from load to load."""
    site = LoaderSite(scratch / "site")
    for day in range(2):
        segments = scratch / f"segments-{day}"
        write_segments(segments, staged_events(_WARMING, 800, seed=day, day=day))
        site.stage(segments)
        site.loader().load()
    shutil.rmtree(scratch)


def warm_load(site: LoaderSite, segments: Path) -> WarmLoad:
    """Stage *segments* at *site* and load them."""
    site.stage(segments)
    report, cost = measured(site.loader().load)
    counts = report.counts
    return WarmLoad(cost, counts.received, counts.loaded, counts.duplicate, site.unexplained())
