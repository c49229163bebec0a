"""`hookmart simulate` as a user runs it: faults by name, a log to go on by, and sentences where it cannot be done."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from tests.running_receiver import CONFIGURATION, ROOT, SECRET, RunningReceiver

EVENTS = 200
WITH_MORE_SOURCES = (
    CONFIGURATION
    + """
[sources.timed]
scheme = "standard-webhooks"
secrets = ["env:ACME_SECRET"]
path_token = "env:ACME_SECRET"

[sources.mapped]
scheme = "dub"
secrets = ["env:ACME_SECRET"]
mapping = "dub"
"""
)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    with RunningReceiver(tmp_path_factory.mktemp("simulate"), WITH_MORE_SOURCES) as running:
        yield running


def simulate(
    receiver: RunningReceiver, *arguments: str | Path, source: str = "acme", secret: str = SECRET
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "hookmart", "simulate", "--config", str(receiver.log.parent / "hookmart.toml")),
            *("--source", source, "--url", receiver.url, "--events", str(EVENTS), "--partners", "2", "--json"),
            *map(str, arguments),
        ],
        cwd=ROOT, env={**os.environ, "ACME_SECRET": secret}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_all_faults_are_played_and_a_log_is_gone_on_by(receiver: RunningReceiver, tmp_path: Path) -> None:
    """What the scheme cannot notice is left out and said to be; the same command with the same log sends nothing."""
    log = tmp_path / "log"
    first = simulate(receiver, "--faults", "all=0.1", "--log", log)
    told = json.loads(first.stdout)
    assert first.stderr.strip() == "left out: clock-skew, since the scheme signs no time"
    assert (first.returncode, told["unexpected"], told["undelivered"]) == (0, None, 0)
    assert told["refused"] == pytest.approx(EVENTS * 0.3, abs=3)
    assert told["posted"] == sum(told[name] for name in ("accepted", "quarantined", "refused", "aborted"))
    again = simulate(receiver, "--faults", "all=0.1", "--log", log)
    assert (again.returncode, json.loads(again.stdout)["posted"]) == (0, 0)


def test_a_programme_is_posted_at_the_rate_that_is_said(receiver: RunningReceiver) -> None:
    """The last of 200 events waits for its turn, four seconds after the first one's."""
    began = time.monotonic()
    answer = simulate(receiver, "--faults", "none", "--rate", "50", "--seed", "5")
    assert (answer.returncode, json.loads(answer.stdout)["posted"]) == (0, EVENTS)
    assert time.monotonic() - began >= (EVENTS - 1) / 50


def test_a_source_with_a_token_in_its_path_and_a_time_is_played(receiver: RunningReceiver) -> None:
    """Whatever the configuration says of a source, its platform is played as it says."""
    answer = simulate(receiver, "--faults", "clock-skew=0.5", source="timed")
    told = json.loads(answer.stdout)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert told["unexpected"] is None
    assert told["refused"] == pytest.approx(told["accepted"] / 2, abs=1)


def test_genuine_events_that_are_refused_are_told_of_and_fail(receiver: RunningReceiver) -> None:
    """With another secret than the receiver's all is refused: exit 1, the first few by name, and the number of all."""
    answer = simulate(receiver, "--faults", "none", secret="x" * 32)
    assert answer.returncode == 1
    told = json.loads(answer.stdout)
    assert told["unexpected"] == {"genuine: 401": told["posted"]}
    assert answer.stderr.count("was refused with 401") == 20


def test_nobody_listens_and_everything_is_given_up_in_the_end(receiver: RunningReceiver, tmp_path: Path) -> None:
    """By a ladder of one's own, at a speed of one's own; the log lists what is undeliverable."""
    log = tmp_path / "log"
    options = ("--faults", "none", "--ladder", "30,60", "--speed-up", "1000", "--log", log)
    answer = simulate(receiver, "--url", "http://127.0.0.1:9", *options)
    told = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert told["undelivered"] == told["posted"] == told["retries"] / 2 > 0
    listed = subprocess.run(
        [sys.executable, "-m", "hookmart", "deliveries", "list", str(log), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(listed.stdout)["undeliverable"] == told["posted"]
    assert {each["last_answer"] for each in json.loads(listed.stdout)["deliveries"]} == {"no_connection"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--faults", "tempering"), "no fault; name some of duplicates"),
        (("--faults", "0.05"), "no fault"),
        (("--ladder", "soon"), "no ladder"),
        (("--ladder", "1,-2"), "no ladder"),
        (("--speed-up", "0"), "speed above 0"),
        (("--url", "ftp://127.0.0.1"), "http or https address"),
        (("--source", "mapped"), "has a mapping"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_sentence(
    receiver: RunningReceiver, arguments: tuple[str, str], says: str
) -> None:
    """Exit 2, and nothing was posted."""
    command = ["simulate", "--config", str(receiver.log.parent / "hookmart.toml"), "--source", "acme", *arguments]
    answer = CliRunner().invoke(app, command, env={"ACME_SECRET": SECRET, "COLUMNS": "200"})
    assert answer.exit_code == 2
    assert says in answer.output


def test_a_log_that_is_none_is_said_in_a_sentence(receiver: RunningReceiver, tmp_path: Path) -> None:
    """Exit 1, and the file stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 1000)
    answer = simulate(receiver, "--log", path)
    assert answer.returncode == 1
    assert "cannot be used" in answer.stderr
    assert path.read_text() == "not a database\n" * 1000
