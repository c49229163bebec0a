"""Looking at something again and again while something else goes on."""

import threading
from abc import ABC, abstractmethod


class RepeatedLook(ABC):
    """Looks in a thread of its own, from `start` to `stop`, so many seconds apart."""

    def __init__(self, seconds_apart: float) -> None:
        self._seconds_apart = seconds_apart
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """Look once."""

    def _run(self) -> None:
        while not self._is_over.wait(self._seconds_apart):
            self.look()
