"""
The marts as a file that readers open: a new immutable generation for every build, and one symlink that names it.

A reader that is connected keeps its generation; a new connection gets the newest. The symlink is of the directory, not
of the file: a client that held a renamed path went on reading the old rows without an error, and a symlink of the file
would give the catalog another name at each build.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from pipelines.errors import NotPublishedError

FILE_NAME = "marts.duckdb"
CURRENT = "current"
KEPT_GENERATIONS = 3

PUBLISHED_NOTE = "published"
"""In the build's state: what readers have, where they read the warehouse itself."""

_STORAGE_VERSION = "v1.4.0"
_SCHEMA = "marts"


def publish(connection: duckdb.DuckDBPyConnection, published: Path, load_seq: int) -> Path:
    """
    Copy schema `marts` of the open warehouse to a new generation, make it the current one, and return its directory.

    Killed anywhere, readers keep the generation before; what was half made is removed by the next publication.
    """
    published.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(published)
    work = published / f".making-{uuid4().hex}"
    work.mkdir()
    _copy_marts(connection, work / FILE_NAME)
    sync_file(work / FILE_NAME)
    sync_file(work)
    generation = _free_name(published, load_seq)
    work.rename(generation)
    sync_file(published)
    link = published / f".{CURRENT}-{uuid4().hex}"
    link.symlink_to(generation.name)
    link.replace(published / CURRENT)
    sync_file(published)
    _remove_old(published, generation)
    return generation


def _copy_marts(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    quoted = str(path).replace("'", "''")
    connection.execute(f"attach '{quoted}' as publication (storage_version '{_STORAGE_VERSION}')")
    try:
        connection.execute(f"create schema publication.{_SCHEMA}")
        tables = connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = current_database() and table_schema = ? order by table_name",
            [_SCHEMA],
        ).fetchall()
        for (table,) in tables:
            connection.execute(f'create table publication.{_SCHEMA}."{table}" as from {_SCHEMA}."{table}"')
        # The session has DuckDB leave its log where it is; a reader would have to read all of it again, each time.
        connection.execute("checkpoint publication")
    finally:
        connection.execute("detach publication")


def _free_name(published: Path, load_seq: int) -> Path:
    """`gen-<load_seq>`; a further build of the same loads gets `.2`, `.3`, because a generation is never changed."""
    name = published / f"gen-{load_seq}"
    attempt = 2
    while name.exists():
        name = published / f"gen-{load_seq}.{attempt}"
        attempt += 1
    return name


def _remove_leftovers(published: Path) -> None:
    for leftover in published.glob(".making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in published.glob(f".{CURRENT}-*"):
        leftover.unlink(missing_ok=True)


def _remove_old(published: Path, newest: Path) -> None:
    """Remove all but the newest three; a reader that still has an older one open keeps it until it closes."""
    generations = sorted(
        (path for path in published.glob("gen-*") if path != newest),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    for old in generations[KEPT_GENERATIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def remove_others(published: Path) -> None:
    """Remove all generations but the current one; a reader that has one of them open keeps it until it closes."""
    if not (published / CURRENT).exists():
        return
    current = (published / CURRENT).resolve().name
    for path in published.glob("gen-*"):
        if path.name != current:
            shutil.rmtree(path)
    _remove_leftovers(published)
    sync_file(published)


def sync_file(path: Path) -> None:
    """Bring the content of a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_published(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open the current generation for reading, its marts in reach as `conversions` and as `marts.conversions`.

    Raises:
        NotPublishedError: No build has published yet.
    """
    path = published / CURRENT / FILE_NAME
    if not path.exists():
        raise NotPublishedError(f"Nothing is published at {path}; run `hookmart load` and `hookmart build` first.")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        # Attached under another name: a catalog `marts` with a schema `marts` makes `marts.conversions` ambiguous.
        quoted = str(path).replace("'", "''")
        connection.execute(f"attach '{quoted}' as published (read_only)")
        connection.execute(f"use published.{_SCHEMA}")
        yield connection
