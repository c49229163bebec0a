"""
What each build changed of the marts, kept until every generation that readers still have includes it.

A generation can then be brought up to a newer build by its changes, which costs what changed and not what there is. The
notes stand in the warehouse, in schema `changes`, and are written in the build's own transaction:

    builds          one row: the newest build, and by whose runs of dbt the marts were made
    marts           which mart a build changed: rows by their keys, or wholly
    keys_<mart>     the keys whose rows a build replaced
    generations     the files that hold the marts as after a build
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

_SCHEMA = "changes"
_MOST_CHANGED = 0.25
"""Of a mart's keys: from there on it is cheaper to copy it."""


@dataclass(frozen=True, slots=True)
class ChangedMart:
    """
    How a build changes a mart.

    Attributes:
        keys: Of what it replaces; none where it makes the mart wholly anew.
        touched: The relation with the keys that it replaces.
    """

    name: str
    keys: tuple[str, ...] = ()
    touched: str = ""


@dataclass(frozen=True, slots=True)
class KnownGeneration:
    """
    A file that holds the marts as after a build.

    Attributes:
        build: Its number.
        whole_bytes: Its size when it was last copied wholly: what was replaced since leaves gaps.
    """

    path: Path
    build: int
    whole_bytes: int


@dataclass(frozen=True, slots=True)
class MartChanges:
    """The notes, by way of the open warehouse."""

    connection: duckdb.DuckDBPyConnection

    def begin(self) -> None:
        """Count a build, within its transaction; where others have changed the marts, what is noted is of no use."""
        noted, made_by = self._newest_build(), self._made_by()
        if noted is None or noted[1] != made_by:
            self.forget()
            self._make_tables(made_by)
        self.connection.execute(f"update {_SCHEMA}.builds set build = build + 1")

    def note(self, mart: ChangedMart) -> None:
        """Note what this build did to *mart*."""
        if not mart.keys or self._is_changed_much(mart):
            self._note(mart.name, "")
            return
        keys = ", ".join(mart.keys)
        table = f'{_SCHEMA}."keys_{mart.name}"'
        noted = f"select distinct (select build from {_SCHEMA}.builds) as noted_build, {keys} from {mart.touched}"
        self.connection.execute(f"create table if not exists {table} as ({noted} limit 0)")
        self.connection.execute(f"insert into {table} by name {noted}")
        self._note(mart.name, keys)

    def forget(self) -> None:
        """Have no generation brought up to date that there is now."""
        self.connection.execute(f"drop schema if exists {_SCHEMA} cascade")

    def generations(self, published: Path) -> dict[str, KnownGeneration]:
        """Return, by the name of its directory, every file below *published* that is still what was recorded."""
        if self._newest_build() is None:
            return {}
        rows = self.connection.execute(f"from {_SCHEMA}.generations").fetchall()
        found = {}
        for build, name, file_name, inode, size, changed_ns, whole_bytes in rows:
            path = published / name / file_name
            if _identity(path) == (inode, size, changed_ns):
                found[name] = KnownGeneration(path, build, whole_bytes)
        return found

    def apply(self, build: int, catalog: str) -> None:
        """
        Bring the marts in *catalog*, an attached file that holds them as after *build*, to what they are now.

        Raises:
            duckdb.Error: They could not be.
        """
        execute = self.connection.execute
        present, wanted = self._tables(f"'{catalog}'"), self._tables("current_database()")
        # No keys come before any: a mart that was made anew once since is copied.
        noted = execute(
            f"select mart, min(keys) from {_SCHEMA}.marts where build > $build group by mart", {"build": build}
        ).fetchall()
        changes = dict(noted)
        for mart in sorted(present - wanted):
            execute(f'drop table {catalog}.marts."{mart}"')
        for mart in sorted(wanted):
            source, target = f'marts."{mart}"', f'{catalog}.marts."{mart}"'
            keys = changes.get(mart, "")
            if mart in present and keys:
                changed = f'({keys}) in (select {keys} from {_SCHEMA}."keys_{mart}" where noted_build > {build})'
                execute(f"delete from {target} where {changed}")
                # Builds put what they replaced behind all else, and by its place only that end of the table is read:
                # of the keys DuckDB would first read every column of every row.
                places = f"select rowid from {source} where {changed}"
                execute(f"insert into {target} by name from {source} where rowid in ({places})")
            elif mart not in present or mart in changes:
                execute(f"create or replace table {target} as from {source}")

    def record(self, path: Path, known: Sequence[KnownGeneration], whole_bytes: int) -> None:
        """Record that *path* holds the marts as they are now, and drop what neither it nor *known* lack."""
        noted = self._newest_build()
        if noted is None:
            self._make_tables(self._made_by())
        build = noted[0] if noted else 0
        self.connection.begin()
        self.connection.execute(f"delete from {_SCHEMA}.generations")
        for each in (*known, KnownGeneration(path, build, whole_bytes)):
            identity = _identity(each.path)
            if identity is not None:
                values = [each.build, each.path.parent.name, each.path.name, *identity, each.whole_bytes]
                self.connection.execute(f"insert into {_SCHEMA}.generations values (?, ?, ?, ?, ?, ?, ?)", values)
        oldest = f"(select min(build) from {_SCHEMA}.generations)"
        for (table,) in self.connection.execute(
            "select table_name from information_schema.tables where table_catalog = current_database()"
            f" and table_schema = '{_SCHEMA}'"
        ).fetchall():
            if table == "marts":
                self.connection.execute(f"delete from {_SCHEMA}.marts where build <= {oldest}")
            elif table.startswith("keys_"):
                self.connection.execute(f'delete from {_SCHEMA}."{table}" where noted_build <= {oldest}')
        self.connection.commit()

    def _note(self, mart: str, keys: str) -> None:
        self.connection.execute(
            f"insert into {_SCHEMA}.marts select build, $mart, $keys from {_SCHEMA}.builds",
            {"mart": mart, "keys": keys},
        )

    def _is_changed_much(self, mart: ChangedMart) -> bool:
        counts = self.connection.execute(
            f'select (select count(*) from {mart.touched}), (select count(*) from marts."{mart.name}")'
        ).fetchone()
        return counts is None or counts[0] > counts[1] * _MOST_CHANGED

    def _newest_build(self) -> tuple[int, str] | None:
        found = self.connection.execute(
            "select count(*) from information_schema.tables where table_catalog = current_database()"
            f" and table_schema = '{_SCHEMA}' and table_name = 'builds'"
        ).fetchone()
        if found is None or not found[0]:
            return None
        row = self.connection.execute(f"select build, made_by from {_SCHEMA}.builds").fetchone()
        return (int(row[0]), str(row[1])) if row else None

    def _made_by(self) -> str:
        """Return what is another text once anybody has run the models by dbt."""
        row = self.connection.execute(
            "select string_agg(invocation_id, ' ' order by invocation_id) from intermediate.builds"
        ).fetchone()
        return str(row[0]) if row else ""

    def _make_tables(self, made_by: str) -> None:
        execute = self.connection.execute
        execute(f"create schema {_SCHEMA}")
        execute(
            f"create table {_SCHEMA}.builds as select 0::bigint as build, $made_by as made_by", {"made_by": made_by}
        )
        execute(f"create table {_SCHEMA}.marts (build bigint, mart varchar, keys varchar)")
        execute(
            f"create table {_SCHEMA}.generations (build bigint, name varchar, file_name varchar, inode ubigint,"
            " bytes bigint, changed_ns bigint, whole_bytes bigint)"
        )

    def _tables(self, catalog: str) -> set[str]:
        rows = self.connection.execute(
            "select table_name from information_schema.tables"
            f" where table_catalog = {catalog} and table_schema = 'marts'"
        )
        return {table for (table,) in rows.fetchall()}


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return what no other file has, nor this one once it was changed."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
