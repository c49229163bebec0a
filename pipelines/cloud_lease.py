"""
Who may write to a cloud warehouse: one loader or build at a time, wherever it runs.

Those with one `state` keep each other out by a file lock, those of other machines by a row there that names its holder
and is good for an hour.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlt.destinations.exceptions import DatabaseTransientException

from pipelines import cloud_statements as statements
from pipelines.cloud_engines import Engine
from pipelines.errors import WarehouseLockedError
from pipelines.loader_name import loader_name
from pipelines.raw_tables import DATASET

_HOLDER_NAME = "warehouse-holder"
_LOCK_NAME = "warehouse.lock"
_POLL_SECONDS = 1.0

Execute = Callable[[str, Mapping[str, Any] | None], list[tuple[Any, ...]]]
"""Runs SQL with values there, and returns its rows."""


@dataclass(frozen=True, slots=True)
class CloudLease:
    """
    The right to write to one warehouse.

    Attributes:
        engine: Where it is.
        state: Keeps the file lock, and the name by which this loader is known there.
        patience: Seconds to wait while another loader or build has it.
        notice: Told once, when a wait begins.
    """

    engine: Engine
    state: Path
    patience: float
    notice: Callable[[str], None]

    @property
    def holder(self) -> str:
        """The name of this loader's lease, and of its staging schema."""
        return loader_name(self.state / _HOLDER_NAME)

    @contextmanager
    def held_here(self) -> Iterator[None]:
        """
        Keep out what works with the same state; the system lets go of it however a program ends.

        Raises:
            WarehouseLockedError: It did not end for longer than `patience`.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.state / _LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            self._wait_for(lambda: _is_locked_now(descriptor))
            yield
        finally:
            os.close(descriptor)

    def take(self, execute: Execute) -> None:
        """
        Become the one who writes.

        Raises:
            WarehouseLockedError: Another one did not end for longer than `patience`.
        """
        for sql in statements.make_lease(self.engine.text_type):
            execute(sql, None)
        self._wait_for(lambda: self._has_taken(execute))

    def renew(self, execute: Execute) -> None:
        """
        Remain the one who writes, for another hour.

        Raises:
            WarehouseLockedError: It had run out, and another one has taken it.
        """
        execute(statements.renew_lease(self.engine.now), {"holder": self.holder})
        if self._is_of_another(execute):
            message = (
                f"This took longer than an hour, and another loader or build has begun in {self.engine} meanwhile. "
                "What was received stays staged, and the next round begins again."
            )
            raise WarehouseLockedError(message)

    def release(self, execute: Execute) -> None:
        """Let the next one write."""
        execute(statements.RELEASE_LEASE, {"holder": self.holder})

    def _has_taken(self, execute: Execute) -> bool:
        # Two who take it at once: the engine lets one through, and the other asks again.
        with suppress(DatabaseTransientException):
            execute(statements.take_lease(self.engine.now), {"holder": self.holder})
        return not self._is_of_another(execute)

    def _is_of_another(self, execute: Execute) -> bool:
        return bool(execute(statements.OTHER_HOLDERS, {"holder": self.holder})[0][0])

    def _wait_for(self, is_mine: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.patience
        told = False
        while not is_mine():
            if time.monotonic() >= deadline:
                message = (
                    f"Another loader or build works in the warehouse {self.engine}, or was killed there less than an "
                    f"hour ago. Wait for it; if none works there, run update {DATASET}.{statements.LEASE_TABLE} "
                    "set expires_at = 0 where true. What was received stays staged until then."
                )
                raise WarehouseLockedError(message)
            if not told:
                self.notice(f"waiting: another loader or build works in {self.engine}")
                told = True
            time.sleep(min(_POLL_SECONDS, max(self.patience / 10, 0.01)))


def _is_locked_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
