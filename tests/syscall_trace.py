"""A receiver's system calls as strace wrote them down, and whether any answer left before its event was durable."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

SYSTEM_CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,fdatasync,fsync,"
    "rename,renameat,renameat2,mkdir,mkdirat"
)
"""What a trace must hold; it is to be made by `strace -f -y` with no text cut short."""

_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_SYNCS = frozenset({"fdatasync", "fsync"})
_RENAMES = frozenset({"rename", "renameat", "renameat2"})
_MKDIRS = frozenset({"mkdir", "mkdirat"})

_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+|\?).*")
_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?).*")
_FILE = re.compile(r"\d+<(.*?)>(?:,|$)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) .*?\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """
    One system call.

    Attributes:
        entered: The line of the trace at which it was begun, and
        returned: the line at which its result was there.
        file: What its first descriptor stands for, if it has one.
        texts: Its text arguments; for paths, and for what is written.
        result: Negative where it failed or never returned.
    """

    entered: int
    returned: int
    name: str
    file: str
    texts: tuple[bytes, ...]
    result: int


@dataclass(slots=True)
class _Segment:
    content: bytes = b""
    synced: int = 0
    named_at: int | None = None
    durable_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A 200 on its way.

    Attributes:
        event_ids: Of the events that it acknowledges.
        left_at: The line at which the call was begun that wrote its first byte.
    """

    event_ids: tuple[str, ...]
    left_at: int


def calls_of(trace: str) -> list[Call]:
    """
    The calls of all threads, in the order in which they returned; one cut off by its process's end is left out.

    Raises:
        ValueError: A text in it is cut short.
    """
    begun: dict[str, tuple[int, str]] = {}
    found = []
    for number, line in enumerate(trace.splitlines()):
        if match := _BEGUN.fullmatch(line):
            begun[match[1]] = (number, match[3])
        elif match := _ENDED.fullmatch(line):
            entered, arguments = begun.pop(match[1])
            found.append(_call(entered, number, match[2], arguments + match[3], match[4]))
        elif match := _WHOLE.fullmatch(line):
            found.append(_call(number, number, match[2], match[3], match[4]))
    return found


def answers_of(calls: list[Call]) -> list[Answer]:
    """The answers of 200 that acknowledge an event."""
    streams: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for call in calls:
        if call.name in _WRITES and call.file.startswith("socket:") and call.result > 0:
            streams[call.file].append((call.entered, b"".join(call.texts)[: call.result]))
    return [answer for pieces in streams.values() for answer in _answers_in(pieces)]


def premature_answers(calls: list[Call], stage: Path) -> list[str]:
    """
    What is wrong with the order of *calls*, an entry per event: empty if every answer waited for its disk.

    An event is durable once a sync that began after the whole of its line was written has returned 0, and so have
    syncs of the directories that hold the name of its segment and, where they were made, their own names.
    """
    segments = _segments_in(calls, stage)
    made_at = _directories_durable_at(calls, stage)
    faults = []
    for answer in answers_of(calls):
        for event_id in answer.event_ids:
            holding = [segment for segment in segments.values() if event_id in segment.durable_at]
            moments = [
                max(segment.durable_at[event_id], segment.named_at, made_at)
                for segment in holding
                if segment.named_at is not None and made_at is not None
            ]
            if not moments:
                faults.append(f"{event_id} was answered, and was never durable")
            elif answer.left_at < min(moments):
                faults.append(f"{event_id} was answered at {answer.left_at}, and durable at {min(moments)}")
    return faults


def _segments_in(calls: list[Call], stage: Path) -> dict[str, _Segment]:
    segments: dict[str, _Segment] = defaultdict(_Segment)
    covered: dict[int, int] = {}
    covered_names: dict[int, list[_Segment]] = {}
    renamed: list[_Segment] = []
    for moment, call, is_return in _moments(calls):
        path = Path(call.file)
        if call.name in _WRITES and is_return and path.parent == stage and call.result > 0:
            segments[path.stem].content += b"".join(call.texts)[: call.result]
        elif call.name in _RENAMES and is_return and call.result == 0:
            if Path(call.texts[-1].decode()).suffix == ".open":
                renamed.append(segments[Path(call.texts[-1].decode()).stem])
        elif call.name in _SYNCS and not is_return:
            # What is written or renamed while a sync runs, it may have missed.
            covered_names[call.entered] = list(renamed) if path == stage else []
            covered[call.entered] = len(segments[path.stem].content) if path.parent == stage else 0
        elif call.name in _SYNCS and call.result == 0:
            for segment in covered_names[call.entered]:
                segment.named_at = moment if segment.named_at is None else segment.named_at
            if path.parent == stage:
                _mark_durable(segments[path.stem], covered[call.entered], moment)
    return segments


def _mark_durable(segment: _Segment, size: int, moment: int) -> None:
    whole = segment.content.rfind(b"\n", 0, size) + 1
    for line in segment.content[segment.synced : whole].splitlines():
        segment.durable_at.setdefault(orjson.loads(line)["event_id"], moment)
    segment.synced = max(segment.synced, whole)


def _directories_durable_at(calls: list[Call], stage: Path) -> int | None:
    """When the names of all directories that were made on the way to the stage were durable; None for never."""
    made = {
        Path(call.texts[-1].decode()): call.returned
        for call in calls
        if call.name in _MKDIRS and call.result == 0 and stage.is_relative_to(call.texts[-1].decode())
    }
    durable_at = 0
    for path, moment in made.items():
        synced = [
            call.returned
            for call in calls
            if call.name in _SYNCS and call.file == str(path.parent) and call.result == 0 and call.entered > moment
        ]
        if not synced:
            return None
        durable_at = max(durable_at, min(synced))
    return durable_at


def _moments(calls: list[Call]) -> Iterator[tuple[int, Call, bool]]:
    """Begin and return of each call, in order of time."""
    moments = [(call.entered, call, False) for call in calls] + [(call.returned, call, True) for call in calls]
    return iter(sorted(moments, key=lambda moment: (moment[0], moment[2])))


def _answers_in(pieces: list[tuple[int, bytes]]) -> Iterator[Answer]:
    stream = b"".join(data for _, data in pieces)
    begins = []
    offset = 0
    for entered, data in pieces:
        begins.append((offset, entered))
        offset += len(data)
    position = 0
    while head := _HEAD.match(stream, position):
        length = _LENGTH.search(head[0])
        end = head.end() + (int(length[1]) if length else 0)
        event_ids = _acknowledged(stream[head.end() : end]) if head[1] == b"200" else ()
        if event_ids:
            yield Answer(event_ids, max(entered for begin, entered in begins if begin <= position))
        position = end


def _acknowledged(body: bytes) -> tuple[str, ...]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ()
    return tuple(event["event_id"] for event in answer.get("events", [answer]) if event.get("event_id"))


def _call(entered: int, returned: int, name: str, arguments: str, result: str) -> Call:
    texts = []
    for text in _TEXT.finditer(arguments):
        if text[2]:
            raise ValueError(f"line {entered} of the trace is cut short")
        texts.append(ast.literal_eval(f'b"{text[1]}"'))
    file = _FILE.match(arguments)
    return Call(entered, returned, name, file[1] if file else "", tuple(texts), -1 if result == "?" else int(result))
