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
        self._data = Path(self._directory.name) / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def environment(self) -> dict[str, str]:
        """Where libpq finds it."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self._directory.name, "postgres")
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync",
                  "--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8")  # fmt: skip
        options = f"-p {self.port} -k {self._data} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._data / "log", "-o", options, "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        self._directory.cleanup()

    @staticmethod
    def _run(program: str, *arguments: str | Path) -> None:
        assert PROGRAMS is not None
        user = pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else None
        subprocess.run([PROGRAMS / program, *arguments], user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
