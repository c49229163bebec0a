"""Segments as no receiver leaves them: cut short, copied, poisoned, by the thousand. What is good is loaded, once."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.staging import CLOSED, UNREADABLE, Segment, StagedLine, new_batch_id
from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts, LoadBatch, read_batch
from pipelines.fates import KnownEvents
from pipelines.status import read_status
from tests.line import RECEIVED_AT, BareLine, Line, fixture_bodies, staged_line
from tests.test_load import EXAMPLES, FIXTURES, archived, assert_accounted_for, ids

BODIES = fixture_bodies(FIXTURES)
WHOLE = [staged_line("acme", raw, RECEIVED_AT).encode() for raw in BODIES[:3]]
SEGMENT = b"".join(WHOLE)
TABLES = (*EVENT_COLUMNS, "quarantined_events", "replayed_events", "event_conflicts", "displaced_events", "deliveries")


def refused(delivery: str) -> StagedLine:
    """The line of a request that nobody signed."""
    line = staged_line("acme", BODIES[0], RECEIVED_AT)
    return replace(
        line, delivery_id=delivery, status_code=401, outcome="refused", reason="signature", secret_name=None,
        event_id=None, event_type=None, schema_version=None, occurred_at=None, has_synthetic_id=None,
        body_sha256=None, payload=None,
    )  # fmt: skip


def of_every_outcome() -> list[StagedLine]:
    """Accepted, repeated, conflicting, quarantined, refused; and a request of three events, one of them quarantined."""
    accepted = [staged_line("acme", raw, RECEIVED_AT) for raw in BODIES[:5]]
    conflicting = replace(staged_line("acme", BODIES[0], RECEIVED_AT), body_sha256="0" * 64)
    unknown = staged_line("acme", BODIES[5].replace(b'"type":"', b'"type":"un'), RECEIVED_AT)
    assert unknown.outcome == "quarantined"
    request = [staged_line("zenith", raw, RECEIVED_AT) for raw in BODIES[6:8]]
    request.append(replace(unknown, source_id="zenith"))
    delivered = [
        replace(line, delivery_id=request[0].delivery_id, is_delivery=not position, position=position)
        for position, line in enumerate(request)
    ]
    again = staged_line("acme", BODIES[1], RECEIVED_AT)
    return [*accepted, again, conflicting, unknown, refused("r1"), refused("r2"), *delivered]


def rows(line: BareLine) -> dict[str, list[tuple[object, ...]]]:
    """What every table of `raw` holds but the ledger, sorted; without what tells one load of the same from another."""
    named = {
        name: line.query_warehouse(f"select * exclude (batch_id, load_seq) from raw.{name} order by all")
        for name in TABLES
        if name != "displaced_events"
    }
    return {name: [tuple(row.values()) for row in found] for name, found in named.items()}


def unexplained(line: BareLine) -> set[int]:
    """What the status cannot account for, of all sources."""
    return {source.unexplained for source in read_status(line.root / "state").sources.values()}


def totals(line: BareLine) -> dict[str, int]:
    """What the ledger counts over all loads."""
    (found,) = line.query_warehouse(
        "select sum(received) as received, sum(loaded) as loaded, sum(duplicate) as duplicate, "
        "sum(quarantined) as quarantined, sum(refused) as refused from raw.loads"
    )
    return found


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def read(path: Path, content: bytes) -> LoadBatch:
    """What a loader makes of a closed segment of *content*."""
    path.write_bytes(content)
    return read_batch([Segment("b", path, len(content))], 1, RECEIVED_AT, KnownEvents())


@given(cut=st.integers(0, len(SEGMENT)))
@settings(max_examples=12, deadline=None)
def test_a_closed_segment_cut_anywhere_is_loaded_whole_or_set_aside(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A line is never loaded by half: cut between lines it is a shorter segment, cut in one it is unreadable."""
    batch = read(tmp_path_factory.mktemp("cut") / "b.jsonl", SEGMENT[:cut])
    content = SEGMENT[:cut]
    whole = sum(content.startswith(b"".join(WHOLE[: number + 1]).rstrip()) for number in range(len(WHOLE)))
    is_clean = content.rstrip() == b"".join(WHOLE[:whole]).rstrip()
    assert bool(batch.poisoned) is not is_clean
    assert batch.counts == (Counts(received=whole, loaded=whole) if is_clean else Counts())


TORN = {
    "its last line": SEGMENT[: -len(WHOLE[2]) // 2],
    "a line in the middle": WHOLE[0] + WHOLE[1][:200] + b"\n" + WHOLE[2],
    "a line that runs into the next": WHOLE[0] + WHOLE[1][:200] + WHOLE[2],
    "a stretch of zeros": WHOLE[0] + b"\0" * 4096 + WHOLE[2],
    "bytes that are no text": WHOLE[0] + b'{"is_delivery":true,"source_id":"\xff\xfe"}\n' + WHOLE[2],
}


def test_torn_segments_wait_whole_beside_the_stage_and_stop_no_other(line: Line) -> None:
    """Each is named with what is wrong; mended by hand and given back, what it held is loaded."""
    told: list[str] = []
    torn = {}
    for content in TORN.values():
        torn[line.stage_raw(content)] = content
        line.stage_bodies(EXAMPLES[3:5])
    report = replace(line.loader, notice=told.append).load()

    assert report.counts == Counts(received=2 * len(TORN), loaded=2, duplicate=2 * len(TORN) - 2)
    assert [name for name, _ in report.poisoned] == [path.name for path in torn]
    assert all(reason for _, reason in report.poisoned)
    assert len(told) == len(TORN)
    assert all(path.name in message for path, message in zip(torn, told, strict=True))
    assert {path: path.with_suffix(UNREADABLE).read_bytes() for path in torn} == torn

    path = next(iter(torn))
    path.with_suffix(UNREADABLE).unlink()
    path.write_bytes(SEGMENT)
    assert line.load().counts == Counts(received=3, loaded=3)
    assert unexplained(line) == {0}


def test_a_copied_segment_changes_nothing_but_the_count_of_duplicates(line: Line) -> None:
    """
    Known from the first copy is every line, the refused among them, and nothing is unexplained.

    The same whether the copy comes in a load of its own or in that of the first.
    """
    staged = of_every_outcome()
    line.stage_lines(staged)
    once = line.load().counts
    before = rows(line)
    line.stage_lines(staged)
    line.load()
    together = Line(line.root / "together")
    for _ in range(2):
        together.stage_lines(staged)
    together.load()

    assert once.received == once.loaded + once.duplicate + once.quarantined + once.refused == len(staged)
    assert (once.quarantined, once.refused) == (2, 2)
    for each in (line, together):
        assert rows(each) == before
        assert totals(each) == {
            "received": 2 * once.received,
            "loaded": once.loaded,
            "duplicate": once.duplicate + once.received,
            "quarantined": once.quarantined,
            "refused": once.refused,
        }
        assert unexplained(each) == {0}


def test_a_segment_that_comes_back_under_its_own_name_is_loaded_once(line: Line) -> None:
    """A copy out of the archive with a name that the ledger has is released, not counted again."""
    path = line.stage_lines(of_every_outcome())
    content = path.read_bytes()
    line.load()
    before = rows(line)
    path.write_bytes(content)
    report = line.load()

    assert (report.segments, report.counts) == (1, Counts())
    assert rows(line) == before
    assert archived(line) == [path.stem]
    assert line.stage.closed_segments() == []


def many_segments(line: BareLine, number: int) -> Sequence[str]:
    """Stage so many segments, each with an event of its own and one that the one before has too; return their ids."""
    template = staged_line("acme", BODIES[0], RECEIVED_AT)
    names = [f"evt_{new_batch_id()}" for _ in range(number + 1)]
    for mine, next_one in pairwise(names):
        path = line.stage.root / f"{new_batch_id()}{CLOSED}"
        pair = (replace(template, event_id=name, delivery_id=f"{mine}-{name}") for name in (mine, next_one))
        path.write_bytes(b"".join(each.encode() for each in pair))
    return names


@pytest.mark.parametrize("number", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_stage_full_of_small_segments_is_loaded_right(line: Line, number: int) -> None:
    """All are read but one that is poisoned and one that is empty; what overlaps is counted as duplicate."""
    line.stage_raw(b"")
    names = many_segments(line, number // 2)
    poison = line.stage_raw(WHOLE[1] + b'{"is_delivery": true}\n')
    more = many_segments(line, number - number // 2)
    report = line.load()

    assert [name for name, _ in report.poisoned] == [poison.name]
    assert report.segments == len(archived(line)) == number + 1
    assert report.counts == Counts(received=2 * number, loaded=number + 2, duplicate=number - 2)
    assert ids(line) == sorted(("acme", name) for name in (*names, *more))
    assert line.stage.closed_segments() == []
    assert_accounted_for(line)
