"""The optional inputs beside `load`, `load --follow` and `up`: when they are looked at, and what is told of them."""

# ruff: noqa: PLC0415  # SQLAlchemy and pandas take their time to import; who has no inputs does without

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hookmart.terminal import busy, err, out
from ingest.settings import Settings

if TYPE_CHECKING:
    from pipelines.input_changes import FileReport
    from pipelines.inputs import InputLoader, InputReport

LOOK_SECONDS = 60.0
"""Between two looks at the inputs while following; files come once a day, and a look opens the warehouse."""

_TOLD_ROWS = 20
"""Wrong rows of one file on the terminal; more of them are in `raw.input_errors`."""


def load_inputs(settings: Settings) -> tuple[dict[str, Any], bool]:
    """
    Load what has changed of the configured inputs, and tell what is wrong with it.

    Returns:
        What was done, flat and empty where nothing is configured; and whether nothing was wrong.
    """
    if not settings.inputs.configured:
        return {}, True
    from hookmart.configured_inputs import input_loader_of

    with busy("loading inputs"):
        report = input_loader_of(settings).load()
    _tell(list(problems_of(report)))
    return inputs_document(report), report.is_right


def look_of(settings: Settings) -> Callable[[], bool]:
    """Return what a follower calls to have the configured inputs loaded as well."""
    if not settings.inputs.configured:
        return lambda: False
    from hookmart.configured_inputs import input_loader_of

    return InputWatch(input_loader_of(settings)).look


class InputWatch:
    """
    Looks at the inputs from time to time, and tells what is wrong once.

    Args:
        loader: Of the inputs.
        clock: Seconds that only grow.
    """

    def __init__(self, loader: "InputLoader", clock: Callable[[], float] = time.monotonic) -> None:
        self._loader = loader
        self._clock = clock
        self._next = clock()
        self._told: Sequence[str] = ()

    def look(self) -> bool:
        """Load what has changed, at most once in LOOK_SECONDS, and return whether anything was loaded."""
        if self._clock() < self._next:
            return False
        self._next = self._clock() + LOOK_SECONDS
        report = self._loader.load()
        has_loaded = any(file.refusal is None for file in report.files)
        if has_loaded:
            counts = ", ".join(f"{name} {value}" for name, value in inputs_document(report).items())
            out.print(f"loaded inputs: {counts}", markup=False)
        problems = list(problems_of(report))
        if problems != self._told:
            _tell(problems)
        self._told = problems
        return has_loaded


def inputs_document(report: "InputReport") -> dict[str, Any]:
    """Return what was done, flat."""
    return {
        "input_files": sum(file.refusal is None for file in report.files),
        "input_rows": sum(file.rows for file in report.files),
        "input_repeated_rows": sum(file.repeated for file in report.files),
        "input_wrong_rows": sum(file.wrong_rows for file in report.files),
        "input_refused_files": sum(file.refusal is not None for file in report.files),
    }


def problems_of(report: "InputReport") -> Iterator[str]:
    """Yield what is wrong, a line each, by file and row; never what a cell holds."""
    for file in report.files:
        yield from _problems_of(file)


def _problems_of(file: "FileReport") -> Iterator[str]:
    where = f"{file.input}: {file.file}"
    if file.refusal is not None:
        yield f"{where}: not loaded. {file.refusal}"
    for each in file.wrong[:_TOLD_ROWS]:
        yield f"{where}: {each}"
    if file.wrong_rows > _TOLD_ROWS:
        yield f"{where}: {file.wrong_rows - _TOLD_ROWS:,} more wrong rows; see raw.input_errors"
    if file.repeated:
        yield f"{where}: {file.repeated:,} rows have a key that stands again further down; the last of them counts"


def _tell(problems: Sequence[str]) -> None:
    for each in problems:
        err.print(each, markup=False)
