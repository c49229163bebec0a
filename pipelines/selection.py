"""Which models and tests a build has to run: those downstream of what changed in `raw`, by dbt's own graph."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Selection:
    """
    What one build runs, by name. Views are in no list: what they show is as new as what they read.

    Attributes:
        models: Those whose rows may change.
        tests: Those that may give another answer than last time.
        left_out: The models that read nothing that changed.
    """

    models: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...]


def downstream_of_changes(manifest: "Manifest", unchanged: Collection[str], tag: str) -> Selection:
    """
    Select what reads, itself or by way of other models, a source that is not in *unchanged*.

    Args:
        manifest: Of the parsed project.
        unchanged: The tables of `raw` that are as the newest complete build read them.
        tag: Of the tests that are wanted.
    """
    changed = {key for key, source in manifest.sources.items() if source.name not in unchanged}
    waiting = {key: set(node.depends_on_nodes) for key, node in manifest.nodes.items()}
    while found := {key for key, parents in waiting.items() if parents & changed}:
        changed |= found
        waiting = {key: parents for key, parents in waiting.items() if key not in found}
    models: list[str] = []
    tests: list[str] = []
    left_out: list[str] = []
    for key, node in manifest.nodes.items():
        match node.resource_type.value:
            case "model" if node.config.materialized != "view":
                (models if key in changed else left_out).append(node.name)
            case "test" if key in changed and tag in node.tags:
                tests.append(node.name)
    return Selection(tuple(models), tuple(tests), tuple(left_out))
