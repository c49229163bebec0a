"""`hookmart erase`: one customer out of everything that is kept."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
import sys
from typing import Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import WRONG_USAGE, OperationError, busy, err, out, print_document, reported
from ingest.settings import Settings, load_settings


def erase(
    customer: Annotated[str, typer.Option(help="The customer's id, as the source sends it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[
        list[str] | None, typer.Option(help="Only what this source sent; repeat for several. All by default.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a customer out of stage, archive, quarantine, raw, marts and refused requests; totals stay."""
    from hookmart.wiring import builder_of, loader_of
    from ingest.refused_directory import RefusedDirectory
    from ingest.refused_erasure import clean_refused
    from pipelines.erasure import Erasure

    with reported():
        settings = load_settings(config, os.environ)
        sources = source or _sources(settings)
        if not customer or not sources:
            raise OperationError("There is nobody to look for: say --customer, and --source where none is configured.")
        if not yes and sys.stdin.isatty():
            question = f"Erase customer {customer} of {', '.join(sources)}? This cannot be undone."
            if not typer.confirm(question, err=True):
                err.print("nothing was changed")
                raise typer.Exit(WRONG_USAGE)
        with busy("erasing") as show:
            report = Erasure(
                loader_of(settings),
                builder_of(settings),
                clean_refused=lambda gone: clean_refused(RefusedDirectory(settings.stage.refused), gone),
                on_step=show,
            ).erase(customer, sources)
        if not report.found and not as_json:
            out.print("the id stands nowhere; if it comes later, it is taken out before it is loaded")
        print_document(
            {
                "found": report.found,
                "archived_segments": report.archived_segments,
                "unreadable_segments": report.unreadable_segments,
                "refused_requests": report.refused_requests,
                "rows": report.rows if as_json else _told(report.rows),
                "marts": "built and published anew" if report.marts else "as they were",
            },
            as_json=as_json,
        )


def _told(rows: dict[str, int]) -> str | None:
    return ", ".join(f"{table} {count:,}" for table, count in rows.items()) or None


def _sources(settings: Settings) -> list[str]:
    """Those that are configured, and those that the loader has seen."""
    from pipelines.status import read_status

    return sorted({*settings.sources, *read_status(settings.warehouse.state).sources})
