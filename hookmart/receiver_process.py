"""A receiver in a process of its own, so that loading and building never hold up an answer."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from hookmart.terminal import OperationError
from ingest.server import serve

_START_SECONDS = 30.0
_DRAIN_SECONDS = 40.0


class ReceiverProcess:
    """
    Started on entering, drained on leaving.

    Attributes:
        url: Where it listens, known from the start.
        has_failed: After leaving: it ended by itself, or did not drain in time.
    """

    def __init__(
        self, config: Path, *, host: str = "127.0.0.1", port: int = 0, workers: int = 1, log_level: str = "info"
    ) -> None:
        self._listener = _bound(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.getsockname()[1]}"
        self.has_failed = False
        # Spawned, not forked: a fork would inherit the parent's threads half alive.
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(config, workers, self._listener, log_level), name="hookmart-receiver"
        )

    def reload(self) -> None:
        """Have it read its sources and secrets again."""
        if self._process.pid is not None and self.is_alive():
            os.kill(self._process.pid, signal.SIGHUP)

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.is_alive()

    def __enter__(self) -> Self:
        self._process.start()
        self._listener.close()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.is_alive():
            try:
                httpx.get(f"{self.url}/healthz", trust_env=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return self
        self._end()
        raise OperationError("The receiver did not start; what it printed above says why.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.has_failed = not self.is_alive()
        self._process.terminate()
        self._process.join(_DRAIN_SECONDS)
        if self.is_alive():
            self._process.kill()
            self._process.join()
        self.has_failed = self.has_failed or self._process.exitcode != 0


def _serve(config: Path, workers: int, listener: socket.socket, log_level: str) -> None:
    # Ctrl-C reaches every process of the terminal; the parent says when to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_drain_without_parent, daemon=True).start()
    serve(config, workers=workers, listener=listener, log_level=log_level)


def _drain_without_parent() -> None:
    """Drain once the parent is gone: killed, it told nobody, and whoever starts it again needs the port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OperationError(
            f"Cannot listen on {host}:{port} ({error.strerror}); say another --host or --port."
        ) from error
    return listener
