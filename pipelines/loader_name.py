"""The name by which a server knows one loader from another: its own staging schema is called so."""

from pathlib import Path
from uuid import uuid4

from pipelines.raw_tables import DATASET


def loader_name(path: Path) -> str:
    """Return the name that stands in *path*, which is given one where it is missing, for good."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_suffix(".new")
        work.write_text(f"{DATASET}_staging_{uuid4().hex[:12]}", encoding="utf-8")
        work.replace(path)
    return path.read_text(encoding="utf-8")
