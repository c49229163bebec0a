"""UUID version 7 (RFC 9562): names that sort by the time they were made; Python has them from 3.14 on."""

import os
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_RANDOM_BITS = 62
_SUB_MILLISECOND_BITS = 12

_lock = threading.Lock()
_last_tick = 0


def new_uuid7() -> UUID:
    """A UUID that sorts after every other that this process has made, even when the clock steps back."""
    global _last_tick  # noqa: PLW0603  # the order of all UUIDs of a process is the state of the process
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    tick = milliseconds << _SUB_MILLISECOND_BITS | (nanoseconds << _SUB_MILLISECOND_BITS) // 1_000_000
    with _lock:
        _last_tick = tick = max(tick, _last_tick + 1)
    high = (tick >> _SUB_MILLISECOND_BITS) << 16 | 0x7000 | tick & 0xFFF
    low = 0b10 << _RANDOM_BITS | int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=(high & 0xFFFF_FFFF_FFFF_FFFF) << 64 | low)


def time_of(uuid7: UUID) -> datetime:
    """When *uuid7* was made, to the millisecond, UTC."""
    return datetime.fromtimestamp((uuid7.int >> 80) / 1000, tz=UTC)
