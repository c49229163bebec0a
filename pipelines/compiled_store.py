"""What dbt compiled, kept from process to process: to parse and to compile takes longer than most builds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from pipelines.compiled_models import CompiledModels
from pipelines.project_graph import Node, ProjectGraph

KEPT = 16
"""Of other settings, inputs and versions, the newest."""


@dataclass(frozen=True, slots=True)
class CompiledStore:
    """
    Files in a directory, each named for all that its content depends on.

    Attributes:
        directory: Made where it is missing. All of it may be removed at any time.
    """

    directory: Path
    _held: dict[str, CompiledModels] = field(default_factory=dict, repr=False)

    def get(self, key: str) -> CompiledModels | None:
        """Return what was kept under *key*; None where nothing was, or it cannot be read."""
        if key not in self._held:
            try:
                self._held[key] = _read((self.directory / f"{key}.json").read_bytes())
            except (OSError, ValueError, TypeError, KeyError):
                return None
        return self._held[key]

    def either(self, *keys: str) -> CompiledModels | None:
        """Return what was kept under the first of *keys* that has something."""
        return next((found for key in keys if (found := self.get(key))), None)

    def put(self, key: str, compiled: CompiledModels) -> None:
        """Keep *compiled* under *key*, whole or not at all, and forget the oldest of too many."""
        self._held[key] = compiled
        self.directory.mkdir(parents=True, exist_ok=True)
        making = self.directory / f".{uuid4().hex}"
        making.write_bytes(orjson.dumps(compiled))
        making.replace(self.directory / f"{key}.json")
        for path in sorted(self.directory.glob("*.json"), key=_age)[:-KEPT]:
            path.unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Keep nothing under *key*: it may be what went wrong."""
        self._held.pop(key, None)
        (self.directory / f"{key}.json").unlink(missing_ok=True)


def _read(content: bytes) -> CompiledModels:
    found = orjson.loads(content)
    graph: dict[str, Any] = found["graph"]
    nodes = {key: _node(values) for key, values in graph["nodes"].items()}
    return CompiledModels(ProjectGraph(graph["sources"], nodes), found["sql"])


def _node(values: dict[str, Any]) -> Node:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Node(**{**values, **lists})


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # another build has just forgotten it
        return 0
