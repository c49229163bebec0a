"""
A build without dbt's runner: the statements that dbt compiled, run by ourselves.

What dbt compiles depends on the project and its variables only, since what is new is a condition in the SQL. So it is
compiled once. dbt's own run costs some 70 ms of processor a model (contexts, caches, renaming, a commit each), which is
many times what a small load needs.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import duckdb

from pipelines.errors import BuildError
from pipelines.mart_changes import ChangedMart
from pipelines.project_graph import Node, ProjectGraph
from pipelines.selection import Selection
from pipelines.warehouse import WarehouseSession

_NEW_ROWS = "new_rows_of_a_build"
_DIFFERING = "differing_keys_of_a_build"
_MARTS = "marts"
"""Schema of what is published."""

_LARGE = 10_000
"""Rows of a mart from which on it costs less to look for those that differ than to write and publish all anew."""


@dataclass(frozen=True, slots=True)
class CompiledModels:
    """
    The project as a build runs it.

    Attributes:
        graph: Of the project.
        sql: What dbt compiled, by id of the model or test.
    """

    graph: ProjectGraph
    sql: Mapping[str, str]

    def run(
        self, session: WarehouseSession, selection: Selection, load_seq: int, on_node: Callable[[str], None]
    ) -> None:
        """
        Bring what *selection* has up to what is loaded, and test it: all of it is there on return, or nothing.

        Raises:
            BuildError: A model or a test failed.
        """
        with session.changing(None):
            session.begin_changes()
            for node in self.graph.nodes.values():
                if node.is_touched and node.name in selection.left_out:
                    _executed(session, node, f"delete from {node.relation}")
            for node, sql in self._in_order(selection.models):
                changed = _brought_up(session, node, sql)
                if node.schema == _MARTS:
                    session.note_changes(changed)
                on_node(node.name)
            session.advance_build(load_seq)
            self._test(session, selection.tests, on_node)

    def run_all(
        self, session: WarehouseSession, tests: Collection[str], load_seq: int, on_node: Callable[[str], None]
    ) -> int:
        """
        Derive every model anew, each in a transaction of its own, then test it all; return how many models there are.

        One transaction over all would take a half more memory and processor with a large history: DuckDB has no
        statistics of rows that have not been committed, and keeps them in memory where they do not fill a row group.

        Raises:
            BuildError: A model or a test failed, or a model has other columns than its contract promises. Models before
                it are new, and the next build has to derive all of them once more.
        """
        models = self._in_order(tuple(node.name for node in self.graph.nodes.values() if not node.is_test))
        session.forget_changes()
        session.make_builds()
        session.forget_builds()
        for schema in sorted({node.schema for node, _ in models}):
            session.execute(f"create schema if not exists {schema}")
            _make_way(session, [node for node, _ in models if node.schema == schema], schema)
        for node, sql in models:
            with session.changing(None):
                _executed(session, node, _anew(node, sql))
                _assert_promised(session, node)
            on_node(node.name)
        session.record_build(load_seq)
        self._test(session, tests, on_node)
        session.settle()
        return len(models)

    def _in_order(self, names: Sequence[str]) -> list[tuple[Node, str]]:
        """Models of these names with their SQL, in an order in which they can run."""
        wanted = set(names)
        order = TopologicalSorter({key: node.parents for key, node in self.graph.nodes.items()}).static_order()
        found = ((self.graph.nodes[key], self.sql[key]) for key in order if key in self.sql)
        return [(node, sql) for node, sql in found if node.name in wanted and not node.is_test]

    def _test(self, session: WarehouseSession, names: Collection[str], on_node: Callable[[str], None]) -> None:
        for key, node in self.graph.nodes.items():
            if node.is_test and node.name in names:
                [(failures,)] = _executed(session, node, f"select count(*) from ({self.sql[key]}) as failures")
                if failures:
                    raise GateError(f"{node.name}: Got {failures} results, configured to fail if != 0")
                on_node(node.name)


class GateError(BuildError):
    """What was built is not what it should be."""


def _brought_up(session: WarehouseSession, node: Node, sql: str) -> ChangedMart:
    """Bring a model up to what is loaded; return what changed of it."""
    if node.keys:
        _executed(session, node, _replacing(node, sql))
        return ChangedMart(node.name, node.keys, node.touched_by or _NEW_ROWS)
    if node.schema == _MARTS and node.columns and node.primary_key and _is_large(session, node):
        _executed(session, node, _differing(node, sql, node.columns))
        return ChangedMart(node.name, node.primary_key, _DIFFERING)
    _executed(session, node, _anew(node, sql))
    return ChangedMart(node.name)


def _replacing(node: Node, sql: str) -> str:
    keys = ", ".join(node.keys)
    # Before the rows go, since they may be what the new ones are made of.
    made = _made(sql)
    if node.touched_by:
        # It would stand beside those that are there already, and the gate looks at what was touched.
        made += (
            f"select error('a row of a key that was not touched: ' || to_json(made)) from {_NEW_ROWS} as made"
            f" where not exists (select 1 from {node.touched_by} as touched"
            f" where {' and '.join(f'touched.{key} = made.{key}' for key in node.keys)}) limit 1;"
        )
    return (
        f"{made}delete from {node.relation} where ({keys}) in (select {keys} from {node.touched_by or _NEW_ROWS});"
        f"insert into {node.relation} by name select * from {_NEW_ROWS};"
    )


def _differing(node: Node, sql: str, columns: Iterable[str]) -> str:
    """SQL that makes a mart anew, but leaves the rows where they are that come out as they were."""
    keys = ", ".join(node.primary_key)
    same_key = " and ".join(f"made.{key} = held.{key}" for key in node.primary_key)
    is_other = " or ".join(f"made.{name} is distinct from held.{name}" for name in columns)
    found = ", ".join(f"coalesce(made.{key}, held.{key}) as {key}" for key in node.primary_key)
    return (
        f"{_made(sql)}create or replace temporary table {_DIFFERING} as"
        f" select distinct {found} from {_NEW_ROWS} as made full join {node.relation} as held on {same_key}"
        f" where {is_other};"
        f"delete from {node.relation} where ({keys}) in (from {_DIFFERING});"
        f"insert into {node.relation} by name select * from {_NEW_ROWS} where ({keys}) in (from {_DIFFERING});"
    )


def _made(sql: str) -> str:
    return f"create or replace temporary table {_NEW_ROWS} as ({sql}\n);"


def _is_large(session: WarehouseSession, node: Node) -> bool:
    found = session.execute(
        "select estimated_size from duckdb_tables() where database_name = current_database()"
        " and schema_name = $schema and table_name = $table",
        {"schema": node.schema, "table": node.name},
    )
    return any(rows >= _LARGE for (rows,) in found)


def _anew(node: Node, sql: str) -> str:
    if node.materialized == "view":
        return f"create or replace view {node.relation} as ({sql}\n)"
    if node.columns is None:
        return f"create or replace table {node.relation} as ({sql}\n)"
    # In the order of the contract; what it does not name comes behind, to be found there.
    names = ", ".join(node.columns)
    return f"create or replace table {node.relation} as select {names}, * exclude ({names}) from ({sql}\n)"


def _make_way(session: WarehouseSession, nodes: Sequence[Node], schema: str) -> None:
    """Remove views where a table is to be, and the other way round."""
    kinds = session.execute(
        "select table_name, table_type from information_schema.tables where table_schema = $schema", {"schema": schema}
    )
    views = {name: kind == "VIEW" for name, kind in kinds}
    for node in nodes:
        if views.get(node.name, node.materialized == "view") != (node.materialized == "view"):
            session.execute(f"drop {'view' if views[node.name] else 'table'} {node.relation}")


def _assert_promised(session: WarehouseSession, node: Node) -> None:
    """
    Compare the columns of a model with those of its contract, as dbt does.

    Raises:
        BuildError: They are others.
    """
    if node.columns is None:
        return
    nulls = ", ".join(f"cast(null as {data_type}) as {name}" for name, data_type in node.columns.items())
    promised = _types(session, f"select {nulls}")
    found = _types(session, f"from {node.relation}")
    wrong = [name for name in {**promised, **found} if promised.get(name) != found.get(name)]
    if wrong:
        told = ", ".join(f"{name} is {found.get(name)}, not {promised.get(name)}" for name in wrong)
        raise BuildError(f"{node.name}: this model has an enforced contract that failed: {told}")


def _types(session: WarehouseSession, query: str) -> dict[str, str]:
    return {name: data_type for name, data_type, *_ in session.execute(f"describe {query}")}


def _executed(session: WarehouseSession, node: Node, sql: str) -> list[tuple[Any, ...]]:
    try:
        return session.execute(sql)
    except duckdb.Error as error:
        raise BuildError(f"{node.name}: {error}") from error
