"""The README's promises: its commands run, its tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

from hookmart.commands import app
from models.event_types import EVENT_TYPES
from tests.line import share_compiled
from tests.test_command_line import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_steps_by_hand_end_in_the_marts(tmp_path: Path) -> None:
    """What the README does with openssl and curl gives the row that it shows."""
    match = re.search(r"<!-- run by a test -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert match
    port = str(free_port())
    script = match[1].replace("hookmart up", f"hookmart up --port {port}").replace(":8000", f":{port}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    share_compiled(tmp_path / "var" / "state")
    answer = subprocess.run(
        ["bash", "-euc", script + "wait %1\n"], cwd=tmp_path, env={**os.environ, "PATH": path, "COLUMNS": "120"},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert '{"status":"accepted","event_id":"evt_1"}' in answer.stdout
    shown = re.search(r"the query prints\n\n```\n(.*?)```", README, re.DOTALL)
    assert shown
    assert shown[1].strip() in answer.stdout


def test_every_command_and_event_type_is_named() -> None:
    """A command or an event type that the README does not name does not exist for its reader."""
    for command in app.registered_commands:
        assert command.callback
        assert f"`hookmart {command.name or command.callback.__name__}`" in README
    for event_type in EVENT_TYPES:
        assert f"`{event_type}`" in README


def test_every_mart_is_named() -> None:
    """The table of marts is complete."""
    marts = {path.stem for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")}
    assert marts == set(re.findall(r"^\| `(\w+)` \|", README.partition("## The marts")[2], re.MULTILINE)) & marts


def test_the_make_targets_exist() -> None:
    """Every `make` target that the README names is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z-]+)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    """No relative link is broken."""
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / link).exists(), link
