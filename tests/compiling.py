"""
A program of its own: compiles the dbt project by one adapter without a connection, and prints all SQL as JSON.

It runs in whichever environment has the adapter. The answer is a list of [name, branch, SQL]: every model and data
test, `full` and `incremental`, and what replaces the rows of touched keys.
"""

import json
import os
import sys
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dbt.cli.main import dbtRunner

# Whether a table is there already, a compilation without a connection cannot ask.
BRANCHES = {"full": "false", "incremental": "model.config.materialized == 'incremental'"}

# What an incremental build does with the rows of a model, which no compilation shows.
REPLACEMENT = """{{ replace_keys(
    ref("conversions"), ref("touched_conversions"), ["source_id", "conversion_id"], ["source_id", "status"],
    ref("int_conversion_states"),
) }}"""


def main(project: str, target: str) -> None:
    """Compile *project* for the output *target* of its profile."""
    os.environ["DBT_ENV_SECRET_HOOKMART_BIGQUERY"] = a_private_key()
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    with TemporaryDirectory(ignore_cleanup_errors=True) as work:
        options = [
            "--project-dir", project, "--profiles-dir", project, "--target", target, "--target-path", work,
            "--log-path", work, "--no-write-json", "--quiet", "--log-level", "none",
        ]  # fmt: skip
        parsed = dbtRunner().invoke(["parse", *options])
        if not parsed.success:
            sys.exit(f"dbt parse --target {target}: {parsed.exception}")
        manifest: Any = parsed.result
        found = []
        for branch, condition in BRANCHES.items():
            macro = f"{{% macro is_incremental() %}}{{{{ return({condition}) }}}}{{% endmacro %}}"
            manifest.macros["macro.dbt.is_incremental"].macro_sql = macro
            outcome = dbtRunner(manifest=manifest).invoke(
                ["compile", *options, "--no-introspect", "--no-populate-cache"]
            )
            if not outcome.success:
                failed = [
                    f"{each.node.name}: {each.message}"
                    for each in getattr(outcome.result, "results", [])
                    if each.message
                ]
                sys.exit(f"dbt compile --target {target} ({branch}): {failed or outcome.exception}")
            found += [
                (each.node.name, branch, each.node.compiled_code)
                for each in getattr(outcome.result, "results", [])
                if each.node.resource_type in {"model", "test"}
            ]
        inline: Any = dbtRunner(manifest=manifest).invoke(
            ["compile", *options, "--no-introspect", "--no-populate-cache", "--inline", REPLACEMENT]
        )
        if not inline.success:
            sys.exit(f"dbt compile --target {target} (replace_keys): {inline.exception}")
        found.append(("replace_keys", "incremental", inline.result.results[0].node.compiled_code))
    json.dump(found, sys.stdout)


def a_private_key() -> str:
    """BigQuery's adapter reads the key before it needs it."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
