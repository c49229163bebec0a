"""`hookmart quarantine`, as a user runs it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import hookmart.quarantined_events
from hookmart.commands import app
from ingest.staging import Stage, StagedLine
from pipelines.quarantine import QuarantinedEvent
from tests.line import RECEIVED_AT
from tests.test_quarantine import BODIES, UNKNOWN, quarantined

HELD = quarantined(BODIES[0])
ODD = replace(quarantined(UNKNOWN, after=2), delivery_id=HELD.delivery_id, position=1, is_delivery=False)


class Programme:
    """A configuration with its stage and warehouse, and the commands run in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stage = Stage(directory / "var" / "stage")
        (directory / "hookmart.toml").write_text(
            '[sources.acme]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:ACME_SECRET"]\n'
        )

    def run(self, *arguments: str) -> Result:
        """Run `hookmart` with these *arguments*."""
        config = ("--config", str(self.directory / "hookmart.toml"))
        return CliRunner().invoke(app, [*arguments, *config], env={"COLUMNS": "200", "ACME_SECRET": "s" * 32})

    def document(self, *arguments: str) -> Any:
        """What the command prints with `--json`."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def load(self, *lines: StagedLine) -> Any:
        """Stage *lines* and load what is staged."""
        self.stage.publish(lines)
        return self.document("load")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    """One delivery of two quarantined events; nothing in it is changed."""
    programme = Programme(tmp_path_factory.mktemp("loaded"))
    programme.load(HELD, ODD)
    return programme


def test_what_waits_is_listed_replayed_and_loaded(tmp_path: Path) -> None:
    """The whole way: what fits today leaves quarantine with the next load, and the figures follow it."""
    programme = Programme(tmp_path)
    programme.load(HELD, ODD)
    listed = programme.document("quarantine", "list")
    assert listed["stage"]["closed_segments"] == 0
    assert [(group["event_type"], group["events"], group["open"]) for group in listed["groups"]] == [
        ("partner.promoted", 1, 1), ("partner.registered", 1, 1),
    ]  # fmt: skip
    assert listed["groups"][0] == {
        "source_id": "acme", "reason": "unknown_type", "event_type": "partner.promoted", "schema_version": "1.0",
        "events": 1, "open": 1, "first_seen": "2026-11-01T12:00:02.000000Z", "last_seen": "2026-11-01T12:00:02.000000Z",
    }  # fmt: skip

    dry = programme.document("quarantine", "replay", "--dry-run")
    assert dry == {
        "examined": 2, "fitting": 1, "staged": 0, "still_quarantined": 1, "reasons": {"unknown_type": 1},
    }  # fmt: skip
    assert programme.document("quarantine", "replay") == {**dry, "staged": 1}
    assert programme.document("quarantine", "list")["stage"]["closed_segments"] == 1
    assert programme.load()["loaded"] == 1

    assert [group["event_type"] for group in programme.document("quarantine", "list")["groups"]] == ["partner.promoted"]
    assert len(programme.document("quarantine", "list", "--all")["groups"]) == 2
    status = programme.document("status")["sources"]["acme"]
    assert (status["quarantined"], status["quarantined_open"], status["unexplained"]) == (2, 1, 0)
    assert status["secrets"] == {"env:ACME_SECRET": None, "env:TEST": "2026-11-01T12:00:00.000000Z"}
    shown = programme.run("status").stdout
    assert "quarantined open" in shown
    assert "last by env:TEST" in shown


@pytest.mark.parametrize(
    ("option", "value", "examined"),
    [
        ("--source", "acme", 2),
        ("--source", "zenith", 0),
        ("--type", "partner.promoted", 1),
        ("--reason", "contract", 0),
        pytest.param("--delivery", HELD.delivery_id, 2, id="--delivery"),  # its own id changes with each run
    ],
)
def test_a_replay_may_be_narrowed(loaded: Programme, option: str, value: str, examined: int) -> None:
    """Each option leaves out what it does not name."""
    assert loaded.document("quarantine", "replay", option, value, "--dry-run")["examined"] == examined


def test_an_event_is_shown_with_its_payload_to_the_byte(loaded: Programme) -> None:
    """Not on a terminal, what is printed after the row is what is kept; one position may be asked for."""
    shown = loaded.run("quarantine", "show", HELD.delivery_id, "--position", "1")
    assert shown.exit_code == 0
    assert shown.stdout_bytes.endswith(b"\n\n" + UNKNOWN + b"\n")
    assert "partner.promoted" in shown.stdout
    both = loaded.document("quarantine", "show", HELD.delivery_id)["events"]
    assert [(event["position"], event["payload"]) for event in both] == [
        (0, BODIES[0].decode()), (1, UNKNOWN.decode()),
    ]  # fmt: skip
    assert both[0]["received_at"] == "2026-11-01T12:00:00.000000Z"


def test_what_is_not_there_is_said_with_what_is_staged(loaded: Programme) -> None:
    """A delivery may not be loaded yet, so the command says how much has not been looked at."""
    missing = loaded.run("quarantine", "show", "nowhere")
    assert missing.exit_code == 1
    assert "hookmart load" in missing.stderr
    assert "Traceback" not in missing.output


def test_before_the_first_load_nothing_waits(tmp_path: Path) -> None:
    """Looking makes no warehouse, and says what the stage holds."""
    programme = Programme(tmp_path)
    programme.stage.publish([HELD])
    listed = programme.run("quarantine", "list")
    assert "nothing waits in quarantine" in listed.stdout
    assert "1 closed and 0 open" in listed.stdout
    assert programme.document("quarantine", "replay")["examined"] == 0
    assert not (tmp_path / "var" / "warehouse.duckdb").exists()


def test_the_list_is_a_table_for_people(loaded: Programme) -> None:
    """A row per group, with its first and last sight."""
    listed = loaded.run("quarantine", "list").stdout
    assert "partner.promoted" in listed
    assert "2026-11-01 12:00:02" in listed


def _event(body: bytes, event_type: str | None = None) -> QuarantinedEvent:
    return QuarantinedEvent(
        delivery_id="d", position=0, source_id="acme", event_id=None, event_type=event_type, schema_version=None,
        reason="malformed_json", detail=None, payload=body.decode(), payload_base64=None,
        received_at=RECEIVED_AT.replace(tzinfo=None), replayed_at=None, body_sha256=None, batch_id="b", load_seq=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":[1,"\\u00e9"]}', '{"a":[1,"\\u00e9"]}'),
        ('{"a": [1, "é"]}'.encode(), '{\n  "a": [\n    1,\n    "é"\n  ]\n}'),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b'{"amount":1.10}', '{"amount":1.10}'),
        (b"{\x1b[31m", "{\\x1b[31m"),
    ],
    ids=["escapes", "plain", "a name twice", "a number of its own spelling", "a terminal's commands"],
)
def test_a_terminal_gets_what_was_sent_and_nothing_else(
    body: bytes, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is laid out where that changes nothing but space, and what a sender wrote commands no terminal."""
    console = Console(force_terminal=True, soft_wrap=True, highlight=False, color_system=None)
    monkeypatch.setattr(hookmart.quarantined_events, "out", console)
    hookmart.quarantined_events.print_events([_event(body, "\x1b[2J")], as_json=False)
    printed = capsys.readouterr().out
    assert printed.endswith(f"\n\n{shown}\n")
    assert "\x1b" not in printed
