"""Which models and tests a build has to run: those downstream of what changed in `raw`, by dbt's own graph."""

from collections.abc import Collection
from dataclasses import dataclass

from pipelines.project_graph import ProjectGraph


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


def downstream_of_changes(graph: ProjectGraph, unchanged: Collection[str], tag: str) -> Selection:
    """
    Select what reads, itself or by way of other models, a source that is not in *unchanged*.

    Args:
        graph: Of the project.
        unchanged: The tables of `raw` that are as the newest complete build read them.
        tag: Of the tests that are wanted.
    """
    changed = {key for key, name in graph.sources.items() if name not in unchanged}
    waiting = {key: set(node.parents) for key, node in graph.nodes.items()}
    while found := {key for key, parents in waiting.items() if parents & changed}:
        changed |= found
        waiting = {key: parents for key, parents in waiting.items() if key not in found}
    models: list[str] = []
    tests: list[str] = []
    left_out: list[str] = []
    for key, node in graph.nodes.items():
        if node.is_test:
            if key in changed and tag in node.tags:
                tests.append(node.name)
        elif node.materialized != "view":
            (models if key in changed else left_out).append(node.name)
    return Selection(tuple(models), tuple(tests), tuple(left_out))
