"""The stage as its reader sees it: the format, recovery after a crash, release into the archive."""

import dataclasses
import fcntl
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.segment_file import SegmentFile, probe
from ingest.staging import SEGMENT_COLUMNS, Segment, Stage, StagedLine, new_batch_id
from ingest.uuid7 import new_uuid7, time_of


def line(number: int, **fields: object) -> StagedLine:
    """An accepted event, told from others by its *number*."""
    known: dict[str, object] = {
        "is_delivery": True,
        "delivery_id": f"delivery-{number}",
        "source_id": "acme",
        "received_at": "2026-06-03T10:00:00.000001Z",
        "status_code": 200,
        "outcome": "accepted",
        "response_ms": 0.25,
        "body_bytes": 2,
        "event_id": f"evt_{number}",
        "payload": "{}",
    }
    return StagedLine(**(known | fields))  # type: ignore[arg-type]


def abandon(segment: SegmentFile) -> None:
    """Leave *segment* as a process does that is killed: its descriptor goes, and with it the lock."""
    os.close(segment._descriptor)


def _event_ids(segments: list[Segment]) -> list[str | None]:
    return [each.event_id for segment in segments for each in segment.lines()]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(text=_TEXT, number=st.integers(0, 2**62))
@settings(max_examples=50)
def test_a_line_is_read_back_as_it_was_written(text: str, number: int) -> None:
    """Whatever text a payload holds, the line is one line and gives it back."""
    written = line(1, payload=text, detail=text, body_bytes=number)
    encoded = written.encode()
    assert encoded.count(b"\n") == 1
    assert StagedLine.decode(encoded) == written


def test_the_loaders_parser_reads_every_field_with_the_types_the_formatnames_in(tmp_path: Path) -> None:
    """DuckDB, told SEGMENT_COLUMNS, sees the very values; a field that only one of the two knows would be lost."""
    assert list(SEGMENT_COLUMNS) == [field.name for field in dataclasses.fields(StagedLine)]
    full = line(
        1,
        reason="r",
        detail="d",
        secret_name="env:X",
        event_type="click.tracked",
        schema_version="1.0",
        occurred_at="2026-06-03T10:00:00.000000Z",
        has_synthetic_id=False,
        body_sha256="ab",
        payload='{"a": "\\u0000 \\" \u2028 \U0001f600", "n": 1.10}\n\t\x01\x7f',
        payload_base64="/w==",
        position=3,
        is_replay=True,
    )
    (tmp_path / "a.jsonl").write_bytes(full.encode() + line(2, event_id=None).encode())
    rows = duckdb.execute(
        "select * from read_json(?, format = 'newline_delimited', columns = ?)",
        [str(tmp_path / "a.jsonl"), SEGMENT_COLUMNS],
    ).fetchall()
    assert rows == [dataclasses.astuple(full), dataclasses.astuple(line(2, event_id=None))]


def test_a_line_of_before_there_were_positions_is_read_as_the_first_of_its_delivery() -> None:
    """A segment written by an earlier version says neither position nor replay."""
    earlier = line(1).encode().replace(b',"position":0,"is_replay":false', b"")
    assert b"position" not in earlier
    assert StagedLine.decode(earlier) == line(1)


def test_batch_ids_sort_by_age_and_tell_their_time() -> None:
    """Oldest first is by name, even for names made within one tick of the clock."""
    names = [new_batch_id() for _ in range(1000)]
    assert names == sorted(set(names))
    assert {name.partition("-")[2] for name in names} == {str(os.getpid())}
    before = datetime.now(UTC)
    made = new_uuid7()
    assert abs((time_of(made) - before).total_seconds()) < 60
    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_a_stage_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    """A loader may run before the first delivery."""
    stage = Stage(tmp_path / "nowhere")
    assert (stage.closed_segments(), stage.live_segments(), stage.recover()) == ([], [], [])


def test_a_live_segment_is_left_alone(tmp_path: Path) -> None:
    """While its writer holds the lock a segment is neither recovered nor ready to load."""
    segment = SegmentFile.create(tmp_path)
    stage = Stage(tmp_path)
    assert stage.live_segments() == []
    segment.append(line(1).encode())
    assert stage.recover() == []
    assert [live.path for live in stage.live_segments()] == [segment.path]
    assert stage.closed_segments() == []
    segment.close()
    assert stage.live_segments() == []
    assert _event_ids(stage.closed_segments()) == ["evt_1"]


def test_closed_segments_come_oldest_first(tmp_path: Path) -> None:
    """The loader meets what happened first, first."""
    for number in range(5):
        segment = SegmentFile.create(tmp_path)
        segment.append(line(number).encode())
        segment.close()
    assert _event_ids(Stage(tmp_path).closed_segments()) == [f"evt_{number}" for number in range(5)]


def test_a_torn_last_line_is_cut_wherever_it_was_torn(tmp_path: Path) -> None:
    """At every byte of the last line: what stood whole before it is kept, and the tear is gone."""
    whole, last = line(1).encode() + line(2).encode(), line(3).encode()
    for offset in range(len(last)):
        root = tmp_path / str(offset)
        segment = SegmentFile.create(root)
        segment.append(whole + last[:offset])
        abandon(segment)
        (recovered,) = Stage(root).recover()
        assert recovered.path.read_bytes() == whole
        assert recovered.size == len(whole)
        assert names_in(root) == [f"{recovered.batch_id}.jsonl"]


def fail_from(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int) -> None:
    """Let the *at*-th call of a system call fail, and all further ones."""
    original = getattr(owner, name)
    calls = 0

    def failing(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls >= at:
            raise OSError(5, "Input/output error")
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, failing)


def test_published_lines_are_a_closed_segment(tmp_path: Path) -> None:
    """What a command stages is there at once, whole, in a stage that may not have been there before."""
    stage = Stage(tmp_path / "not" / "there")
    segment = stage.publish(line(number, position=number, is_replay=True) for number in range(3))

    assert segment is not None
    assert stage.closed_segments() == [segment]
    assert list(segment.lines()) == [line(number, position=number, is_replay=True) for number in range(3)]
    assert segment.size == segment.path.stat().st_size
    assert names_in(stage.root) == [f"{segment.batch_id}.jsonl"]


def test_publishing_nothing_leaves_nothing(tmp_path: Path) -> None:
    """No lines are no segment, and no directory."""
    assert Stage(tmp_path / "stage").publish([]) is None
    assert not (tmp_path / "stage").exists()


@pytest.mark.parametrize(
    ("owner", "name", "at"), [(os, "fsync", 1), (Path, "rename", 1), (Path, "open", 1)], ids=["sync", "name", "file"]
)
def test_a_disk_that_fails_while_publishing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int
) -> None:
    """The command hears of it, and the loader never sees half a segment."""
    with monkeypatch.context() as patch:
        fail_from(patch, owner, name, at)
        with pytest.raises(OSError, match="Input/output"):
            Stage(tmp_path).publish([line(1)])
    assert names_in(tmp_path) == []


def test_an_unfinished_publication_is_taken_by_nobody(tmp_path: Path) -> None:
    """What a killed command leaves is neither loaded nor recovered nor in the way of the next."""
    half = tmp_path / f"{new_batch_id()}.writing"
    half.write_bytes(line(1).encode()[:50])
    stage = Stage(tmp_path)
    assert (stage.recover(), stage.closed_segments(), stage.live_segments()) == ([], [], [])
    stage.publish([line(2)])
    assert _event_ids(stage.closed_segments()) == ["evt_2"]


def test_a_segment_with_nothing_whole_in_it_is_removed(tmp_path: Path) -> None:
    """A receiver that died before its first line leaves no litter, whatever it was called at the time."""
    for written in (b"", b'{"half'):
        segment = SegmentFile.create(tmp_path)
        segment.append(written)
        abandon(segment)
    (tmp_path / f"{new_batch_id()}.new").touch()
    assert Stage(tmp_path).recover() == []
    assert names_in(tmp_path) == []


def test_recovery_goes_on_past_a_segment_that_the_disk_does_not_let_it_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad file does not keep the others from loading, and is tried again the next time."""
    for number in range(2):
        segment = SegmentFile.create(tmp_path)
        segment.append(line(number).encode())
        abandon(segment)
    synced = os.fsync
    failures = [OSError(5, "Input/output error")]

    def failing_once(descriptor: int) -> None:
        if failures:
            raise failures.pop()
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", failing_once)
    assert _event_ids(Stage(tmp_path).recover()) == ["evt_1"]
    assert _event_ids(Stage(tmp_path).recover()) == ["evt_0"]


def _before_next_lock(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let *act* happen between somebody's open and the lock that follows it."""
    lock = fcntl.flock
    actions = [act]

    def late(descriptor: int, operation: int) -> None:
        if actions:
            actions.pop()()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)


def test_a_segment_found_before_its_writer_has_locked_it_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's recovery, come between creation and lock, removes the file; the writer takes a new one."""
    _before_next_lock(monkeypatch, Stage(tmp_path).recover)
    segment = SegmentFile.create(tmp_path)
    segment.append(line(1).encode())
    assert Stage(tmp_path).recover() == []
    segment.close()
    assert _event_ids(Stage(tmp_path).closed_segments()) == ["evt_1"]
    assert len(names_in(tmp_path)) == 1


def test_a_segment_closed_while_recovery_was_about_to_lock_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery gets the lock on a file whose name has gone: it touches neither the file nor the name."""
    segment = SegmentFile.create(tmp_path)
    segment.append(line(1).encode())
    _before_next_lock(monkeypatch, segment.close)
    assert Stage(tmp_path).recover() == []
    assert _event_ids(Stage(tmp_path).closed_segments()) == ["evt_1"]


def test_a_name_taken_by_another_file_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that recovery has opened was unlinked, and another stands under its name: that one is left as it is."""
    segment = SegmentFile.create(tmp_path)
    abandon(segment)

    def replace() -> None:
        segment.path.unlink()
        segment.path.write_bytes(b"another's")

    _before_next_lock(monkeypatch, replace)
    assert Stage(tmp_path).recover() == []
    assert segment.path.read_bytes() == b"another's"


def test_recoveries_beside_writers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Two readers recover without a pause while segments are made, written, and closed or abandoned."""
    is_over = threading.Event()

    def recover() -> None:
        while not is_over.is_set():
            Stage(tmp_path).recover()

    readers = [threading.Thread(target=recover) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(150):
        segment = SegmentFile.create(tmp_path)
        segment.append(line(number).encode())
        if number % 3:
            segment.close()
        else:
            abandon(segment)
    is_over.set()
    for reader in readers:
        reader.join()
    Stage(tmp_path).recover()
    assert _event_ids(Stage(tmp_path).closed_segments()) == [f"evt_{number}" for number in range(150)]
    assert len(names_in(tmp_path)) == 150


def _closed(root: Path) -> Segment:
    segment = SegmentFile.create(root)
    segment.append(line(1).encode())
    segment.close()
    return Stage(root).closed_segments()[0]


def test_a_released_segment_stands_in_the_archive_by_its_day(tmp_path: Path) -> None:
    """It is moved whole, under the day of its name, and the stage no longer shows it."""
    segment = _closed(tmp_path / "stage")
    moment = datetime(2026, 6, 3, 23, 59, 59, tzinfo=UTC)
    batch_id = f"{int(moment.timestamp() * 1000):012x}7{'0' * 3}8{'0' * 15}-1"
    segment.path.rename(segment.path.with_name(f"{batch_id}.jsonl"))
    (segment,) = Stage(tmp_path / "stage").closed_segments()
    Stage(tmp_path / "stage").release(segment, tmp_path / "archive")
    archived = (tmp_path / "archive" / "2026-06-03" / f"{batch_id}.jsonl.zst").read_bytes()
    assert zstandard.decompress(archived) == line(1).encode()
    assert Stage(tmp_path / "stage").closed_segments() == []


def test_a_release_may_be_repeated(tmp_path: Path) -> None:
    """After a crash between any two steps the second try finishes the first; a segment that never was is an error."""
    stage, archive = Stage(tmp_path / "stage"), tmp_path / "archive"
    segment = _closed(stage.root)
    stage.release(segment, archive)
    stage.release(segment, archive)
    (archived,) = archive.rglob("*.jsonl.zst")
    segment.path.write_bytes(line(1).encode())
    stage.release(segment, archive)
    assert not segment.path.exists()
    archived.unlink()
    with pytest.raises(FileNotFoundError):
        stage.release(segment, archive)


def test_a_probe_leaves_nothing_and_fails_as_a_delivery_would(tmp_path: Path) -> None:
    """It makes the stage where it is missing, and meets a disk that is in the way."""
    probe(tmp_path / "stage")
    assert names_in(tmp_path / "stage") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        probe(tmp_path / "file")
