"""Who is measured: hookmart, two that do nothing, and what one would otherwise run."""

import json
import shutil
import sqlite3
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from benchmarks.rival_environments import Environments, NotRunnable
from benchmarks.running_server import HOOKMART, Command
from benchmarks.signed_bodies import SECRET, SIGNATURE_HEADER
from ingest.staging import Stage

_BENCHMARKS = Path(__file__).parent
_SQLALCHEMY = "sqlalchemy==2.1.9"
_HOOKSPOOL = "hookspool==0.2.0"


class Contender(ABC):
    """
    A server that receives webhooks.

    Attributes:
        name: To choose it by.
        title: To show.
        keeps: What has become of an event when its sender is told 2xx.
        path: To which events are posted.
        is_verifying: Whether it refuses a signature that is wrong.
        workers: Processes that answer.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    keeps: ClassVar[str]
    path: ClassVar[str] = "/webhooks/bench"
    is_verifying: ClassVar[bool] = True
    workers: ClassVar[int] = 1

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    def prepare(self) -> None:  # noqa: B027  # most need nothing
        """
        Get what it needs; once, before the first run.

        Raises:
            NotRunnable: It cannot be run here.
        """

    @abstractmethod
    def command(self, directory: Path, port: int) -> Command:
        """Start it in *directory*, which is empty, on *port* of the loopback address."""

    def kept(self, directory: Path) -> int | None:
        """How many events stand on the disk once it has stopped; None for one that keeps none."""
        del directory
        return None


class Hookmart(Contender):
    """Ours, as a user starts it."""

    name = "hookmart"
    title = "**hookmart**"
    keeps = "verified, contract checked, synced"

    def command(self, directory: Path, port: int) -> Command:
        """Write a configuration of one source, and serve it."""
        configuration = directory / "hookmart.toml"
        configuration.write_text('[sources.bench]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:BENCH_SECRET"]\n')
        serve = [*HOOKMART, "serve", "--config", str(configuration), "--port", str(port)]
        return Command([*serve, "--workers", str(self.workers)], {"BENCH_SECRET": SECRET})

    def kept(self, directory: Path) -> int:
        """Count the accepted lines of the stage."""
        stage = Stage(directory / "var" / "stage")
        stage.recover()
        return sum(line.outcome == "accepted" for segment in stage.closed_segments() for line in segment.lines())


class HookmartTwoWorkers(Hookmart):
    """Ours, with a second process on the same port and stage."""

    name = "hookmart-2"
    title = "**hookmart**, 2 workers"
    workers = 2


class NoopFastapi(Contender):
    """A route that reads and forgets."""

    name = "noop-fastapi"
    title = "no-op FastAPI route"
    keeps = "nothing"
    is_verifying = False

    def command(self, directory: Path, port: int) -> Command:
        """Serve it with uvicorn."""
        del directory
        return _uvicorn("benchmarks.rivals.noop_fastapi:app", port)


class NoopAsgi(Contender):
    """An application that reads and forgets."""

    name = "noop-asgi"
    title = "no-op ASGI application"
    keeps = "nothing"
    is_verifying = False

    def command(self, directory: Path, port: int) -> Command:
        """Serve it with uvicorn."""
        del directory
        return _uvicorn("benchmarks.rivals.noop_asgi:app", port)


class Tutorial(Contender):
    """FastAPI, Pydantic, SQLAlchemy and SQLite, a commit per request."""

    name = "tutorial"
    title = "FastAPI + SQLAlchemy + SQLite"
    keeps = "verified, committed one by one, synced"

    def prepare(self) -> None:
        """Install SQLAlchemy."""
        self._environments.python_packages("sqlalchemy", _SQLALCHEMY)

    def command(self, directory: Path, port: int) -> Command:
        """Serve it with uvicorn."""
        return _uvicorn(
            "benchmarks.rivals.tutorial:app",
            port,
            self._environments.python_packages("sqlalchemy", _SQLALCHEMY),
            {"BENCH_SECRET": SECRET, "BENCH_DATABASE": f"sqlite:///{directory / 'events.db'}"},
        )

    def kept(self, directory: Path) -> int:
        """Count the rows."""
        return _rows(directory / "events.db", "webhook_events")


class Fastify(Contender):
    """Node, with one synced commit for all requests that wait for it."""

    name = "fastify"
    title = "Fastify + better-sqlite3, commits shared"
    keeps = "verified, committed together, synced"

    def prepare(self) -> None:
        """Install Fastify, and compile better-sqlite3."""
        self._folder()

    def command(self, directory: Path, port: int) -> Command:
        """Serve it with node."""
        node = shutil.which("node")
        if node is None:
            raise NotRunnable("node is not installed")
        server = self._folder() / "server.js"
        return Command([node, str(server), str(directory / "events.db"), str(port)], {"BENCH_SECRET": SECRET})

    def kept(self, directory: Path) -> int:
        """Count the rows."""
        return _rows(directory / "events.db", "webhook_events")

    def _folder(self) -> Path:
        return self._environments.node_packages("fastify", _BENCHMARKS / "rivals" / "fastify")


class DebianWebhook(Contender):
    """The small server that runs a command for each request."""

    name = "webhook"
    title = "webhook 2.8 + a command that appends"
    keeps = "verified, appended, not synced"
    path = "/hooks/bench"

    def prepare(self) -> None:
        """Look for it."""
        if shutil.which("webhook") is None:
            raise NotRunnable("Debian's package `webhook` is not installed")

    def command(self, directory: Path, port: int) -> Command:
        """Write one hook, which answers once its command has ended."""
        append = directory / "append.sh"
        append.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{directory / 'events.jsonl'}'\n")
        append.chmod(0o755)
        signature = {
            "type": "payload-hmac-sha256",
            "secret": SECRET,
            "parameter": {"source": "header", "name": SIGNATURE_HEADER},
        }
        hook = {
            "id": "bench",
            "execute-command": str(append),
            "include-command-output-in-response": True,
            "pass-arguments-to-command": [{"source": "raw-request-body"}],
            "trigger-rule-mismatch-http-response-code": 401,
            "trigger-signature-soft-failures": True,
            # Within an "or", a wrong signature is a mismatch; by itself it would be an error, and answered 500.
            "trigger-rule": {"or": [{"match": signature}]},
        }
        hooks = directory / "hooks.json"
        hooks.write_text(json.dumps([hook]))
        return Command(["webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)])

    def kept(self, directory: Path) -> int:
        """Count the lines."""
        with (directory / "events.jsonl").open("rb") as file:
            return sum(1 for _ in file)


class Hookspool(Contender):
    """The intake of a durable spool in SQLite, with a thread per connection."""

    name = "hookspool"
    title = "hookspool 0.2, its intake"
    keeps = "verified, committed one by one, synced"
    path = "/hooks/bench"

    def prepare(self) -> None:
        """Install it."""
        self._packages()

    def command(self, directory: Path, port: int) -> Command:
        """
        Write a configuration, make the spool, and serve.

        Its default of 16 threads, each of which keeps a connection, would leave the others waiting.
        """
        secret = directory / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        (directory / "config.toml").write_text(
            f"""\
[intake]
listen = "127.0.0.1:{port}"
threads = 512

[bobbins.bench]
bobbin = "hookspool.webhook"
settings = {{ scheme = "hmac-sha256-hex", header = "{SIGNATURE_HEADER}", key = ["id"], sender_retries = true }}
secrets.secret = {{ file = "{secret}" }}
outputs = {{ "*" = "script:nowhere" }}

[destinations."script:nowhere"]
type = "script"
argv = ["true"]
"""
        )
        hookspool = f"{sys.executable} -m hookspool --home '{directory}'"
        environ = {"PYTHONPATH": str(self._packages())}
        return Command(["/bin/sh", "-c", f"{hookspool} migrate && exec {hookspool} intake"], environ)

    def kept(self, directory: Path) -> int:
        """Count the rows."""
        return _rows(directory / "spool.db", "events")

    def _packages(self) -> Path:
        return self._environments.python_packages("hookspool", _HOOKSPOOL)


CONTENDERS: tuple[type[Contender], ...] = (
    Hookmart,
    NoopFastapi,
    NoopAsgi,
    Fastify,
    Hookspool,
    Tutorial,
    DebianWebhook,
    HookmartTwoWorkers,
)
"""In the order in which they take turns, and are shown."""


def _uvicorn(
    application: str, port: int, packages: Path | None = None, environ: dict[str, str] | None = None
) -> Command:
    # The flags are those that hookmart itself gives the server.
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]
    path = [str(_BENCHMARKS.parent), *([str(packages)] if packages else [])]
    return Command(
        [sys.executable, "-m", "uvicorn", application, "--port", str(port), *options],
        {"PYTHONPATH": ":".join(path), **(environ or {})},
    )


def _rows(database: Path, table: str) -> int:
    with sqlite3.connect(database) as connection:
        count: int = connection.execute(f"select count(*) from {table}").fetchone()[0]
    connection.close()
    return count
