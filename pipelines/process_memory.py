"""The memory that this process holds."""

import ctypes
import os
from pathlib import Path

import pyarrow as pa

_STATM = Path("/proc/self/statm")
_ASSUMED = 256 * 1024 * 1024
"""Where the system does not say: the interpreter and its libraries."""


def give_back() -> None:
    """Return to the system what allocators keep of what was freed; takes some milliseconds."""
    # Arrow's keeps some 40 MB, and glibc as much between two allocations that stay.
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def held_bytes() -> int:
    """Give back what was freed, and return what is held still; where the system does not say, what is usual."""
    give_back()
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return _ASSUMED
    return pages * os.sysconf("SC_PAGE_SIZE")
