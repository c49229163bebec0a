"""Which events `raw` has, of whatever type."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from models.columns import EVENT_COLUMNS


def loaded_events(source: str) -> str:
    """A query of the `event_id` of every event of *source*, a row each."""
    return " union all ".join(
        f"select event_id from raw.{table} where source_id = '{source}'" for table in EVENT_COLUMNS
    )


def not_once(warehouse: Path, source: str, event_ids: Sequence[str]) -> tuple[int, int]:
    """How many of *event_ids*, all different, are not in `raw`, and how many are there more than once."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        row = connection.execute(
            "select count(*) filter (rows = 0), count(*) filter (rows > 1) from ("
            " select expected.event_id, count(loaded.event_id) as rows from (select unnest(?) as event_id) as expected"
            f" left join ({loaded_events(source)}) as loaded on expected.event_id = loaded.event_id group by all)",
            [list(event_ids)],
        ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))
