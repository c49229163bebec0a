"""`hookmart doctor`: the set-up looked over, with a sentence for everything that is to be done."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import FAILED, out, print_document, reported

if TYPE_CHECKING:
    from hookmart.examination.finding import Finding


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    url: Annotated[str | None, typer.Option(help="Of a server whose clock is right; ours is compared with it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look over configuration, clock, disk, stage, warehouse and versions; exit 1 if anything has to be mended."""
    from rich.markup import escape

    from hookmart.examination.finding import Severity

    with reported():
        findings = list(_findings(config, url))
        counts = {severity.value: sum(each.severity is severity for each in findings) for severity in Severity}
        if as_json:
            document = {"findings": [asdict(each) for each in findings], "counts": counts, "sound": not counts["wrong"]}
            print_document(document, as_json=True)
        else:
            styles = {Severity.GOOD: "green", Severity.WARNING: "yellow", Severity.WRONG: "bold red"}
            for each in findings:
                style = styles[each.severity]
                out.print(f"{each.part:<13}  [{style}]{each.severity:<7}[/{style}]  {escape(each.says)}")
            out.print(", ".join(f"{count} {severity}" for severity, count in counts.items()))
        if counts["wrong"]:
            raise typer.Exit(FAILED)


def _findings(config: Path, url: str | None) -> Iterator["Finding"]:
    from hookmart.examination.clock import examined_clock
    from hookmart.examination.configuration import read_configuration
    from hookmart.examination.disk import examined_disk, places_of
    from hookmart.examination.stage import examined_stage
    from hookmart.examination.versions import examined_versions
    from hookmart.examination.warehouse import examined_warehouse

    now = datetime.now(UTC)
    settings, findings = read_configuration(config, os.environ)
    yield from findings
    yield from examined_clock(settings, url)
    if settings is not None:
        yield from examined_disk(places_of(settings), os.environ)
        yield from examined_stage(settings, now)
        yield from examined_warehouse(settings, now)
    yield from examined_versions(None if settings is None else settings.warehouse.destination)
