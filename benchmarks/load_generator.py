"""The load: wrk, which posts a pool of ready requests as fast as they are answered."""

import contextlib
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import pinned
from benchmarks.signed_bodies import SIGNATURE_HEADER, SignedBody

_SCRIPT = """\
local requests, number = {}, 0

function init(_)
  local file = assert(io.open("@REQUESTS@", "rb"))
  while true do
    local text = file:read(@LENGTH@)
    if not text then break end
    requests[#requests + 1] = text
  end
  file:close()
end

function request()
  number = number % #requests + 1
  return requests[number]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "measured requests=%d us=%d p50=%d p99=%d status=%d connect=%d read=%d write=%d timeout=%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
"""
_MEASURED = re.compile(r"^measured (.+)$", re.MULTILINE)
_ANSWER_SECONDS = 30
_STOP_SECONDS = 60.0


class LoadFailed(Exception):
    """The load generator did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    What is asked of a server.

    Attributes:
        connections: Each sends its next request once the last is answered.
        body_bytes: Of each request.
    """

    connections: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """
    What one run of the load generator saw.

    Attributes:
        requests: Answered ones, whatever the status.
        seconds: It took.
        p50_ms: Median time to an answer, as the client sees it.
        failed: Answers of 400 and above, and connections that broke or timed out.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


class LoadGenerator:
    """
    Posts the same bodies to every server.

    Args:
        bodies: All of the same size.
        cpu: The core it is pinned to; None leaves it to the kernel.
    """

    def __init__(self, bodies: Sequence[SignedBody], cpu: int | None) -> None:
        self._bodies = bodies
        self._cpus = None if cpu is None else (cpu,)

    def run(self, port: int, path: str, connections: int, seconds: int) -> Measurement:
        """
        Load `http://127.0.0.1:port/path` for *seconds*, and say what came of it.

        Raises:
            LoadFailed: wrk ended with an error or printed no figures.
        """
        with self.started(port, path, connections, seconds) as load:
            return load.finished(seconds)

    @contextlib.contextmanager
    def started(self, port: int, path: str, connections: int, seconds: int) -> Iterator["RunningLoad"]:
        """Load it in the background, for *seconds* at most; whatever is left of the load ends with the block."""
        with tempfile.TemporaryDirectory() as name:
            script = self._write_script(Path(name), port, path)
            command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
            command += ["--timeout", f"{_ANSWER_SECONDS}s", "--script", str(script), f"http://127.0.0.1:{port}{path}"]
            with subprocess.Popen(  # noqa: S603  # the command is ours
                pinned(command, self._cpus), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process:
                try:
                    yield RunningLoad(process)
                finally:
                    process.kill()

    def _write_script(self, directory: Path, port: int, path: str) -> Path:
        requests = [_request(each, port, path) for each in self._bodies]
        lengths = {len(each) for each in requests}
        if len(lengths) != 1:
            raise LoadFailed("The bodies of one load must be of one size.")
        pool = directory / "requests.bin"
        pool.write_bytes(b"".join(requests))
        script = directory / "load.lua"
        script.write_text(_SCRIPT.replace("@REQUESTS@", str(pool)).replace("@LENGTH@", str(lengths.pop())))
        return script


class RunningLoad:
    """A load under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def is_running(self) -> bool:
        """Whether it still posts."""
        return self._process.poll() is None

    def stop(self) -> Measurement:
        """End it now; what it saw until then."""
        if self.is_running():
            self._process.send_signal(signal.SIGINT)
        return self.finished(0)

    def finished(self, seconds: float) -> Measurement:
        """
        Wait until it has ended by itself, *seconds* from now; what it saw.

        Raises:
            LoadFailed: It ended with an error, printed no figures, or never ended.
        """
        deadline = time.monotonic() + seconds + _STOP_SECONDS
        try:
            output, _ = self._process.communicate(timeout=deadline - time.monotonic())
        except subprocess.TimeoutExpired as error:
            raise LoadFailed("wrk did not end in time.") from error
        if self._process.returncode:
            raise LoadFailed(f"wrk ended with {self._process.returncode}: {output.strip()}")
        return _parsed(output)


def _request(signed: SignedBody, port: int, path: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"{SIGNATURE_HEADER}: {signed.signature}\r\nContent-Length: {len(signed.body)}\r\n\r\n"
    )
    return head.encode() + signed.body


def _parsed(output: str) -> Measurement:
    found = _MEASURED.search(output)
    if found is None:
        raise LoadFailed(f"wrk printed no figures: {output.strip()}")
    figures = {name: int(value) for name, value in (part.split("=") for part in found[1].split())}
    if not figures["requests"]:
        raise LoadFailed(f"Nothing was answered: {output.strip()}")
    return Measurement(
        requests=figures["requests"],
        seconds=figures["us"] / 1e6,
        p50_ms=figures["p50"] / 1e3,
        p99_ms=figures["p99"] / 1e3,
        failed=sum(figures[name] for name in ("status", "connect", "read", "write", "timeout")),
    )
