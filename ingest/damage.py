"""Which bytes of a segment are its lines, and which are none: what was torn off, and what the disk spoilt."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

# Every line begins so, and within a line no quotation mark stands unescaped: found inside what cannot be read, it is
# where a line begins whose neighbour lost the newline between them.
_BEGINNING = b'{"is_delivery":'


@dataclass(frozen=True, slots=True)
class Survey:
    """
    The parts of a segment, as offsets in bytes (from, up to).

    Attributes:
        whole: The stretches of lines that can be read, in order.
        unreadable: What stands between and behind them and was written to its newline, in order.
        end: Where the last newline ends. What follows was torn off in the writing.
    """

    whole: tuple[tuple[int, int], ...]
    unreadable: tuple[tuple[int, int], ...]
    end: int


def survey(file: BinaryIO) -> Survey:
    """Look through *file* from where it stands, which is its beginning."""
    whole: list[tuple[int, int]] = []
    unreadable: list[tuple[int, int]] = []
    offset = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        begin = offset + _begin_of_whole(line)
        offset += len(line)
        _extend(unreadable, offset - len(line), begin)
        _extend(whole, begin, offset)
    return Survey(tuple(whole), tuple(unreadable), offset)


def is_whole(line: bytes) -> bool:
    """Whether *line*, newline included, can be read."""
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _begin_of_whole(line: bytes) -> int:
    """Where in *line* a whole one begins; its length where none does."""
    return next((begin for begin in _beginnings(line) if is_whole(line[begin:])), len(line))


def _beginnings(line: bytes) -> Iterator[int]:
    yield 0
    begin = line.find(_BEGINNING, 1)
    while begin > 0:
        yield begin
        begin = line.find(_BEGINNING, begin + 1)


def _extend(stretches: list[tuple[int, int]], begin: int, end: int) -> None:
    if begin == end:
        return
    if stretches and stretches[-1][1] == begin:
        begin, _ = stretches.pop()
    stretches.append((begin, end))
