"""DuckDB's extensions out of installed packages, so that nothing is fetched at run time."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import duckdb

_SUFFIX = ".duckdb_extension"


def extension_directory(names: Sequence[str], state: Path) -> Path:
    """
    Return a directory in which DuckDB finds the extensions *names*, of the packages `duckdb_extension_<name>`.

    Args:
        names: As DuckDB calls them.
        state: Where the directory is made; it holds links only.

    Raises:
        ModuleNotFoundError: A package is not installed.
        ValueError: It is not for the DuckDB that is; the message says so.
    """
    version = f"v{duckdb.__version__}"
    with duckdb.connect() as connection:
        [(platform,)] = connection.execute("pragma platform").fetchall()
    root = state / "extensions"
    directory = root / version / platform
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        package = Path(next(iter(importlib.import_module(f"duckdb_extension_{name}").__path__)))
        file = package / "extensions" / version / f"{name}{_SUFFIX}"
        if not file.exists():
            raise ValueError(
                f"the package duckdb-extension-{name} is not for DuckDB {duckdb.__version__}; "
                "install the versions that requirements.lock names"
            )
        link = directory / file.name
        if not link.exists() or link.resolve() != file.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())
    return root
