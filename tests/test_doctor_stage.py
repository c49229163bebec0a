"""`hookmart doctor` looks at the stage and at the disk under it: what they do not keep, and what was left on them."""

import errno
import fcntl
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from hookmart.examination.disk import examined_disk, places_of, sync_seconds
from hookmart.examination.finding import Finding, Severity
from hookmart.examination.mounts import Mount, mount_of
from ingest.settings import load_settings
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver
from tests.test_doctor import configured, examined, said

MEMORY = Path("/dev/shm")


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
