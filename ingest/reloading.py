"""Sources and secrets that change while the receiver runs: read again on SIGHUP, and while one cannot be read."""

import asyncio
import signal
from contextlib import suppress
from logging import getLogger

from ingest.door import Door
from ingest.errors import SettingsError

_SECONDS_BETWEEN_TRIES = 2.0

_logger = getLogger(__name__)


class Reloading:
    """
    Reloads *door* from within the running event loop.

    A configuration that cannot be used is logged, and what was read before stays.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen for SIGHUP, where this is the main thread; try again what could not be read."""
        self._loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError):  # only the main thread hears signals
            self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._try_again_where_needed()

    def stop(self) -> None:
        """Listen no more."""
        with suppress(ValueError, RuntimeError):
            self._loop.remove_signal_handler(signal.SIGHUP)
        if self._timer is not None:
            self._timer.cancel()

    def _reload(self) -> None:
        try:
            self._door.reload()
        except SettingsError as error:
            _logger.error("%s The sources stay as they were.", error)  # noqa: TRY400  # the sentence says it all
        else:
            _logger.info("Read the sources and their secrets again: %s.", ", ".join(self._door.sources) or "none")
        self._try_again_where_needed()

    def _try_again_where_needed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lacking = [source.name for source in self._door.sources.values() if source.has_unreadable_secrets]
        if lacking:
            _logger.warning(
                "A secret of %s cannot be read; requests that need it get 503 until it can.", ", ".join(lacking)
            )
            self._timer = self._loop.call_later(_SECONDS_BETWEEN_TRIES, self._reload)
