"""`hookmart demo`: a small programme over real HTTP, through every stage, and the marts it makes."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hookmart.inputs import load_inputs
from hookmart.played_post import post_programme
from hookmart.played_programme import PlayedProgramme, truth_of
from hookmart.receiver_process import ReceiverProcess
from hookmart.shown_marts import print_marts
from hookmart.status import status_document
from hookmart.terminal import OperationError, err, out
from hookmart.truth_check import check_truth, print_check
from hookmart.wiring import builder_of, loader_of
from ingest.secrets import resolve_secrets
from ingest.settings import Settings, load_settings
from pipelines.build import BuildReport
from pipelines.load import LoadReport
from pipelines.publish import CURRENT, FILE_NAME
from sending.clock import SystemClock
from sending.signing import Signer
from simulator.back_office import INPUTS, months_closed_at
from simulator.faults import DEFAULT_FAULTS, Faults
from simulator.flavour import Flavour
from simulator.journal import Event
from simulator.programme import ProgrammeSize
from simulator.sender import SendReport, send
from simulator.truth import Truth

SOURCE = "demo"
_FAULTS = Faults.parse(DEFAULT_FAULTS)
_SPEED_OF_RETRIES = 100
"""So much faster than a platform's, since nobody watches a demo for half a minute."""

_CONFIGURATION = f"""\
# Written by `hookmart demo`, beside what it makes.
[stage]
url = "stage"

[warehouse]
database = "warehouse.duckdb"
publish = "published"

[sources.{SOURCE}]
scheme = "hmac-sha256-hex"
header = "X-Webhook-Signature"
secrets = ["file:demo.secret"]
""" + "".join(f'\n[inputs.{name}]\npath = "office/{name}.csv"\n' for name in INPUTS)


def demonstrate(directory: Path, *, flavour: Flavour, size: ProgrammeSize, seed: int) -> None:
    """
    Play a programme into a receiver of its own, load, build, and print what came of it.

    Everything lies under *directory*. The same programme again sends the same events again: all are duplicates, and the
    marts stay as they are.

    Raises:
        OperationError: *directory* belongs to something else, or the receiver did not start.
    """
    settings = _prepared(directory)
    played = PlayedProgramme(settings, SOURCE, flavour, seed, size)
    office = directory / "office"
    is_known = months_closed_at(office) is not None and truth_of(played, None, office).programme == played.key(None)
    close_months = None if is_known else played.closing(None, office, is_gone_on_with=False)
    events = played.events(None, None if is_known else office, live_rate=None)
    with _progress() as progress:
        sent = _post(settings, events, seed, close_months, progress)
        with _step(progress, "loading", None):
            loaded = loader_of(settings).load()
            load_inputs(settings)
        with _step(progress, "building", None) as advance:
            nodes = iter(range(1, 1_000_000))
            built = builder_of(settings, on_node=lambda _name: advance(next(nodes))).build()
    _print_flow(sent, loaded, built)
    print_marts(settings)
    _print_check(settings, truth_of(played, None, office))
    _print_next(directory)


def _post(
    settings: Settings,
    events: Iterable[Event],
    seed: int,
    close_months: Callable[[], None] | None,
    progress: Progress,
) -> SendReport:
    signer = Signer.of(settings.sources[SOURCE].signing, resolve_secrets(settings, os.environ)[SOURCE])
    with (
        ReceiverProcess(settings.path, log_level="warning") as receiver,
        _step(progress, "posting", None) as advance,
    ):
        post = partial(
            send,
            f"{receiver.url}/webhooks/{SOURCE}",
            signer,
            clock=SystemClock(_SPEED_OF_RETRIES),
            on_progress=advance,
        )
        return uvloop.run(post_programme(post, events, _FAULTS, seed, close_months))


def _prepared(directory: Path) -> Settings:
    config = directory / "hookmart.toml"
    if config.exists() and config.read_text(encoding="utf-8") != _CONFIGURATION:
        raise OperationError(f"{config} is not the demo's; say --directory with an empty place.")
    if not config.exists() and (directory / "warehouse.duckdb").exists():
        raise OperationError(
            f"{directory} holds a warehouse already; say --directory with an empty place for the demo."
        )
    directory.mkdir(parents=True, exist_ok=True)
    secret = directory / "demo.secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32), encoding="utf-8")
    config.write_text(_CONFIGURATION, encoding="utf-8")
    # Nothing of the surroundings: the demo is the same everywhere.
    return load_settings(config, {})


def _print_flow(sent: SendReport, loaded: LoadReport, built: BuildReport) -> None:
    counts = loaded.counts
    answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(sent.by_status.items()))
    lines = [
        ("posted", f"{sent.sent:,} signed deliveries over HTTP, {sent.duplicates:,} of them repeated: {answers}"),
        ("staged", f"{counts.received:,} lines, each on disk before its answer, in {loaded.segments} segments"),
        (
            "loaded",
            f"{counts.loaded:,} new events into raw, {counts.duplicate:,} duplicates, "
            f"{counts.quarantined:,} quarantined, {counts.refused:,} refused",
        ),
        (
            "built",
            "nothing new: the same events make the same marts"
            if built.generation is None
            else f"{built.models} models, {built.tests} tests passed, published as {built.generation.name}",
        ),
    ]
    for name, text in lines:
        out.print(f"[bold]{name:<8}[/bold]{text}")


def _print_check(settings: Settings, truth: Truth) -> None:
    counts = status_document(settings)["sources"][SOURCE]
    out.print(
        f"complete: {counts['received']:,} received = {counts['loaded']:,} loaded + {counts['duplicate']:,} duplicate"
        f" + {counts['quarantined']:,} quarantined + {counts['refused']:,} refused,"
        f" {counts['unexplained']:,} unexplained"
    )
    if counts["loaded"] > truth.events:
        out.print("The marts hold more than this programme, so its truth is not compared with them.")
        return
    print_check(check_truth(settings, SOURCE, truth), as_json=False)


def _print_next(directory: Path) -> None:
    config = directory / "hookmart.toml"
    run = ".venv/bin/hookmart" if Path(".venv/bin/hookmart").exists() else "hookmart"
    out.print()
    out.print("look further:")
    for command in (
        f'{run} query --config {config} "from conversions limit 5"',
        f'{run} query --config {config} "from fraud_signals_daily where is_breach"',
        f"{run} status --config {config}",
        f"{run} demo        # again: every event is a duplicate now, and the marts stay as they are",
    ):
        out.print(f"  {command}", markup=False)
    out.print(f"any DuckDB client reads {directory / 'published' / CURRENT / FILE_NAME}", markup=False)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


@contextmanager
def _step(progress: Progress, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar for *what*; on no terminal, a line when it begins."""
    if not err.is_terminal:
        out.print(f"{what} ...")
    task = progress.add_task(what, total=total)
    yield lambda done: progress.update(task, completed=done)
    progress.update(task, total=total or 1, completed=total or 1)
