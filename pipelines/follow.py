"""Load for ever, and build after each load: what `hookmart load --follow` and `hookmart up` do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from pipelines.build import Builder, BuildReport
from pipelines.errors import PipelineError
from pipelines.load import Loader, LoadReport

POLL_SECONDS = 0.25

RETRY_SECONDS = 5.0
"""Between two rounds while there is trouble."""


@dataclass(frozen=True, slots=True)
class Follower:
    """
    Loads what closes, then builds.

    Attributes:
        builder: None loads only.
        look: Called at every poll: looks whether anything else is due, such as the optional inputs, and says whether it
            loaded any.
        on_load: Told of every load that found something.
        on_build: Told of every build that published something.
        on_trouble: Told of what can heal by itself: a warehouse open elsewhere, a full disk, a failing model. Another
            round tries again, whether or not something was staged meanwhile; nothing staged is lost.
        retry: Seconds until then.
    """

    loader: Loader
    builder: Builder | None
    on_load: Callable[[LoadReport], None]
    on_build: Callable[[BuildReport], None]
    on_trouble: Callable[[Exception], None]
    look: Callable[[], bool] = lambda: False
    retry: float = RETRY_SECONDS

    def run(self, stop: Event) -> None:
        """Follow until *stop* is set."""
        is_well, tried = self.round(), time.monotonic()
        while not stop.wait(POLL_SECONDS):
            if self.loader.has_work() if is_well else time.monotonic() - tried >= self.retry:
                is_well, tried = self.round(), time.monotonic()
            elif is_well:
                is_well, tried = self._well(self._look), time.monotonic()

    def round(self) -> bool:
        """Load what is there by now, and build when there was something or a build is due; return whether all went."""
        if not self._well(self._load):
            return False
        has_looked = self._well(self.look)
        return self._well(self._build) and has_looked

    def _load(self) -> None:
        report = self.loader.load()
        if report.segments:
            self.on_load(report)

    def _build(self) -> None:
        built = self.builder.build() if self.builder is not None else None
        if built is not None and built.is_new:
            self.on_build(built)

    def _look(self) -> None:
        if self.look():
            self._build()

    def _well(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except PipelineError as error:
            self.on_trouble(error)
            return False
        return True
