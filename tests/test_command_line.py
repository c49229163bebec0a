"""The commands, as a user runs them: real processes in an empty directory."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from tests.line import fixture_bodies, share_compiled
from tests.running_receiver import signature

FIXTURES = Path(__file__).parent / "fixtures" / "events"
COMMANDS = ("init", "serve", "load", "build", "up", "demo", "simulate", "status", "query", "contract")
WAIT_SECONDS = 90


def run(directory: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `hookmart` in *directory*, with nothing of ours in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKMART_")}
    return subprocess.run(
        [sys.executable, "-m", "hookmart", *arguments],
        cwd=directory, env=environment, capture_output=True, text=True, check=check, timeout=300,
    )  # fmt: skip


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def secret_of(directory: Path, name: str = "ACME_WEBHOOK_SECRET") -> bytes:
    """The secret that `init` wrote."""
    lines = (directory / ".env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}=")).encode()


def wait_for(what: str, is_there: Any) -> Any:
    """Poll until *is_there* gives something; fail with *what* otherwise."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := is_there():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not come")


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """A directory in which `hookmart init` has just been run."""
    run(tmp_path, "init", "--source", "acme")
    share_compiled(tmp_path / "var" / "state")
    return tmp_path


@pytest.fixture
def running(programme: Path) -> Iterator[tuple[Path, str, subprocess.Popen[str]]]:
    """`hookmart up` in that directory: the directory, the URL, the process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "hookmart", "up", "--port", str(port)],
        cwd=programme, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    wait_for("the receiver", is_ready)
    yield programme, url, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_every_command_helps() -> None:
    """Every command explains itself, and takes the configuration where it reads one."""
    for command in COMMANDS:
        answer = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert answer.exit_code == 0
        assert command in {"demo", "contract"} or "--config" in answer.output


def test_init_writes_a_configuration_and_a_private_secret(programme: Path) -> None:
    """The secret is fresh, 32 bytes, readable to its owner alone, and not in the configuration."""
    environment = programme / ".env"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert len(bytes.fromhex(secret_of(programme).decode())) == 32
    assert secret_of(programme).decode() not in (programme / "hookmart.toml").read_text()


def test_init_does_not_overwrite(programme: Path) -> None:
    """A second init changes nothing and says so."""
    before = (programme / "hookmart.toml").read_text(), (programme / ".env").read_text()
    again = run(programme, "init", check=False)
    assert again.returncode == 1
    assert "already" in again.stderr
    assert ((programme / "hookmart.toml").read_text(), (programme / ".env").read_text()) == before


@pytest.mark.parametrize("command", ["serve", "load", "build", "up", "simulate"])
def test_a_missing_configuration_is_said_in_a_sentence(tmp_path: Path, command: str) -> None:
    """Wrong usage exits 2 and says what to run; no traceback."""
    answer = run(tmp_path, command, check=False)
    assert answer.returncode == 2
    assert "run `hookmart init`" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_setting_is_said_in_a_sentence(programme: Path) -> None:
    """A misspelled section is refused at start, by its name."""
    with (programme / "hookmart.toml").open("a") as config:
        config.write("\n[warehose]\n")
    answer = run(programme, "load", check=False)
    assert answer.returncode == 2
    assert "warehose" in answer.stderr


def test_query_before_a_build_says_what_to_run(programme: Path) -> None:
    """Nothing published is no traceback."""
    answer = run(programme, "query", "from conversions", check=False)
    assert answer.returncode == 1
    assert "hookmart build" in answer.stderr


def test_load_and_build_of_nothing_give_empty_marts(programme: Path) -> None:
    """A programme without an event has all its marts, with no rows, and may be loaded and built again."""
    for _ in range(2):
        run(programme, "load")
        run(programme, "build")
    rows = json.loads(run(programme, "query", "from commission_statement_monthly", "--format", "json").stdout)
    assert rows == []
    (silent,) = json.loads(run(programme, "status", "--json").stdout)["sources"].values()
    assert (silent["received"], silent["last_received_at"]) == (0, None)


def test_up_takes_a_post_to_the_marts_and_drains(running: tuple[Path, str, subprocess.Popen[str]]) -> None:
    """Events posted to `up` are in the marts without a further command; what comes last is there after Ctrl-C."""
    programme, url, process = running
    *bodies, last = fixture_bodies(FIXTURES)
    secret = secret_of(programme)
    published = programme / "var" / "published" / "current" / "marts.duckdb"

    def post(body: bytes) -> None:
        answer = httpx.post(f"{url}/webhooks/acme", content=body, headers=signature(body, secret.decode()))
        assert answer.status_code == 200
        assert answer.json()["status"] == "accepted"

    def read(sql: str) -> Any:
        with duckdb.connect() as connection:
            connection.execute(f"attach '{published}' as opened (read_only)")
            return connection.execute(sql).fetchone()

    for body in bodies:
        post(body)
    wait_for("the mart", published.exists)
    wait_for("the rows", lambda: read("select count(*) from opened.marts.payouts")[0] == 2)
    post(last)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, output
    assert read("select status from opened.marts.partners where partner_id = 'ptn_7001'") == ("terminated",)
    status = json.loads(run(programme, "status", "--json").stdout)
    assert status["sources"]["acme"]["loaded"] == len(bodies) + 1
    assert status["sources"]["acme"]["unexplained"] == 0
    assert status["stage"]["waiting_bytes"] == 0


def test_a_reader_reads_all_the_while(running: tuple[Path, str, subprocess.Popen[str]]) -> None:
    """While a programme is simulated, loaded and built, another process's reader never fails and never goes back."""
    programme, url, _ = running
    published = programme / "var" / "published" / "current" / "marts.duckdb"
    stop = threading.Event()
    seen: list[int] = []
    errors: list[Exception] = []

    def read() -> None:
        while not stop.is_set():
            try:
                if published.exists():
                    with duckdb.connect() as connection:
                        connection.execute(f"attach '{published}' as opened (read_only)")
                        row = connection.execute("select count(*) from opened.marts.conversions").fetchone()
                        seen.append(row[0] if row else 0)
            except duckdb.Error as error:
                errors.append(error)
            time.sleep(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    truth = programme / "truth.jsonl"
    report = json.loads(
        run(
            programme, "simulate", "--url", url, "--events", "600", "--partners", "4", "--rate", "150", "--json",
            "--journal", str(truth),
        ).stdout
    )  # fmt: skip
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    # What is a test, or of a partner who is one, is in no mart.
    tests = {event["data"]["partner"]["id"] for event in told if event["data"]["partner"].get("is_test")}
    conversions = {
        event["data"]["conversion"]["id"]
        for event in told
        if event["type"].startswith("conversion.")
        and event.get("livemode", True)
        and event["data"]["partner"]["id"] not in tests
    }
    wait_for("all conversions", lambda: seen and seen[-1] == len(conversions))
    stop.set()
    reader.join()
    assert not errors
    assert seen == sorted(seen)
    assert report["undelivered"] == 0
    assert report["duplicates"] > 0


def test_events_acknowledged_before_a_kill_are_loaded_by_the_next_load(programme: Path) -> None:
    """A receiver killed with its segment open leaves it to the loader."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "hookmart", "serve", "--port", str(port)],
        cwd=programme, stderr=subprocess.DEVNULL, env={**os.environ, "HOOKMART_STAGE__SEGMENT_MAX_AGE_SECONDS": "600"},
    )  # fmt: skip
    secret = secret_of(programme)

    def post(body: bytes) -> int:
        headers = signature(body, secret.decode())
        try:
            return httpx.post(f"http://127.0.0.1:{port}/webhooks/acme", content=body, headers=headers).status_code
        except httpx.ConnectError:
            return 0

    bodies = fixture_bodies(FIXTURES)
    wait_for("the receiver", lambda: post(bodies[0]) == 200)
    for body in bodies:
        assert post(body) == 200
    process.kill()
    process.wait()
    report = json.loads(run(programme, "load", "--json").stdout)
    assert report["loaded"] == len(bodies)
    assert report["received"] == report["loaded"] + report["duplicate"]
    assert json.loads(run(programme, "load", "--json").stdout)["received"] == 0


def test_query_writes_every_format(tmp_path: Path) -> None:
    """The demo runs twice; its marts come as a table, CSV, JSON and Parquet; SQL that is wrong exits 1."""
    share_compiled(tmp_path / "var" / "state")
    first = run(tmp_path, "demo", "--events", "300", "--partners", "3")
    again = run(tmp_path, "demo", "--events", "300", "--partners", "3")
    assert "statement of" in first.stdout
    assert "0 unexplained" in first.stdout
    assert first.stdout.count("agree, to the cent") == again.stdout.count("agree, to the cent") == 1
    assert "loaded  0 new events" in again.stdout
    sql = "select partner_id, status from marts.partners order by all"
    config = ("--config", "var/hookmart.toml")
    rows = json.loads(run(tmp_path, "query", sql, "--format", "json", *config).stdout)
    assert len(rows) == 3
    assert len(run(tmp_path, "query", sql, "--format", "csv", *config).stdout.splitlines()) == 4
    run(tmp_path, "query", sql, "--format", "parquet", "--output", "partners.parquet", *config)
    with duckdb.connect() as connection:
        written = connection.execute(f"from '{tmp_path / 'partners.parquet'}'").fetchall()
    assert written == [tuple(row.values()) for row in rows]
    assert rows[0]["partner_id"] in run(tmp_path, "query", sql, *config).stdout
    wrong = run(tmp_path, "query", "select nothing from nowhere", *config, check=False)
    assert wrong.returncode == 1
    assert "nowhere" in wrong.stderr


def test_contract_prints_the_schema_of_every_event(tmp_path: Path) -> None:
    """The JSON Schema is a document of its own."""
    schema = json.loads(run(tmp_path, "contract").stdout)
    assert len(schema["oneOf"]) == 17


def test_a_killed_up_leaves_no_receiver_behind(running: tuple[Path, str, subprocess.Popen[str]]) -> None:
    """Its receiver drains by itself, and what takes its place gets the port; what was answered is loaded."""
    programme, url, process = running
    body = fixture_bodies(FIXTURES)[0]
    assert httpx.post(f"{url}/webhooks/acme", content=body, headers=_signed(programme, body)).status_code == 200
    process.kill()
    process.wait()

    def is_gone() -> bool:
        try:
            httpx.get(f"{url}/healthz")
        except httpx.TransportError:
            return True
        return False

    wait_for("the end of the receiver", is_gone)
    report = json.loads(run(programme, "load", "--json").stdout)
    assert report["loaded"] == 1


def test_up_without_its_receiver_ends_and_says_so(running: tuple[Path, str, subprocess.Popen[str]]) -> None:
    """Exit 1, so that whoever watches over it starts it again; what was answered before is loaded then."""
    programme, url, process = running
    body = fixture_bodies(FIXTURES)[0]
    assert httpx.post(f"{url}/webhooks/acme", content=body, headers=_signed(programme, body)).status_code == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (receiver,) = (pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(receiver), signal.SIGKILL)
    said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert "the receiver ended by itself; start again" in said
    run(programme, "load")
    assert json.loads(run(programme, "status", "--json").stdout)["sources"]["acme"]["loaded"] == 1


def _signed(programme: Path, body: bytes) -> dict[str, str]:
    return signature(body, secret_of(programme).decode())
