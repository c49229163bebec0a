"""A server under test: a process group of its own, on a free port, with its directory and its memory."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.machine import pinned
from benchmarks.signed_bodies import SIGNATURE_HEADER

HOOKMART = (sys.executable, "-m", "hookmart")

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOG = "server.log"
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, or does not run any more."""


@dataclass(frozen=True, slots=True)
class Command:
    """
    How a server is started.

    Attributes:
        environ: In addition to this process's own.
    """

    arguments: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


class RunningServer:
    """
    Started on entering, ended on leaving.

    Args:
        directory: Where it runs, and what it printed is kept.
        cpus: The cores it is pinned to; None leaves it to the kernel.
    """

    def __init__(self, command: Command, directory: Path, port: int, cpus: Sequence[int] | None) -> None:
        self._command = command
        self._directory = directory
        self.port = port
        self._cpus = cpus

    def __enter__(self) -> Self:
        """Start, and wait until it accepts connections."""
        with (self._directory / _LOG).open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # the command is ours
                pinned(self._command.arguments, self._cpus),
                cwd=self._directory,
                env={**os.environ, **self._command.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self._end()
        raise ServerFailed(f"It did not start: {self._last_words()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and whatever it started."""
        self._end()

    def status_of(self, path: str, body: bytes, signature: str) -> int:
        """
        The status with which one POST is answered.

        Raises:
            ServerFailed: There was no answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", SIGNATURE_HEADER: signature})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailed(f"It did not answer ({error}): {self._last_words()}") from error
        finally:
            connection.close()

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """
        Let it drain, as its operator would.

        Raises:
            ServerFailed: It did not end within *seconds*.
        """
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"It did not stop: {self._last_words()}") from None

    def peak_bytes(self) -> int:
        """The most memory each of its processes has ever held, summed; pages that they share count in each."""
        return _summed(self.process.pid, "VmHWM")

    def resident_bytes(self) -> int:
        """The memory its processes hold now, summed; pages that they share count in each."""
        return _summed(self.process.pid, "VmRSS")

    def cpu_seconds(self) -> float:
        """The processor's time that its processes have had, and those that they started and that have ended."""
        return sum(_ticks(pid) for pid in _tree(self.process.pid)) / _TICKS

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _last_words(self) -> str:
        return (self._directory / _LOG).read_text(encoding="utf-8", errors="replace").strip()[
            -600:
        ] or "it said nothing"


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _summed(root: int, field_name: str) -> int:
    return sum(_kibibytes(pid, field_name) for pid in _tree(root)) * 1024


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            if stat:
                children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """What `/proc` says of a process from its state on; nothing where it has ended since it was listed."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    # A name may have blanks and brackets in it.
    return stat.rpartition(")")[2].split()


def _ticks(pid: int) -> int:
    """Of its own and of the children that it has waited for, in user and in system mode."""
    return sum(int(part) for part in _stat(pid)[11:15])


def _kibibytes(pid: int, field_name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in lines:
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1])
    return 0
