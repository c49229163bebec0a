"""What `hookmart init` writes."""

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from hookmart.terminal import OperationError
from ingest.settings import load_settings, read_environment

_SECRET_BYTES = 32
_PRIVACY_VARIABLE = "PRIVACY_KEY"

_HEAD = """\
[program]
reporting_timezone = "UTC"              # days and months of the marts begin at midnight here
reporting_currency = "EUR"

[stage]
url = "var/stage"

[warehouse]
destination = "duckdb"
database = "var/warehouse.duckdb"
publish = "var/published"               # readers open var/published/current/marts.duckdb
"""

_PRIVACY = f"""
[privacy]
key = "env:{_PRIVACY_VARIABLE}"              # raw IPs, user agents and device ids are kept as hashes under it
"""

_SOURCE = """
[sources.{name}]
scheme = "hmac-sha256-hex"
header = "X-Webhook-Signature"
secrets = ["env:{variable}"]            # newest first; env:NAME or file:PATH, never the secret itself
"""


def write_configuration(config: Path, sources: Sequence[str]) -> list[str]:
    """
    Write *config* and, into `.env` beside it, a secret for each of *sources* that has none; return what was done.

    Raises:
        OperationError: There is a configuration already.
        SettingsError: A name cannot be a source's.
    """
    if config.exists():
        raise OperationError(
            f"There is a configuration at {config} already; edit it, or say --config with another path."
        )
    variables = {name: re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_WEBHOOK_SECRET" for name in sources}
    senders = "".join(_SOURCE.format(name=name, variable=variable) for name, variable in variables.items())
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(_HEAD + _PRIVACY + senders, encoding="utf-8")
    try:
        load_settings(config, {})
    except Exception:
        config.unlink()
        raise
    environment = config.parent / ".env"
    present = read_environment(config.absolute(), {})
    wanted = (*variables.values(), _PRIVACY_VARIABLE)
    missing = {variable: secrets.token_hex(_SECRET_BYTES) for variable in wanted if variable not in present}
    _append_private(environment, "".join(f"{variable}={secret}\n" for variable, secret in missing.items()))
    return [
        f"wrote {config}",
        *(f"wrote a fresh secret {variable} into {environment}" for variable in missing),
        *(f"kept {variable} in {environment}" for variable in wanted if variable not in missing),
        f"next: hookmart up, then post to /webhooks/{sources[0]}",
    ]


def _append_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
