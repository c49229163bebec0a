"""What a warehouse notes of the builds of its marts, and so what the next one has to look at."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from models.inputs import INPUTS
from pipelines.raw_tables import ALLOCATIONS, DATASET, RAW_TABLES

_BUILDS_SCHEMA = "intermediate"
_BUILDS_TABLE = "builds"
_BUILDS = f"{_BUILDS_SCHEMA}.{_BUILDS_TABLE}"
_CHANGED_INPUTS_TABLE = "changed_inputs"
_CHANGED_INPUTS = f"{_BUILDS_SCHEMA}.{_CHANGED_INPUTS_TABLE}"


@dataclass(frozen=True, slots=True)
class RecordedBuild:
    """
    A complete build.

    Attributes:
        load_seq: The newest load it included.
        fingerprint: What it depended on besides the events; None when dbt was run by other hands than ours.
    """

    load_seq: int
    fingerprint: str | None


class BuildRecord(ABC):
    """The record, for whatever can run SQL where the marts are."""

    long_text_type: ClassVar[str]
    loads_whole: ClassVar[bool]

    @abstractmethod
    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run *sql*, which has taken effect for good on return, and return its rows; none where it gives none."""

    @abstractmethod
    def changing(self, displaced: pa.Table | None) -> AbstractContextManager[None]:
        """Stand by while rows are changed, in one transaction."""

    @abstractmethod
    def table_names(self, schema: str) -> set[str]:
        """Return the names of the tables and views in *schema*; none where there is no such schema."""

    @abstractmethod
    def missing_tables(self) -> set[str]:
        """Return the names of the raw tables that do not exist yet."""

    @abstractmethod
    def _ledger_of(self, batch_ids: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Yield batch and place of every row that the ledger of loads has of *batch_ids*."""

    def forget_build(self) -> None:
        """Make the next build a full one: rows of `raw` were changed or removed, not only added."""
        if _BUILDS_TABLE in self.table_names(_BUILDS_SCHEMA):
            self.execute(f"update {_BUILDS} set fingerprint = null where true")

    def input_changes(self, name: str) -> None:
        """Make the next build look at an input again though no event is new; again and again the same."""
        if _BUILDS_TABLE in self.table_names(_BUILDS_SCHEMA):
            self.execute(f"create table if not exists {_CHANGED_INPUTS} (name {self.long_text_type})")
            self.execute(f"insert into {_CHANGED_INPUTS} (name) values ($name)", {"name": name})

    def changed_inputs(self) -> set[str]:
        """Return the names of the inputs that changed since the newest complete build."""
        if _CHANGED_INPUTS_TABLE not in self.table_names(_BUILDS_SCHEMA):
            return set()
        return {name for (name,) in self.execute(f"select distinct name from {_CHANGED_INPUTS}")}

    def unchanged_since(self, load_seq: int) -> set[str]:
        """Return the names of what dbt reads of `raw` that is as a complete build up to *load_seq* read it."""
        # The tables of one load may commit one after another, and the build has seen the first of them only.
        newer = ">" if self.loads_whole else ">="
        tables = sorted(set(RAW_TABLES) - self.missing_tables())
        seen = " union all ".join(
            f"select '{name}' as name where not exists"
            f" (select 1 from {DATASET}.{name} as seen where seen.load_seq {newer} $load_seq)"
            for name in tables
        )
        unchanged = {name for (name,) in self.execute(seen, {"load_seq": load_seq})} if tables else set()
        if "payout_events" in unchanged:
            unchanged.add(ALLOCATIONS)
        return unchanged | (set(INPUTS) - self.changed_inputs())

    def look_again_from(self, batch_ids: Sequence[str]) -> None:
        """
        Make the next build look at all that was loaded since the oldest load of *batch_ids*.

        A load that was interrupted keeps its `load_seq`, and commits after younger ones of other loaders.
        """
        places = [load_seq for _, load_seq in self._ledger_of(batch_ids)]
        if places and _BUILDS_TABLE in self.table_names(_BUILDS_SCHEMA):
            self.execute(
                f"update {_BUILDS} set load_seq = $load_seq where load_seq > $load_seq", {"load_seq": min(places) - 1}
            )

    def last_build(self) -> RecordedBuild | None:
        """Return the newest complete build of the marts, None before the first."""
        if _BUILDS_TABLE not in self.table_names(_BUILDS_SCHEMA):
            return None
        rows = self.execute(f"select load_seq, fingerprint from {_BUILDS} where is_complete")
        return RecordedBuild(int(rows[0][0]), rows[0][1]) if rows else None

    def advance_build(self, load_seq: int) -> None:
        """Make the newest complete build one that includes all loads up to this, and still has to be stamped."""
        self.execute(
            f"update {_BUILDS} set load_seq = $load_seq, fingerprint = null where is_complete", {"load_seq": load_seq}
        )

    def make_builds(self) -> None:
        """Make the record of builds, as `dbt_project/macros/builds.sql` does, where there is none."""
        self.execute(f"create schema if not exists {_BUILDS_SCHEMA}")
        self.execute(
            f"create table if not exists {_BUILDS} (invocation_id {self.long_text_type}, load_seq bigint, "
            f"is_complete boolean, fingerprint {self.long_text_type})"
        )

    def forget_builds(self) -> None:
        """Have no complete build, since everything is about to be derived anew; if that fails, it is still to do."""
        self.execute(f"delete from {_BUILDS} where 1 = 1")

    def record_build(self, load_seq: int) -> None:
        """Record one where there is none: everything derived anew, with all loads up to *load_seq*."""
        self.execute(
            f"insert into {_BUILDS} (invocation_id, load_seq, is_complete) values ($build, $load_seq, true)",
            {"build": str(uuid4()), "load_seq": load_seq},
        )

    def stamp_build(self, fingerprint: str) -> None:
        """Write on the newest complete build what its rows depended on besides the events."""
        if _CHANGED_INPUTS_TABLE in self.table_names(_BUILDS_SCHEMA):
            self.execute(f"delete from {_CHANGED_INPUTS} where 1 = 1")
        self.execute(f"update {_BUILDS} set fingerprint = $fingerprint where is_complete", {"fingerprint": fingerprint})
