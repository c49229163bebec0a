"""Another process that holds a loader's lock or its warehouse, and a loader that does not wait for long."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
from tests.line import Line

HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
HOLD_WAREHOUSE = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(script: str, path: Path) -> Iterator[Callable[[], None]]:
    """Run *script* on *path* until the block ends or what is yielded is called."""
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.stdin.close
        holder.stdin.close()


def impatient(line: Line, told: list[str], patience: float = 0.3) -> Loader:
    """The loader of *line*, soon giving up and writing down its notices."""
    warehouse = DuckDBWarehouse(line.warehouse.database, patience=patience, notice=told.append)
    return replace(line.loader, warehouse=warehouse, notice=told.append)
