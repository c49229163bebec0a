"""`hookmart mapping`: from a platform's payload to events, tried out without a receiver."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import sys
from pathlib import Path
from typing import Annotated

import typer

from hookmart.options import JsonOption
from hookmart.terminal import FAILED, reported

mapping_app = typer.Typer(help="How a platform's own payloads become events.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="One that comes with hookmart, or the path of a file.")]


@mapping_app.command("list")
def list_mappings(as_json: JsonOption = False) -> None:
    """Say which mappings come with hookmart, and what each of them maps and ignores."""
    from hookmart.tried_payloads import print_mappings
    from mappings.mapping_file import builtin_names, load_mapping

    with reported():
        print_mappings([load_mapping(name, Path.cwd()) for name in builtin_names()], as_json=as_json)


@mapping_app.command("show")
def show_mapping(name: Annotated[str, typer.Argument(help="One that comes with hookmart.")]) -> None:
    """Print the file of a mapping that comes with hookmart, to begin one of one's own with."""
    from ingest.errors import SettingsError
    from mappings.mapping_file import builtin_names, builtin_text

    with reported():
        if name not in builtin_names():
            raise SettingsError(f"{name!r} does not come with hookmart; say one of {', '.join(builtin_names())}.")
        sys.stdout.write(builtin_text(name))


@mapping_app.command("check")
def check_mapping(
    name: NameArgument,
    payloads: Annotated[
        list[Path] | None, typer.Argument(help="Files with a payload each, as the platform posted it; - is the input.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="As `mapping_currency` of the source: where payloads name none.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a mapping, and show the events that it makes of payloads; exit 1 if one does not fit."""
    from hookmart.tried_payloads import mapping_named, print_mappings, print_tried, tried

    with reported():
        mapping = mapping_named(name, currency)
        if not payloads:
            print_mappings([mapping], as_json=as_json)
            return
        results = [tried(mapping, path) for path in payloads]
        print_tried(results, as_json=as_json)
        if any(result.fault for result in results):
            raise typer.Exit(FAILED)
