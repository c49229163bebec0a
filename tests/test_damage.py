"""What recovery makes of an abandoned segment that holds more, or less, than lines."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.segment_file import SegmentFile
from ingest.staging import Stage
from tests.test_staging import abandon, fail_from, line, names_in


def _abandoned(root: Path, content: bytes) -> Stage:
    segment = SegmentFile.create(root)
    segment.append(content)
    abandon(segment)
    return Stage(root)


def _unreadable(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.glob("*.unreadable")))


def test_a_segment_cut_anywhere_keeps_the_lines_before_the_cut(tmp_path: Path) -> None:
    """At every byte of a whole segment: the lines that end before it stay, and nothing is kept of a torn one."""
    lines = [line(number, payload="\u2028\U0001f600" * number).encode() for number in range(3)]
    content = b"".join(lines)
    for offset in range(len(content) + 1):
        root = tmp_path / str(offset)
        recovered = _abandoned(root, content[:offset]).recover()
        whole = content[: content[:offset].rfind(b"\n") + 1]
        assert b"".join(segment.path.read_bytes() for segment in recovered) == whole
        assert names_in(root) == [f"{segment.batch_id}.jsonl" for segment in recovered]


@pytest.mark.parametrize("tail", [b"\n", b"null\n", b"\0" * 4096, b"\0\n", b'{"a": 1\n', b"\xff\n", b"\xff\n\0"])
def test_a_tail_that_is_no_line_is_no_obstacle(tmp_path: Path, tail: bytes) -> None:
    """After a power cut a file may end in anything: what has its newline is kept aside, the rest is cut."""
    assert [each.path.read_bytes() for each in _abandoned(tmp_path, line(1).encode() + tail).recover()] == [
        line(1).encode()
    ]
    assert _unreadable(tmp_path) == tail[: tail.rfind(b"\n") + 1]


def test_bytes_spoilt_in_the_middle_cost_no_other_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The lines behind them were acknowledged: they stay; the spoilt bytes are kept aside, and there is a warning."""
    lines = [line(number).encode() for number in range(4)]
    spoilt = lines[1][:20] + b"\xff\0" + lines[1][22:]
    (recovered,) = _abandoned(tmp_path, lines[0] + spoilt + lines[2] + lines[3] + b'{"torn').recover()

    assert recovered.path.read_bytes() == lines[0] + lines[2] + lines[3]
    assert (recovered.size, _unreadable(tmp_path)) == (len(recovered.path.read_bytes()), spoilt)
    assert names_in(tmp_path) == [f"{recovered.batch_id}.jsonl", f"{recovered.batch_id}.unreadable"]
    assert f"{recovered.batch_id}.unreadable" in caplog.text


def test_a_segment_of_nothing_but_damage_leaves_only_the_damage(tmp_path: Path) -> None:
    """There is nothing to load, but what may have been a line is not thrown away."""
    assert _abandoned(tmp_path, b"garbage\n" * 3).recover() == []
    assert _unreadable(tmp_path) == b"garbage\n" * 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".unreadable"]


@given(data=st.data(), junk=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_whatever_is_overwritten_every_line_that_was_not_stays(data: st.DataObject, junk: bytes) -> None:
    """A stretch of any bytes in place of another costs the lines that it touches, and no other; no byte is lost."""
    lines = [line(number, payload=f'{{"is_delivery":{number}}}').encode() for number in range(4)]
    content = b"".join(lines)
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, len(content)))
    ends = [sum(map(len, lines[: number + 1])) for number in range(4)]
    untouched = [each for each, stop in zip(lines, ends, strict=True) if stop <= begin or stop - len(each) >= end]
    with TemporaryDirectory() as directory:
        root = Path(directory)
        damaged = content[:begin] + junk + content[end:]
        found = b"".join(segment.path.read_bytes() for segment in _abandoned(root, damaged).recover())
        aside = _unreadable(root)

    kept = found.splitlines(keepends=True)
    assert [each for each in kept if each in lines] == untouched or kept == lines
    assert len(found) + len(aside) == damaged.rfind(b"\n") + 1


_STEPS = [
    *((os, "fsync", number) for number in range(1, 6)),
    *((Path, "rename", number) for number in range(1, 3)),
    *((Path, "open", number) for number in range(1, 3)),
    (Path, "unlink", 1),
]


@pytest.mark.parametrize(("owner", "name", "at"), _STEPS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_recovery_broken_off_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int
) -> None:
    """Wherever the disk fails while a damaged segment is repaired, the next try comes to the same end."""
    lines = [line(number).encode() for number in range(2)]
    stage = _abandoned(tmp_path, lines[0] + b"spoilt\n" + lines[1])
    with monkeypatch.context() as patch:
        fail_from(patch, owner, name, at)
        stage.recover()
    stage.recover()

    (closed,) = stage.closed_segments()
    assert closed.path.read_bytes() == lines[0] + lines[1]
    assert _unreadable(tmp_path) == b"spoilt\n"
    assert not list(tmp_path.glob("*.open"))


def test_a_segment_set_aside_takes_the_place_of_no_other(tmp_path: Path) -> None:
    """What recovery kept aside stays, when the rest of that segment turns out to be unreadable too."""
    stage = _abandoned(tmp_path, line(1).encode() + b"spoilt\n" + line(2).encode())
    (recovered,) = stage.recover()
    aside = stage.set_aside(recovered)

    assert aside.name == f"{recovered.batch_id}.2.unreadable"
    assert (tmp_path / f"{recovered.batch_id}.unreadable").read_bytes() == b"spoilt\n"
    assert stage.closed_segments() == []
