"""
How rows of a report and rows of ours find each other: the SQL, over the tables that a reconciliation has put up.

    report   one row per line of the report that could be read
    held     one row per thing that the marts hold, summed by what the report has of partner and currency
    unread   kind and id of the lines that could not be read
    asked    one row: since, until, first_day and last_day that are held, tolerance

Columns of ours are called as those of the report, with `held_` before.
"""

from collections.abc import Sequence

_TYPES = {"partner": "varchar", "day": "date", "currency": "varchar"}
_SIDE = ("kind", "id", "partner", "day", "currency", "events", "amount")


def paired_by_id(dimensions: Sequence[str]) -> str:
    """
    Return SQL that makes table `paired`: every row of both sides once, beside the one of the same id if there is any.

    An id that stands more than once on either side (a commission of two partners, a line that is there twice) is first
    paired where partner and currency agree, and what is left then in the order of the lines.

    Args:
        dimensions: Of partner and currency, those that the report has.
    """
    same = [name for name in ("partner", "currency") if name in dimensions]
    alike = ", ".join(["kind", "id", *same])
    agree = " and ".join(f"report_places.{name} is not distinct from held_places.{name}" for name in same) or "true"
    return f"""
        create table paired as
        with
            report_places as (
                select *, row_number() over (partition by {alike} order by line) as place from report
            ),
            held_places as (
                select *, row_number() over (partition by {alike} order by held_row) as place from held
            ),
            alike as (
                select report_places.line, held_places.held_row
                from report_places
                inner join held_places using (kind, id, place)
                where {agree}
            ),
            other_report_places as (
                select line, kind, id, row_number() over (partition by kind, id order by line) as place
                from report
                where line not in (select line from alike)
            ),
            other_held_places as (
                select held_row, kind, id, row_number() over (partition by kind, id order by held_row) as place
                from held
                where held_row not in (select held_row from alike)
            ),
            pairs as (
                from alike
                union all
                select line, held_row from other_report_places inner join other_held_places using (kind, id, place)
            )
        select
            report.line, {_columns("report")}, report.other_day, report.line is not null as is_reported,
            {_held_columns()}, held.held_row is not null as is_held,
            report.line is not null and held.held_row is null
                and (report.kind, report.id) in (select (kind, id) from held) as is_repeated,
            report.line is null and (held.kind, held.id) in (select (kind, id) from unread) as is_unread
        from report
        left join pairs on report.line = pairs.line
        full join held on pairs.held_row = held.held_row
        cross join asked
        where asked.since is null
            or report.day between asked.since and asked.until
            or held.day between asked.since and asked.until
    """


def paired_by_sums(dimensions: Sequence[str]) -> str:
    """
    Return SQL that makes table `paired`: the sums of both sides by kind and *dimensions*, within the days asked for.

    Args:
        dimensions: Of partner, day and currency, those that the report has.
    """
    keys = ["kind", *dimensions]
    agree = " and ".join(f"report.{name} is not distinct from held.{name}" for name in keys)

    def summed(side: str) -> str:
        names = ", ".join(keys)
        others = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in _TYPES.items() if name not in keys)
        return f"""
            select {names}, cast(null as varchar) as id, {others + "," if others else ""}
                cast(sum(events) as bigint) as events, cast(sum(amount) as decimal(38, 18)) as amount, true as is_there
            from {side} cross join asked
            where asked.since is null or day between asked.since and asked.until
            group by {names}
        """

    return f"""
        create table paired as
        select
            cast(null as bigint) as line, {_columns("report")}, cast(null as date) as other_day,
            report.is_there is not null as is_reported, {_held_columns()}, held.is_there is not null as is_held,
            false as is_repeated, false as is_unread
        from ({summed("report")}) as report
        full join ({summed("held")}) as held on {agree}
    """


def _columns(side: str) -> str:
    return ", ".join(f"{side}.{name}" for name in _SIDE)


def _held_columns() -> str:
    return ", ".join(f"held.{name} as held_{name}" for name in _SIDE)
