"""A real receiver in its own process, over real HTTP, for tests; and a sender that signs."""

import hashlib
import hmac
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from ingest.staging import Segment, Stage, StagedLine
from tests.scrape import Figures

ROOT = Path(__file__).parent.parent
EVENT_FILES = sorted((ROOT / "tests" / "fixtures" / "events").glob("*.json"))
SECRET = "0123456789abcdef0123456789abcdef"
CONFIGURATION = """
[stage]
segment_max_age_seconds = 0.2

[sources.acme]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
"""

_SERVE = """
import socket, sys
from pathlib import Path
from ingest.server import serve
config, workers, listener, *tls = sys.argv[1:]
certificate, key = map(Path, tls) if tls else (None, None)
serve(
    Path(config),
    workers=int(workers),
    listener=socket.socket(fileno=int(listener)),
    ssl_certfile=certificate,
    ssl_keyfile=key,
)
"""
_START_SECONDS = 60.0
_WAIT_SECONDS = 120.0

SLOW_DISK = """
import os, time
_sync = os.fdatasync
def _wait_and_sync(descriptor):
    while os.path.exists("{gate}"):
        time.sleep(0.005)
    _sync(descriptor)
os.fdatasync = _wait_and_sync
"""
"""What a receiver runs `before` to serve, so that no sync returns while the file `{gate}` is there."""


def signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header of a request that a holder of *secret* sends."""
    return {"X-Webhook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


class RunningReceiver:
    """
    A receiver on a port of its own, ready when the `with` block begins and drained when it ends.

    Args:
        directory: Of the configuration and of the stage.
        configuration: What stands in `hookmart.toml`; the secret of `acme` is set.
        tls: Certificate and key.
        before: Python code that its process runs first: faults are injected where they happen. One worker only.
        environ: Added to its environment.
    """

    def __init__(
        self,
        directory: Path,
        configuration: str = CONFIGURATION,
        *,
        workers: int = 1,
        tls: tuple[Path, Path] | None = None,
        before: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.stage = Stage(directory / "var" / "stage")
        self.log = directory / "receiver.log"
        self._path = directory / "hookmart.toml"
        self._path.write_text(configuration, encoding="utf-8")
        self._workers = workers
        self._tls = tls
        self._before = before
        self._environ = dict(environ or {})

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as listener, self.log.open("ab") as log:
            self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", self._before + _SERVE),
                    *(str(self._path), str(self._workers), str(listener.fileno())),
                    *(str(path) for path in self._tls or ()),
                ],
                cwd=ROOT,
                env={**os.environ, "ACME_SECRET": SECRET, **self._environ},
                pass_fds=[listener.fileno()],
                stderr=log,
            )
        trusted = ssl.create_default_context(cafile=self._tls[0]) if self._tls else True
        self.client = httpx.Client(base_url=self.url, timeout=20.0, trust_env=False, verify=trusted)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client.get("/healthz")
            except httpx.TransportError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drain it, if it still runs."""
        self.client.close()
        self.stop()

    def post(self, body: bytes, headers: Mapping[str, str] | None = None, *, source: str = "acme") -> httpx.Response:
        """Send *body*, signed well unless *headers* say otherwise."""
        return self.client.post(
            f"/webhooks/{source}", content=body, headers=signature(body) if headers is None else headers
        )

    def reconfigure(self, configuration: str) -> None:
        """Write another configuration, and tell it so."""
        self._path.write_text(configuration, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)

    def figures(self) -> Figures:
        """What it answers to a scrape."""
        return Figures(self.client.get("/metrics").content)

    def staged(self) -> list[StagedLine]:
        """Every whole line that stands in its stage by now, in segments closed or open."""
        while True:
            # In this order, since a segment that closes in between is in both lists rather than in none.
            found = {each.batch_id: each for each in (*self.stage.live_segments(), *self.stage.closed_segments())}
            try:
                return staged_lines([found[batch_id] for batch_id in sorted(found)])
            except FileNotFoundError:
                continue  # it closed since it was listed

    def stop(self) -> int:
        """Drain it; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_START_SECONDS)

    def kill(self) -> None:
        """End it between two instructions."""
        self.process.kill()
        self.process.wait()

    def staged_after_stop(self) -> list[StagedLine]:
        """Everything that stands in the stage once the receiver has drained."""
        self.stop()
        return staged_lines(self.stage.closed_segments())


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; fail if it never is."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def staged_lines(segments: list[Segment]) -> list[StagedLine]:
    """All lines of *segments*, in order."""
    return [line for segment in segments for line in segment.lines()]
