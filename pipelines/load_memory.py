"""How a load shares out the memory that it stays under: it reads, then it inserts, and in the end it commits."""

from dataclasses import dataclass

DEFAULT_MEMORY = 512 * 1024 * 1024
"""Bytes of memory that a load stays under, however much is staged."""

_LEAST = 128 * 1024 * 1024
"""For DuckDB to read JSON at all, or to insert into tables of so many columns."""

_FOR_TWO = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadMemory:
    """
    The shares, in bytes.

    Attributes:
        total: Of the process; the interpreter and its libraries take 200 MiB of it.
    """

    total: int = DEFAULT_MEMORY

    @property
    def of_reader(self) -> int:
        """Of what reads the segments."""
        return max(self.total // 4, _LEAST)

    @property
    def of_portion(self) -> int:
        """Of the segments that are read at a time."""
        return max(self.total // 10, 1)

    @property
    def of_warehouse(self) -> int:
        """Of the warehouse while it compares and inserts."""
        return max(self.total * 3 // 8, _LEAST)

    @property
    def of_waiting_warehouse(self) -> int:
        """Of the warehouse while the next portion is read, which takes as much."""
        return self.total // 16

    @property
    def of_committing_warehouse(self) -> int:
        """Of the warehouse when nothing is read any more: a commit takes as much as all that it commits."""
        return max(self.total // 2, _LEAST)

    @property
    def is_for_two(self) -> bool:
        """Whether one portion may be read while another is loaded."""
        return self.total >= _FOR_TWO

    def is_plenty_for(self, size: int) -> bool:
        """Whether segments of so many bytes need no shares; DuckDB takes a tenth of a second to give memory back."""
        return size <= self.total // 64
