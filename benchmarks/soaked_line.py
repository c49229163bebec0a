"""The line under soak: a configuration, `hookmart up` that can be killed, and the platform that posts to it."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running_server import HOOKMART, Command, RunningServer, ServerFailed, free_port

SOURCE, PROBES = "platform", "probes"
SECRET = "0123456789abcdef0123456789abcdef-soak"  # noqa: S105  # of a receiver that lives for ten minutes, on this machine
LOG, TRUTH, SENT = "deliveries.sqlite", "truth.jsonl", "sent.json"
_CONFIGURATION = f"""\
# Stripe's scheme signs a time, so every fault can be noticed.
[sources.{SOURCE}]
scheme = "stripe"
secrets = ["env:SOAK_SECRET"]

[sources.{PROBES}]
scheme = "hmac-sha256-hex"
secrets = ["env:SOAK_SECRET"]
"""
VICTIMS = ("all of up", "up alone", "the receiver", "the sender")
_ORPHAN_SECONDS = 40.0
_DRAIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """
    What the platform posts.

    Attributes:
        events: Distinct ones.
        rate: Events a second.
        faults: As `simulate --faults` takes them.
        speed_up: Of the sender's waits.
    """

    events: int
    partners: int
    rate: float
    seed: int
    faults: str
    speed_up: float


class SoakedLine:
    """
    `hookmart up` in *directory*, started again after each kill, always on the same port.

    Attributes:
        kills: How often each process was killed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "hookmart.toml"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kills: dict[str, int] = dict.fromkeys(VICTIMS, 0)
        self.environ = {"SOAK_SECRET": SECRET, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        directory.mkdir(parents=True)
        self.config.write_text(_CONFIGURATION, encoding="utf-8")
        command = Command([*HOOKMART, "up", "--port", str(self.port)], self.environ)
        self._server = RunningServer(command, directory, self.port, None)

    def start(self) -> None:
        """
        Start it, and wait until it listens.

        Raises:
            ServerFailed: It did not, or what a killed one left goes on listening.
        """
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while _is_listening(self.port):
            if time.monotonic() > deadline:
                raise ServerFailed("The receiver of a killed `hookmart up` goes on listening.")
            time.sleep(0.05)
        self._server.__enter__()

    def is_running(self) -> bool:
        """Whether its main process runs."""
        return self._server.process.poll() is None

    def kill(self, victim: str) -> None:
        """
        Kill one of VICTIMS, the sender apart, between two instructions; return once the main process is gone.

        Raises:
            ServerFailed: It goes on without a receiver.
        """
        main = self._server.process.pid
        if victim == "all of up":
            os.killpg(main, signal.SIGKILL)
        else:
            os.kill(main if victim == "up alone" else _receiver_of(main), signal.SIGKILL)
        self.kills[victim] += 1
        try:
            # Without a receiver it has no reason to go on: it drains, and ends.
            self._server.process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"`hookmart up` went on for {_DRAIN_SECONDS:g} s after a kill of {victim}.") from None

    def stop(self) -> int:
        """Drain it; its exit code."""
        self._server.stop()
        return self._server.process.returncode

    def end(self) -> None:
        """Leave nothing running."""
        if self.is_running():
            self._server.__exit__(None, None, None)

    def resident_bytes(self) -> int:
        """The memory that its processes hold now."""
        return self._server.resident_bytes()

    def status(self) -> subprocess.CompletedProcess[str]:
        """What `hookmart status --json` says."""
        return self.run("status", "--json")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What a command of hookmart says in its directory."""
        return subprocess.run(  # noqa: S603  # ours
            [*HOOKMART, *arguments],
            cwd=self.directory,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=False,
        )


class Platform:
    """`hookmart simulate`, which can be killed and goes on by its log."""

    def __init__(self, line: SoakedLine, traffic: Traffic) -> None:
        self._line = line
        self.process: subprocess.Popen[bytes] | None = None
        self._programme = (
            "simulate", "--source", SOURCE, "--events", str(traffic.events), "--partners", str(traffic.partners),
            "--seed", str(traffic.seed),
        )  # fmt: skip
        self._posting = (
            "--url", line.url, "--rate", str(traffic.rate), "--faults", traffic.faults, "--speed-up",
            str(traffic.speed_up), "--log", LOG, "--journal", TRUTH, "--json",
        )  # fmt: skip

    def start(self) -> None:
        """Begin, or go on where it was."""
        with (
            (self._line.directory / SENT).open("wb") as sent,
            (self._line.directory / "simulate.log").open("ab") as log,
        ):
            self.process = subprocess.Popen(  # noqa: S603  # ours
                [*HOOKMART, *self._programme, *self._posting],
                cwd=self._line.directory,
                env={**os.environ, **self._line.environ},
                stdout=sent,
                stderr=log,
            )

    def is_running(self) -> bool:
        """Whether it still posts."""
        return self.process is not None and self.process.poll() is None

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def check(self) -> subprocess.CompletedProcess[str]:
        """What comes of comparing its truth with the marts."""
        return self._line.run(*self._programme, "--check")

    def kill(self) -> None:
        """End it between two instructions."""
        self.end()
        self._line.kills["the sender"] += 1


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _receiver_of(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    for pid in children:
        # The other child is a helper that multiprocessing starts.
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise ServerFailed("`hookmart up` has no receiver.")
