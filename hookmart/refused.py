"""`hookmart refused`: what was not proven genuine, and another look at it once the secret is right."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from typing import Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import busy, reported
from ingest.errors import SettingsError
from ingest.settings import load_settings

refused_app = typer.Typer(help="Requests that were not proven genuine.", no_args_is_help=True)


@refused_app.command("list")
def list_refused(
    config: ConfigOption = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", help="One line per request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is kept, by source and reason, and how much of it would verify today."""
    from hookmart.refused_requests import groups_of, print_groups, print_requests
    from ingest.refused_directory import RefusedDirectory

    with reported():
        settings = load_settings(config, os.environ)
        directory = RefusedDirectory(settings.stage.refused)
        if every:
            print_requests(directory.requests(), as_json=as_json)
        else:
            with busy("judging"):
                groups = groups_of(settings, directory)
            print_groups(groups, as_json=as_json)


@refused_app.command("reverify")
def reverify_refused(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Only requests to this source.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge what is kept by today's secrets and schemes, as of when it came; stage what verifies, for the next load."""
    from hookmart.refused_requests import judge_for, print_report
    from hookmart.terminal import err
    from ingest.refused_directory import RefusedDirectory
    from ingest.reverify import reverify
    from ingest.staging import Stage

    with reported():
        settings = load_settings(config, os.environ)
        if source is not None and source not in settings.sources:
            raise SettingsError(f"Say --source with one of those in {settings.path}: {', '.join(settings.sources)}.")
        with busy("judging"):
            report = reverify(
                RefusedDirectory(settings.stage.refused),
                Stage(settings.stage.directory),
                judge_for(settings),
                source=source,
                is_dry_run=dry_run,
                notice=lambda message: err.print(message, markup=False),
            )
        print_report(report, is_dry_run=dry_run, as_json=as_json)
