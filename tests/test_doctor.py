"""`hookmart doctor`: whatever is wrong with a set-up is found and said with what to do, and nothing is changed."""

import errno
import fcntl
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
from uuid import UUID

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from hookmart.examination.clock import examined_clock
from hookmart.examination.disk import examined_disk, places_of, sync_seconds
from hookmart.examination.finding import Finding, Severity
from hookmart.examination.mounts import Mount, mount_of
from hookmart.examination.versions import examined_versions
from ingest.settings import load_settings
from tests.line import Line, fixture_bodies
from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET, RunningReceiver

MEMORY = Path("/dev/shm")


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


@pytest.mark.skipif(not MEMORY.is_dir() or mount_of(MEMORY).kind != "tmpfs", reason="needs a tmpfs at /dev/shm")
def test_a_stage_in_memory_is_found(tmp_path: Path) -> None:
    """A 2xx from there promises nothing; its syncs are quicker than any disk, and that is seen too."""
    stage = MEMORY / tmp_path.name
    configured(
        tmp_path,
        f'{CONFIGURATION}\n[warehouse]\ndatabase = "w.duckdb"\n'.replace(
            "[stage]", f'[stage]\nurl = "{stage}"\narchive = "archive"\nrefused = "refused"'
        ),
    )
    stage.mkdir()
    try:
        code, found = examined(tmp_path)
    finally:
        shutil.rmtree(stage)
    assert code == 1
    assert "Move it to a disk" in said(found["wrong"], f"stage ({stage}) is on tmpfs")
    assert "no disk is so quick" in said(found["warning"], "A sync on the stage's disk")


def test_file_systems_that_promise_less_are_named(tmp_path: Path) -> None:
    """A container's layer, a file server, a disk without barriers; of a plain disk nothing is said."""
    settings = load_settings(configured(tmp_path) / "hookmart.toml", {})

    def findings(kind: str, *options: str) -> list[Finding]:
        mounted = Mount(tmp_path, kind, frozenset(options))
        found = examined_disk(places_of(settings), {"LD_PRELOAD": ""}, lambda _path: mounted)
        return [each for each in found if each.says.startswith("stage (")]

    assert findings("ext4", "rw") == []
    assert ["mount a volume" in each.says for each in findings("overlay")] == [True]
    assert ["locks there are what a server" in each.says for each in findings("nfs4")] == [True]
    assert ["locks there are what a server" in each.says for each in findings("fuse.sshfs")] == [True]
    assert ["Mount it with barriers" in each.says for each in findings("xfs", "nobarrier")] == [True]


def test_a_library_that_skips_syncs_is_found(tmp_path: Path) -> None:
    """It makes tests fast and promises empty."""
    settings = load_settings(configured(tmp_path) / "hookmart.toml", {})
    found = examined_disk(places_of(settings), {"LD_PRELOAD": "/usr/lib/libeatmydata.so"})
    assert "every sync is skipped" in said(
        [each.says for each in found if each.severity is Severity.WRONG], "eatmydata"
    )
    assert sync_seconds(tmp_path) > 0


def test_the_mount_of_a_path_is_the_innermost_and_the_last(tmp_path: Path) -> None:
    """As the kernel lists them: with escapes, and one mount over another."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 22 0:40 / /data\\040of\\040ours rw shared:1 - xfs /dev/vdb rw,nobarrier\n"
        "31 30 0:41 / /data\\040of\\040ours rw - tmpfs tmpfs rw,size=1m\n"
        "32 22 0:42 / /database rw - nfs4 server:/ rw\n"
    )
    assert mount_of(Path("/data of ours/stage"), table).kind == "tmpfs"
    assert mount_of(Path("/data/stage"), table).kind == "ext4"
    assert mount_of(Path("/database/stage"), table).is_over_network
    assert mount_of(Path("/database"), tmp_path / "none").kind == "unknown"


def test_a_small_disk_is_found_before_it_is_full(tmp_path: Path) -> None:
    """Room for sixty files, and for fewer bytes than a gibibyte."""
    disk = tmp_path / "var"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=60", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        code, found = examined(configured(tmp_path))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert code == 1
    assert "make room now" in said(found["wrong"], "MiB free")
    assert "more files; remove some" in said(found["wrong"], "more files")


def test_a_stage_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    """Said before the receiver answers 503."""
    configured(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "stage").write_text("a file, and no directory")
    code, found = examined(tmp_path)
    assert code == 1
    assert "give it to the user that runs the receiver" in said(found["wrong"], "cannot be written")


def failing_stage(tmp_path: Path) -> list[str]:
    """What is wrong with a stage on a disk that fails as the test has it."""
    (configured(tmp_path) / "var" / "stage").mkdir(parents=True)
    code, found = examined(tmp_path)
    assert code == 1
    assert list((tmp_path / "var" / "stage").iterdir()) == []
    return found["wrong"]


@pytest.mark.parametrize("has_locks", [True, False], ids=["locks that anybody gets", "no locks at all"])
def test_locks_that_do_not_hold_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_locks: bool) -> None:
    """As on a share whose server keeps none: a loader would take what the receiver still writes."""

    def flock(_file: object, _operation: int) -> None:
        if not has_locks:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    (wrong,) = failing_stage(tmp_path)
    assert "Locks in" in wrong
    assert "a loader could take a segment that is being written. Use a local disk." in wrong


@pytest.mark.parametrize("is_told", [True, False], ids=["refused", "done beside it"])
def test_a_rename_that_does_not_replace_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_told: bool
) -> None:
    """As on file systems that are none of POSIX: what the line publishes by a rename would never be seen."""

    def rename(_path: Path, target: Path) -> None:
        if is_told:
            raise FileExistsError(errno.EEXIST, "File exists", str(target))

    monkeypatch.setattr(Path, "rename", rename)
    (wrong,) = failing_stage(tmp_path)
    assert "A rename in" in wrong
    assert "does not replace what is there; use a local disk." in wrong


def test_what_a_dead_receiver_left_is_told_from_what_is_spoilt(tmp_path: Path) -> None:
    """A torn line was never acknowledged; a line that cannot be read may have been. Nothing is touched."""
    stage = configured(tmp_path) / "var" / "stage"
    with RunningReceiver(tmp_path, CONFIGURATION) as receiver:
        receiver.post(EVENT_FILES[3].read_bytes())
        whole = receiver.staged_after_stop()[0].encode()
    for path in stage.iterdir():
        path.unlink()
    old = UUID(int=(int((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1000) << 80) | (7 << 76) | (1 << 63))
    (stage / f"{old.hex}-1.jsonl").write_bytes(whole)
    (stage / "torn-1.open").write_bytes(whole + whole[:40])
    (stage / "spoilt-1.open").write_bytes(whole + b"\xff\xfe\n" + whole)
    (stage / "aside-1.unreadable").write_bytes(b"\xff\n")
    before = {path.name: path.read_bytes() for path in stage.iterdir()}
    with (stage / "held-1.open").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(whole)
        held.flush()
        code, found = examined(tmp_path)
    (stage / "held-1.open").unlink()
    assert code == 1
    assert "without the 40 bytes of a line that was never acknowledged" in said(found["warning"], "torn-1.open")
    assert "look at this disk" in said(found["wrong"], "spoilt-1.open")
    assert "have the senders send again" in said(found["wrong"], "aside-1.unreadable")
    assert "1 segments wait" in said(found["warning"], "stands still")
    assert "held-1" not in json.dumps(found)
    assert {path.name: path.read_bytes() for path in stage.iterdir()} == before


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
