"""`hookmart demo`: a small programme over real HTTP, through every stage, and the marts it makes."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hookmart.receiver_process import ReceiverProcess
from hookmart.terminal import OperationError, err, out
from hookmart.wiring import builder_of, loader_of
from ingest.secrets import resolve_secrets
from ingest.settings import Settings, load_settings
from models.currencies import CURRENCY_EXPONENTS
from pipelines.build import BuildReport
from pipelines.load import LoadReport
from pipelines.publish import CURRENT, FILE_NAME, open_published
from sending.clock import SystemClock
from sending.delivery import Delivery
from sending.signing import Signer
from simulator.delivery import deliveries
from simulator.faults import DEFAULT_FAULTS, Faults
from simulator.programme import ProgrammeSize, play_programme
from simulator.sender import SendReport, send

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
"""

_MARTS = (
    ("partners", "who sends customers, in which state"),
    ("conversions", "every conversion at its latest known state"),
    ("commissions", "what each commission is worth by now"),
    ("commission_ledger", "every money move, signed"),
    ("commission_statement_monthly", "what each partner is owed, month by month"),
    ("payouts", "what was paid, failed, came back"),
    ("fraud_rejections", "what was rejected, why, and what it saved"),
    ("conversion_funnel_daily", "how many came, converted and stayed, by day"),
    ("fraud_scorecard", "whom to look at first"),
    ("partner_economics", "what each partner brings and costs, by month"),
    ("data_exceptions", "what does not add up, and the money at risk"),
)

_STATEMENT = """
    select month, currency, opening_balance, earned, adjusted, paid, returned, closing_balance
    from commission_statement_monthly
    where partner_id = ? order by currency, month
"""

# A statement worth looking at: of the partners something was returned to or taken back from, the one with most moves.
_PARTNER_TO_SHOW = """
    select ledger.partner_id, any_value(partners.name)
    from commission_ledger as ledger inner join partners using (source_id, partner_id)
    group by ledger.partner_id
    order by
        count(*) filter (where ledger.entry_type = 'returned') > 0 desc,
        count(*) desc,
        ledger.partner_id
    limit 1
"""


def end_of_story(until: datetime | None = None) -> datetime:
    """Return *until* in UTC, or the first of this month: the same command tells the same story all month."""
    if until is None:
        return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)


def demonstrate(directory: Path, *, events: int, partners: int, seed: int) -> None:
    """
    Play *events* events of *partners* partners into a receiver of its own, load, build, and print what came of it.

    Everything lies under *directory*. The same seed again sends the same events again: all are duplicates, and the
    marts stay as they are.

    Raises:
        OperationError: *directory* belongs to something else, or the receiver did not start.
    """
    settings = _prepared(directory)
    programme = list(play_programme(seed, ProgrammeSize(events, partners), end_of_story()))
    posts = deliveries(programme, _FAULTS, seed)
    with _progress() as progress:
        sent = _post(settings, posts, progress)
        with _step(progress, "loading", None):
            loaded = loader_of(settings).load()
        with _step(progress, "building", None) as advance:
            nodes = iter(range(1, 1_000_000))
            built = builder_of(settings, on_node=lambda _name: advance(next(nodes))).build()
    _print_flow(sent, loaded, built)
    _print_marts(settings)
    _print_next(directory)


def _post(settings: Settings, posts: Iterable[Delivery], progress: Progress) -> SendReport:
    signer = Signer.of(settings.sources[SOURCE].signing, resolve_secrets(settings, os.environ)[SOURCE])
    with (
        ReceiverProcess(settings.path, log_level="warning") as receiver,
        _step(progress, "posting", None) as advance,
    ):
        return uvloop.run(
            send(
                f"{receiver.url}/webhooks/{SOURCE}",
                signer,
                posts,
                clock=SystemClock(_SPEED_OF_RETRIES),
                on_progress=advance,
            )
        )


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


def _print_marts(settings: Settings) -> None:
    with open_published(settings.warehouse.publish) as connection:
        out.print()
        marts = Table(title="marts", title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        marts.add_column("mart")
        marts.add_column("rows", justify="right")
        marts.add_column("answers")
        for name, question in _MARTS:
            row = connection.execute(f"select count(*) from {name}").fetchone()
            marts.add_row(name, f"{row[0]:,}" if row else "0", question)
        out.print(marts)
        all_marts = connection.execute("select count(*) from (show tables)").fetchone()
        out.print(f"and {(all_marts or (0,))[0] - len(_MARTS)} more: hookmart docs writes a page about all of them")
        shown = connection.execute(_PARTNER_TO_SHOW).fetchone()
        if shown is None:
            return
        partner_id, name = shown
        out.print()
        out.print(_statement_table(f"statement of {name or partner_id}", connection.execute(_STATEMENT, [partner_id])))


def _statement_table(title: str, rows: Any) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, *_ in rows.description:
        is_text = name in {"month", "currency"}
        table.add_column(name.removesuffix("_balance"), justify="left" if is_text else "right", no_wrap=True)
    for month, currency, *amounts in rows.fetchall():
        # A mart never rounds; a screen shows what the currency has.
        places = CURRENCY_EXPONENTS[currency]
        table.add_row(f"{month:%Y-%m}", currency, *(f"{amount:,.{places}f}" for amount in amounts))
    return table


def _print_next(directory: Path) -> None:
    config = directory / "hookmart.toml"
    run = ".venv/bin/hookmart" if Path(".venv/bin/hookmart").exists() else "hookmart"
    out.print()
    out.print("look further:")
    for command in (
        f'{run} query --config {config} "from conversions limit 5"',
        f'{run} query --config {config} "select category, count(*) from fraud_rejections group by all"',
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
