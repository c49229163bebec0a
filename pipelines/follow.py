"""Load for ever, and build after each load: what `hookmart load --follow` and `hookmart up` do."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from pipelines.build import Builder, BuildReport
from pipelines.errors import PipelineError
from pipelines.load import Loader, LoadReport

POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Follower:
    """
    Loads what closes, then builds.

    Attributes:
        builder: None loads only.
        look: Called at every poll: looks whether anything else is due, such as the optional inputs.
        on_load: Told of every load that found something.
        on_build: Told of every build that published something.
        on_trouble: Told of what can heal by itself: a warehouse open elsewhere, a failing model. The next round tries
            again; nothing staged is lost meanwhile.
    """

    loader: Loader
    builder: Builder | None
    on_load: Callable[[LoadReport], None]
    on_build: Callable[[BuildReport], None]
    on_trouble: Callable[[Exception], None]
    look: Callable[[], None] = lambda: None

    def run(self, stop: Event) -> None:
        """Follow until *stop* is set."""
        self.round()
        while not stop.wait(POLL_SECONDS):
            if self.loader.has_work():
                self.round()
            else:
                self._look()

    def round(self) -> None:
        """Load what is there by now, and build when there was something or a build is due."""
        try:
            report = self.loader.load()
            if report.segments:
                self.on_load(report)
            self.look()
            if self.builder is not None:
                built = self.builder.build()
                if built.is_new:
                    self.on_build(built)
        except PipelineError as error:
            self.on_trouble(error)

    def _look(self) -> None:
        try:
            self.look()
        except PipelineError as error:
            self.on_trouble(error)
