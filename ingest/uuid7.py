"""UUID version 7 (RFC 9562): names that sort by the time they were made; Python has them from 3.14 on."""

import random
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_COUNTER_BITS = 48

_lock = threading.Lock()
_last_millisecond = 0
_opening = ""
_counter = 0


def new_uuid7() -> UUID:
    """A UUID that sorts after every other that this process has made, even when the clock steps back."""
    return UUID(new_uuid7_text())


def new_uuid7_text() -> str:
    """As `new_uuid7`, written out; spares the object, which takes longer than the rest."""
    # Within a millisecond the last 48 bits count on from a random start: RFC 9562, 6.2, method 1.
    global _last_millisecond, _opening, _counter  # noqa: PLW0603  # the order of a process's UUIDs is its own state
    millisecond = time.time_ns() // 1_000_000
    with _lock:
        if millisecond > _last_millisecond or _counter.bit_length() > _COUNTER_BITS:
            _last_millisecond = max(millisecond, _last_millisecond + 1)
            # A name, not a secret: it need not be hard to guess, and a child process is given another sequence.
            noise = random.getrandbits(26)
            digits = f"{_last_millisecond:012x}"
            _opening = f"{digits[:8]}-{digits[8:]}-7{noise >> 14:03x}-{noise & 0x3FFF | 0x8000:04x}-"
            _counter = random.getrandbits(_COUNTER_BITS - 1)  # half of them are left to count on
        text = f"{_opening}{_counter:012x}"
        _counter += 1
    return text


def time_of(uuid7: UUID) -> datetime:
    """When *uuid7* was made, to the millisecond, UTC."""
    return datetime.fromtimestamp((uuid7.int >> 80) / 1000, tz=UTC)
