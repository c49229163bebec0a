"""What a platform sends only once the month of it is closed: kept apart until then, on disk, since it may be much."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

import orjson

from simulator.journal import Event


class LateMail:
    """Divides events into those that come in time and those that do not; used in a `with`, it forgets the latter."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # closed at the end of the `with`
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def in_time(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield those of *events* that come in time, and keep the others."""
        for event in events:
            if event.is_late:
                self._file.write(event.body + b"\n")
                self.count += 1
            else:
                yield event

    def late(self) -> Iterator[Event]:
        """Yield those that were kept, in their order; only once all have been divided."""
        self._file.seek(0)
        for line in self._file:
            body = line.rstrip(b"\n")
            view = orjson.loads(body)
            yield Event(view["id"], view["type"], datetime.fromisoformat(view["timestamp"]), body, is_late=True)
