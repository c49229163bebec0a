"""`hookmart doctor`: whatever is wrong with a set-up is found and said with what to do, and nothing is changed."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from hookmart.examination.clock import examined_clock
from hookmart.examination.disk import examined_disk, places_of
from hookmart.examination.finding import Severity
from hookmart.examination.versions import examined_versions
from ingest.settings import load_settings
from tests.line import Line, fixture_bodies
from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET


def examined(directory: Path, *options: str, **environ: str) -> tuple[int, dict[str, list[str]]]:
    """The exit code for the set-up in *directory*, and what is said, by severity."""
    environment = {"ACME_SECRET": SECRET, **environ}
    arguments = ["doctor", "--config", str(directory / "hookmart.toml"), "--json", *options]
    ran = CliRunner().invoke(app, arguments, env=environment)
    assert ran.stdout, ran.output
    found: dict[str, list[str]] = {"good": [], "warning": [], "wrong": []}
    for finding in json.loads(ran.stdout)["findings"]:
        found[finding["severity"]].append(finding["says"])
    return ran.exit_code, found


def said(sentences: list[str], part: str) -> str:
    """The only one of *sentences* that holds *part*."""
    (sentence,) = [each for each in sentences if part in each]
    return sentence


def configured(directory: Path, text: str = CONFIGURATION) -> Path:
    """*directory*, with a configuration."""
    (directory / "hookmart.toml").write_text(text)
    return directory


def test_a_fresh_set_up_is_sound(tmp_path: Path) -> None:
    """What `init` writes needs nothing; the stage is not made by looking for it."""
    CliRunner().invoke(app, ["init", "--config", str(tmp_path / "hookmart.toml"), "--source", "acme"])
    code, found = examined(tmp_path)
    assert (code, found["wrong"]) == (0, [])
    assert not (tmp_path / "var").exists()


def test_text_is_a_line_for_each_finding(tmp_path: Path) -> None:
    """Off a terminal every finding is one line: part, severity, sentence; the counts come last."""
    configured(tmp_path)
    ran = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "hookmart.toml")], env={"ACME_SECRET": SECRET})
    *lines, counts = ran.stdout.splitlines()
    assert all(line.split()[1] in {"good", "warning", "wrong"} for line in lines)
    assert counts.startswith(f"{sum(' good ' in line for line in lines)} good, ")


def test_all_faults_of_a_configuration_are_told_at_once(tmp_path: Path) -> None:
    """Whoever corrects one does not have to come back for the next; what needs no configuration is looked at still."""
    configured(tmp_path, "[stage]\nurll = 1\n[program]\nreporting_currency = 'XXY'\n[sources.acme]\nscheme = 'no'\n")
    code, found = examined(tmp_path)
    assert code == 1
    assert "`stage.urll` is not a setting" in said(found["wrong"], "stage.urll")
    assert "ISO 4217" in said(found["wrong"], "reporting_currency")
    assert "not a known scheme" in said(found["wrong"], "sources.acme")
    assert said(found["good"], "Python")


def test_secrets_are_looked_at_one_by_one_and_never_shown(tmp_path: Path) -> None:
    """Missing, short, shared, unreadable and readable by others: each is told of its source."""
    sources = {
        "missing": "env:NOT_SET", "short": "env:SHORT_ONE", "one": "env:ACME_SECRET", "two": "env:ACME_SECRET",
        "away": "file:not-mounted",
    }  # fmt: skip
    configured(
        tmp_path,
        "".join(f'[sources.{name}]\nscheme = "github"\nsecrets = ["{where}"]\n' for name, where in sources.items()),
    )
    (tmp_path / ".env").write_text("SHORT_ONE=sh0rt-secret\nHOOKMART_STAG__URL=elsewhere\n")
    (tmp_path / ".env").chmod(0o644)
    code, found = examined(tmp_path)
    assert code == 1
    assert "put NOT_SET=... into" in said(found["wrong"], "'missing'")
    assert "make a longer one" in said(found["wrong"], "'short'")
    assert "answered 503" in said(found["wrong"], "'away'")
    assert "Two sources share a secret" in said(found["warning"], "share")
    assert "no section 'stag'" in said(found["warning"], "HOOKMART_STAG__URL")
    assert "chmod 600" in said(found["warning"], ".env")
    assert not any(secret in json.dumps(found) for secret in (SECRET, "sh0rt-secret"))


@contextmanager
def a_server(date: str | None) -> Iterator[str]:
    """A server that says *date* is its time."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(204)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(
    ("behind", "severity", "part"),
    [
        (0, Severity.GOOD, "agrees"),
        (20, Severity.WARNING, "from that of"),
        (-20, Severity.WARNING, "from that of"),
        (3600, Severity.WRONG, "time server"),
    ],
)
def test_the_clock_is_compared_with_a_server(behind: int, severity: Severity, part: str) -> None:
    """A clock that is off by more than schemes allow refuses every genuine event."""
    with a_server(format_datetime(datetime.now(UTC) - timedelta(seconds=behind), usegmt=True)) as url:
        (finding,) = [each for each in examined_clock(None, url) if url in each.says]
    assert finding.severity is severity
    assert part in finding.says


def test_a_server_without_a_time_is_no_fault_of_the_clock() -> None:
    """Nothing is concluded from an answer that does not say."""
    with a_server(None) as url:
        (finding,) = [each for each in examined_clock(None, url) if url in each.says]
    assert finding.severity is Severity.WARNING


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set-up with a load, and no build."""
    directory = configured(tmp_path_factory.mktemp("loaded"))
    line = Line(directory / "var")
    line.stage_bodies([("acme", each) for each in [*fixture_bodies(EVENT_FILES[0].parent), b"{}"]])
    line.load()
    return directory


def test_what_is_loaded_and_not_built_is_told(loaded: Path) -> None:
    """The newest load, the marts that are not there yet, what waits in quarantine."""
    code, found = examined(loaded)
    assert (code, found["wrong"]) == (0, [])
    assert "storage version is v" in said(found["good"], "opens, with DuckDB")
    assert said(found["good"], "The newest load is 1")
    assert "run `hookmart build`" in said(found["warning"], "No marts have been built")
    assert "`hookmart quarantine list`" in said(found["warning"], "wait in quarantine")


def test_who_holds_the_warehouse_is_told(loaded: Path) -> None:
    """By its process, and as no fault: a load under way does so."""
    database = str(loaded / "var" / "warehouse.duckdb")
    code = f"import duckdb\nheld = duckdb.connect({database!r})\nprint('open', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        exit_code, found = examined(loaded)
        holder.communicate(b"\n")
    assert exit_code == 0
    assert str(holder.pid) in said(found["warning"], "is open in another program")


def test_a_spoilt_warehouse_is_told(loaded: Path, tmp_path: Path) -> None:
    """In a sentence, and not as a traceback."""
    shutil.copytree(loaded, tmp_path, dirs_exist_ok=True)
    (tmp_path / "var" / "warehouse.duckdb").write_bytes(b"no database" * 1000)
    code, found = examined(tmp_path)
    assert code == 1
    assert "stays staged until it does" in said(found["wrong"], "does not open")


def test_a_server_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    """Nobody listens at that port."""
    configured(tmp_path, f'{CONFIGURATION}\n[warehouse]\ndestination = "postgres"\ncredentials = "env:WAREHOUSE_URL"\n')
    code, found = examined(tmp_path, WAREHOUSE_URL="postgresql://us3r:hunter2hunter2@127.0.0.1:9/none")
    assert code == 1
    assert "stays staged until it does" in said(found["wrong"], "does not open")
    assert "hunter2" not in json.dumps(found)


def test_versions_are_compared_with_the_lock(tmp_path: Path) -> None:
    """What was not tested together is said; without a lock nothing is claimed."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("duckdb==0.1.0 \\\n    --hash=sha256:00\n")
    (warning,) = [each for each in examined_versions(None, lock) if each.severity is Severity.WARNING]
    assert "0.1.0 is what the lock was tested with; run `make setup`" in warning.says
    assert {each.severity for each in examined_versions("duckdb")} == {Severity.GOOD}
    assert any("no lock" in each.says for each in examined_versions("duckdb", tmp_path / "none"))
    missing = [each for each in examined_versions("bigquery") if each.severity is Severity.WRONG]
    assert all("install hookmart[bigquery]" in each.says for each in missing)


def test_what_is_looked_at_is_left_as_it_was(loaded: Path) -> None:
    """Nothing is made, renamed or rewritten, and no file of ours stays."""

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in loaded.rglob("*")
            if stat.S_ISREG(path.stat().st_mode)
        }

    before = state()
    examined(loaded)
    assert state() == before


def test_what_the_loader_has_noted_is_told(tmp_path: Path) -> None:
    """Lines that are nowhere are wrong; a load from the future says that the clock stepped back."""
    state = configured(tmp_path) / "var" / "state"
    state.mkdir(parents=True)
    (tmp_path / "var" / "stage").mkdir()
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    source = {"counts": {"received": 3}, "last_received_at": ahead, "unexplained": 3, "quarantined_open": 2}
    (state / "status.json").write_text(json.dumps({"load_seq": 1, "loaded_at": ahead, "sources": {"acme": source}}))
    code, found = examined(tmp_path)
    assert code == 1
    assert "`hookmart status --json`" in said(found["wrong"], "3 lines of source 'acme' are unexplained")
    assert "2 events" in said(found["warning"], "wait in quarantine")
    assert said(found["warning"], "the clock stepped back")


def test_secrets_besides_those_of_sources_are_looked_at(tmp_path: Path) -> None:
    """The key of the hashes, and the address of the warehouse."""
    postgres = '[warehouse]\ndestination = "postgres"\ncredentials = "env:NO_URL"\n[privacy]\nkey = "env:NO_KEY"\n'
    code, found = examined(configured(tmp_path, CONFIGURATION + postgres))
    assert code == 1
    assert said(found["wrong"], "put NO_KEY=... into")
    assert "put NO_URL=... into" in "".join(found["wrong"])


def test_the_marts_need_room_for_one_more_generation(tmp_path: Path) -> None:
    """They are copied before the older ones go."""
    settings = load_settings(configured(tmp_path) / "hookmart.toml", {})
    current = settings.warehouse.publish / "current"
    current.mkdir(parents=True)
    (current / "marts.duckdb").write_bytes(b"")
    os.truncate(current / "marts.duckdb", 1 << 42)  # sparse: four tebibytes that take none
    found = [each for each in examined_disk(places_of(settings), {}) if each.severity is Severity.WARNING]
    assert "the next generation of the marts alone takes 4,096.0 GiB" in said([each.says for each in found], "free")
