"""
`manifest.json` and `catalog.json` of the dbt project over a warehouse without events, for linters.

    python -m tests.dbt_artifacts DIRECTORY
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

from tests.line import Line


def write_artifacts(directory: Path) -> None:
    """Every model made once without a row, so that the catalog has the columns there really are."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        line = Line(Path(scratch))
        line.load()
        line.derive()
        with line.warehouse.session() as session, session.lent():
            options = [each for each in line.builder._common() if each != "--no-write-json"]
            done: Any = dbtRunner(manifest=line.builder._parsed_project()).invoke(
                ["docs", "generate", "--no-compile", *options, "--target-path", str(directory)]
            )
            line.warehouse.close_dbt()
    assert done.success, done.exception
    # dbt writes no manifest that it was given.
    manifest: Any = line.builder._parsed_project()
    manifest.write(str(directory / "manifest.json"))


if __name__ == "__main__":
    write_artifacts(Path(sys.argv[1]).resolve())
