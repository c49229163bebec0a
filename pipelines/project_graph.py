"""What a build knows of the dbt project: its models and data tests, what each reads, and what was promised of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_TOUCHED = "touched"
"""Folder of the models that are tables of touched keys."""


@dataclass(frozen=True, slots=True)
class Node:
    """
    A model, or a data test.

    Attributes:
        name: Unique among them.
        materialized: `view`, `table`, `incremental`, or `test`.
        parents: Ids of the models and sources that it reads.
        tags: Of a test: `gate` where every build waits for it.
        relation: Its table or view, quoted, with catalog and schema; empty of a test.
        schema: The schema of it.
        keys: Columns of which an incremental build replaces the rows; none where it makes the table anew.
        touched_by: The relation of the keys that an incremental build replaces; empty: those of the new rows.
        primary_key: Columns of which no two rows have the same, as its data test says; none where it has no such test.
        is_touched: Whether it is a table of touched keys, which hold for one build only.
        columns: Type by name, in their order, where its contract is enforced; else none.
    """

    name: str
    materialized: str
    parents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    relation: str = ""
    schema: str = ""
    keys: tuple[str, ...] = ()
    touched_by: str = ""
    primary_key: tuple[str, ...] = ()
    is_touched: bool = False
    columns: Mapping[str, str] | None = None

    @property
    def is_test(self) -> bool:
        """Return whether it is a data test."""
        return self.materialized == "test"


@dataclass(frozen=True, slots=True)
class ProjectGraph:
    """
    The project, without what only dbt needs.

    Attributes:
        sources: Names of the tables of `raw`, by id.
        nodes: Models and data tests, by id.
    """

    sources: Mapping[str, str]
    nodes: Mapping[str, Node]


def project_graph(manifest: "Manifest") -> ProjectGraph:
    """Return what *manifest* says."""
    relations = {node.name: str(node.relation_name) for node in manifest.nodes.values() if node.relation_name}
    keys = dict(_primary_keys(manifest.nodes.values()))
    return ProjectGraph(
        {key: source.name for key, source in manifest.sources.items()},
        {
            key: _node(node, relations, keys.get(key, ()))
            for key, node in manifest.nodes.items()
            if node.resource_type.value in {"model", "test"}
        },
    )


def _primary_keys(nodes: Iterable[Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what the data tests `primary_key` say, by id of the model."""
    for node in nodes:
        about = getattr(node, "test_metadata", None)
        if about is not None and about.name == "primary_key":
            yield node.attached_node, tuple(about.kwargs["columns"])


def _node(node: Any, relations: Mapping[str, str], primary_key: tuple[str, ...]) -> Node:
    parents, tags = tuple(node.depends_on_nodes), tuple(node.tags)
    if node.resource_type.value == "test":
        return Node(node.name, "test", parents, tags)
    config = node.config
    is_incremental = config.materialized == "incremental"
    return Node(
        name=node.name,
        materialized=config.materialized,
        parents=parents,
        tags=tags,
        relation=node.relation_name,
        schema=node.schema,
        keys=tuple(config.unique_key) if is_incremental else (),
        touched_by=relations[config["touched_by"]]
        if is_incremental and config.incremental_strategy == "touched_keys"
        else "",
        primary_key=primary_key,
        is_touched=_TOUCHED in node.fqn,
        columns={column.name: column.data_type for column in node.columns.values()}
        if config.contract.enforced
        else None,
    )
