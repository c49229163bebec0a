"""A programme as the commands play it: into which source, beside which files, and what is true of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hookmart.terminal import OperationError
from ingest.settings import Settings
from pipelines.status import read_status
from simulator.back_office import INPUTS, BackOffice, close_months, months_closed_at
from simulator.flavour import Flavour
from simulator.journal import Event
from simulator.live import Present
from simulator.programme import Programme, ProgrammeSize, programme_key, start_of_story
from simulator.truth import Truth, read_truth

TRUTH_FILE = "truth.json"
_SECTIONS_FILE = "hookmart-sections.toml"

_REPORT_SECTION = """
[reports.platform]
source = "{source}"

[reports.platform.columns]
kind = "kind"
partner = "partner"
timestamp = "timestamp"
currency = "currency"
amount = "amount"

[reports.platform.money]
payout = "debit"
"""


@dataclass(frozen=True, slots=True)
class PlayedProgramme:
    """
    What is played.

    Attributes:
        source: Into which configured source.
    """

    settings: Settings
    source: str
    flavour: Flavour
    seed: int
    size: ProgrammeSize

    def key(self, until: datetime | None) -> str:
        """What tells this programme from any other, as `Truth.programme` has it."""
        return programme_key(self.seed, self.size, end_of_story(until), self.flavour)

    def events(self, until: datetime | None, directory: Path | None, *, live_rate: float | None) -> Iterator[Event]:
        """
        Yield the events as they happen; after the last one, the truth stands in *directory*.

        Args:
            until: The end of the story; None for the usual one.
            directory: Gets the operator's files as well, unless it is played live: those are of the past.
            live_rate: Of so many events a second, which happen now; None for the past.
        """
        if live_rate is not None:
            now = datetime.now(UTC)
            present = Present(start_of_story(now), now, live_rate)
            yield from self._played(self._programme(now, present=present), directory)
            return
        end = end_of_story(until)
        if directory is None:
            yield from self._programme(end).events()
            return
        with ExitStack() as stack:
            reporting_currency = self.settings.program.reporting_currency
            office = stack.enter_context(BackOffice(directory, self.source, reporting_currency))
            (directory / _SECTIONS_FILE).write_text(sections_for(directory, self.source), encoding="utf-8")
            yield from self._played(self._programme(end, office), directory)

    def closing(self, until: datetime | None, directory: Path, *, is_gone_on_with: bool) -> Callable[[], None]:
        """
        Return what closes the months in *directory*: once all that comes in time has been answered, to be called.

        They are closed at that moment; where the same was played before, and is gone on with, or played again into a
        source that holds it, as of when they were closed then. So ask for it before `events`, which opens them.
        """
        closed_at = months_closed_at(directory)
        path = directory / TRUTH_FILE
        is_known = path.is_file() and read_truth(path.read_bytes()).programme == self.key(until)
        if not is_known or not (is_gone_on_with or self._is_held()):
            closed_at = None
        return lambda: close_months(directory, closed_at or datetime.now(UTC))

    def _is_held(self) -> bool:
        held = read_status(self.settings.warehouse.state).sources.get(self.source)
        return held is not None and held.counts.loaded > 0

    def replayed_truth(self, until: datetime | None) -> Truth:
        """
        Play once more for nobody, and return what is true of it.

        Whether months were closed on the way is seen by the operator's file, where that is configured as an input.
        """
        programme = self._programme(end_of_story(until), closes_months=self._has_closed_months())
        for _event in programme.events():
            pass
        return programme.truth

    def _played(self, programme: Programme, directory: Path | None) -> Iterator[Event]:
        yield from programme.events()
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / TRUTH_FILE).write_bytes(programme.truth.document())

    def _has_closed_months(self) -> bool:
        periods = self.settings.inputs.configured.get("accounting_periods")
        if periods is None or periods.path is None:
            return False
        root = Path(periods.path.anchor)
        found = root.glob(str(periods.path.relative_to(root)))
        return any(months_closed_at(path.parent) is not None for path in found)

    def _programme(
        self,
        end: datetime,
        office: BackOffice | None = None,
        present: Present | None = None,
        *,
        closes_months: bool = False,
    ) -> Programme:
        return Programme(
            self.seed,
            self.size,
            end,
            self.flavour,
            zone=ZoneInfo(self.settings.program.reporting_timezone),
            office=office,
            present=present,
            closes_months=closes_months,
        )


def truth_of(played: PlayedProgramme, until: datetime | None, directory: Path | None) -> Truth:
    """
    Return what is true of *played*: as it stands in *directory*, or found by playing it once more.

    Raises:
        OperationError: *directory* holds no truth, or one whose months begin in another timezone.
    """
    if directory is None:
        return played.replayed_truth(until)
    path = directory / TRUTH_FILE
    if not path.is_file():
        raise OperationError(f"There is no {path}; play the programme first, with --out {directory}.")
    try:
        truth = read_truth(path.read_bytes())
    except ValueError as error:
        raise OperationError(f"{path}: {error}") from None
    zone = played.settings.program.reporting_timezone
    if truth.timezone != zone:
        raise OperationError(
            f"The months of {path} begin in {truth.timezone}, and those of the marts in {zone}; play it again."
        )
    return truth


def end_of_story(until: datetime | None = None) -> datetime:
    """Return *until* in UTC, or the first of this month: the same command tells the same story all month."""
    if until is None:
        return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)


def sections_for(directory: Path, source: str) -> str:
    """Return the sections of a configuration that name the files in *directory*."""
    inputs = (f'[inputs.{name}]\npath = "{(directory.resolve() / name).as_posix()}.csv"\n' for name in INPUTS)
    return "\n".join(inputs) + _REPORT_SECTION.format(source=source)
