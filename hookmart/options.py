"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("hookmart.toml")

ConfigOption = Annotated[
    Path, typer.Option("--config", envvar="HOOKMART_CONFIG", help="The configuration file.", show_default=True)
]
SigningKeyOption = Annotated[
    str | None,
    typer.Option(
        "--signing-key",
        help="env:NAME or file:PATH of the private key to one of the source's Ed25519 keys; of a pair of your own.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
