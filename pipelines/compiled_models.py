"""
An incremental build without dbt's runner: the statements that dbt compiled, run by ourselves in one transaction.

What dbt compiles for an incremental run depends on the project and its variables only, since what is new is a condition
in the SQL. So it is compiled once in a process. dbt's own run costs some 70 ms of processor a model (contexts, caches,
renaming, checking again what a full build has checked), which is many times what a small load needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines.errors import BuildError
from pipelines.selection import Selection
from pipelines.warehouse import WarehouseSession

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_NEW_ROWS = "new_rows_of_a_build"
_TOUCHED = "touched"
"""Folder of the models that are tables of touched keys."""


@dataclass(frozen=True, slots=True)
class CompiledModels:
    """
    The project as an incremental build runs it, each in the order in which it can run.

    Attributes:
        models: Statements by name of the model.
        tests: The query of what is wrong, by name of the test.
        forgetting: What empties a table of touched keys, by name of its model.
    """

    models: Mapping[str, str]
    tests: Mapping[str, str]
    forgetting: Mapping[str, str]

    def run(
        self, session: WarehouseSession, selection: Selection, load_seq: int, on_node: Callable[[str], None]
    ) -> None:
        """
        Bring what *selection* has up to what is loaded, and test it: all of it is there on return, or nothing.

        Raises:
            BuildError: A model or a test failed.
        """
        selected = set(selection.models)
        with session.changing(None):
            for name in self.forgetting.keys() - selected:
                _executed(session, name, self.forgetting[name])
            for name, statements in self.models.items():
                if name in selected:
                    _executed(session, name, statements)
                    on_node(name)
            session.advance_build(load_seq)
            for name in selection.tests:
                [(failures,)] = _executed(session, name, f"select count(*) from ({self.tests[name]}) as failures")
                if failures:
                    raise GateError(f"{name}: Got {failures} results, configured to fail if != 0")
                on_node(name)


class GateError(BuildError):
    """What was built is not what it should be."""


def compiled_models(manifest: "Manifest", compiled: Mapping[str, str]) -> CompiledModels:
    """Return what *compiled* (SQL by id of the node) comes to."""
    parents = {key: manifest.nodes[key].depends_on_nodes for key in compiled}
    order = [key for key in TopologicalSorter(parents).static_order() if key in compiled]
    relations = {node.name: str(node.relation_name) for node in manifest.nodes.values() if node.relation_name}
    models = {}
    tests = {}
    forgetting = {}
    for key in order:
        node: Any = manifest.nodes[key]
        if node.resource_type.value == "test":
            tests[node.name] = compiled[key]
            continue
        models[node.name] = _statements(node, compiled[key], relations)
        if _TOUCHED in node.fqn:
            forgetting[node.name] = f"delete from {node.relation_name}"
    return CompiledModels(models, tests, forgetting)


def _statements(node: Any, sql: str, relations: Mapping[str, str]) -> str:
    table, config = node.relation_name, node.config
    if config.materialized == "table":
        return f"create or replace table {table} as ({sql}\n)"
    keys = ", ".join(config.unique_key)
    touched = relations[config["touched_by"]] if config.incremental_strategy == "touched_keys" else _NEW_ROWS
    # Before the rows go, since they may be what the new ones are made of.
    return (
        f"create or replace temporary table {_NEW_ROWS} as ({sql}\n);"
        f"delete from {table} where ({keys}) in (select {keys} from {touched});"
        f"insert into {table} by name select * from {_NEW_ROWS};"
    )


def _executed(session: WarehouseSession, name: str, sql: str) -> list[tuple[Any, ...]]:
    try:
        return session.execute(sql)
    except duckdb.Error as error:
        raise BuildError(f"{name}: {error}") from error
