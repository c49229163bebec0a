"""A PostgreSQL server of its own, a real process, for tests."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from uuid import uuid4

import psycopg2

_PACKAGED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_DIRECTORIES = (*_PACKAGED, *map(Path, os.environ.get("PATH", "").split(os.pathsep)))
PROGRAMS = next((path for path in _DIRECTORIES if (path / "initdb").exists() and (path / "postgres").exists()), None)
"""Where PostgreSQL's programs are; None where it is not installed."""


class PostgresServer:
    """
    Runs while the `with` block does, on a port of its own; trusts everyone on this machine.

    Its text sorts by an English locale, as most servers' does, so that an order that depends on the locale shows.
    """

    def __init__(self) -> None:
        # Not pytest's directory: that one is closed to the user the server runs as.
        self._directory = TemporaryDirectory(prefix="postgres-")
        self.data = Path(self._directory.name) / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """Where *database* is, as a client wants it."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run *sql* as the administrator, outside of a transaction."""
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    def make_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"programme_{uuid4().hex[:8]}"
        self.execute(f"create database {name}")
        return name

    def guard(self, user: str, password: str) -> None:
        """Make a role that has to give its password."""
        self.execute(f"create role {user} login password '{password}'")
        access = self.data / "pg_hba.conf"
        access.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n" + access.read_text())
        self.execute("select pg_reload_conf()")

    def stop(self) -> None:
        """Go down as after a power cut."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def start(self) -> None:
        """Come up, on the same port."""
        options = f"-p {self.port} -k {self.data} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "-o", options, "start")

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self._directory.name, "postgres")
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync",
                  "--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8")  # fmt: skip
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._directory.cleanup()

    @staticmethod
    def _run(program: str, *arguments: str | Path) -> None:
        assert PROGRAMS is not None
        user = pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else None
        subprocess.run([PROGRAMS / program, *arguments], user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
