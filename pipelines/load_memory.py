"""
How a load shares out the memory that it stays under: it reads, it compares and writes files, it inserts, it commits.

What DuckDB counts is what it is limited to; what it takes besides, and what the process held before, is left out of the
shares. So they are made anew for every portion, of what is left.
"""

from dataclasses import dataclass

_MEBIBYTE = 1024 * 1024

DEFAULT_MEMORY = 512 * _MEBIBYTE
"""Bytes of memory that a load stays under, however much is staged."""

_LEAST = 128 * _MEBIBYTE
"""For DuckDB to read JSON at all, or to insert into tables of so many columns."""

_LEAST_KEEPING = 96 * _MEBIBYTE
"""For DuckDB to look into what it read, most of which is on the disk then."""

_LEAST_COMPARING = 80 * _MEBIBYTE
"""For DuckDB to look for the events of a portion."""

_FOR_TWO = 1024 * _MEBIBYTE

_UNCOUNTED = 80 * _MEBIBYTE
"""Of rows on their way from DuckDB to dlt's files, or from there into columns that are compressed."""


@dataclass(frozen=True, slots=True)
class MemoryShares:
    """
    What DuckDB is limited to, in bytes.

    Attributes:
        reader: What reads the segments.
        keeping: The same when they are read.
        comparing: The warehouse while the reader has what was read, and gives it to dlt.
        inserting: The warehouse when that is in dlt's files, and when it commits.
    """

    reader: int
    keeping: int
    comparing: int
    inserting: int


@dataclass(frozen=True, slots=True)
class LoadMemory:
    """
    The memory of one load.

    Attributes:
        total: Of the process, in bytes; the interpreter and its libraries take 240 MiB of it.
    """

    total: int = DEFAULT_MEMORY

    def shares(self, held: int) -> MemoryShares:
        """Share out what is left beside the *held* bytes, those of the waiting warehouse included."""
        left = self.total - held - _UNCOUNTED
        reader = max(left // (4 if self.is_for_two else 2), _LEAST)
        keeping = max(reader * 3 // 4, _LEAST_KEEPING)
        ahead = reader if self.is_for_two else 0
        comparing = max(left - ahead - keeping, _LEAST_COMPARING)
        return MemoryShares(reader, keeping, comparing, max(left - ahead, _LEAST))

    @property
    def of_portion(self) -> int:
        """Of the segments that are read at a time."""
        return max(self.total // 10, 1)

    @property
    def of_waiting_warehouse(self) -> int:
        """Of the warehouse while the next portion is read, which takes as much."""
        return self.total // 16

    @property
    def is_for_two(self) -> bool:
        """Whether one portion may be read while another is loaded."""
        return self.total >= _FOR_TWO

    def is_plenty_for(self, size: int) -> bool:
        """Whether segments of so many bytes need no shares; DuckDB takes a tenth of a second to give memory back."""
        return size <= self.total // 64
