"""The commands: each reads the configuration, calls one part of the product, and prints what it did."""

# ruff: noqa: PLC0415  # dlt, dbt and the receiver take seconds to import; a command imports what it uses

import json
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hookmart.archive import replay
from hookmart.certify import certify
from hookmart.deliveries import deliveries_app
from hookmart.doctor import doctor
from hookmart.erase import erase
from hookmart.mapping import mapping_app
from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.quarantine import quarantine_app
from hookmart.reconcile import reconcile
from hookmart.refused import refused_app
from hookmart.simulate import simulate
from hookmart.terminal import FAILED, busy, out, print_document, reported
from ingest.settings import load_settings
from simulator.flavour import Flavour

_LONGEST_WAIT = 5.0
"""Seconds that `load` waits, at most, for segments that are being written."""

app = typer.Typer(
    name="hookmart",
    help="From an affiliate platform's signed webhooks to marts in your warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(refused_app, name="refused")
app.add_typer(mapping_app, name="mapping")
app.add_typer(deliveries_app, name="deliveries")
app.command()(reconcile)
app.command()(replay)
app.command()(erase)
app.command()(certify)
app.command()(doctor)
app.command()(simulate)


class OutputFormat(StrEnum):
    """How `query` prints its rows."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def init(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[list[str] | None, typer.Option(help="Name of a sender; repeat for several.")] = None,
) -> None:
    """Write a configuration, and a fresh secret per source into `.env` beside it."""
    from hookmart.new_configuration import write_configuration

    with reported():
        for line in write_configuration(config, source or ["affiliate"]):
            out.print(line, markup=False)


@app.command()
def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    ssl_certfile: Path | None = None,
    ssl_keyfile: Path | None = None,
) -> None:
    """Receive webhooks until stopped."""
    from ingest.server import serve as serve_forever

    with reported():
        serve_forever(config, host=host, port=port, workers=workers, ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile)


@app.command()
def load(
    config: ConfigOption = DEFAULT_CONFIG,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until stopped.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load staged batches into `raw`, each exactly once, and then the optional inputs that have changed."""
    from hookmart.following import follow_until_stopped, follower_of, load_document
    from hookmart.inputs import load_inputs, look_of
    from hookmart.wiring import loader_of

    with reported():
        settings = load_settings(config, os.environ)
        loader = loader_of(settings)
        if follow:
            follow_until_stopped(follower_of(loader, None, look_of(settings)))
            return
        loader.wait_for_open_segments(min(settings.stage.segment_max_age_seconds, _LONGEST_WAIT) + 1)
        with busy("loading"):
            report = loader.load()
        document, are_inputs_right = load_inputs(settings)
        print_document({**load_document(report), **document}, as_json=as_json)
        if report.poisoned or not are_inputs_right:
            raise typer.Exit(FAILED)


@app.command()
def build(
    config: ConfigOption = DEFAULT_CONFIG,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Derive everything anew.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build what changed since the last build, or everything, and publish the marts."""
    from hookmart.following import build_document
    from hookmart.wiring import builder_of, loader_of

    with reported():
        settings = load_settings(config, os.environ)
        with busy("building") as show:
            # What a killed load left half done belongs into these marts.
            loader_of(settings).finish_pending()
            report = builder_of(settings, on_node=show).build(full_refresh=full_refresh)
        print_document(build_document(report), as_json=as_json)


@app.command()
def up(
    config: ConfigOption = DEFAULT_CONFIG,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Receive, load and build in one go, on one machine, until Ctrl-C; what was received by then is in the marts."""
    from hookmart.following import follow_until_stopped, follower_of
    from hookmart.inputs import look_of
    from hookmart.receiver_process import ReceiverProcess
    from hookmart.wiring import builder_of, loader_of

    with reported():
        settings = load_settings(config, os.environ)
        follower = follower_of(loader_of(settings), builder_of(settings), look_of(settings))
        with ReceiverProcess(config, host=host, port=port, workers=workers) as receiver:
            signal.signal(signal.SIGHUP, lambda _signal, _frame: receiver.reload())
            out.print(f"receiving at {receiver.url}/webhooks/<source> for: {', '.join(settings.sources)}")
            follow_until_stopped(follower, is_alive=receiver.is_alive)
            is_receiving = receiver.is_alive()
            out.print(
                "draining: what was received last is loaded and built"
                if is_receiving
                else "the receiver ended by itself; start again: what it received waits in the stage"
            )
        if is_receiving:
            # Otherwise the sooner it is started again, the sooner somebody answers.
            follower.round()
        if receiver.has_failed:
            raise typer.Exit(FAILED)


@app.command()
def demo(
    flavour: Annotated[Flavour, typer.Option(help="What the programme sells.")] = Flavour.igaming,
    events: Annotated[int, typer.Option(min=100)] = 50_000,
    partners: Annotated[int, typer.Option(min=1)] = 24,
    seed: int = 1,
    directory: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("var"),
) -> None:
    """Play a programme of three months over HTTP and show the marts it makes; the whole product in a minute."""
    from hookmart.demonstration import demonstrate
    from simulator.programme import ProgrammeSize

    with reported():
        demonstrate(directory, flavour=flavour, size=ProgrammeSize(events, partners), seed=seed)


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Say, per source, what became of everything received; exit 1 where anything is unexplained."""
    from hookmart.status import status_document, status_table

    with reported():
        document = status_document(load_settings(config, os.environ, is_required=False))
        if as_json:
            print_document(document, as_json=True)
        else:
            out.print(status_table(document))
        if any(source["unexplained"] for source in document["sources"].values()):
            raise typer.Exit(FAILED)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="Reads the published marts: select ... from conversions")],
    config: ConfigOption = DEFAULT_CONFIG,
    output_format: Annotated[OutputFormat, typer.Option("--format")] = OutputFormat.table,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
) -> None:
    """Read the published marts with SQL."""
    from hookmart.answers import write_answer
    from hookmart.reading import answer_of

    with reported():
        settings = load_settings(config, os.environ, is_required=False)
        with answer_of(settings, sql) as (connection, selection):
            write_answer(connection, selection, output_format.value, output)


@app.command()
def docs(
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write; open it in a browser.")] = Path(
        "var/docs/index.html"
    ),
) -> None:
    """Write the marts' documentation: every table, column, test and query behind it, and how they hang together."""
    from hookmart.wiring import builder_of

    with reported():
        with busy("documenting") as show:
            builder_of(load_settings(config, os.environ), on_node=show).document(output)
        out.print(f"wrote {output}", markup=False)


@app.command()
def contract() -> None:
    """Print the JSON Schema of every event."""
    from models.json_schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
