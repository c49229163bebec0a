"""A reader of the published marts: a fresh connection to each new generation, as soon as it is there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.repeated_look import RepeatedLook
from pipelines.errors import PipelineError
from pipelines.publish import CURRENT, open_published

_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Probe:
    """
    One event, in seconds of the same clock.

    Attributes:
        posted_at: When it was first tried.
        acknowledged_at: When it was answered 200; None while it has not been.
        published_at: When a reader first found it in the mart; None while none has.
    """

    posted_at: float
    acknowledged_at: float | None = None
    published_at: float | None = None

    @property
    def lag(self) -> float | None:
        """From the answer to the mart."""
        if self.acknowledged_at is None or self.published_at is None:
            return None
        return self.published_at - self.acknowledged_at

    @property
    def freshness(self) -> float | None:
        """From the first attempt to the mart, the answer included."""
        return None if self.published_at is None else self.published_at - self.posted_at


@dataclass(frozen=True, slots=True)
class Generation:
    """
    One that was read.

    Attributes:
        read_at: When what was looked for in it had been found.
        added_seconds: From the last look that saw an older one until then: what looking adds to a lag, at most. The
            first has none before it.
    """

    read_at: float
    added_seconds: float


class MartReader(RepeatedLook):
    """
    Looks whether there is a new generation, and reads it.

    Args:
        find: What to look for in a generation; its names are passed to *found*, with the time at which all were there.

    Attributes:
        generations: That it read, oldest first.
        errors: What no reader should see.
    """

    def __init__(
        self,
        published: Path,
        clock: Callable[[], float],
        find: Callable[[duckdb.DuckDBPyConnection], Iterable[str]],
        found: Callable[[str, float], None],
    ) -> None:
        super().__init__(_LOOK_SECONDS)
        self.generations: list[Generation] = []
        self.errors: list[str] = []
        self._published = published
        self._clock = clock
        self._find = find
        self._found = found
        self._seen = ""
        self._looked_at: float | None = None

    def look(self) -> None:
        """Look once; nothing where nothing is published yet, or where it is what was read last."""
        began = self._clock()
        try:
            generation = (self._published / CURRENT).readlink().name
            if generation != self._seen:
                with open_published(self._published) as connection:
                    names = list(self._find(connection))
                now = self._clock()
                self.generations.append(Generation(now, now - (began if self._looked_at is None else self._looked_at)))
                for name in names:
                    self._found(name, now)
                self._seen = generation
        except FileNotFoundError:
            pass  # nothing is published yet
        except (OSError, PipelineError, duckdb.Error) as error:
            self.errors.append(repr(error))
            return
        self._looked_at = began
