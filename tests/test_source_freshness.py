"""`dbt source freshness` on a warehouse of ours: dbt's own means, for whoever schedules dbt without us."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

from pipelines.build import PROJECT
from tests.line import BareLine, Line, fixture_bodies, staged_line
from tests.postgres_line import PostgresLine
from tests.postgres_server import PROGRAMS, PostgresServer

ROOT = Path(__file__).parent.parent
BODY = fixture_bodies(ROOT / "tests" / "fixtures" / "events")[0]


@pytest.fixture(params=["duckdb", "postgres"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BareLine]:
    """A line into an empty warehouse."""
    if request.param == "duckdb":
        yield Line(tmp_path)
    elif PROGRAMS is None:
        pytest.skip("PostgreSQL is not installed here")
    else:
        with PostgresServer() as server:
            made = PostgresLine(tmp_path, server, server.make_database())
            # How the server shows instants is its own affair.
            made.execute(f"alter database {made.database} set timezone = 'Asia/Tokyo'")
            yield made


def ages(line: BareLine, **variables: int) -> dict[str, str]:
    """What dbt says of each source that has a threshold: pass, warn or error."""
    options = [each for each in line.builder._common(variables) if each != "--no-write-json"]
    done: Any = dbtRunner(manifest=line.builder._parsed_project()).invoke(["source", "freshness", *options])
    line.warehouse.close_dbt()
    assert done.exception is None, done.exception
    return {each.node.name: str(each.status) for each in done.result.results if each.node.resource_type == "source"}


def test_what_is_old_is_told_by_its_thresholds(line: BareLine) -> None:
    """Nothing yet is too old; so is what came days ago and is loaded now; a refusal is no news, an event is."""
    now = datetime.now(UTC)
    line.load()
    assert ages(line) == {"deliveries": "error", "loads": "error"}
    line.stage_lines([staged_line("acme", BODY, now - timedelta(days=2))])
    line.load()
    assert ages(line) == {"deliveries": "warn", "loads": "pass"}
    refused = replace(staged_line("acme", BODY, now), outcome="refused", reason="signature", status_code=401)
    line.stage_lines([replace(refused, payload=None, event_id=None, body_sha256=None)])
    line.load()
    assert ages(line) == {"deliveries": "warn", "loads": "pass"}
    line.stage_lines([staged_line("acme", BODY, now)])
    line.load()
    assert ages(line) == {"deliveries": "pass", "loads": "pass"}


def test_the_recipe_in_the_documentation_works(tmp_path: Path) -> None:
    """Run as it stands, with thresholds of its own, it fails for what is older, and says of which source."""
    line = Line(tmp_path / "var")
    line.stage_lines([staged_line("acme", BODY, datetime.now(UTC) - timedelta(hours=7))])
    line.load()
    # dbt writes beside the project.
    shutil.copytree(PROJECT, tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    document = (ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8")
    section = document.partition("\n## Freshness by dbt\n")[2].partition("\n## ")[0]
    [recipe] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOOKMART_", "DBT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["sh", "-ec", recipe], cwd=tmp_path, env={**environment, "PATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "dbt_project" / "target" / "sources.json").read_text())["results"]
    assert {each["unique_id"].rpartition(".")[2]: each["status"] for each in told} == {
        "deliveries": "error",
        "loads": "pass",
    }
