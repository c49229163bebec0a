"""`hookmart quarantine`: what was genuine but fits no known contract, and its way back once a contract knows it."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from typing import Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import OperationError, busy, print_document, reported
from ingest.settings import load_settings

quarantine_app = typer.Typer(help="Events that were genuine and fit no known contract.", no_args_is_help=True)


@quarantine_app.command("list")
def list_quarantined(
    config: ConfigOption = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", help="Also groups of which nothing waits any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what waits, by source, reason, event type and version, with its first and last sight."""
    from hookmart.quarantined_events import print_groups
    from hookmart.status import stage_document
    from hookmart.wiring import loader_of
    from pipelines.quarantine import Quarantine

    with reported():
        loader = loader_of(load_settings(config, os.environ, is_required=False))
        groups = Quarantine(loader.warehouse, loader.stage).groups(is_all=every)
        print_groups(groups, stage_document(loader.stage), as_json=as_json)


@quarantine_app.command("show")
def show_quarantined(
    delivery_id: Annotated[str, typer.Argument(help="As in `raw.quarantined_events` and `raw.deliveries`.")],
    config: ConfigOption = DEFAULT_CONFIG,
    position: Annotated[
        int | None, typer.Option(min=0, help="Of the event in its delivery, from 0; all of them by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was quarantined of a delivery, with its payload to the byte."""
    from hookmart.quarantined_events import print_events
    from hookmart.status import stage_document, stage_line
    from hookmart.wiring import loader_of
    from pipelines.quarantine import Quarantine

    with reported():
        loader = loader_of(load_settings(config, os.environ, is_required=False))
        events = Quarantine(loader.warehouse, loader.stage).events(delivery_id, position)
        if not events:
            place = delivery_id if position is None else f"{delivery_id}, position {position},"
            raise OperationError(
                f"No event of delivery {place} is in quarantine. What is staged and not loaded yet is not looked at "
                f"({stage_line(stage_document(loader.stage))}); `hookmart load` loads it."
            )
        print_events(events, as_json=as_json)


@quarantine_app.command("replay")
def replay_quarantined(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only events quarantined for this reason.")] = None,
    delivery: Annotated[str | None, typer.Option(help="Only events of this delivery.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, and stage nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge what waits by today's contracts; stage what fits, for the next load."""
    from hookmart.quarantined_events import replay_document
    from hookmart.wiring import loader_of, mappings_of
    from pipelines.quarantine import Quarantine, Selection

    with reported():
        settings = load_settings(config, os.environ, is_required=False)
        loader = loader_of(settings)
        selection = Selection(source_id=source, event_type=event_type, reason=reason, delivery_id=delivery)
        with busy("judging"):
            report = Quarantine(loader.warehouse, loader.stage, mappings_of(settings)).replay(
                selection, is_dry_run=dry_run
            )
        print_document(replay_document(report, is_dry_run=dry_run, as_json=as_json), as_json=as_json)
