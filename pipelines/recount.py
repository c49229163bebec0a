"""
A batch that is read again, compared with what `raw` holds of it: what is new, what reads otherwise, what is no more.

The comparison is with the warehouse as if the batch had never come; so every line of it gets the fate that it has among
all others, and its rows of the ledger are counted anew. Where nothing differs nothing is written.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from models.columns import EVENT_COLUMNS
from pipelines.batches import LoadBatch, empty_tables
from pipelines.raw_tables import DATASET, RAW_TABLES
from pipelines.warehouse import WarehouseSession, quoted_names

_UNCOMPARED = {"load_seq", "loaded_at"}
"""Which load brought a row does not change with what it says."""

_COUNTED = ("received", "loaded", "duplicate", "quarantined", "refused")
_KEYS_AT_A_TIME = 500
_LEDGER_KEY = ("batch_id", "source_id", "received_date")


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that go from one table of `raw`, and rows that come; what is replaced does both."""

    removed: pa.Table
    added: pa.Table

    def apart_from(self, waiting: pa.Table) -> "Change":
        """Return the same without the deliveries of *waiting*."""
        names = waiting["delivery_id"].combine_chunks()
        removed, added = (
            rows.filter(pc.invert(pc.is_in(rows["delivery_id"], names))) for rows in (self.removed, self.added)
        )
        return Change(removed, added)

    @property
    def is_none(self) -> bool:
        """Whether nothing changes."""
        return not self.removed.num_rows and not self.added.num_rows


@dataclass(frozen=True, slots=True)
class Recount:
    """
    What has to change so that `raw` says what the batch says now.

    Attributes:
        changes: By table; only those with rows.
        displaced: Events of other batches that give way, as rows of `raw.displaced_events`; None where none do.
    """

    changes: Mapping[str, Change] = field(default_factory=dict)
    displaced: pa.Table | None = None

    def events(self) -> tuple[int, int, int]:
        """Return how many events are new, read otherwise, and are no more."""
        key = ["source_id", "event_id"]
        added, removed = set[tuple[str, str]](), set[tuple[str, str]]()
        for table in EVENT_COLUMNS:
            if table in self.changes:
                for rows, found in ((self.changes[table].added, added), (self.changes[table].removed, removed)):
                    found.update(tuple(row.values()) for row in rows.select(key).to_pylist())
        return len(added - removed), len(added & removed), len(removed - added)

    def write(self, session: WarehouseSession) -> None:
        """Bring `raw` to it in one transaction; the next build is a full one."""
        if not self.changes:
            return
        session.forget_build()
        with session.changing(self.displaced):
            for table, change in self.changes.items():
                raw = RAW_TABLES[table]
                if change.removed.num_rows:
                    key = (*raw.key, "batch_id") if table in EVENT_COLUMNS else raw.key
                    session.remove_rows(table, change.removed, key)
                if change.added.num_rows:
                    session.add_rows(table, change.added)
            if "replayed_events" in self.changes:
                session.execute(REOPEN)


REOPEN = f"""
    update {DATASET}.quarantined_events
    set replayed_at = null
    where
        replayed_at is not null
        and not exists (
            select 1
            from {DATASET}.replayed_events as replayed
            where
                replayed.delivery_id = quarantined_events.delivery_id
                and replayed.position = quarantined_events.position
        )
"""


def recount(session: WarehouseSession, batch: LoadBatch, groups: pa.Table, waiting: pa.Table) -> Recount:
    """
    Compare *batch*, read and settled without itself, with what the open warehouse holds.

    Args:
        session: Of the warehouse.
        batch: Each row with the `load_seq` that it had.
        groups: The batches and sources (`batch_id`, `source_id`) whose lines are all in *batch*.
        waiting: Has the `delivery_id` of lines that were made to wait as before; their deliveries stay as they are.
    """
    names = quoted_names(sorted(set(groups["batch_id"].to_pylist())))
    with closing(duckdb.connect(config={"threads": 1})) as compare:
        compare.execute("set TimeZone = 'UTC'")
        compare.register("groups", groups)
        comparison = _Comparison(compare, session, batch, names)
        changes = dict(comparison.changes())
        changes["deliveries"] = changes["deliveries"].apart_from(waiting)
        displaced = batch.tables.get("displaced_events")
        changes = {name: change for name, change in changes.items() if not change.is_none}
        return Recount(changes, None if displaced is None else displaced.table)


@dataclass(frozen=True, slots=True)
class _Comparison:
    compare: duckdb.DuckDBPyConnection
    session: WarehouseSession
    batch: LoadBatch
    names: str

    def changes(self) -> Iterator[tuple[str, Change]]:
        for table in RAW_TABLES:
            if table not in {"loads", "displaced_events"}:
                yield table, self._change(table)
        ledger, gave_way = self._ledger()
        yield "loads", ledger
        displaced = self.batch.tables.get("displaced_events")
        yield "displaced_events", Change(gave_way, gave_way.slice(0, 0) if displaced is None else displaced.table)

    def _change(self, table: str) -> Change:
        raw = RAW_TABLES[table]
        derived, held = self._both(table)
        columns = [name for name in derived.schema.names if name not in _UNCOMPARED]
        differs = " or ".join(f"derived.{name} is distinct from held.{name}" for name in columns)
        self._put("derived", derived)
        self._put("held", held)
        key = ", ".join(raw.key)
        schema = derived.schema
        gone = self._rows(f"from held anti join derived using ({key})", schema)
        other = self._rows(f"select held.* from held join derived using ({key}) where {differs}", schema)
        new = self._rows(
            f"select derived.* from derived left join held using ({key}) where held.batch_id is null or {differs}",
            schema,
        )
        # What another batch brought under the same key gives way only where a load would have it so.
        elsewhere = self._held_elsewhere(table, new, held)
        if elsewhere.num_rows:
            self._put("elsewhere", elsewhere)
            self._put("new", new)
            same = " and ".join(f"arriving.{name} = held.{name}" for name in raw.key)
            replaced = raw.replaced_when or "false"
            met = f"select held.* from elsewhere as held join new as arriving on {same}"
            other = pa.concat_tables([other, self._rows(f"{met} where {replaced}", schema)])
            new = self._rows(f"from new anti join ({met} where not ({replaced})) as held using ({key})", schema)
        return Change(pa.concat_tables([gone, other]), new)

    def _ledger(self) -> tuple[Change, pa.Table]:
        """Compare the counts; what gave way since is part of what is held, and goes where its row is counted anew."""
        derived, held = self._both("loads")
        gave_way = self._held_of("displaced_events", _schemas()["displaced_events"])
        for name, rows in {"derived": derived, "held": held, "gave_way": gave_way}.items():
            self._put(name, rows)
        key = ", ".join(_LEDGER_KEY)
        self.compare.execute(f"""
            create or replace temp table differing as
            with
                moved as (
                    select batch_id, source_id, cast(received_at as date) as received_date, count(*) as events
                    from gave_way
                    group by all
                ),
                counted as (
                    select
                        held.* replace (
                            loaded - coalesce(events, 0) as loaded, duplicate + coalesce(events, 0) as duplicate
                        )
                    from held left join moved using ({key})
                )
            select {key}
            from derived full join counted using ({key})
            where {" or ".join(f"derived.{name} is distinct from counted.{name}" for name in _COUNTED)}
        """)
        change = Change(
            self._rows(f"from held semi join differing using ({key})", held.schema),
            self._rows(f"from derived semi join differing using ({key})", held.schema),
        )
        return change, self._rows(
            "select gave_way.* from gave_way join differing on gave_way.batch_id = differing.batch_id "
            "and gave_way.source_id = differing.source_id "
            "and cast(gave_way.received_at as date) = differing.received_date",
            gave_way.schema,
        )

    def _both(self, table: str) -> tuple[pa.Table, pa.Table]:
        schema = _schemas()[table]
        derived = self.batch.tables.get(table)
        return schema.empty_table() if derived is None else derived.table.cast(schema), self._held_of(table, schema)

    def _held_of(self, table: str, schema: pa.Schema) -> pa.Table:
        found = self.session.arrow(
            f"select {', '.join(f'held.{chr(34)}{name}{chr(34)}' for name in schema.names)} "
            f"from {DATASET}.{table} as held where held.batch_id in ({self.names})"
        ).cast(schema)
        self._put("found", found)
        return self._rows("from found semi join groups using (batch_id, source_id)", schema)

    def _held_elsewhere(self, table: str, new: pa.Table, held: pa.Table) -> pa.Table:
        """Return the rows of other batches that have a key of *new*, events apart: what is new there was looked up."""
        raw = RAW_TABLES[table]
        if table in EVENT_COLUMNS or not new.num_rows:
            return held.slice(0, 0)
        lead = raw.key[0] if raw.key[0] == "delivery_id" else "event_id"
        wanted = sorted(set(new[lead].to_pylist()))
        found = [held.slice(0, 0)]
        for start in range(0, len(wanted), _KEYS_AT_A_TIME):
            values = {f"key_{at}": value for at, value in enumerate(wanted[start : start + _KEYS_AT_A_TIME])}
            places = ", ".join(f"${name}" for name in values)
            columns = ", ".join(f'held."{name}"' for name in held.schema.names)
            found.append(
                self.session.arrow(
                    f"select {columns} from {DATASET}.{table} as held "
                    f"where held.{lead} in ({places}) and held.batch_id not in ({self.names})",
                    values,
                ).cast(held.schema)
            )
        self._put("found", pa.concat_tables(found))
        self._put("new", new)
        return self._rows(f"from found semi join new using ({', '.join(raw.key)})", held.schema)

    def _put(self, name: str, rows: pa.Table) -> None:
        self.compare.register(name, rows)

    def _rows(self, sql: str, schema: pa.Schema) -> pa.Table:
        return self.compare.sql(sql).to_arrow_table().cast(schema)


@cache
def _schemas() -> dict[str, pa.Schema]:
    return {name: rows.schema for name, rows in empty_tables().items()}
