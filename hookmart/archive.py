"""`hookmart replay`: archived batches through the loader again."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import FAILED, busy, print_document, reported
from ingest.settings import load_settings


def _moment(text: str) -> datetime:
    """A date (its first instant, UTC) or an instant as in RFC 3339; without an offset it is UTC."""
    from pipelines.replay import utc

    try:
        return utc(datetime.fromisoformat(text))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a date nor an instant; write 2026-05-03 or 2026-05-03T10:00:00Z"
        ) from None


def _end(text: str) -> datetime:
    """The same, but a date stands for the whole day."""
    moment = _moment(text)
    try:
        date.fromisoformat(text)
    except ValueError:
        return moment
    return moment + timedelta(days=1)


def replay(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Only what this source sent.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=_moment, metavar="TIME", help="Only what was received then or later: a date or RFC 3339, UTC."
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=_end, metavar="TIME", help="Only what was received before; a date is included."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load archived batches again: what the warehouse lacks, and what reads otherwise today."""
    from dataclasses import asdict

    from hookmart.wiring import loader_of, mappings_of
    from pipelines.quarantine import Quarantine
    from pipelines.replay import ArchiveReplay, ReplaySelection

    with reported():
        settings = load_settings(config, os.environ)
        loader = loader_of(settings)
        with busy("replaying") as show:
            report = ArchiveReplay(
                loader,
                Quarantine(loader.warehouse, loader.stage, mappings_of(settings)),
                is_dry_run=dry_run,
                on_progress=lambda done, total: show(f"{done} of {total} segments"),
            ).replay(ReplaySelection(source, since, until))
        counts = asdict(report.counts)
        del counts["loaded"]
        print_document(
            {
                "segments": report.segments,
                "received": counts.pop("received"),
                "new": report.loaded,
                "changed": report.changed,
                "removed": report.removed,
                "released": report.released,
                **counts,
                "damaged": ", ".join(name for name, _ in report.damaged) or None,
            },
            as_json=as_json,
        )
        if report.damaged:
            raise typer.Exit(FAILED)
