"""
The marts as a file that readers open: a new immutable generation for every build, and one symlink that names it.

A generation is made of one that leaves, where nobody has it open any more, or of a copy of the current one: it gets the
rows that changed since. All rows are copied where it is not known what changed, and where much of a file is gaps.

A reader that is connected keeps its generation; a new connection gets the newest. The symlink is of the directory, not
of the file: a client that held a renamed path went on reading the old rows without an error, and a symlink of the file
would give the catalog another name at each build.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from pipelines.errors import NotPublishedError
from pipelines.mart_changes import KnownGeneration, MartChanges
from pipelines.sql_literals import sql_text

FILE_NAME = "marts.duckdb"
CURRENT = "current"
KEPT_GENERATIONS = 3

PUBLISHED_NOTE = "published"
"""In the build's state: what readers have, where they read the warehouse itself."""

_STORAGE_VERSION = "v1.4.0"
_SCHEMA = "marts"
_CATALOG = "publication"
_SMALL = 16 * 1024 * 1024


def publish(
    connection: duckdb.DuckDBPyConnection, published: Path, load_seq: int, changes: MartChanges | None = None
) -> Path:
    """
    Bring schema `marts` of the open warehouse to a new generation, make it the current one, and return its directory.

    *changes* say what is new since which generation; without them all is copied. Killed anywhere, readers keep the
    generation before; what was half made is removed by the next publication.
    """
    published.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(published)
    work = published / f".making-{uuid4().hex}"
    known = changes.generations(published) if changes is not None else {}
    base = _base(published, work, known)
    if changes is None or base is None or not _is_brought_up(connection, work / FILE_NAME, changes, base):
        base = None
        shutil.rmtree(work, ignore_errors=True)
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
    if changes is not None:
        made = generation / FILE_NAME
        changes.record(made, tuple(known.values()), base.whole_bytes if base else made.stat().st_size)
    return generation


def _base(published: Path, work: Path, known: Mapping[str, KnownGeneration]) -> KnownGeneration | None:
    """Put a known generation into *work*, which is not there yet; None where there is none to bring up to date."""
    current = (published / CURRENT).resolve().name
    for old in reversed(_generations(published)[KEPT_GENERATIONS - 1 :]):
        if old.name == current or old.name not in known or _is_full_of_gaps(known[old.name]):
            continue
        # First out of every reader's sight, then the look whether one has it open: then none can come any more.
        old.rename(work)
        if not _is_shared(work / FILE_NAME):
            return known[old.name]
        shutil.rmtree(work)
    if current in known and not _is_full_of_gaps(known[current]):
        work.mkdir()
        shutil.copyfile(published / current / FILE_NAME, work / FILE_NAME)
        return known[current]
    return None


def _is_full_of_gaps(generation: KnownGeneration) -> bool:
    return generation.path.stat().st_size > generation.whole_bytes * 2 + _SMALL


def _is_shared(path: Path) -> bool:
    """Return whether anybody has the file open, or may open it by another name; where the kernel cannot tell, yes."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if os.fstat(descriptor).st_nlink > 1:
            return True
        # Only who is alone with a file is given a lease to write it.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):
        return True
    finally:
        os.close(descriptor)
    return False


def _is_brought_up(
    connection: duckdb.DuckDBPyConnection, path: Path, changes: MartChanges, base: KnownGeneration
) -> bool:
    """Bring *path*, which holds the marts of *base*, up to date; false where that did not come out."""
    try:
        with _attached(connection, path):
            connection.begin()
            try:
                changes.apply(base.build, _CATALOG)
                connection.commit()
            except duckdb.Error:
                connection.rollback()
                raise
            connection.execute(f"checkpoint {_CATALOG}")
            counts = (_row_counts(connection, name) for name in ("current_database()", f"'{_CATALOG}'"))
            return next(counts) == next(counts)
    except duckdb.Error:
        return False


def _row_counts(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, int]:
    tables = connection.execute(
        "select table_catalog, table_name from information_schema.tables "
        f"where table_catalog = {catalog} and table_schema = ?",
        [_SCHEMA],
    ).fetchall()
    counts = " union all ".join(
        f"""select '{table}', count(*) from "{name}".{_SCHEMA}."{table}" """ for name, table in tables
    )
    return dict(connection.execute(counts).fetchall()) if tables else {}


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    connection.execute(f"attach {sql_text(path)} as {_CATALOG} (storage_version '{_STORAGE_VERSION}')")
    try:
        yield
    finally:
        connection.execute(f"detach {_CATALOG}")


def _copy_marts(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    with _attached(connection, path):
        connection.execute(f"create schema {_CATALOG}.{_SCHEMA}")
        tables = connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = current_database() and table_schema = ? order by table_name",
            [_SCHEMA],
        ).fetchall()
        for (table,) in tables:
            connection.execute(f'create table {_CATALOG}.{_SCHEMA}."{table}" as from {_SCHEMA}."{table}"')
        # The session has DuckDB leave its log where it is; a reader would have to read all of it again, each time.
        connection.execute(f"checkpoint {_CATALOG}")


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
    for old in [path for path in _generations(published) if path != newest][KEPT_GENERATIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _generations(published: Path) -> list[Path]:
    """Newest first: by age and not by number."""
    return sorted(published.glob("gen-*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


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
        connection.execute(f"attach {sql_text(path)} as published (read_only)")
        connection.execute(f"use published.{_SCHEMA}")
        yield connection
