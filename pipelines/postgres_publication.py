"""
The marts for readers of a PostgreSQL warehouse: schema `marts`, brought up to what was built in one transaction.

dbt builds in a schema that nobody reads, and drops and renames tables there as it likes. Here only rows go and come, so
that a reader never waits for a publication nor a publication for a reader, sees all marts of one build, and keeps what
was granted.
"""

from typing import Any

from pipelines.errors import BuildError, WarehouseLockedError
from pipelines.postgres_connection import transaction

BUILT = "marts_building"
"""Where dbt builds."""

PUBLISHED = "marts"

_COLUMNS = """
    select attname, format_type(atttypid, atttypmod)
    from pg_attribute
    where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
    order by attnum
"""


def publish_marts(connection: Any, patience: float) -> None:
    """
    Make every table of `marts` equal to what was built; none of them changes before all do.

    Tables in `marts` that are not ours stay. Where a mart's columns have changed, which only a new version of this
    product does, its readers are waited for.

    Raises:
        BuildError: A view of somebody's needs a column that goes or changes its type.
        WarehouseLockedError: Readers kept a mart whose columns have to change for longer than *patience* seconds.
    """
    with transaction(connection), connection.cursor() as cursor:
        cursor.execute(f"create schema if not exists {PUBLISHED}")
        cursor.execute("select tablename from pg_tables where schemaname = %s order by 1", [BUILT])
        for (table,) in cursor.fetchall():
            _reshape(cursor, table, patience)
            _replace_rows(cursor, table)


def is_published(connection: Any) -> bool:
    """Return whether every mart that was built is there for readers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) > 0 and bool_and(to_regclass(format('%%I.%%I', %s, tablename)) is not null) "
            "from pg_tables where schemaname = %s",
            [PUBLISHED, BUILT],
        )
        return bool(cursor.fetchone()[0])


def _reshape(cursor: Any, table: str, patience: float) -> None:
    """Make the published *table* where it is missing; give it the columns of the one that was built."""
    built, published = _columns(cursor, BUILT, table), _columns(cursor, PUBLISHED, table)
    if published == built:
        return
    if not published:
        cursor.execute(f'create table {PUBLISHED}."{table}" (like {BUILT}."{table}")')
        return
    changes = [
        *(f'drop column "{name}"' for name in published if name not in built),
        *(
            f'alter column "{name}" type {kind} using "{name}"::{kind}'
            for name, kind in built.items()
            if name in published and published[name] != kind
        ),
        *(f'add column "{name}" {kind}' for name, kind in built.items() if name not in published),
    ]
    if changes:
        from psycopg2 import errors  # noqa: PLC0415 - an extra

        cursor.execute("set local lock_timeout = %s", [max(1, int(patience * 1000))])
        try:
            cursor.execute(f'alter table {PUBLISHED}."{table}" {", ".join(changes)}')
        except errors.LockNotAvailable as error:
            message = (
                f"The columns of {PUBLISHED}.{table} have changed, and a reader has it open for longer than "
                f"{patience:.0f} s. End its transaction and build again; readers keep the marts of the build before."
            )
            raise WarehouseLockedError(message) from error
        except (errors.DependentObjectsStillExist, errors.FeatureNotSupported) as error:
            message = (
                f"The columns of {PUBLISHED}.{table} have changed, and something of yours needs them as they were: "
                f"{error.diag.message_detail}. Drop it and build again; readers keep the marts of the build before."
            )
            raise BuildError(message) from error


def _columns(cursor: Any, schema: str, table: str) -> dict[str, str]:
    cursor.execute(_COLUMNS, [f'{schema}."{table}"'])
    return dict(cursor.fetchall())


def _replace_rows(cursor: Any, table: str) -> None:
    """Remove what is not in the table that was built, and add what is only there; equal rows are not touched."""
    names = ", ".join(f'"{name}"' for name in _columns(cursor, BUILT, table))
    # Compared as whole rows, in which a null equals a null; a row of a mart stands there once.
    cursor.execute(f"""
        create temporary table changed_rows on commit drop as
        select 'gone' as change, * from (
            select {names} from {PUBLISHED}."{table}" except select {names} from {BUILT}."{table}"
        ) as gone
        union all
        select 'new' as change, * from (
            select {names} from {BUILT}."{table}" except select {names} from {PUBLISHED}."{table}"
        ) as new
    """)
    cursor.execute(f"""
        delete from {PUBLISHED}."{table}" where ctid in (
            select old.ctid
            from (select ctid, row({names}) as whole from {PUBLISHED}."{table}") as old
            inner join (select row({names}) as whole from changed_rows where change = 'gone') as gone
                on old.whole = gone.whole
        )
    """)
    cursor.execute(f"""
        insert into {PUBLISHED}."{table}" ({names}) select {names} from changed_rows where change = 'new'
    """)
    cursor.execute("drop table changed_rows")
