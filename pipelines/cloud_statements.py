"""
Our own SQL for Snowflake, BigQuery and Redshift, in words that all three know; a test parses each statement in each.

Names stand without quotes: Snowflake then reads them in capitals, which is how dlt and dbt write them there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.raw_tables import DATASET, RawTable

BUILT = "marts_building"
"""Where dbt builds."""

PUBLISHED = "marts"

LEASE_TABLE = "hookmart_lease"
LEASE_SECONDS = 3600
"""How long others wait for a holder who does not come back."""

_VALUES_AT_A_TIME = 2_000
"""In one statement."""

_LEASE = f"{DATASET}.{LEASE_TABLE}"


def merge(raw: RawTable, columns: Sequence[str], staging: str) -> Iterator[str]:
    """Yield what brings the rows that wait in the schema *staging* into their table, each key once."""
    held = f"{DATASET}.{raw.name}"
    if raw.replaced_when is not None:
        same = " and ".join(f"arriving.{name} = {raw.name}.{name}" for name in raw.key)
        gives_way = raw.replaced_when.replace("held.", f"{raw.name}.")
        yield (
            f"delete from {held} where exists (select 1 from {staging}.{raw.name} as arriving "
            f"where {same} and ({gives_way}))"
        )
    names = ", ".join(columns)
    same = " and ".join(f"held.{name} = arriving.{name}" for name in raw.key)
    # Copied twice after a failed try of dlt's, a row waits there twice.
    yield (
        f"insert into {held} ({names}) select {names} from ("
        f"select {names}, row_number() over (partition by {', '.join(raw.key)} order by {raw.first_by}) as copy_number "
        f"from {staging}.{raw.name}) as arriving "
        f"where copy_number = 1 and not exists (select 1 from {held} as held where {same})"
    )


def removal(table: str, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what removes the rows with these keys, and the values for its `$name`s."""
    for part in _portions(rows, len(key)):
        same = (" and ".join(f"{name} = $v_{at}_{place}" for place, name in enumerate(key)) for at in range(len(part)))
        yield f"delete from {DATASET}.{table} where {' or '.join(f'({each})' for each in same)}", _values(part, key)


def addition(table: str, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what adds these rows, and the values for its `$name`s."""
    for part in _portions(rows, len(names)):
        places = (", ".join(f"$v_{at}_{place}" for place in range(len(names))) for at in range(len(part)))
        listed = ", ".join(f"({each})" for each in places)
        yield f"insert into {DATASET}.{table} ({', '.join(names)}) values {listed}", _values(part, names)


def _portions(rows: Sequence[dict[str, Any]], width: int) -> Iterator[Sequence[dict[str, Any]]]:
    size = max(1, _VALUES_AT_A_TIME // width)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _values(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    return {f"v_{at}_{place}": row[name] for at, row in enumerate(rows) for place, name in enumerate(names)}


def held_rows(tables: Sequence[str], columns: Sequence[str], name: str, places: int, condition: str) -> str:
    """Return the query for the rows whose *name* is one of `$value_0` and so on, in any of *tables*."""
    listed = ", ".join(columns)
    rows = " union all ".join(f"select {listed} from {DATASET}.{table} where {condition}" for table in tables)
    values = ", ".join(f"$value_{at}" for at in range(places))
    return f"select {listed} from ({rows}) as held where {name} in ({values})"


def table_names(information_schema: str) -> str:
    """Return the query for the tables and views of `$schema`, in small letters."""
    return f"select lower(table_name) from {information_schema}.tables where lower(table_schema) = $schema"


def columns(information_schema: str) -> str:
    """Return the query for table, name and type of the columns in `$schema`, in their order."""
    return (
        f"select lower(table_name), lower(column_name), data_type from {information_schema}.columns "
        "where lower(table_schema) = $schema order by table_name, ordinal_position"
    )


def reshape(table: str) -> Iterator[str]:
    """Yield what makes a published table like the one that was built."""
    yield f"drop table if exists {PUBLISHED}.{table}"
    yield f"create table {PUBLISHED}.{table} as select * from {BUILT}.{table}"


def republish(table: str, names: Sequence[str]) -> Iterator[str]:
    """Yield what gives a published table the rows that were built."""
    listed = ", ".join(names)
    yield f"delete from {PUBLISHED}.{table} where true"
    yield f"insert into {PUBLISHED}.{table} ({listed}) select {listed} from {BUILT}.{table}"


def make_lease(text_type: str) -> Iterator[str]:
    """Yield what makes the lease where it is missing."""
    yield f"create schema if not exists {DATASET}"
    yield f"create table if not exists {_LEASE} (holder {text_type}, expires_at bigint)"
    # Two at once may make two rows; whoever holds the lease holds all of them.
    yield (
        f"insert into {_LEASE} (holder, expires_at) select holder, expires_at "
        "from (select '' as holder, 0 as expires_at) as free "
        f"where not exists (select 1 from {_LEASE})"
    )


def take_lease(now: str) -> str:
    """Return what makes `$holder` the holder if the lease is free, his, or was not renewed in time."""
    return (
        f"update {_LEASE} set holder = $holder, expires_at = {now} + {LEASE_SECONDS} "
        f"where holder = $holder or holder = '' or expires_at < {now}"
    )


def renew_lease(now: str) -> str:
    """Return what lets `$holder` go on, if he still has it."""
    return f"update {_LEASE} set expires_at = {now} + {LEASE_SECONDS} where holder = $holder"


RELEASE_LEASE = f"update {_LEASE} set holder = '', expires_at = 0 where holder = $holder"

OTHER_HOLDERS = f"select count(*) from {_LEASE} where holder != $holder"
