"""The platform's own report against the marts: what is missing, what is too much, and which amounts differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import duckdb
import pyarrow as pa

from pipelines.held_rows import HeldMoney, HeldQuery, MartReader, held_rows, held_span
from pipelines.pairing import paired_by_id, paired_by_sums
from pipelines.platform_report import PlatformReport, ReportShape
from pipelines.report_file import ReportError
from pipelines.sql_literals import sql_text

Fate = Literal["missing", "extra", "different", "repeated"]
FATES: tuple[Fate, ...] = ("missing", "extra", "different", "repeated")
"""In the report only; with us only; with both, and not the same; in the report again under an id that it has used."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    How to compare.

    Attributes:
        source_id: Whose events the report is about.
        reporting_timezone: Of the days compared, where the report has timestamps; days are those of the report.
        money: Which of our amounts the report's are.
        conversions_by: See HeldQuery.
        tolerance: A difference of one amount up to this is none.
        since: First day to compare; by default the first of the report.
        until: Last day to compare, itself included; by default the last of the report.
    """

    source_id: str
    reporting_timezone: str = "UTC"
    money: HeldMoney = field(default_factory=HeldMoney)
    conversions_by: str = "change"
    tolerance: Decimal = Decimal(0)
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """
    What was compared of one kind and currency.

    Attributes:
        events: In the report; None where it has no counts.
        amount: In the report; None where it has no amounts, and so with `held_amount`.
        differences: How many of each fate.
    """

    kind: str
    currency: str | None
    events: int | None
    held_events: int
    amount: Decimal | None
    held_amount: Decimal | None
    differences: Mapping[Fate, int]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """
    The outcome.

    Attributes:
        since: The first day compared, and
        until: the last, in `timezone`; None where the report has no days.
        totals: By kind and currency; sums over what was compared.
        differences: One row per difference, by kind, day, partner and id. The columns without `held_` are of the
            report, those with it ours; `differs` names, parted by commas, what is not the same of a `different` one.
        notes: What was not compared, in words without a full stop.
        is_behind: The report has rows after the newest event that we hold.
    """

    since: date | None
    until: date | None
    timezone: str
    totals: Sequence[Total]
    differences: pa.Table
    notes: Sequence[str]
    is_behind: bool

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs and nothing in the report is newer than what we hold."""
        return not self.differences.num_rows and not self.is_behind


def reconcile(read: MartReader, report: PlatformReport, shape: ReportShape, comparison: Comparison) -> Reconciliation:
    """
    Compare *report* with what the marts hold.

    Where the report has ids, row by row: an id that stands on another day, with another partner or in another currency
    is one difference, not two. Otherwise by kind and what else the report has of partner, day and currency, in sums.

    Raises:
        ReportError: Days were asked for, and the report has none; or it has no rows and no days were asked for.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return _Comparing(connection, shape, comparison).run(read, report)


class _Comparing:
    def __init__(self, connection: duckdb.DuckDBPyConnection, shape: ReportShape, comparison: Comparison) -> None:
        self._connection = connection
        self._shape = shape
        self._comparison = comparison
        self._has_days = shape.has("day") or shape.has("timestamp")
        self._has_amounts = shape.has("amount")
        self._has_counts = not shape.is_summed or shape.has("count")
        self._dimensions = [name for name in ("partner", "currency") if shape.has(name)]
        self._timezone = comparison.reporting_timezone if shape.has("timestamp") else shape.zone.key

    def run(self, read: MartReader, report: PlatformReport) -> Reconciliation:
        self._put_report(report)
        since, until = self._days_compared()
        self._put_held(read, report.kinds, since, until)
        self._put_asked(read, since, until)
        if self._shape.is_by_id:
            self._connection.execute(paired_by_id(self._dimensions))
        else:
            self._connection.execute(paired_by_sums([*self._dimensions, *(["day"] if self._has_days else [])]))
        self._judge()
        notes = [*self._notes_on_days(), *_notes_on_rows(report)]
        return Reconciliation(
            since=since,
            until=until,
            timezone=self._timezone,
            totals=self._totals(),
            differences=self._differences(),
            notes=notes,
            is_behind=self._one("select count(*) from judged where fate = 'later'")[0] > 0,
        )

    def _put_report(self, report: PlatformReport) -> None:
        self._connection.register("report_rows", report.rows)
        self._connection.execute(
            f"""
            create table report as
            select line, kind, id, partner, currency, amount, events,
                coalesce(day, {self._day_of("happened_at")}) as day, {self._day_of("other_happened_at")} as other_day
            from report_rows
            """
        )
        unread = [(row.kind, row.id) for row in report.wrong_rows if row.kind and row.id]
        columns = {"kind": [kind for kind, _ in unread], "id": [event_id for _, event_id in unread]}
        self._connection.register("unread", pa.table(columns, pa.schema([("kind", pa.string()), ("id", pa.string())])))

    def _days_compared(self) -> tuple[date | None, date | None]:
        since, until = self._comparison.since, self._comparison.until
        if not self._has_days:
            if since or until:
                raise ReportError(
                    "The report has no days, so none can be chosen; leave --since and --until out, or name its column"
                    " `day` or `timestamp`."
                )
            return None, None
        first, last = self._one("select min(day), max(day) from report")
        if first is None and (since is None or until is None):
            raise ReportError(
                "The report has no rows that can be read; correct its configuration, or say --since and --until to see"
                " what is held of those days."
            )
        return since or first, until or last

    def _put_held(self, read: MartReader, kinds: Sequence[str], since: date | None, until: date | None) -> None:
        compared = self._comparison
        # By id, a row may stand on quite another day with us, and is found all the same.
        days = (None, None) if self._shape.is_by_id else (since, until)
        query = HeldQuery(compared.source_id, kinds, compared.money, compared.conversions_by, *days)
        self._connection.register("held_rows", held_rows(read, query))
        # A conversion without a value has no currency; a report of one currency has it under that one.
        currency = f"case when amount is null then {_quoted(self._shape.constants.get('currency'))} end"
        chosen = {
            "partner": "partner" if self._shape.has("partner") else "cast(null as varchar)",
            "currency": f"coalesce(currency, {currency})" if self._shape.has("currency") else "cast(null as varchar)",
            "amount": "amount" if self._has_amounts else "cast(null as decimal(38, 18))",
            "day": self._day_of("happened_at") if self._has_days else "cast(null as date)",
        }
        columns = ", ".join(f"{sql} as {name}" for name, sql in chosen.items())
        # What stands under one id is one thing there, however many entries of the ledger it is made of here.
        day, events = ("min(day) as day", "1") if self._shape.is_by_id else ("day", "sum(events)")
        self._connection.execute(
            f"""
            create table held as
            select row_number() over (order by kind, id, partner, currency, day) as held_row, *
            from (
                select kind, id, partner, currency, {day},
                    cast(sum(amount) as decimal(38, 18)) as amount, cast({events} as bigint) as events
                from (select kind, id, events, {columns} from held_rows)
                group by kind, id, partner, currency {"" if self._shape.is_by_id else ", day"}
            )
            """
        )

    def _put_asked(self, read: MartReader, since: date | None, until: date | None) -> None:
        span = held_span(read, self._comparison.source_id) or (None, None)
        self._connection.execute(
            f"""
            create table asked as
            select
                cast($since as date) as since, cast($until as date) as until,
                {self._day_of("cast($first as timestamp)")} as first_day,
                {self._day_of("cast($last as timestamp)")} as last_day,
                cast($tolerance as decimal(38, 18)) as tolerance
            """,
            {
                "since": since,
                "until": until,
                "first": span[0],
                "last": span[1],
                "tolerance": str(self._comparison.tolerance),
            },
        )

    def _judge(self) -> None:
        checks = {
            "partner": "partner is distinct from held_partner" if self._shape.has("partner") else None,
            "day": "day is distinct from held_day and other_day is distinct from held_day" if self._has_days else None,
            # Null where there is no amount, and nothing has no currency.
            "currency": "currency != held_currency" if self._shape.has("currency") else None,
            "count": "coalesce(events, 0) != coalesce(held_events, 0)" if self._has_counts else None,
            "amount": "abs(coalesce(amount, 0) - coalesce(held_amount, 0)) > tolerance" if self._has_amounts else None,
        }
        if self._shape.is_by_id:
            checks["count"] = None
        else:
            checks |= dict.fromkeys(("partner", "day", "currency"))
        names = ", ".join(f"case when {check} then '{name}' end" for name, check in checks.items() if check)
        # A sum of nothing is as good as none; an id is something whatever its amount.
        is_nothing = "false" if self._shape.is_by_id else f"concat_ws(',', {names}) = ''"
        self._connection.execute(
            f"""
            create table judged as
            select
                paired.*,
                concat_ws(',', {names or "null"}) as differs,
                case
                    when is_unread then 'unread'
                    when is_repeated then 'repeated'
                    when is_reported and is_held then case when differs = '' then 'same' else 'different' end
                    when {is_nothing} then 'same'
                    when is_held then 'extra'
                    when last_day is null or day > last_day then 'later'
                    when day < first_day then 'earlier'
                    else 'missing'
                end as fate
            from paired cross join asked
            """
        )

    def _notes_on_days(self) -> list[str]:
        first_held, last_held = self._one("select first_day, last_day from asked")
        notes = []
        if last_held is None:
            notes.append(f"nothing of {self._comparison.source_id!r} is held, so nothing was compared")
        elif self._has_days:
            for fate, where in (
                ("earlier", f"before the first event that is held, of {first_held}"),
                ("later", f"after the newest event that is held, of {last_held}"),
            ):
                rows, first, last = self._one(f"select count(*), min(day), max(day) from judged where fate = '{fate}'")
                if rows:
                    what = "rows" if self._shape.is_by_id else "sums"
                    notes.append(f"{rows:,} {what} of the report, {first} to {last}, are {where}: not compared")
        left_out = self._one("select count(*) from report cross join asked where day < since or day > until")[0]
        if left_out:
            notes.append(f"{left_out:,} rows of the report are of other days than those asked for")
        return notes

    def _totals(self) -> list[Total]:
        counts = ", ".join(f"count(*) filter (fate = '{fate}' and is_counted) as {fate}" for fate in FATES)
        found = self._connection.execute(
            f"""
            select kind, currency, sum(events), coalesce(sum(held_events), 0), sum(amount), sum(held_amount), {counts}
            from (
                select kind, currency, events, amount, 0 as held_events, null as held_amount, fate, true as is_counted
                from judged where is_reported
                union all
                select held_kind, coalesce(held_currency, currency), null, null, held_events, held_amount,
                    fate, not is_reported
                from judged where is_held
            )
            where fate not in ('earlier', 'later', 'unread')
            group by kind, currency
            order by kind, currency
            """
        ).fetchall()
        return [
            Total(
                kind=kind,
                currency=currency,
                events=(events or 0) if self._has_counts else None,
                held_events=held_events,
                amount=(amount or Decimal(0)) if self._has_amounts else None,
                held_amount=(held_amount or Decimal(0)) if self._has_amounts else None,
                differences=dict(zip(FATES, fates, strict=True)),
            )
            for kind, currency, events, held_events, amount, held_amount, *fates in found
        ]

    def _differences(self) -> pa.Table:
        return self._connection.sql(
            f"""
            select
                fate, coalesce(kind, held_kind) as kind, coalesce(id, held_id) as id, line,
                partner, held_partner, day, held_day, currency, held_currency,
                {"events" if self._has_counts else "null"} as events, held_events, amount, held_amount,
                case
                    when currency is distinct from held_currency and is_reported and is_held
                        and amount is not null and held_amount is not null then null
                    else coalesce(amount, 0) - coalesce(held_amount, 0)
                end as difference,
                case when fate = 'different' then differs end as differs
            from judged
            where fate in {FATES}
            order by 2, coalesce(day, held_day), coalesce(partner, held_partner), 3, coalesce(currency, held_currency),
                line
            """
        ).to_arrow_table()

    def _day_of(self, at: str) -> str:
        zone = _quoted(self._timezone)
        return f"cast(({at} at time zone 'UTC') at time zone {zone} as date)"

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self._connection.execute(sql).fetchall()[0]


def _notes_on_rows(report: PlatformReport) -> list[str]:
    return [f"{report.ignored:,} rows of the report are of kinds that are ignored"] if report.ignored else []


def _quoted(text: str | None) -> str:
    return "null" if text is None else sql_text(text)
