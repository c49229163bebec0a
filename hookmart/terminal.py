"""What the commands share on the terminal: plain lines where it is none, exit codes, errors as sentences."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from ingest.errors import IngestError, SettingsError
from pipelines.errors import PipelineError
from sending.delivery_log import LogFailed

FAILED, WRONG_USAGE = 1, 2

_WIDE = 240
"""Columns of a table where no terminal says how many there are: enough that a program finds each row on one line."""

out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors a user can do something about into one sentence and an exit code."""
    try:
        yield
    except SettingsError as error:
        raise _exit(error, WRONG_USAGE) from error
    except (IngestError, PipelineError, LogFailed, OperationError, OSError) as error:
        raise _exit(error, FAILED) from error


class OperationError(Exception):
    """A command could not do what it was asked; the message is a sentence that says what to do."""


def print_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print *document*, flat, as JSON or as `name value` lines."""
    if as_json:
        out.print(json.dumps(document, default=str), markup=False)
        return
    width = max(map(len, document), default=0)
    for name, value in document.items():
        out.print(f"{name:<{width}}  {_plain(value)}", markup=False)


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """Show that *what* goes on, and the newest step told to the yielded function; nothing where nobody looks."""
    if not err.is_terminal:
        yield lambda _step: None
        return
    with err.status(what) as spinner:
        yield lambda step: spinner.update(f"{what}: {step}")


def _exit(error: Exception, code: int) -> typer.Exit:
    err.print(f"hookmart: {error}", markup=False)
    return typer.Exit(code)


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
